/** A client that sees every byte of a response and reads only when it is told to. */
import { createExecutionContext, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { accountId } from "../../src/http/auth.ts";
import { newSubmissionId } from "../../src/http/submit.ts";
import type { Session } from "../../src/session/session.ts";
import { DEFAULT_ACCOUNT } from "../../src/shared/config-readers.ts";
import type { JsonObject } from "../../src/shared/content.ts";
import worker from "../../src/worker.ts";
import { send } from "../api/cc/server.ts";

const BASE = "http://localhost";

export interface SeenFrame {
  id: string;
  event: string;
  data: JsonObject;
  /** Bytes of its data. */
  size: number;
}

/** What a request may have besides its path. */
export interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
  /** Bindings of the Worker that are not the usual ones. */
  bindings?: Record<string, unknown>;
  /** Gone before it has asked. */
  gone?: boolean;
}

export class HostileClient {
  readonly response: Response;
  /** Frames that were read whole. */
  readonly frames: SeenFrame[] = [];
  /** Comments that were read whole. */
  readonly comments: string[] = [];
  /** Bytes that were read. */
  bytes = 0;
  /** The text that was read last. */
  last = "";
  /** All text that was read, of a response that is no stream. */
  raw = "";
  readonly #left: AbortController;
  readonly #reader: ReadableStreamBYOBReader | undefined;
  readonly #decoder = new TextDecoder();
  readonly #parser = createParser({
    onEvent: ({ id = "", event = "", data }: EventSourceMessage) =>
      this.frames.push({ id, event, data: JSON.parse(data), size: data.length }),
    onComment: (comment) => this.comments.push(comment),
    maxBufferSize: Number.MAX_SAFE_INTEGER,
  });

  private constructor(response: Response, left: AbortController) {
    this.response = response;
    this.#left = left;
    this.#reader = response.body?.getReader({ mode: "byob" });
  }

  get isStream(): boolean {
    return this.response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
  }

  /** Sends a request and has the head of its response. */
  static async open(path: string, asked: Asked = {}): Promise<HostileClient> {
    const left = new AbortController();
    if (asked.gone) left.abort();
    const pending = HostileClient.send(path, asked, left);
    return new HostileClient(await pending, left);
  }

  /** Sends a request that `left` breaks off, also before its response has begun. */
  static async send(path: string, asked: Asked, left: AbortController): Promise<Response> {
    const { method = "GET", headers = {}, body, bindings = {} } = asked;
    const request = new Request(BASE + path, {
      method,
      headers: { "content-type": "application/json", ...headers },
      signal: left.signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return worker.fetch(request, { ...env, ...bindings }, createExecutionContext());
  }

  /** Reads at most so many bytes; false when the response has ended. */
  async read(most = 65_536): Promise<boolean> {
    const chunk = await this.#reader?.read(new Uint8Array(most));
    this.bytes += chunk?.value?.byteLength ?? 0;
    this.last = this.#decoder.decode(chunk?.value, { stream: true });
    if (this.isStream) this.#parser.feed(this.last);
    else this.raw += this.last;
    return !(chunk?.done ?? true);
  }

  async readToEnd(): Promise<this> {
    while (await this.read());
    return this;
  }

  /** Reads until `seen` holds or the response ends. */
  async readUntil(seen: (client: this) => boolean): Promise<this> {
    while (!seen(this) && (await this.read()));
    return this;
  }

  /** Reads until it has had the last frame of this row. */
  readToRow(seq: number): Promise<this> {
    return this.readUntil(({ cursor }) => rowOf(cursor) === String(seq));
  }

  has(event: string): boolean {
    return this.frames.some((frame) => frame.event === event);
  }

  /** The connection breaks. */
  leave(): void {
    this.#left.abort();
  }

  /** The id of the last frame that was read whole: with what a client comes back. */
  get cursor(): string {
    return this.frames.at(-1)?.id ?? "0";
  }
}

/** A cursor without what it says of the message that was being written there. */
const rowOf = (id: string): string => id.replace(/:\d+$/, "");

/** The frames that stand in the log, as `id event`. */
export const logged = (frames: readonly SeenFrame[]): string[] =>
  frames
    .filter(({ event }) => !event.endsWith(".delta") && event !== "error")
    .map(({ id, event }) => `${rowOf(id)} ${event}`);

/** Everything that a client gets which comes at the first row and leaves at the last. */
export async function wholeLog(session: string): Promise<SeenFrame[]> {
  const client = await HostileClient.open(`${session}/events/stream`);
  await client.readToRow(await headOf(session));
  client.leave();
  return client.frames;
}

/** The last row of a session. */
export async function headOf(session: string): Promise<number> {
  const { last_event_id } = await (await send("GET", session)).json<{ last_event_id: number }>();
  return last_event_id;
}

async function objectOf(session: string): Promise<DurableObjectStub<Session>> {
  const ulid = session.replace("/api/sessions/sess_", "");
  return env.SESSION.getByName(`${await accountId(DEFAULT_ACCOUNT)}/${ulid}`);
}

/** Writes so many rows of 16 KB, each as a PATCH does: a commit of its own, told to followers. */
export async function writeRows(session: string, count: number): Promise<void> {
  await runInDurableObject(await objectOf(session), async (object: Session) => {
    for (let n = 0; n < count; n++) {
      const config = { metadata: { n, fill: "x".repeat(16_000) } };
      const submission = newSubmissionId();
      await object.submit({ v: 1, submission, command: { kind: "update", config } });
    }
  });
}

/** Kills the session's object in the middle of what it does. */
export async function crash(session: string): Promise<void> {
  const abort = (_: Session, state: DurableObjectState) => state.abort("crash");
  await runInDurableObject(await objectOf(session), abort).catch(() => {});
}

/** How many followers the session's object sends to. */
export async function attached(session: string): Promise<number> {
  const count = (_: Session, state: DurableObjectState) => state.getWebSockets().length;
  return runInDurableObject(await objectOf(session), count);
}

/** Resolves once the session's object sends to so many followers. */
export async function untilAttached(session: string, count: number): Promise<void> {
  while ((await attached(session)) !== count);
}
