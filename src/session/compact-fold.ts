/** The part of `fold` that is about compactions: asked for, tried, done or given up. */

import { toolCallPlace } from "../shared/ids.ts";
import type { CallEndedBody, RowOf } from "../shared/rows.ts";
import { addCost } from "../shared/usage.ts";
import { switchFailure } from "./compact-switch.ts";
import { epochAt, modelFor } from "./epoch.ts";
import { payerOf } from "./payer.ts";
import {
  type Context,
  type Epoch,
  FIRST_STEP,
  type OpenCompaction,
  type OpenTurn,
  type PlacedInstruction,
  type State,
  stepAfter,
  withTurn,
} from "./state.ts";

export function onCompactionRequested(state: State, row: RowOf<"compaction.requested">): State {
  const { trigger, keep = 0 } = row.body;
  const opened: OpenCompaction = {
    seq: row.seq,
    at: row.at,
    trigger,
    keep,
    method: "api",
    no_tools: false,
    halved: 0,
    began: false,
    later: false,
    step: FIRST_STEP,
    cost_usd: 0,
    payer: trigger === "client" ? payerOf(row.body) : (state.turn?.payer ?? null),
  };
  const idle = { ...state.idle, since: null };
  const next = { ...state, idle, compactions: [...state.compactions, opened] };
  if (trigger === "client") return next;
  return withTurn(next, (turn) => ({
    ...turn,
    ...(trigger === "model" ? { switches: modelFor(state, turn.options) } : {}),
    compacted: [...turn.compacted, trigger],
  }));
}

/** The compaction with this request, changed. */
const withCompaction = (
  state: State,
  request: number,
  change: (compaction: OpenCompaction) => OpenCompaction,
): State => ({
  ...state,
  compactions: state.compactions.map((one) => (one.seq === request ? change(one) : one)),
});

const without = (state: State, request: number): State => ({
  ...state,
  compactions: state.compactions.filter((one) => one.seq !== request),
});

export const onCompactionCall = (state: State, request: number, at: number): State =>
  withCompaction(state, request, (one) => ({
    ...one,
    began: true,
    step: { ...one.step, first_at: one.step.first_at ?? at, retry_at: null },
  }));

export const onCompactionCallEnded = (state: State, request: number, body: CallEndedBody): State =>
  withCompaction(state, request, (one) => ({
    ...one,
    cost_usd: addCost(one.cost_usd, body.cost_usd),
    step: stepAfter(one.step, body),
  }));

export function onCompactionFailure(state: State, { body }: RowOf<"failure">): State {
  const { retry, fallback } = body;
  // One is tried at a time; the one that was, is the first that has begun.
  const tried = state.compactions.find(({ began }) => began);
  if (!tried) return state;
  return withCompaction(state, tried.seq, (one) => {
    if (fallback === "part") return { ...one, halved: one.halved + 1, step: FIRST_STEP };
    if (fallback) {
      const no_tools = fallback === "no_tools";
      return { ...one, method: "summary" as const, no_tools, step: FIRST_STEP };
    }
    if (!retry) return one;
    return { ...one, step: { ...one.step, attempt: retry.attempt, retry_at: retry.at } };
  });
}

export const onCompactionDeferred = (state: State, { body }: RowOf<"compaction.deferred">): State =>
  withCompaction(state, body.request, (one) => ({ ...one, later: true, began: false }));

export function onCompactionEnded(state: State, { body }: RowOf<"compaction.ended">): State {
  const ended = state.compactions.find((one) => one.seq === body.request);
  const next = without(state, body.request);
  if (ended?.trigger !== "model") return next;
  return withTurn(next, (turn) => ({ ...turn, fatal: turn.fatal ?? switchFailure(turn, body) }));
}

export function onCompacted(before: State, row: RowOf<"context.compacted">): State {
  const { request, method, start, epoch = null, tokens_after, media } = row.body;
  const { instructions = [], part = false } = row.body;
  const done = before.compactions.find((one) => one.seq === request);
  const state = without(before, request);
  const waiting = state.queue.reduce((bytes, one) => bytes + one.media, 0);
  const context: Context = {
    ...remaining(state, start),
    start,
    summary: { seq: row.seq, epoch },
    mark: null,
    tokens: tokens_after,
    media: media + waiting,
    media_appended: Math.min(state.context.media_appended, media),
  };
  const next: State = {
    ...state,
    context,
    idle: { ...state.idle, left: tokens_after },
    epoch: method === "api" ? state.epoch : renewed(state.epoch, row.seq),
    instruction: givenAgain(state.instruction, instructions, row.seq),
    // A message that failed is a part of the summary now, and its repetition a new message.
    last: state.last && (state.turn ? state.last : { ...state.last, kept: false }),
  };
  if (!done || done.trigger === "client") return next;
  const { trigger } = done;
  return withTurn(next, (turn) => ({
    ...turn,
    // The rest may need another one, which will cover more than this summary.
    compacted: part ? turn.compacted.filter((one) => one !== trigger) : turn.compacted,
    // There is room again, so the answer that had filled the window goes on.
    last: trigger === "overflow" && fills(turn) ? null : turn.last,
  }));
}

/** The last answer of the turn ended where the window did. */
const fills = ({ last }: OpenTurn): boolean =>
  last?.stop_reason === "model_context_window_exceeded";

/** What was appended and is not accepted yet, as far as it still stands in the context. */
function remaining({ context, turn }: State, start: number): Context {
  const ofTurn = new Set(turn ? [turn.input.seq, ...turn.inputs] : []);
  const input = (seq: number) => seq >= start || ofTurn.has(seq);
  const tool = (id: string) => (toolCallPlace(id)?.call ?? 0) >= start;
  const { unproven } = context;
  return {
    ...context,
    inputs: context.inputs.filter(input),
    tools: context.tools.filter(tool),
    unproven: {
      inputs: unproven.inputs.filter(input),
      tools: unproven.tools.filter(tool),
      calls: unproven.calls.filter((seq) => seq >= start),
      media: unproven.media,
    },
  };
}

/** A summary of our own opens an epoch, in which the tools that are on now are the request's own. */
const renewed = (epoch: Epoch | null, seq: number): Epoch | null =>
  epoch && epochAt(seq, epoch, epoch.offered);

/** The context has those of the instructions that are in `seqs` at the row `at` now. */
function givenAgain(
  instruction: State["instruction"],
  seqs: readonly number[],
  at: number,
): State["instruction"] {
  const moved = <T extends PlacedInstruction>(one: T): T =>
    seqs.includes(one.seq) ? { ...one, at } : one;
  return (
    instruction && { ...moved(instruction), owner: instruction.owner && moved(instruction.owner) }
  );
}
