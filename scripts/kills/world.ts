/** What all clients of the workload share: the server's address, and requests that are repeated. */
import { Client } from "../client.ts";
import { Random } from "./random.ts";
import type { Restarts } from "./restarts.ts";

/** How long a client waits before it tries again. */
export const AGAIN_MS = 100;

/** An answer as JSON; its fields are read where a client needs them. */
export interface Answer {
  status: number;
  body: AnswerBody;
  replayed: boolean;
}

/** The fields of all answers that the workload reads. */
export interface AnswerBody {
  id?: string;
  outcome?: string;
  output_text?: string;
  turn?: string;
  interrupted?: boolean;
  status?: string | number;
  title?: string | null;
  turn_count?: number;
  last_event_id?: number;
  last_id?: number;
  has_more?: boolean;
  next_cursor?: string | null;
  metadata?: { chat?: string };
  usage?: { billed: Record<string, number> };
  cost_usd?: number | null;
  error?: { code: string };
  pending_tool_calls?: { id: string }[];
  /** Elements of a list: sessions, events or waiting inputs. */
  data?: readonly ListElement[];
}

export interface ListElement {
  id: string | number;
  type?: string;
  turn_id?: string | null;
  data?: Readonly<Record<string, unknown>>;
  [field: string]: unknown;
}

export interface Call {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  body?: object;
  /** `Idempotency-Key`: without one a POST is not repeated. */
  key?: string;
  headers?: Record<string, string>;
  /** The client gives up so soon and asks again. */
  impatience?: number;
}

export class World {
  readonly seed: number;
  readonly client: Client;
  readonly restarts: Restarts;
  /** What must not be; the same thing once. */
  readonly problems = new Set<string>();
  /** No client begins anything new. */
  stopping = false;
  /** The server will not come back. */
  closed = false;

  constructor(seed: number, url: string, restarts: Restarts) {
    this.seed = seed;
    this.client = new Client(url);
    this.restarts = restarts;
  }

  random(name: string): Random {
    return new Random(this.seed, name);
  }

  problem(what: string): void {
    this.problems.add(what);
  }

  /** A client has ended with an error, which is right only when everything is over. */
  failed(client: string, error: unknown): void {
    if (error instanceof Closed || this.closed) return;
    this.problem(`${client}: ${error instanceof Error ? error.stack : error}`);
  }

  /** Asks until the server has answered: kills, broken connections and lost patience are repeated. */
  async ask(chat: string, path: string, call: Call = {}): Promise<Answer> {
    let { impatience } = call;
    while (!this.closed) {
      this.restarts.touched(chat);
      const answer = await this.#once(path, call, impatience);
      if (answer) return answer;
      impatience = undefined;
      await pause(AGAIN_MS);
    }
    throw new Closed();
  }

  async #once(
    path: string,
    { method = "GET", body, key, headers }: Call,
    impatience: number | undefined,
  ): Promise<Answer | null> {
    try {
      const response = await fetch(`${this.client.url}${path}`, {
        method,
        headers: {
          "content-type": "application/json",
          ...(key === undefined ? {} : { "idempotency-key": key }),
          ...headers,
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
        ...(impatience === undefined ? {} : { signal: AbortSignal.timeout(impatience) }),
      });
      const text = await response.text();
      const parsed = parse(text);
      if (!parsed || response.status === 500) {
        const route = path.replace(/[a-z]+_\w+/g, "…");
        this.problem(`${method} ${route}: ${response.status} ${parsed?.error?.code ?? text}`);
        return null;
      }
      if (parsed.error?.code === "unavailable") return null;
      const replayed = response.headers.get("idempotency-replayed") === "true";
      return { status: response.status, body: parsed, replayed };
    } catch (error) {
      if (isBroken(error)) return null;
      throw error;
    }
  }
}

/** Thrown to clients that still ask when everything is over. */
class Closed extends Error {}

/** The connection broke or was not made, or the client's patience ended. */
export const isBroken = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError");

function parse(text: string): AnswerBody | null {
  try {
    // All routes answer with JSON objects.
    return JSON.parse(text) as AnswerBody;
  } catch {
    return null;
  }
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, ms));
