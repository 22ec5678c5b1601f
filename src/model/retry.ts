/**
 * What becomes of a failed attempt at a model call: another attempt, or a failure that a person
 * can act on. Pure: the edge (client.ts) only reports what happened.
 */
import { retiredAt } from "./catalogue.ts";
import { keyMissing, refusedKey } from "./own-key-failure.ts";

/** Who has a key of their own, and pays with it in place of the server. */
export type KeyOwner = "session" | "account";

/** What went wrong with one attempt, as far as it could be seen. */
export type Failure =
  /** The request never left: key or address are missing, or cannot be put into a request. */
  | { kind: "unsent" }
  /** Nor did it here: it was to be made with a key that cannot be decrypted, or not be asked for. */
  | { kind: "own_key"; owner: KeyOwner; why: "locked" | "unreachable" }
  /** No answer: the connection could not be made or broke before the response began. */
  | { kind: "network" }
  /** The API answered with an error status. Fields of the error body are null where absent. */
  | {
      kind: "http";
      status: number;
      type: string | null;
      /** `error.details.error_code`. */
      error_code: string | null;
      message: string | null;
      headers: RetryHeaders;
    }
  /** An `error` event in a stream that had begun with a 200. */
  | {
      kind: "stream_error";
      type: string | null;
      error_code: string | null;
      message: string | null;
    }
  /** The stream ended or broke before `message_stop`. */
  | { kind: "cut" }
  /** Not a byte for `ms` milliseconds. */
  | { kind: "stall"; ms: number }
  /** A body that is no event stream, or events that no message can be built from. */
  | { kind: "malformed"; detail: string };

/** The response headers that matter for another attempt, as received. */
export interface RetryHeaders {
  "retry-after"?: string;
  "retry-after-ms"?: string;
  "x-should-retry"?: string;
}

/** Thrown by the client and by the message accumulator; `failure` is for `classify`. */
export class CallFailed extends Error {
  override readonly name = "CallFailed";
  readonly failure: Failure;
  /** Whose key it was made with, where that is not the server's. */
  readonly owner: KeyOwner | undefined;

  constructor(failure: Failure, owner?: KeyOwner) {
    super(`model call failed: ${failure.kind}`);
    this.failure = failure;
    this.owner = owner;
  }
}

/** Codes of failures that the same call may not meet again. */
export const RETRY_CODES = [
  "rate_limited",
  "overloaded",
  "upstream_error",
  "connection_failed",
  "stream_cut",
  "stalled",
  "malformed_stream",
  "own_key_unavailable",
] as const;

type RetryCode = (typeof RETRY_CODES)[number];

export type FinalCode =
  | RetryCode
  | "invalid_request"
  | "authentication"
  | "billing"
  | "permission"
  | "not_found"
  | "model_not_found"
  | "model_retired"
  | "too_large"
  | "context_overflow"
  | "thinking_rejected"
  | "tool_change_rejected"
  | "server_tool_rejected"
  | "container_rejected"
  | "compaction_rejected"
  | "spend_cap"
  | "upstream_refused"
  | "own_key_refused"
  | "own_key_locked"
  | "request_not_sent";

export type Classified =
  /** `retryAfter`: milliseconds that the API asked us to wait. */
  | { kind: "retry"; code: RetryCode; message: string; retryAfter?: number }
  | {
      kind: "final";
      code: FinalCode;
      message: string;
      upstream_status?: number;
      /**
       * The API will not take what was appended since the last accepted request, so that must be
       * left out of later contexts. False where the fault is elsewhere (model, key, money).
       */
      content_rejected: boolean;
    };

/**
 * The call that failed: its model, the time of the failure in milliseconds, and whose key it was made
 * with, where that is not the server's.
 */
export interface FailedCall {
  model: string;
  at: number;
  owner?: KeyOwner | undefined;
}

const SPEND_CAPS: ReadonlySet<string | null> = new Set([
  "enforced_spend_limit_reached",
  "contract_spend_limit_reached",
]);

/** Errors that stay what they are when they arrive inside a stream. */
const STATUS_OF_TYPE: ReadonlyMap<string | null, number> = new Map([
  ["invalid_request_error", 400],
  ["authentication_error", 401],
  ["billing_error", 402],
  ["permission_error", 403],
  ["not_found_error", 404],
  ["request_too_large", 413],
]);

/** Decides whether an attempt that failed so is worth another one. */
export function classify(failure: Failure, call: FailedCall): Classified {
  switch (failure.kind) {
    case "unsent":
      return final(
        "request_not_sent",
        "No request could be made to the model API. Check that ANTHROPIC_API_KEY and " +
          "ANTHROPIC_BASE_URL are set and without stray characters; without the first, set an " +
          "Anthropic key of the account or session.",
      );
    case "own_key":
      return keyMissing(failure);
    case "network":
      return retry("connection_failed", "The connection to the model API failed.");
    case "cut":
      return retry("stream_cut", "The model's answer broke off before its end.");
    case "stall":
      return retry("stalled", `The model API sent nothing for ${failure.ms / 1_000} seconds.`);
    case "malformed":
      return retry(
        "malformed_stream",
        `The model API's answer could not be read: ${failure.detail}.`,
      );
    case "stream_error": {
      if (SPEND_CAPS.has(failure.error_code)) return SPEND_CAP;
      const status = STATUS_OF_TYPE.get(failure.type);
      if (status === undefined) return retryOf(failure.type, undefined);
      // The API had accepted the request, so nothing in it is rejected.
      return { ...finalOf(status, failure, call), content_rejected: false };
    }
    case "http":
      return classifyHttp(failure, call);
  }
}

function classifyHttp(failure: Failure & { kind: "http" }, call: FailedCall): Classified {
  const { status, headers } = failure;
  if (SPEND_CAPS.has(failure.error_code)) return { ...SPEND_CAP, upstream_status: status };
  if (status === 400 && failure.error_code?.startsWith("compaction_")) {
    const said = `The model API rejected a summary: ${quoted(failure.message)}`;
    return rejected("compaction_rejected", said, status);
  }
  const asked = headers["x-should-retry"];
  const again =
    asked === "true" || (asked !== "false" && ([408, 409, 429].includes(status) || status >= 500));
  if (!again) return finalOf(status, failure, call);
  const wait = retryAfter(headers, call.at);
  const classified = retryOf(failure.type, status);
  return wait === null ? classified : { ...classified, retryAfter: wait };
}

function retryOf(type: string | null, status: number | undefined): Classified & { kind: "retry" } {
  if (status === 529 || type === "overloaded_error") {
    return retry("overloaded", "The model API is overloaded.");
  }
  if (status === 429 || type === "rate_limit_error") {
    return retry("rate_limited", "The rate limit of the Anthropic account is reached.");
  }
  // Clients take "401", "403" and "404" in a text for an error that is final.
  const named = status !== undefined && status >= 500 ? ` (status ${status})` : "";
  return retry("upstream_error", `The model API had an error${named}.`);
}

/** The final failure that an HTTP status, or an error type of the same meaning, stands for. */
function finalOf(
  status: number,
  { type, message }: { type: string | null; message: string | null },
  { model, at, owner }: FailedCall,
): Classified & { kind: "final" } {
  const said = quoted(message);
  const retirement = retiredAt(model, at);
  const aboutModel =
    status === 404 ? type !== null && /\bmodel\b/i.test(said) : /^model\b/i.test(said);
  if (retirement !== null && (status === 404 || aboutModel)) {
    return final(
      "model_retired",
      `The model ${model} was retired on ${retirement.date}. Use ${retirement.successor} instead.`,
      status,
    );
  }
  if (aboutModel && (status === 400 || status === 404)) {
    return final("model_not_found", `The model ${model} was not found: ${said}`, status);
  }
  switch (status) {
    case 400:
      return badRequest(said);
    case 401:
      if (owner) return refusedKey(owner, status);
      return final(
        "authentication",
        "The model API refused the key (401 unauthorized). Check ANTHROPIC_API_KEY.",
        status,
      );
    case 402:
      return final("billing", `The Anthropic account cannot be billed: ${said}`, status);
    case 403:
      if (ABOUT_SERVER_TOOLS.test(said)) return serverToolRejected(said, status);
      return final("permission", `The key may not do this (403 forbidden): ${said}`, status);
    case 404:
      if (type === null) {
        return final(
          "upstream_refused",
          "The address of the model API answered 404 not found. Check ANTHROPIC_BASE_URL.",
          status,
        );
      }
      if (ABOUT_CONTAINER.test(said)) return containerRejected(said, status);
      return rejected("not_found", `Something the request names was not found: ${said}`, status);
    case 413:
      return rejected(
        "too_large",
        "Request Entity Too Large: the conversation's media and text exceed what the model API " +
          "takes in one request (32 MB).",
        status,
      );
    case 429:
      return final("rate_limited", "The rate limit of the Anthropic account is reached.", status);
    case 529:
      return final("overloaded", "The model API is overloaded.", status);
    default:
      return unexpected(status, type, said);
  }
}

/** A status for which the Messages API has no use of its own. */
function unexpected(
  status: number,
  type: string | null,
  said: string,
): Classified & { kind: "final" } {
  if (status >= 500) {
    return final("upstream_error", `The model API answered with status ${status}: ${said}`, status);
  }
  if (status >= 300 && status < 400) {
    return final(
      "upstream_refused",
      `The address of the model API answered with a redirect (status ${status}), which is not ` +
        "followed because it would carry the key elsewhere. Set ANTHROPIC_BASE_URL to the " +
        "address to which it leads.",
      status,
    );
  }
  // The API says of what type an error is; a page of something in between does not.
  const check =
    type === null
      ? "Check ANTHROPIC_BASE_URL, and what stands between this server and the API."
      : "Change the message or the session's settings, and send it again.";
  return final(
    "upstream_refused",
    `The model API answered with status ${status}: ${sentence(said)} ${check}`,
    status,
  );
}

/** The API begins a complaint about a parameter with the parameter's name. */
const ABOUT_SETTINGS = /^["'`]?(max_tokens|thinking|tool_choice|output_config|anthropic-beta)\b/i;

/** What an API says that knows neither the blocks of an appended change nor a system message. */
const ABOUT_TOOL_CHANGES =
  /tool_(addition|removal|definition|reference)|inline-tools|mid-conversation|\brole\b.*\b(user|assistant|system)\b/i;

/** What the API says of its own tools, or a gateway that knows tools with a schema only. */
const ABOUT_SERVER_TOOLS =
  /web[_ -]?search|code[_ -]?execution|server[_ -]?tool|container_upload|tools\.\d+\S*input_schema\S* .*(required|missing)/i;

const ABOUT_CONTAINER = /\bcontainer\b/i;

const serverToolRejected = (said: string, status: number) =>
  rejected("server_tool_rejected", `The model API rejected its own tools: ${said}`, status);

const containerRejected = (said: string, status: number) =>
  rejected("container_rejected", `The container of code execution is gone: ${said}`, status);

function badRequest(said: string): Classified & { kind: "final" } {
  // Clients read the two numbers out of this text to learn the model's window.
  const overflow = /prompt is too long(?:: (\d+) tokens > (\d+) maximum)?/i.exec(said);
  if (overflow !== null) {
    return rejected("context_overflow", `The conversation is full: ${overflow[0]}`, 400);
  }
  if (/`?thinking`?.*blocks?/i.test(said)) {
    return rejected("thinking_rejected", `The model API rejected earlier thinking: ${said}`, 400);
  }
  if (ABOUT_CONTAINER.test(said)) return containerRejected(said, 400);
  if (ABOUT_SERVER_TOOLS.test(said)) return serverToolRejected(said, 400);
  if (ABOUT_TOOL_CHANGES.test(said)) {
    return rejected(
      "tool_change_rejected",
      `The model API rejected a change of tools: ${said}`,
      400,
    );
  }
  if (/credit balance is too low/i.test(said)) {
    return final("billing", `The Anthropic account cannot be billed: ${said}`, 400);
  }
  const answer = ABOUT_SETTINGS.test(said) ? final : rejected;
  return answer("invalid_request", `The model API rejected the request: ${said}`, 400);
}

const retry = (code: RetryCode, message: string): Classified & { kind: "retry" } => ({
  kind: "retry",
  code,
  message,
});

const final = (
  code: FinalCode,
  message: string,
  status?: number,
): Classified & { kind: "final" } => ({
  kind: "final",
  code,
  message,
  ...(status === undefined ? {} : { upstream_status: status }),
  content_rejected: false,
});

const SPEND_CAP = final(
  "spend_cap",
  "The spend limit of the Anthropic organization is reached. Raise it in the Claude Console.",
);

const rejected = (code: FinalCode, message: string, status: number) => ({
  ...final(code, message, status),
  content_rejected: true,
});

/** The API's own words, short and without anything that looks like a credential. */
function quoted(message: string | null): string {
  const text = (message ?? "")
    .replace(/\bsk-[\w-]{8,}/g, "[key]")
    .replace(/\bBearer\s+\S+/gi, "Bearer [key]")
    .replace(/\s+/g, " ")
    .trim();
  if (text === "") return "no reason was given";
  return text.length > 500 ? `${text.slice(0, 499).toWellFormed()}…` : text;
}

/** The text with an end, so that another sentence may follow. */
export const sentence = (text: string): string => (/[.!?…]$/.test(text) ? text : `${text}.`);

/** Milliseconds that the response asked to wait, or null when it did not ask. */
function retryAfter(headers: RetryHeaders, now: number): number | null {
  const ms = Number.parseFloat(headers["retry-after-ms"] ?? "");
  if (Number.isFinite(ms)) return Math.max(0, ms);
  const value = headers["retry-after"] ?? "";
  // RFC 9110, section 10.2.3: a number of seconds, or a date, which begins with the weekday. Of
  // other texts, such as a negative number, `Date.parse` makes some date as well.
  const seconds = /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) : null;
  const date = /^\s*[a-z]{3,9},? .*\d\d:\d\d:\d\d/i.test(value) ? Date.parse(value) : Number.NaN;
  const wait = seconds === null ? date - now : seconds * 1_000;
  return Number.isFinite(wait) ? Math.max(0, wait) : null;
}
