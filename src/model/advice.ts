/** What a person is told when a failure of the model API has ended the turn. */
import { type Classified, type FinalCode, sentence } from "./retry.ts";

const SOON = "Send the message again in a few minutes.";
const LATER = "Send the message again later.";
const CHANGE = "Change it and send it again.";
const LEFT_OUT = "What was new was left out of the conversation.";

/** What to do; null where the failure's own message says it. */
const ADVICE: Readonly<Record<FinalCode, string | null>> = {
  rate_limited: SOON,
  overloaded: SOON,
  upstream_error: LATER,
  connection_failed: "Check the network and ANTHROPIC_BASE_URL, then send the message again.",
  stream_cut: LATER,
  stalled: LATER,
  malformed_stream:
    "Check that ANTHROPIC_BASE_URL, if it is set, leads to a Messages API, then send the message again.",
  invalid_request: "Change the message, or switch the session to another model.",
  authentication: null,
  billing: "Add credit in the Claude Console, then send the message again.",
  permission: "Use a key that may, or switch the session to another model.",
  not_found: "Change the message and send it again.",
  model_not_found: "Switch the session to another model.",
  model_retired: null,
  too_large: "Send fewer or smaller images and documents, or start a new session.",
  context_overflow: "Start a new session, or switch to a model with a larger window.",
  thinking_rejected: "Send it again, or start a new session.",
  compaction_rejected: "Send it again, or start a new session.",
  server_tool_rejected: "Send it again, or set SERVER_TOOLS to none.",
  container_rejected: "Send it again.",
  tool_change_rejected: "Send it with the tools of the turn before, or start a new session.",
  spend_cap: null,
  upstream_refused: null,
  own_key_unavailable: SOON,
  own_key_refused: null,
  own_key_locked: null,
  request_not_sent: null,
};

/** The codes of what the API refuses for its content, which may be changed. */
const OF_CONTENT: ReadonlySet<FinalCode> = new Set(["invalid_request", "not_found"]);

/**
 * What happened, how often it was tried, and what to do.
 *
 * @param attempts how many were made, the failed one included
 */
export function finalMessage(why: Classified, attempts: number): string {
  const advice = ADVICE[why.code];
  const parts = [sentence(why.message)];
  if (why.kind === "retry") {
    if (attempts > 1) parts.push(`It was tried ${attempts} times.`);
    return [...parts, askedToWait(why.retryAfter ?? 0) ?? advice].join(" ");
  }
  if (why.content_rejected) parts.push(LEFT_OUT);
  if (why.content_rejected && OF_CONTENT.has(why.code)) parts.push(CHANGE);
  else if (advice !== null) parts.push(advice);
  return parts.join(" ");
}

/** Null for a wait that is none to speak of. */
function askedToWait(ms: number): string | null {
  const minutes = Math.ceil(ms / 60_000);
  if (minutes < 2) return null;
  const time = minutes > 24 * 60 ? "more than a day" : `${minutes} minutes`;
  return `It asks to wait ${time}: send the message again then.`;
}
