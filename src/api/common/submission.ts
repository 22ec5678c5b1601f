/** What a POST hands to its session, and what a refusal says to the client. */
import type { HttpContext } from "../../http/context.ts";
import {
  conflict,
  invalidField,
  notFound,
  type Problem,
  unavailable,
} from "../../http/problems.ts";
import { newSubmissionId } from "../../http/submit.ts";
import type { Command, Refusal, Submission } from "../../session/commands.ts";
import { callerName, hasBudget } from "../../shared/keys.ts";

/** The caller's submission of `command`; with a key, `hash` is what a repetition is compared by. */
export const submissionOf = (
  c: HttpContext,
  command: Command,
  keyId: string | null,
  hash: string,
): Submission => ({
  v: 1,
  submission: newSubmissionId(),
  caller: callerName(c.get("caller").key),
  ...(hasBudget(c.get("caller").key) ? { key_budget: true as const } : {}),
  ...(keyId === null ? {} : { key: { id: keyId, hash } }),
  command,
});

const BUSY_RETRY_SECONDS = 1;

/** `calls` are the ids of the tool calls in a request's `list`, in its order. */
export function refusalProblem(
  refusal: Refusal,
  calls: readonly string[] = [],
  list: "results" | "confirmations" = "results",
): Problem {
  const { code, message, about = "" } = refusal;
  switch (code) {
    case "not_found":
      return notFound("Session");
    case "unknown_input":
      return notFound("Input");
    case "unknown_job":
      return notFound("Job");
    case "unknown_turn":
      return notFound("Turn");
    case "busy":
      return {
        ...conflict("turn_in_progress", message),
        headers: { "retry-after": String(BUSY_RETRY_SECONDS) },
      };
    case "key_conflict":
      return conflict("idempotency_key_conflict", message);
    case "name_taken":
    case "call_settled":
    case "not_queued":
    case "job_ended":
    case "job_open":
    case "no_webhook":
      return conflict(code, message);
    case "unknown_tool_call":
      return invalidField(fieldOf(list, calls.indexOf(about)), code, message);
    case "unknown_tool":
      return invalidField("body -> tool_choice", code, message);
    case "duplicate_tool_call":
      return invalidField(fieldOf(list, calls.lastIndexOf(about)), code, message);
    case "media_limit":
      return { status: 413, code, detail: message };
    case "session_full":
      return { status: 507, code, detail: message };
    case "parts_missing":
    case "media_missing":
      return unavailable(code, message, BUSY_RETRY_SECONDS);
  }
}

const fieldOf = (list: string, i: number): string => `body -> ${list} -> ${i} -> tool_call_id`;
