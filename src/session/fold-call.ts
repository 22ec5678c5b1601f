/** The part of `fold` that is about model calls: attempts, answers, what they used and accepted. */

import { toolCallId } from "../shared/ids.ts";
import type { CallEndedBody, RowOf } from "../shared/rows.ts";
import { addCost, addUsage, NO_USAGE, promptTokens } from "../shared/usage.ts";
import { isShortOfMoney } from "./budget-state.ts";
import { onCompactionCall, onCompactionCallEnded, onCompactionFailure } from "./compact-fold.ts";
import {
  type Context,
  FIRST_STEP,
  NOTHING_UNPROVEN,
  type State,
  stepAfter,
  withTurn,
} from "./state.ts";

export function onCallStarted(state: State, row: RowOf<"call.started">): State {
  const { n, marks, container = null, compaction } = row.body;
  const mark = marks.at(-1) ?? null;
  const request = compaction?.request ?? null;
  const call = { seq: row.seq, at: row.at, mark, container, compaction: request };
  if (request !== null) return onCompactionCall({ ...state, call }, request, row.at);
  return withTurn({ ...state, call }, (turn) => ({
    ...turn,
    n,
    step: { ...turn.step, first_at: turn.step.first_at ?? row.at, retry_at: null },
  }));
}

export function onToolBlock(state: State, row: RowOf<"block.tool">): State {
  const { call, i, block, gate, rule = null, runner, partial } = row.body;
  // Nobody can run a call whose input was cut.
  if (partial) return state;
  const name = typeof block.name === "string" ? block.name : "";
  const id = toolCallId(call, i);
  const tool = { id, seq: row.seq, name, runner, gate, rule, started: false, confirmed: null };
  return withTurn(state, (turn) => ({ ...turn, tools: [...turn.tools, tool] }));
}

export function onCallEnded(state: State, row: RowOf<"call.ended">): State {
  const { body } = row;
  const mark = state.call?.mark ?? null;
  const byBudget = isShortOfMoney(state.money);
  const compaction = state.call?.compaction ?? null;
  const next = counted({ ...state, call: null, container: containerAfter(state, body) }, body);
  // The conversation itself has not moved on.
  if (compaction !== null) return onCompactionCallEnded(next, compaction, body);
  const accepted = body.accepted ? acceptedContext(next, body, mark) : next;
  return withTurn(accepted, (turn) => {
    switch (body.end) {
      case "ok": {
        const continuation = continues(turn.last?.stop_reason ?? null);
        return {
          ...turn,
          calls: turn.calls + (continuation ? 0 : 1),
          // Where a budget has cut it, the budget says whether it goes on.
          cuts: turn.cuts + (body.stop_reason === "max_tokens" && !byBudget ? 1 : 0),
          pauses: turn.pauses + (body.stop_reason === "pause_turn" ? 1 : 0),
          asked_again: turn.asked_again || (turn.last?.empty ?? false),
          step: FIRST_STEP,
          results: false,
          last: {
            stop_reason: body.stop_reason,
            empty: body.blocks === 0,
            after_results: turn.results,
            parses: body.parses ?? false,
          },
        };
      }
      default:
        return { ...turn, step: stepAfter(turn.step, body) };
    }
  });
}

/** A machine that is gone makes calls fail in many ways, so a failure is not tried with it again. */
function containerAfter({ call, container }: State, body: CallEndedBody): string | null {
  if (body.container !== undefined) return body.container;
  return body.end === "failed" && call?.container ? null : container;
}

const continues = (stop: string | null): boolean => stop === "max_tokens" || stop === "pause_turn";

function counted(state: State, body: CallEndedBody): State {
  const usage = body.usage ?? NO_USAGE;
  const next = {
    ...state,
    usage: addUsage(state.usage, usage),
    cost_usd: addCost(state.cost_usd, body.cost_usd),
  };
  return withTurn(next, (turn) => ({
    ...turn,
    spent: {
      since: turn.spent.since,
      calls: turn.spent.calls + 1,
      prompt_tokens:
        body.usage && body.purpose !== "compact"
          ? promptTokens(body.usage)
          : turn.spent.prompt_tokens,
      billed: addUsage(turn.spent.billed, usage),
      cost_usd: addCost(turn.spent.cost_usd, body.cost_usd),
      estimated: turn.spent.estimated || body.estimated,
    },
  }));
}

function acceptedContext(state: State, body: CallEndedBody, mark: number | null): State {
  const tokens = body.usage ? promptTokens(body.usage) : state.context.tokens;
  const epoch = state.epoch && { ...state.epoch, accepted: true, unaccepted_change: false };
  const context = { ...state.context, mark, tokens };
  // An answer that broke off may still be refused when it is asked for again.
  if (body.end === "failed") return { ...state, epoch, context };
  const unproven = body.end === "ok" ? NOTHING_UNPROVEN : stillUnproven(context, body.call);
  const settled = { ...context, inputs: [], tools: [], media_appended: 0, unproven };
  return { ...state, epoch, context: settled };
}

/** The API took it, and a refusal of the next message may be about it all the same. */
const stillUnproven = ({ inputs, tools, media_appended, unproven }: Context, call: number) => ({
  inputs: [...unproven.inputs, ...inputs],
  tools: [...unproven.tools, ...tools],
  calls: [...unproven.calls, call],
  media: unproven.media + media_appended,
});

export function onFailure(state: State, row: RowOf<"failure">): State {
  const { retry, tool, code, message, purpose } = row.body;
  if (purpose === "compact") return onCompactionFailure(state, row);
  // A tool that was lost with the object runs again; one that takes the object down does not.
  if (tool !== undefined) {
    return withTurn(state, (turn) => ({
      ...turn,
      step: { ...turn.step, losses: turn.step.losses + 1 },
    }));
  }
  return withTurn(state, (turn) =>
    retry
      ? { ...turn, step: { ...turn.step, attempt: retry.attempt, retry_at: retry.at } }
      : { ...turn, fatal: { code, message } },
  );
}
