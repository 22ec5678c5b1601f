import type { Answer } from "./answer.ts";
import type { BodyEnd, Connection } from "./delivery.ts";
import type { PlannedEvent } from "./events.ts";
import { eventsBefore } from "./events.ts";
import type { OpenRecord, Outcome } from "./journal.ts";
import type { Act, MessageReply, Reply } from "./replies.ts";
import type { JsonObject, Problem } from "./wire.ts";
import { isObject } from "./wire.ts";

/** What `fetch` was called with, read completely. */
export interface Received {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly text: string;
  readonly signal: AbortSignal | undefined;
}

export async function readRequest(input: RequestInfo | URL, init?: RequestInit): Promise<Received> {
  if (typeof input === "string" || input instanceof URL) {
    const body = init?.body;
    return {
      url: new URL(input),
      method: (init?.method ?? "GET").toUpperCase(),
      headers: new Headers(init?.headers),
      // The SDK sends a string; only other clients pay for a Response around their body.
      text: typeof body === "string" ? body : body ? await new Response(body).text() : "",
      signal: init?.signal ?? undefined,
    };
  }
  const request = new Request(input, init);
  return {
    url: new URL(request.url),
    method: request.method,
    headers: request.headers,
    text: request.body ? await request.text() : "",
    signal: init?.signal ?? input.signal,
  };
}

/** A connection that broke, as `fetch` reports it. */
export class NetworkError extends TypeError {}

export function abortError(): DOMException {
  return new DOMException("The operation was aborted.", "AbortError");
}

/** One answer on its way out. */
export interface Sending {
  readonly made: Answer;
  readonly reply: MessageReply;
  readonly record: OpenRecord;
  readonly requestId: string;
  readonly connection: Connection;
  /** Called when the response has begun. */
  readonly begin: () => void;
  readonly usage: JsonObject;
}

/** The acts before the response headers. */
export function earlyActs(reply: Reply): Act[] {
  return (reply.acts ?? []).filter(({ at }) => at === "request").map(({ act }) => act);
}

/** The later acts by the number of events before them. */
export function actsByEvent(
  reply: MessageReply,
  events: readonly PlannedEvent[],
): Map<number, Act[]> {
  const acts = new Map<number, Act[]>();
  for (const { at, act } of reply.acts ?? []) {
    if (at === "request") continue;
    const place = eventsBefore(at, events);
    const there = acts.get(place);
    if (there) there.push(act);
    else acts.set(place, [act]);
  }
  return acts;
}

const STATUS_OF: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  rate_limit_error: 429,
  timeout_error: 504,
  overloaded_error: 529,
};

/** A scripted failure where no stream has begun: an HTTP error. */
export function errorOf(act: { readonly type: string; readonly message: string }): Problem {
  return { status: STATUS_OF[act.type] ?? 500, type: act.type, message: act.message };
}

/** What the end of a body means for the record of its request. */
export function outcomeOf(end: BodyEnd, outputTokens: number, sending: Sending): Outcome {
  const { made, reply, usage } = sending;
  switch (end) {
    case "complete":
      return { state: "answered", status: 200, message: made.message, usage };
    case "cut":
      return { state: "cut", status: 200, outputTokens };
    case "failed": {
      const failure = (reply.acts ?? []).map(({ act }) => act).find(({ act }) => act === "fail");
      const type = failure?.act === "fail" ? failure.type : "api_error";
      return { state: "failed", status: 200, type, outputTokens };
    }
    case "aborted":
      return {
        state: "aborted",
        outputTokens,
        usage: outputTokens > 0 ? { ...usage, output_tokens: outputTokens } : null,
      };
  }
}

/** The `diagnostics` of a response to a request that asked for them. */
export function readDiagnostics(
  body: JsonObject,
  diagnose: (previousMessageId: string) => JsonObject | null,
): JsonObject | null {
  const asked = isObject(body.diagnostics) ? body.diagnostics.previous_message_id : undefined;
  return typeof asked === "string" ? diagnose(asked) : null;
}
