/**
 * When a context is compacted, and how a compaction ends that did nothing. Pure: what a compaction
 * covers is decided in compact-plan.ts, and what it asks of the model in compact-call.ts.
 */
import { type ModelRules, rulesOf } from "../model/catalogue.ts";
import type { CompactionEnd } from "../shared/compaction.ts";
import type { Submitted } from "../shared/rows.ts";
import type { Draft } from "./draft.ts";
import type { OpenCompaction, OpenTurn, State } from "./state.ts";

/** Room that an answer needs, in tokens. */
const REPLY_RESERVE = 20_000;

/** Tokens of a model's window that are kept free for the answer. */
export const replyReserve = ({ max_output }: ModelRules): number =>
  Math.min(max_output, REPLY_RESERVE);

/** Tokens above which a context is compacted; null when it never is by itself. */
export function compactionThreshold(rules: ModelRules, percent: number): number | null {
  if (percent <= 0) return null;
  return Math.floor(((rules.context_window - replyReserve(rules)) * percent) / 100);
}

/** The turn is about to make its first call, with a context that has grown too large. */
export function outgrown(state: State, turn: OpenTurn, percent: number): boolean {
  const { epoch, context } = state;
  if (!epoch || context.tokens === null || turn.n > 0) return false;
  if (turn.compacted.includes("threshold")) return false;
  const threshold = compactionThreshold(rulesOf(epoch.model, epoch.facts), percent);
  return threshold !== null && context.tokens > threshold;
}

/** The compaction that comes before anything else; null when there is none, or none yet. */
export const dueCompaction = (state: State): OpenCompaction | null =>
  state.compactions.find((one) => isDue(state, one)) ?? null;

/**
 * What a client asks for waits for the end of a turn that runs. Between two messages of the model it
 * may be done where the turn waits for the client, and before a turn's first call.
 */
function isDue({ turn }: State, compaction: OpenCompaction): boolean {
  const { trigger, began, later } = compaction;
  if (!turn || trigger !== "client" || began) return true;
  return turn.status === "awaiting" ? !later : turn.n === 0;
}

/** The compaction that was asked for with the row `seq` waits for the end of the turn. */
export function isScheduled(state: State, seq: number): boolean {
  const asked = state.compactions.find((one) => one.seq === seq);
  return asked !== undefined && !isDue(state, asked);
}

/** Adds the end of a compaction that leaves the context as it is. */
export function endCompaction(
  draft: Draft,
  { seq, cost_usd }: OpenCompaction,
  end: { code: CompactionEnd; message: string; messages?: number; by?: Partial<Submitted> },
): void {
  const { turn, context } = draft.state;
  draft.add({
    type: "compaction.ended",
    body: {
      ...end.by,
      request: seq,
      turn: turn?.turn ?? null,
      code: end.code,
      message: end.message,
      messages: end.messages ?? null,
      tokens: context.tokens,
      cost_usd,
    },
  });
}

const STOPPED = {
  interrupted: "The compaction was interrupted.",
  deleted: "The session was deleted.",
} as const;

/**
 * Ends the compactions that a stop is about: `interrupted` those whose time has come, `deleted` all.
 * What waits for the end of a turn goes on waiting.
 */
export function stopCompactions(
  draft: Draft,
  code: keyof typeof STOPPED,
  by: Partial<Submitted> = {},
): void {
  const { state } = draft;
  for (const one of state.compactions) {
    if (code === "interrupted" && !isDue(state, one)) continue;
    endCompaction(draft, one, { code, message: STOPPED[code], by });
  }
}
