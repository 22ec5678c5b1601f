import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { accountId } from "../../src/http/auth.ts";
import { submit } from "../../src/http/submit.ts";
import { type SessionStub, sessionStub } from "../../src/session/calls.ts";
import type { Command } from "../../src/session/commands.ts";
import { DEFAULT_ACCOUNT } from "../../src/shared/config-readers.ts";
import type { Json, JsonObject } from "../../src/shared/content.ts";
import { type Frame, frames, get, send } from "../api/cc/server.ts";
import { home } from "../support/home.ts";
import type { RunClock } from "./clock.ts";
import type { Faults } from "./faults.ts";
import type { Hold } from "./model.ts";
import type { Platform } from "./platform.ts";

/** `attached`: SSE responses and a follower. `alone`: short requests, and nobody in between. */
export type Mode = "attached" | "alone";

/** An event stream that is being read. */
export class Stream {
  readonly frames: Frame[] = [];
  #ended = false;
  #failure: unknown = null;

  constructor(response: Response) {
    void this.#read(response);
  }

  /** @throws what broke the response */
  get ended(): boolean {
    if (this.#failure) throw this.#failure;
    return this.#ended;
  }

  get last(): JsonObject {
    return this.frames.at(-1)?.data ?? {};
  }

  find(event: string): JsonObject | null {
    return this.frames.find((frame) => frame.event === event)?.data ?? null;
  }

  async #read(response: Response): Promise<void> {
    try {
      for await (const frame of frames(response)) this.frames.push(frame);
    } catch (error) {
      this.#failure = error;
    }
    this.#ended = true;
  }
}

/** What became of a turn for the client that asked for it. */
export interface Ended {
  /** The last frame of the response; alone the turn's status. */
  end: JsonObject;
  /** The turn as the API shows it; null when it failed. */
  turn: JsonObject | null;
}

/** Routes that run the model. */
type Route = "turns" | "tool-results" | "confirmations";

/** A message or a set of results that was accepted. */
export interface Posted {
  /** Null alone. */
  stream: Stream | null;
  /** Resolves when the response has ended; alone when the session rests. */
  end(): Promise<Ended>;
}

export interface ClientParts {
  /** Number of the run. */
  run: number;
  mode: Mode;
  platform: Platform;
  clock: RunClock;
  faults: Faults;
}

/** Where the answer to the first call was lost, the second finds what that has made. */
export const MADE = [201, 200];

/** The client of one run. It has one session. */
export class Client {
  readonly mode: Mode;
  readonly platform: Platform;
  /** The responses of everything that was posted, in order. */
  readonly responses: Stream[] = [];
  /** What became of it, for those who waited. */
  readonly ends: Ended[] = [];
  /** JSON answers to all that changes something. */
  readonly answers: JsonObject[] = [];
  /** The whole session as it goes on; null alone. */
  follower: Stream | null = null;
  path = "";
  readonly #clock: RunClock;
  readonly #faults: Faults;
  readonly #run: number;
  #keys = 0;

  constructor({ run, mode, platform, clock, faults }: ClientParts) {
    this.#run = run;
    this.mode = mode;
    this.platform = platform;
    this.#clock = clock;
    this.#faults = faults;
  }

  async create(body: JsonObject = {}): Promise<void> {
    const { id } = await this.call("POST", "/api/sessions", body, { status: [201] });
    this.path = `/api/sessions/${id}`;
    if (this.mode === "alone") return;
    const follower = new Stream(await this.platform.attend(get(`${this.path}/events/stream`)));
    this.follower = follower;
    await this.platform.until(() => follower.frames.length > 0, "the first row");
  }

  /** Posts to a route that runs the model. */
  async post(route: Route, body: JsonObject, key?: string): Promise<Posted> {
    this.#faults.asks();
    const path = `${this.path}/${route}`;
    const more = key === undefined ? {} : { key };
    if (this.mode === "alone") {
      const headers = { prefer: "wait=0" };
      const { url } = await this.call("POST", path, body, { status: [202], headers, ...more });
      return { stream: null, end: () => this.#rested(String(url)) };
    }
    const accept = { accept: "text/event-stream" };
    const headers = key === undefined ? accept : { ...accept, "idempotency-key": key };
    const response = await this.platform.attend(send("POST", path, body, headers));
    expect(response.status, path).toBe(200);
    const stream = new Stream(response);
    this.responses.push(stream);
    return { stream, end: () => this.#read(stream) };
  }

  /** Posts a message, and waits until the session rests. */
  async turn(input: Json, more: JsonObject = {}): Promise<Ended> {
    const ended = await (await this.post("turns", { input, ...more })).end();
    await this.idle();
    return ended;
  }

  /** Posts a message and waits for the JSON answer, and until the session rests. */
  async answer(input: Json): Promise<void> {
    if (this.mode === "alone") return void (await this.turn(input));
    const turn = await this.call("POST", `${this.path}/turns`, { input });
    this.ends.push({ end: {}, turn });
    await this.idle();
  }

  /** The session, for what this API has no route for. */
  async session(): Promise<SessionStub> {
    const account = await accountId(DEFAULT_ACCOUNT);
    return sessionStub(env, account, this.path.replace("/api/sessions/sess_", ""));
  }

  /** Posts a job, and waits until it is taken. */
  async job(message: string, webhook_url: string): Promise<number> {
    this.#faults.asks();
    const command: Command = {
      kind: "input",
      content: [{ type: "text", text: message }],
      on_busy: "queue",
      options: { toolset: null, tool_choice: null, parallel_tool_calls: null },
      limits: { plain: 8, tools: 8 },
      replay: false,
      hash: message,
      job: { webhook_url },
    };
    // Nobody reads its response.
    const sent = { v: 1 as const, detached: true as const };
    const submission = { ...sent, submission: this.#newKey(), command };
    const answer = await this.platform.attend(submit(await this.session(), submission, []));
    if (!answer.ok) throw new Error(`refused: ${answer.refusal.code}`);
    return answer.accepted.input ?? 0;
  }

  /** Answers tool calls by the tool's name, and waits until the session rests. */
  async results(answers: Record<string, string>): Promise<Ended> {
    const results = await this.answersTo(answers);
    const ended = await (await this.post("tool-results", { results })).end();
    await this.idle();
    return ended;
  }

  /** Results for the calls that wait. */
  async answersTo(answers: Record<string, string>): Promise<JsonObject[]> {
    const { pending_tool_calls } = await this.call("GET", this.path);
    // As the API shows them.
    const calls = pending_tool_calls as unknown as { id: string; function: { name: string } }[];
    const asked = calls.filter((call) => call.function.name in answers);
    expect(asked.length, "tool calls to answer").toBe(Object.keys(answers).length);
    return asked.map(({ id, function: { name } }) => ({
      tool_call_id: id,
      content: answers[name] ?? "",
    }));
  }

  /** A request with a JSON answer. */
  async call(
    method: string,
    path: string,
    body?: Json | ReadableStream,
    {
      status = [200],
      headers = {},
      key = this.mode === "alone" ? this.#newKey() : undefined,
    }: {
      status?: readonly number[];
      headers?: Record<string, string>;
      key?: string | undefined;
    } = {},
  ): Promise<JsonObject> {
    this.#faults.asks();
    const sent = method === "GET" || !key ? headers : { "idempotency-key": key, ...headers };
    const response = await this.platform.attend(send(method, path, body, sent));
    const answer = await this.platform.attend(response.json<JsonObject>());
    expect(response.status, `${method} ${path}: ${JSON.stringify(answer)}`).toBeOneOf([...status]);
    if (method !== "GET") this.answers.push(answer);
    return answer;
  }

  /** Uploads a new file that the Worker holds until it is there. */
  async put(path: string, content: string | Uint8Array<ArrayBuffer>): Promise<void> {
    const headers = { "content-type": "application/octet-stream" };
    const body = new Blob([content]).stream();
    await this.call("PUT", `${this.path}/files/${path}`, body, { headers, status: MADE });
  }

  /** Uploads a new file that no Worker holds, and again as long as the session was lost over it. */
  async upload(path: string, content: string): Promise<void> {
    this.#faults.asks();
    for (;;) {
      const headers = { "content-type": "application/octet-stream" };
      const url = `${this.path}/files/${path}`;
      const response = await this.platform.attend(send("PUT", url, content, headers));
      const answer = await this.platform.attend(response.json<JsonObject>());
      if (response.ok) return void this.answers.push(answer);
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    }
  }

  /** Waits until the model has come to a place of its answer. */
  reached(hold: Hold): Promise<void> {
    return this.platform.until(() => this.#faults.events >= hold.after, "the model is held");
  }

  /** Lets the model go on. */
  open(hold: Hold): Promise<void> {
    return this.platform.surely(() => hold.open());
  }

  /** The object ends while it rests, and comes back for its follower or for the next request. */
  async restart(): Promise<void> {
    await this.platform.restart();
    await this.attached();
  }

  /** Waits until the follower is connected and has seen the event `id`. */
  async caughtUp(id: number): Promise<void> {
    const { follower } = this;
    if (!follower) return;
    const seen = () => follower.frames.some(({ data }) => data.id === id);
    await this.platform.until(seen, `the follower sees event ${id}`);
    await this.attached();
  }

  /** Waits until the session rests, and everybody who reads it is there. */
  async idle(): Promise<void> {
    await this.platform.idle();
    await this.attached();
  }

  /** Waits until the streams that have not ended are connected to the object, and no others. */
  async attached(): Promise<void> {
    const streams = [...this.responses, ...(this.follower ? [this.follower] : [])];
    // To look wakes the object, so it is not done where nobody follows.
    if (streams.length === 0) return;
    const connected = () =>
      this.platform.surely(
        (state) => state.getWebSockets().filter(({ readyState }) => readyState === 1).length,
      );
    while ((await connected()) !== streams.filter(({ ended }) => !ended).length) await home();
  }

  /** Lets timers of the session's object come that were set to so many milliseconds. */
  tick(ms: number): Promise<void> {
    return this.platform.surely(() => this.#clock.run(ms));
  }

  #newKey(): string {
    this.#keys += 1;
    return `${this.#run}-${this.#keys}`;
  }

  async #read(stream: Stream): Promise<Ended> {
    await this.platform.until(() => stream.ended, "the response ends");
    return this.#ended({ end: stream.last, turn: stream.find("turn.response") });
  }

  async #rested(url: string): Promise<Ended> {
    await this.platform.idle();
    const turn = await this.call("GET", url);
    return this.#ended({ end: { status: turn.status ?? null }, turn });
  }

  #ended(ended: Ended): Ended {
    this.ends.push(ended);
    return ended;
  }
}
