/** What the model's answer becomes in the log: a row for each block, and the end of the call. */
import type { MessageAccumulator, ReceivedBlock } from "../model/message.ts";
import { cost } from "../model/prices.ts";
import { bytesToTokens, estimateUsage } from "../model/usage.ts";
import { toolCallPlace } from "../shared/ids.ts";
import type { CallEndedBody, Fact } from "../shared/rows.ts";
import { promptTokens } from "../shared/usage.ts";
import { EMPTY_VIEW, type View } from "../shared/view.ts";
import { cacheMiss } from "./cache-miss.ts";
import type { Draft } from "./draft.ts";
import { denialOf, runnerOf } from "./gates.ts";
import { answerParses } from "./output.ts";
import { hidesThinking, isFormatted } from "./settings.ts";
import { ledgeResult, settleTools } from "./settle.ts";
import { NOTHING_UNPROVEN, type OpenTurn, type State } from "./state.ts";

/** What is known of an attempt when it ends, beyond the blocks. */
export interface AttemptEnd {
  message: MessageAccumulator;
  request_id: string | null;
}

/**
 * Adds a complete answer to the draft: its blocks, its end, and what follows at once from it.
 *
 * @param viewBefore the view before the draft
 */
export function addAnswer(
  draft: Draft,
  attempt: AttemptEnd,
  viewBefore: () => View = () => EMPTY_VIEW,
): void {
  const { call, turn } = draft.state;
  if (!call || !turn) return;
  const { message } = attempt;
  const stop = message.stopReason;
  // Only an answer that came to its end may run tools: a cut input would run as something else.
  const runs = stop !== "refusal";
  const cut = stop === "max_tokens" || stop === "model_context_window_exceeded";
  const last = message.blocks.length - 1;
  const facts = message.blocks.map((received, at) =>
    blockFact(draft.state, call.seq, turn, received, !runs || (cut && at === last)),
  );
  for (const fact of facts) draft.add(fact);
  const parses = isFormatted(turn.settings) && {
    parses: answerParses(viewBefore(), draft.rows),
  };
  draft.add(callEnded(draft, attempt, "ok", facts.length, parses || {}));
  if (stop === "refusal") addRefusal(draft, call.seq);
  else if (cut) settleTools(draft, "cut");
  settleDenied(draft, message.blocks);
}

/** The kept part of an answer that is being interrupted: whole blocks and a partial text. */
export function interruptedFacts(draft: Draft, attempt: AttemptEnd): Fact[] {
  const { call, turn } = draft.state;
  if (call && call.compaction !== null) return [callEnded(draft, attempt, "interrupted", 0)];
  if (!call || !turn) return [];
  const facts = attempt.message.blocks
    .filter(({ complete, block, raw_input }) => complete || hasContent(block, raw_input))
    .map((received) => blockFact(draft.state, call.seq, turn, received, !received.complete));
  return [...facts, callEnded(draft, attempt, "interrupted", facts.length)];
}

/** Adds the end of a call for a compaction, whose answer is no part of the conversation. */
export function addCompactionCall(
  draft: Draft,
  attempt: AttemptEnd,
  end: "ok" | "interrupted",
): void {
  draft.add(callEnded(draft, attempt, end, 0));
}

/** Adds the end of an attempt that failed. Its blocks are not kept. */
export function addFailure(draft: Draft, attempt: AttemptEnd): void {
  draft.add(callEnded(draft, attempt, "failed", 0));
}

const hasContent = (block: ReceivedBlock["block"], raw: string | undefined): boolean =>
  Boolean(block.text || block.thinking || raw);

function blockFact(
  state: State,
  call: number,
  turn: OpenTurn,
  received: ReceivedBlock,
  cut: boolean,
): Fact {
  const { i, block, raw_input } = received;
  const tool = block.type === "tool_use";
  // Text that was cut is still text; any other cut block is kept out of the context.
  const partial = cut && (tool || !received.complete) ? { partial: true as const } : {};
  const body = { call, turn: turn.turn, i, block, ...partial };
  switch (block.type) {
    case "text":
      return { type: "block.text", body };
    case "thinking":
    case "redacted_thinking":
      return {
        type: "block.thinking",
        body: hidesThinking(turn) ? { ...body, hidden: true } : body,
      };
    case "tool_use": {
      const raw = raw_input === undefined ? {} : { raw: raw_input };
      const who = runnerOf(state, turn, received);
      return { type: "block.tool", body: { ...body, ...raw, ...who } };
    }
    default:
      return { type: "block.other", body };
  }
}

/** Answers the calls that nobody can run, so that the model can go on. */
function settleDenied(draft: Draft, blocks: readonly ReceivedBlock[]): void {
  const turn = draft.state.turn;
  if (!turn) return;
  for (const tool of turn.tools.filter((one) => one.gate === "deny")) {
    const i = toolCallPlace(tool.id)?.i;
    const received = blocks.find((one) => one.i === i);
    const text = denialOf(draft.state, turn, tool.name, received ?? null);
    draft.add(ledgeResult(turn.turn, tool.id, "error", text));
  }
}

/** Leaves the refused message and answer out of later contexts, which would be refused too. */
function addRefusal(draft: Draft, call: number): void {
  addCut(draft, "refusal", "The model refused this message, so it was left out of the context.", [
    call,
  ]);
}

/** Leaves out what was appended since the last request that the API accepted. */
export function addCut(
  draft: Draft,
  reason: "refusal" | "rejected",
  message: string,
  drop_calls: number[],
): void {
  const { turn, context } = draft.state;
  if (!turn) return;
  // A refusal may be about an exchange before it that was interrupted; a rejection is not.
  const unproven = reason === "refusal" ? context.unproven : NOTHING_UNPROVEN;
  const inputs = [...unproven.inputs, ...context.inputs];
  const tools = [...unproven.tools, ...context.tools];
  const calls = [...unproven.calls, ...drop_calls];
  if (inputs.length + tools.length + calls.length === 0) return;
  const text = `The result was left out, because the model could not take it: ${message}`;
  draft.add({
    type: "context.cut",
    body: {
      turn: turn.turn,
      reason,
      message,
      drop: inputs,
      drop_calls: calls,
      replace: tools.map((tool) => ({ tool, text })),
      strip_thinking: false,
    },
  });
}

function callEnded(
  draft: Draft,
  { message, request_id }: AttemptEnd,
  end: "ok" | "interrupted" | "failed",
  blocks: number,
  more: Pick<CallEndedBody, "parses"> = {},
): Fact {
  const { state } = draft;
  const refused = message.stopReason === "refusal";
  const told = end === "ok" && message.usageComplete;
  const usage = told ? message.usage : estimated(state, message, end);
  const model = modelOf(state);
  const said = message.usage !== null && promptTokens(message.usage) > 0 ? message.usage : null;
  const cache_miss = said && cacheMiss(state, said);
  const body: CallEndedBody = {
    call: state.call?.seq ?? 0,
    turn: state.turn?.turn ?? 0,
    end,
    accepted: message.started && !refused,
    stop_reason: message.stopReason,
    ...(message.stopDetails === null ? {} : { stop_details: message.stopDetails }),
    usage,
    estimated: !told && usage !== null,
    cost_usd: usage ? cost(model, usage, draft.at, draft.prices) : 0,
    request_id,
    ms: draft.at - (state.call?.at ?? draft.at),
    blocks,
    ...(end === "failed" && message.produced ? { produced: true as const } : {}),
    ...(message.container === null ? {} : { container: message.container }),
    ...purposeOf(state),
    ...(cache_miss ? { cache_miss } : {}),
    ...more,
  };
  return { type: "call.ended", body };
}

/**
 * Usage of an attempt that did not end, or of an answer that did not say it. One that failed before
 * the answer began was not billed; one that was interrupted then may have been, for its prompt.
 */
function estimated(
  state: State,
  message: MessageAccumulator,
  end: "ok" | "interrupted" | "failed",
): CallEndedBody["usage"] {
  if (!message.started && end === "failed") return null;
  const usage = estimateUsage({
    reported: message.usage,
    promptTokens: promptOf(state),
    characters: message.characters,
  });
  return { ...speedOf(state), ...usage };
}

/** The size of the prompt, as far as it is known. */
const promptOf = ({ context, money }: State): number =>
  context.tokens ?? bytesToTokens(money.call?.size ?? 0);

const modelOf = ({ money, epoch, config }: State): string =>
  money.call?.model ?? epoch?.model ?? config.model;

/** The speed that was asked for, where the API did not say which it was. */
const speedOf = ({ money }: State) => (money.call?.speed ? { speed: money.call.speed } : {});

const purposeOf = ({ call }: State): Pick<CallEndedBody, "purpose"> =>
  call && call.compaction !== null ? { purpose: "compact" } : {};

/** The end of a call whose object died: what it used is not known beyond its prompt. */
export function lostFact(draft: Draft): Fact {
  const { state } = draft;
  const reported = { reported: null, promptTokens: promptOf(state), characters: 0 };
  const usage = { ...speedOf(state), ...estimateUsage(reported) };
  const model = modelOf(state);
  const body: CallEndedBody = {
    call: state.call?.seq ?? 0,
    turn: state.turn?.turn ?? 0,
    end: "lost",
    accepted: false,
    stop_reason: null,
    usage,
    estimated: true,
    cost_usd: cost(model, usage, draft.at, draft.prices),
    request_id: null,
    ms: draft.at - (state.call?.at ?? draft.at),
    blocks: 0,
    ...purposeOf(state),
  };
  return { type: "call.ended", body };
}
