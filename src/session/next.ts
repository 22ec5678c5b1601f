/**
 * `next(state, now)`: what the session has to do. Pure, so that a restart, a second alarm or a
 * repeated call always finds the same answer in the same rows.
 */
import type { OutcomeKind } from "../shared/rows.ts";
import { dueCompaction } from "./compact.ts";
import { idleAt } from "./compact-idle.ts";
import { isOpenJob, webhookDue } from "./jobs.ts";
import { withFormat } from "./output.ts";
import {
  MAX_LOSSES,
  type OpenCompaction,
  type OpenTool,
  type OpenTurn,
  runnable,
  type State,
} from "./state.ts";

export type Action =
  /** Nothing until somebody writes a row. */
  | { do: "nothing" }
  /** A model call is open; its reader will write the next row. */
  | { do: "listen" }
  | { do: "wait"; until: number }
  | { do: "take"; input: number; as: "start" | "steer" }
  | { do: "call" }
  /** The window was full in the middle of an answer: asks for a compaction. */
  | { do: "overflow" }
  /** Nothing has happened for so long that the context is compacted: asks for that. */
  | { do: "idle" }
  /** The context was compacted for the turn's model, as far as it could be: begins its epoch. */
  | { do: "switch" }
  | { do: "compact"; compaction: OpenCompaction }
  /** The session's own tools, in the order of their calls. */
  | { do: "run"; tools: OpenTool[] }
  | { do: "end"; end: TurnEnd };

export interface TurnEnd {
  outcome: OutcomeKind;
  code?: string;
  message?: string;
  notice?: { code: string; message: string };
}

/** Continuations of one answer after `max_tokens`, and of one server-tool loop. */
const MAX_CUTS = 3;
const MAX_PAUSES = 10;
/** How far ahead of the work the crash guard is set, in milliseconds. */
const GUARD_MS = 15_000;

/**
 * The next action at the time `now` (milliseconds since the epoch).
 *
 * @param idleMinutes after so many minutes an idle session is compacted; 0: never
 */
export function next(state: State, now: number, idleMinutes = 0): Action {
  if (state.deleted) return { do: "nothing" };
  if (state.call) return { do: "listen" };
  const compaction = dueCompaction(state);
  if (compaction) {
    const until = compaction.step.retry_at;
    return until !== null && until > now ? { do: "wait", until } : { do: "compact", compaction };
  }
  const turn = state.turn;
  if (!turn) {
    const [first] = state.queue;
    if (first) return { do: "take", input: first.seq, as: "start" };
    const at = idleAt(state, { now, minutes: idleMinutes });
    if (at === null) return { do: "nothing" };
    return at > now ? { do: "wait", until: at } : { do: "idle" };
  }
  if (turn.status === "awaiting") return { do: "nothing" };
  const action = nextOfTurn(state, turn, now);
  return action.do === "end" ? { do: "end", end: withFormat(turn, action.end) } : action;
}

function nextOfTurn(state: State, turn: OpenTurn, now: number): Action {
  if (turn.fatal) return end("failed", turn.fatal.code, turn.fatal.message);
  if (turn.switches) return { do: "switch" };
  if (turn.step.losses >= MAX_LOSSES) {
    return end(
      "failed",
      "crash_loop",
      `The server stopped ${MAX_LOSSES} times while this step ran, so it is not tried again.`,
    );
  }
  const own = runnable(turn);
  if (own.length > 0) return atLimit(turn) ? endAtLimit(turn) : { do: "run", tools: own };
  if (turn.tools.length > 0) {
    if (isOpenJob(state.jobs, turn.turn)) return JOB_ASKS;
    return { do: "end", end: { outcome: "requires_action" } };
  }
  if (turn.step.retry_at !== null && turn.step.retry_at > now) {
    return { do: "wait", until: turn.step.retry_at };
  }
  const last = turn.last;
  if (last?.stop_reason === "max_tokens" && turn.cuts > MAX_CUTS) {
    return endWithNotice(
      "output_limit",
      `The answer reached the output limit ${MAX_CUTS + 1} times and was not continued further.`,
    );
  }
  if (last?.stop_reason === "model_context_window_exceeded") {
    if (!turn.compacted.includes("overflow")) return { do: "overflow" };
    return end(
      "failed",
      "context_full",
      "The conversation fills the model's context window. Start a new session, or switch to a model with a larger window.",
    );
  }
  if (turn.results) return nextStep(state, turn);
  if (!last) return { do: "call" };
  switch (last.stop_reason) {
    case "end_turn":
      if (last.empty && last.after_results && !turn.asked_again) return { do: "call" };
      return { do: "end", end: { outcome: "completed" } };
    case "max_tokens":
      return { do: "call" };
    case "pause_turn":
      if (turn.pauses <= MAX_PAUSES) return { do: "call" };
      return endWithNotice(
        "pause_limit",
        `The model paused ${MAX_PAUSES + 1} times in one turn and was not continued further.`,
      );
    case "refusal":
      return end(
        "refused",
        "refusal",
        "The model refused this message. It was left out of the context, so the session goes on without it.",
      );
    default:
      return { do: "end", end: { outcome: "completed" } };
  }
}

/** After tool results: the place where a steer joins, and where the limit on calls holds. */
function nextStep(state: State, turn: OpenTurn): Action {
  const steer = state.queue.find((one) => one.start === "steer");
  if (steer) return { do: "take", input: steer.seq, as: "steer" };
  return atLimit(turn) ? endAtLimit(turn) : { do: "call" };
}

const atLimit = (turn: OpenTurn): boolean => turn.calls >= turn.limits.max_turns;

const endAtLimit = ({ limits }: OpenTurn): Action =>
  endWithNotice(
    "turn_limit",
    `The turn reached its limit of ${limits.max_turns} model calls since the last input.`,
    "max_turns",
  );

const end = (outcome: OutcomeKind, code: string, message: string): Action => ({
  do: "end",
  end: { outcome, code, message },
});

/** Nobody is there to answer, and the jobs behind it would wait for ever. */
const JOB_ASKS = end(
  "failed",
  "job_needs_answer",
  "The job called a tool that somebody else has to answer or to allow, and nobody waits for a job. Jobs run with the session's own tools only.",
);

const endWithNotice = (
  code: string,
  message: string,
  outcome: OutcomeKind = "completed",
): Action => ({ do: "end", end: { outcome, notice: { code, message } } });

/**
 * When the object must be woken although nobody calls, in milliseconds since the epoch; null when
 * it need not be. One minimum over everything that waits.
 */
export function nextWake(
  state: State,
  now: number,
  {
    owes,
    idleMinutes,
    expires = null,
  }: { owes: boolean; idleMinutes: number; expires?: number | null },
): number | null {
  const action = next(state, now, idleMinutes);
  const times: number[] = [];
  if (action.do === "wait") times.push(action.until);
  else if (action.do !== "nothing") times.push(now + GUARD_MS);
  // Something the account has not acknowledged, deletion included.
  if (owes) times.push(now + GUARD_MS);
  // A lease ends when it is given back.
  const lease = state.deleted ? null : state.money.lease;
  if (lease) times.push(lease.expires_at > now ? lease.expires_at : now + GUARD_MS);
  // One that is due is being told, unless the object died over it.
  const due = webhookDue(state.jobs);
  if (due !== null) times.push(due > now ? due : now + GUARD_MS);
  // An idle session ends.
  if (expires !== null) times.push(expires);
  return times.length > 0 ? Math.min(...times) : null;
}
