/**
 * How turns end. Each function adds to a draft every row that belongs to the end, so that no log
 * ever holds half of one.
 */
import type { Fact, ToolEndedBody } from "../shared/rows.ts";
import type { Totals } from "../shared/usage.ts";
import { addReturn } from "./budget-state.ts";
import { stopCompactions } from "./compact.ts";
import type { Draft } from "./draft.ts";
import type { TurnEnd } from "./next.ts";
import { isFormatted } from "./settings.ts";
import { answerable, type OpenTurn, type State } from "./state.ts";

/** Ends the open turn, or pauses it when it has to wait for the client. */
export function endTurn(draft: Draft, end: TurnEnd): void {
  const turn = draft.state.turn;
  if (!turn) return;
  if (end.outcome !== "requires_action") settleTools(draft, "limit");
  if (end.notice) {
    const { code, message } = end.notice;
    draft.add({ type: "notice", body: { turn: turn.turn, code, message } });
  }
  if (draft.state.money.lease?.keep === false) addReturn(draft);
  draft.add(outcome(draft.state, draft.state.turn ?? turn, draft.at, end));
}

function outcome(state: State, turn: OpenTurn, at: number, end: TurnEnd): Fact {
  return {
    type: "outcome",
    body: {
      turn: turn.turn,
      inputs: turn.inputs,
      outcome: end.outcome,
      pending:
        end.outcome === "requires_action"
          ? answerable(turn).map(({ id, seq }) => ({ id, seq }))
          : [],
      queued: state.queue.map(({ seq }) => seq),
      ...(end.code === undefined ? {} : { code: end.code }),
      ...(end.message === undefined ? {} : { message: end.message }),
      ...(isFormatted(turn.settings)
        ? { parsed: end.outcome === "completed" && (turn.last?.parses ?? false) }
        : {}),
      totals: totals(state, turn, at),
    },
  };
}

/** The figures of the submission that is being ended. */
function totals(state: State, turn: OpenTurn, at: number): Totals {
  const { calls, prompt_tokens, billed, cost_usd, estimated, since } = turn.spent;
  return {
    calls,
    prompt_tokens,
    completion_tokens: billed.output_tokens,
    billed,
    cost_usd,
    estimated,
    ms: Math.max(0, at - since),
    model: state.epoch?.model ?? state.config.model,
  };
}

const SETTLED = {
  interrupted: "Not run: the user interrupted.",
  skipped: "Not run: the user sent a new message instead of a result.",
  limit: "Not run: the turn ended before this call.",
  cut: "Not run: the message was cut at the output limit in the middle of its tool calls. Make the calls again, with less in each.",
} as const;

/** Answers every open tool call in the client's place, so that the transcript stays valid. */
export function settleTools(draft: Draft, why: keyof typeof SETTLED): void {
  const turn = draft.state.turn;
  if (!turn) return;
  const status: ToolEndedBody["status"] = why === "interrupted" ? "interrupted" : "skipped";
  for (const tool of turn.tools) draft.add(ledgeResult(turn.turn, tool.id, status, SETTLED[why]));
}

/** A result that the session itself gives to a tool call. */
export function ledgeResult(
  turn: number,
  tool: string,
  status: ToolEndedBody["status"],
  text: string,
): Fact {
  return {
    type: "tool.ended",
    body: { tool, turn, by: "ledge", status, content: [{ type: "text", text }], is_error: true },
  };
}

/**
 * Stops the open turn: the rest of the open call (its kept blocks and its `call.ended`), a result
 * for each open tool call, the outcome. `cut` is empty when no call is open.
 */
export function stopTurn(draft: Draft, cut: Fact[]): void {
  for (const fact of cut) draft.add(fact);
  stopCompactions(draft, "interrupted");
  settleTools(draft, "interrupted");
  endTurn(draft, { outcome: "interrupted" });
}
