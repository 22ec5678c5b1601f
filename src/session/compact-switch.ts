/**
 * A new model that cannot hold the conversation: the one before it compacts that first, because it can
 * hold it and has it in its cache. Pure.
 */
import { rulesOf } from "../model/catalogue.ts";
import { RETRY_CODES } from "../model/retry.ts";
import { budgetReason } from "./budget.ts";
import { compactionThreshold, endCompaction, replyReserve } from "./compact.ts";
import type { Draft } from "./draft.ts";
import { cutFact, type EpochPlan, modelFor, modelMessage } from "./epoch.ts";
import type { TurnEnd } from "./next.ts";
import { endTurn } from "./settle.ts";
import type { OpenCompaction, OpenTurn, State } from "./state.ts";

/** The turn's place, and the row with which a context that is sent anew begins. */
interface Cut {
  turn: number;
  start: number | null;
}

/**
 * Adds what has to stand before the first call of a turn that needs another epoch: that, or the
 * request for a compaction, after which it comes.
 *
 * @param percent of its window that a context may fill before it is compacted
 */
export function addCutOf(
  draft: Draft,
  { cut }: EpochPlan,
  { turn, start }: Cut,
  percent: number,
): void {
  if (!cut) return;
  if (cut.reason === "model" && isTooLarge(draft.state, percent)) {
    draft.add({ type: "compaction.requested", body: { turn, trigger: "model" } });
  } else draft.add(cutFact(turn, cut, start));
}

/** The new model would compact the context at once, or does not take it at all. */
function isTooLarge(state: State, percent: number): boolean {
  const { turn, context } = state;
  const { model, facts } = modelFor(state, turn?.options ?? {});
  const rules = rulesOf(model, facts);
  const most = compactionThreshold(rules, percent) ?? rules.context_window - replyReserve(rules);
  return context.tokens !== null && context.tokens > most;
}

/** Adds the epoch of the model for which the context was compacted, or could not be. */
export function addSwitch(draft: Draft, { turn, switches }: OpenTurn): void {
  const message = modelMessage(switches?.model);
  draft.add(cutFact(turn, { reason: "model", message }, null));
}

/**
 * Failures that are about neither the model nor the conversation: the one before may well compact it
 * later, and after the switch it could not be asked again.
 */
const PASSING: ReadonlySet<string> = new Set([
  ...RETRY_CODES,
  "authentication",
  "own_key_refused",
  "own_key_locked",
  "billing",
  "spend_cap",
  "upstream_refused",
  "request_not_sent",
  "budget_unavailable",
]);

/**
 * Adds the end of a compaction for which there is no money, and of a turn that cannot do without. A
 * turn goes on where only what the model before it costs is not known: that will not change, and the
 * new one may well have a price.
 */
export function addStop(draft: Draft, compaction: OpenCompaction, end: TurnEnd): void {
  endCompaction(draft, compaction, budgetReason(end));
  if (draft.state.turn?.switches && end.code !== "unpriced_model") endTurn(draft, end);
}

/** Why a turn cannot go on whose context was not compacted for its model; null where it can. */
export function switchFailure(
  { switches }: OpenTurn,
  { code, message }: { code: string; message: string },
): OpenTurn["fatal"] {
  if (!PASSING.has(code)) return null;
  const said = `The conversation is too large for ${switches?.model}, and could not be compacted by the model before it: ${message}`;
  return { code, message: said };
}
