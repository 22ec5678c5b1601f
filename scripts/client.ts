/** A small client of the native API: what the demo, the tests and the soak run need. */
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { Event } from "../src/shared/events.ts";

/** One frame of a stream, with its data parsed. */
export interface Frame {
  /** The cursor behind it. */
  id: string;
  event: string;
  data: Data;
}

/** The fields that are read here; a frame has more, and `data` differs with its event. */
interface Data {
  /** The number of the event's row. */
  id?: number | string;
  turn_id?: string | null;
  output_text?: string;
  status?: string;
  retryable?: boolean;
  data?: Readonly<Record<string, unknown>>;
}

export interface SessionObject {
  id: string;
  status: string;
  last_event_id: number;
}

export interface TurnObject {
  id: string;
  outcome: string;
  finish_reason: string;
  output_text: string;
  tool_calls: { id: string; function: { name: string; arguments: string } }[];
}

/** The server answered, and not with a 2xx. */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, text: string) {
    super(`${status}: ${text}`);
    this.status = status;
  }
}

/** The calls of one server. */
export class Client {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  createSession(body: object = {}): Promise<SessionObject> {
    return this.#json("/api/sessions", body);
  }

  session(id: string): Promise<SessionObject> {
    return this.#json(`/api/sessions/${id}`);
  }

  /** Posts a message and waits for the result. */
  turn(id: string, body: object): Promise<TurnObject> {
    return this.#json(`/api/sessions/${id}/turns`, body);
  }

  /** Posts a message and leaves: the turn goes on without a client. */
  async detachedTurn(id: string, body: object): Promise<void> {
    const response = await this.#send(`/api/sessions/${id}/turns`, body, { prefer: "wait=0" });
    await response.body?.cancel();
  }

  /** Posts a message and reads its stream. */
  streamTurn(id: string, body: object): AsyncGenerator<Frame> {
    return this.frames(`/api/sessions/${id}/turns`, { ...body, stream: true });
  }

  streamResults(id: string, body: object): AsyncGenerator<Frame> {
    return this.frames(`/api/sessions/${id}/tool-results`, { ...body, stream: true });
  }

  interrupt(id: string): Promise<{ interrupted: boolean }> {
    return this.#json(`/api/sessions/${id}/interrupt`, {});
  }

  /** The session's stream behind a cursor; leaving the loop closes the connection. */
  events(id: string, after: string): AsyncGenerator<Frame> {
    return this.frames(`/api/sessions/${id}/events/stream`, undefined, { "last-event-id": after });
  }

  /** The frames of any stream; leaving the loop closes the connection. */
  async *frames(
    path: string,
    body: object | undefined,
    headers: Record<string, string> = {},
  ): AsyncGenerator<Frame> {
    const left = new AbortController();
    try {
      const response = await this.#send(path, body, headers, left.signal);
      if (!response.body) return;
      const messages = response.body
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(new EventSourceParserStream());
      for await (const { id = "", event = "", data } of messages) {
        // Every frame of this API is a JSON object.
        yield { id, event, data: JSON.parse(data) as Data };
      }
    } finally {
      left.abort();
    }
  }

  async #json<T>(path: string, body?: object): Promise<T> {
    const response = await this.#send(path, body);
    // The caller names the object that this route answers with.
    return (await response.json()) as T;
  }

  async #send(
    path: string,
    body?: object,
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    const response = await fetch(`${this.url}${path}`, {
      ...(body ? { method: "POST", body: JSON.stringify(body) } : {}),
      headers: { "content-type": "application/json", ...headers },
      ...(signal ? { signal } : {}),
    });
    if (!response.ok) throw new ApiError(response.status, await response.text());
    return response;
  }
}

/** Frames of a turn's own response that are not events of the session. */
const CONTROL = new Set(["turn.response", "done", "error"]);

/** The event in a frame, for the reducer; null for control frames. */
export function eventOf({ event, data }: Frame): Event | null {
  if (CONTROL.has(event)) return null;
  // The wire form of an event differs only in the names around it, and in how inputs are shown.
  return { type: event, turn: data.turn_id ?? null, data: data.data } as unknown as Event;
}
