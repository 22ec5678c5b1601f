/** What a failed attempt at a turn's model call becomes. */
import { finalMessage } from "../model/advice.ts";
import { nextAttempt } from "../model/backoff.ts";
import { type CallFailed, type Classified, classify } from "../model/retry.ts";
import type { RetryPolicy } from "../shared/config.ts";
import { SERVER_TOOLS } from "../shared/tools.ts";
import { type AttemptEnd, addCut, addFailure } from "./answer.ts";
import type { Draft } from "./draft.ts";
import { cutFact } from "./epoch.ts";
import type { Epoch, State, Step } from "./state.ts";

/**
 * Adds what follows from an attempt that failed: another one, or the end of the turn.
 *
 * @param compacts something in the context could be summarised
 */
export function addCallFailure(
  draft: Draft,
  attempt: AttemptEnd & { call: number },
  failed: CallFailed,
  compacts: () => boolean,
  policy: RetryPolicy,
): void {
  const { turn, epoch } = draft.state;
  if (!turn) return;
  const model = epoch?.model ?? draft.state.config.model;
  const why = classify(failed.failure, { model, at: draft.at, owner: failed.owner });
  const inContainer = draft.state.call?.container != null;
  addFailure(draft, attempt);
  const reason = refusedEpoch(why, draft.state);
  if (reason && !turn.stripped) {
    addNewEpoch(draft, attempt.call, why, reason);
    return;
  }
  if (why.code === "context_overflow" && !turn.compacted.includes("overflow") && compacts()) {
    addRetry(draft, attempt.call, why);
    const body = { turn: turn.turn, trigger: "overflow" as const };
    draft.add({ type: "compaction.requested", body });
    return;
  }
  if (why.code === "container_rejected" && inContainer) {
    addRetry(draft, attempt.call, why);
    return;
  }
  const step = draft.state.turn?.step ?? turn.step;
  const again = anotherAttempt(why, step, draft.at, policy);
  const { code, message } = why;
  draft.add({
    type: "failure",
    body: {
      turn: turn.turn,
      call: attempt.call,
      code,
      message: again ? message : finalMessage(why, step.attempt),
      ...(again ? { retry: { attempt: step.attempt + 1, at: again.at } } : {}),
    },
  });
  if (why.kind === "final" && why.content_rejected) addCut(draft, "rejected", message, []);
}

/** When the step is tried again, in milliseconds since the epoch; null when it is not. */
export const anotherAttempt = (
  why: Classified,
  { attempt, weight, first_at }: Step,
  now: number,
  policy: RetryPolicy,
): { at: number } | null => {
  if (why.kind !== "retry") return null;
  const attempts = {
    attempt,
    weight,
    firstAt: first_at ?? now,
    now,
    ...(why.retryAfter === undefined ? {} : { retryAfter: why.retryAfter }),
    random: Math.random(),
  };
  return nextAttempt(attempts, policy);
};

/**
 * What the API refuses although the message is not at fault: thinking that it gave itself, as after
 * a change of the key's organization, and a summary of its own; an appended change of tools that a
 * gateway does not know; or the API's own tools, which an organization may have turned off and a
 * gateway may not have.
 */
function refusedEpoch(
  why: Classified,
  { epoch, server_tools, ran_server_tools, context }: State,
): "gone" | "tools" | "server_tools" | null {
  switch (why.code) {
    case "thinking_rejected":
      return "gone";
    case "compaction_rejected":
      // In a new epoch the summary is sent as a text.
      return context.summary?.epoch === epoch?.seq ? "gone" : null;
    case "tool_change_rejected":
      return epoch?.unaccepted_change ? "tools" : null;
    case "server_tool_rejected":
      return server_tools && (ran_server_tools || SERVER_TOOLS.some((name) => hasTool(epoch, name)))
        ? "server_tools"
        : null;
    default:
      return null;
  }
}

const hasTool = (epoch: Epoch | null, name: string): boolean =>
  epoch !== null && (epoch.base.builtin ?? false) && Object.hasOwn(epoch.base.tools, name);

/** Tries at once again: what the API refused is left out now. */
function addRetry(draft: Draft, call: number, { code, message }: Classified): void {
  const { turn } = draft.state;
  if (!turn) return;
  const retry = { attempt: turn.step.attempt + 1, at: draft.at };
  draft.add({ type: "failure", body: { turn: turn.turn, call, code, message, retry } });
}

/** Leaves out all thinking, sends the turn's tools as the request's own, and tries once more. */
function addNewEpoch(
  draft: Draft,
  call: number,
  why: Classified,
  reason: "gone" | "tools" | "server_tools",
): void {
  const { turn } = draft.state;
  if (!turn) return;
  addRetry(draft, call, why);
  const cut = { reason, message: `${why.message} Earlier thinking was left out.` };
  draft.add(cutFact(turn.turn, cut, null));
}
