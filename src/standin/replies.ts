import type { Gate } from "./gate.ts";
import type { JsonObject } from "./wire.ts";

/** One content block of a scripted answer. `deltas` replaces the default cut into deltas. */
export type ReplyBlock =
  | {
      readonly block: "text";
      readonly text: string;
      readonly deltas?: readonly string[];
      readonly citations?: readonly JsonObject[];
    }
  | {
      readonly block: "thinking";
      readonly text: string;
      readonly deltas?: readonly string[];
      /** Replaces the valid signature; sent back, such a block is refused. */
      readonly signature?: string;
    }
  | { readonly block: "redacted_thinking" }
  | {
      readonly block: "tool_use" | "server_tool_use";
      readonly name: string;
      readonly input: JsonObject;
      readonly id?: string;
      /** Streamed instead of `input`; need not be JSON, for answers cut in the middle. */
      readonly json?: string;
      readonly deltas?: readonly string[];
    }
  /** The result of the latest `server_tool_use` before it; `content` as the API gives it. */
  | {
      readonly block: "server_result";
      readonly type: string;
      readonly content: JsonObject[] | JsonObject;
    }
  | { readonly block: "compaction"; readonly content: string | null }
  /** Any block, sent whole in its `content_block_start`. */
  | { readonly block: "other"; readonly value: JsonObject };

/**
 * A place in a reply. `"request"`: before the response headers. `"headers"`: after them, before the
 * first byte. A number: after that many of the reply's own events, `message_start` being the first.
 * `{block, delta}`: after that delta (1 is the first) of that block; without `delta`, after its start.
 */
export type At =
  | "request"
  | "headers"
  | number
  | { readonly block: number; readonly delta?: number };

/** What happens at a place in a reply. */
export type Act =
  | { readonly act: "hold"; readonly gate: Gate }
  | { readonly act: "wait"; readonly ms: number }
  /** Bytes that are not among the reply's own events: a ping, an unknown event, broken JSON. */
  | { readonly act: "insert"; readonly frame: string }
  /** An SSE `error` event, after which the stream ends; an HTTP error where no stream has begun. */
  | { readonly act: "fail"; readonly type: string; readonly message: string }
  | { readonly act: "cut"; readonly how: CutKind };

/** `end`: the body just ends. `error`: the connection breaks. */
export type CutKind = "end" | "error";

export interface Placed {
  readonly at: At;
  readonly act: Act;
}

/** How the bytes of a reply travel. */
export interface Delivery {
  readonly acts?: readonly Placed[];
  /** Bytes per chunk, or the offsets at which chunks end. Default: one chunk for each event. */
  readonly chunks?: number | readonly number[];
  /** Ends the body after so many bytes. */
  readonly cutAfterBytes?: { readonly bytes: number; readonly how: CutKind };
}

export interface MessageReply extends Delivery {
  readonly kind: "message";
  readonly blocks: readonly ReplyBlock[];
  /** Default: `tool_use` where the answer calls a client tool, `compaction`, else `end_turn`. */
  readonly stop_reason?: string;
  readonly stop_sequence?: string;
  readonly stop_details?: JsonObject;
  /** Overrides fields of the computed usage. */
  readonly usage?: JsonObject;
  readonly container?: JsonObject;
  readonly id?: string;
  /** UTF-16 units per delta where a block names none; default 16. */
  readonly deltaSize?: number;
  /** Milliseconds on the clock before each delta. */
  readonly pace?: number;
}

export interface ErrorReply extends Delivery {
  readonly kind: "error";
  readonly status: number;
  readonly type: string;
  readonly message: string;
  readonly details?: JsonObject;
  readonly headers: Readonly<Record<string, string>>;
}

/** Any bytes with any headers, for example an HTML page from a proxy. */
export interface RawReply extends Delivery {
  readonly kind: "raw";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export type Reply = MessageReply | ErrorReply | RawReply;

/** What `script` takes: a reply, or the blocks of a plain one. */
export type Scripted = Reply | ReplyBlock | readonly ReplyBlock[];

/** A whole reply out of its short form. */
export function toReply(scripted: Scripted): Reply {
  if ("kind" in scripted) return scripted;
  return { kind: "message", blocks: "block" in scripted ? [scripted] : scripted };
}

export function reply(message: Omit<MessageReply, "kind">): MessageReply {
  return { kind: "message", ...message };
}

export function text(
  value: string,
  options: { readonly deltas?: readonly string[]; readonly citations?: readonly JsonObject[] } = {},
): ReplyBlock {
  return { block: "text", text: value, ...options };
}

export function thinking(
  value: string,
  options: { readonly deltas?: readonly string[]; readonly signature?: string } = {},
): ReplyBlock {
  return { block: "thinking", text: value, ...options };
}

export function redactedThinking(): ReplyBlock {
  return { block: "redacted_thinking" };
}

export function toolUse(
  name: string,
  input: JsonObject,
  options: {
    readonly id?: string;
    readonly json?: string;
    readonly deltas?: readonly string[];
  } = {},
): ReplyBlock {
  return { block: "tool_use", name, input, ...options };
}

export function serverToolUse(
  name: string,
  input: JsonObject,
  options: { readonly id?: string } = {},
): ReplyBlock {
  return { block: "server_tool_use", name, input, ...options };
}

/** The result of the `server_tool_use` before it; `type` such as `web_search_tool_result`. */
export function serverResult(type: string, content: JsonObject[] | JsonObject): ReplyBlock {
  return { block: "server_result", type, content };
}

/** A summary; `null` is a compaction that found none. */
export function compaction(content: string | null): ReplyBlock {
  return { block: "compaction", content };
}

export function otherBlock(value: JsonObject): ReplyBlock {
  return { block: "other", value };
}

export function refusal(
  category: "cyber" | "bio" | "frontier_llm" | "reasoning_extraction" | "general_harms" | null,
  blocks: readonly ReplyBlock[] = [],
): MessageReply {
  return reply({
    blocks,
    stop_reason: "refusal",
    stop_details: { type: "refusal", category, explanation: "The request was declined." },
  });
}

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};

/**
 * An HTTP error. `retryAfter` is in seconds; `errorCode` becomes `error.details.error_code`.
 *
 * @example httpError(529, { retryAfter: 1 })
 */
export function httpError(
  status: number,
  options: Delivery & {
    readonly type?: string;
    readonly message?: string;
    readonly errorCode?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly shouldRetry?: boolean;
    readonly retryAfter?: number;
  } = {},
): ErrorReply {
  const { type, message, errorCode, headers, shouldRetry, retryAfter, ...delivery } = options;
  return {
    kind: "error",
    status,
    type: type ?? ERROR_TYPES[status] ?? "api_error",
    message: message ?? `Scripted error ${status}`,
    ...(errorCode === undefined ? {} : { details: { error_code: errorCode } }),
    headers: {
      ...(shouldRetry === undefined ? {} : { "x-should-retry": String(shouldRetry) }),
      ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
      ...headers,
    },
    ...delivery,
  };
}

/** The 429 of a spend cap: no `retry-after`, and no retry helps. */
export function spendCap(
  errorCode:
    | "enforced_spend_limit_reached"
    | "contract_spend_limit_reached" = "enforced_spend_limit_reached",
): ErrorReply {
  return httpError(429, { errorCode, message: "Your organization has reached its spend limit." });
}

export function raw(
  body: string | Uint8Array,
  options: Delivery & {
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): RawReply {
  const { status, headers, ...delivery } = options;
  return {
    kind: "raw",
    status: status ?? 200,
    headers: headers ?? { "content-type": "text/event-stream; charset=utf-8" },
    body,
    ...delivery,
  };
}

/** A 200 with a page instead of a stream, as a proxy in the way answers. */
export function htmlPage(): RawReply {
  return raw("<!doctype html><title>Hello</title>", { headers: { "content-type": "text/html" } });
}

export const holdAt = (at: At, gate: Gate): Placed => ({ at, act: { act: "hold", gate } });
export const waitAt = (at: At, ms: number): Placed => ({ at, act: { act: "wait", ms } });
export const cutAt = (at: At, how: CutKind): Placed => ({ at, act: { act: "cut", how } });
export const failAt = (at: At, type: string, message = "Overloaded"): Placed => ({
  at,
  act: { act: "fail", type, message },
});
export const insertAt = (at: At, frame: string): Placed => ({ at, act: { act: "insert", frame } });

/** One SSE frame; a string as data is sent as it is. */
export function frame(event: string, data: JsonObject | string): string {
  return `event: ${event}\ndata: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;
}

export const PING = frame("ping", { type: "ping" });
