/** What the answer of a compaction's model call becomes, or its failure. */
import { isCall } from "../model/blocks.ts";
import { rulesOf } from "../model/catalogue.ts";
import { type CallFailed, type Classified, classify } from "../model/retry.ts";
import type { CompactedBody } from "../shared/compaction.ts";
import type { RetryPolicy } from "../shared/config.ts";
import type { ModelBlock } from "../shared/content.ts";
import type { Fact, Row } from "../shared/rows.ts";
import { promptTokens } from "../shared/usage.ts";
import { type AttemptEnd, addCompactionCall, addFailure } from "./answer.ts";
import { anotherAttempt } from "./call-failure.ts";
import { endCompaction } from "./compact.ts";
import type { MadeCompaction } from "./compact-call.ts";
import { Cuts } from "./cuts.ts";
import type { Draft } from "./draft.ts";
import { instructionsBefore } from "./instructions.ts";
import type { Log } from "./log.ts";
import { mediaBytes } from "./media.ts";
import type { OpenCompaction, State } from "./state.ts";

/** Where the API counts nothing. */
const CHARACTERS_PER_TOKEN = 3.5;

/** Adds the answer of a compaction's call, and what comes of it. */
export function addCompaction(
  draft: Draft,
  attempt: AttemptEnd & { call: number },
  made: MadeCompaction,
  log: Log,
): void {
  addCompactionCall(draft, attempt, "ok");
  const compaction = draft.state.compactions.find(({ seq }) => seq === made.request);
  if (!compaction) return;
  const { context } = draft.state;
  if (context.start !== made.context.start || context.summary !== made.context.summary) {
    const message = "The conversation has begun anew meanwhile.";
    endCompaction(draft, compaction, { code: "superseded", message });
    return;
  }
  const summary = made.method === "api" ? blockOf(attempt) : textOf(attempt);
  if (summary) {
    draft.add(compacted(draft.state, attempt, made, summary, compaction, log));
    return;
  }
  const { message: answer } = attempt;
  const refused = answer.stopReason === "refusal";
  const last = made.method === "summary" && made.no_tools;
  if (refused || last) {
    const code = refused ? "refusal" : "no_summary";
    const message = refused ? "The model refused to summarise." : "The model gave no summary.";
    endCompaction(draft, compaction, { code, message });
    return;
  }
  const message = "The model gave no summary.";
  const fallback = made.method === "api" ? "summary" : "no_tools";
  addFallback(draft, attempt.call, { code: "no_summary", message }, fallback);
}

/** Tries another way at once, or when the turn has ended. */
function addFallback(
  draft: Draft,
  call: number,
  why: { code: string; message: string },
  fallback: "summary" | "no_tools" | "part",
): void {
  const turn = draft.state.turn?.turn ?? 0;
  const { code, message } = why;
  draft.add({ type: "failure", body: { turn, call, code, message, purpose: "compact", fallback } });
}

/** The API's block, if it is one with a summary. */
function blockOf({ message }: AttemptEnd): { block: ModelBlock } | null {
  const [first, ...others] = message.blocks;
  if (message.stopReason !== "compaction" || !first || others.length > 0) return null;
  const { type, content } = first.block;
  return type === "compaction" && typeof content === "string" && content.trim() !== ""
    ? { block: first.block }
    : null;
}

/** What the model wrote, unless it did something else as well. */
function textOf({ message }: AttemptEnd): { summary: string } | null {
  const { blocks, stopReason } = message;
  const ended = stopReason === "end_turn" || stopReason === "max_tokens";
  if (!ended || blocks.some(({ block }) => isCall(block))) return null;
  const summary = blocks
    .flatMap(({ block }) => (typeof block.text === "string" ? [block.text] : []))
    .join("")
    .trim();
  return summary === "" ? null : { summary };
}

function compacted(
  state: State,
  { message }: AttemptEnd,
  { request, method, epoch, plan, frame, asked: { halved } }: MadeCompaction,
  summary: Pick<CompactedBody, "block" | "summary">,
  { cost_usd }: OpenCompaction,
  log: Log,
): Fact {
  const { turn, context } = state;
  const instructions = instructionsBefore(state, plan.start);
  const text = summary.summary ?? String(summary.block?.content ?? "");
  const asked = frame + plan.sizes.covered;
  const prompt = message.usage ? promptTokens(message.usage) : 0;
  // What the API counted for the call says how many characters of this conversation make a token.
  const perToken = prompt > 0 ? asked / prompt : CHARACTERS_PER_TOKEN;
  const tokens = (characters: number) => Math.ceil(characters / perToken);
  const rules = state.epoch && rulesOf(state.epoch.model, state.epoch.facts);
  // In an open round thinking may stay where it does not depend on what stood before it.
  const bound = turn === null || turn.last === null || rules?.preserved_thinking !== false;
  return {
    type: "context.compacted",
    body: {
      request,
      turn: turn?.turn ?? null,
      method,
      ...(summary.block ? { epoch } : {}),
      ...summary,
      start: plan.start,
      ...(halved > 0 ? { part: true as const } : {}),
      strip_thinking: method === "summary" && bound,
      ...(instructions.length > 0 ? { instructions } : {}),
      messages_before: plan.messages,
      messages_after: plan.kept + 1,
      tokens_before: context.tokens ?? tokens(asked + plan.sizes.kept),
      tokens_after: tokens(frame + text.length + plan.sizes.kept),
      media: mediaSince(log.contents(plan.start, state.seq), log),
      cost_usd,
    },
  };
}

/** Decoded bytes of the images and documents that these rows bring into the context. */
function mediaSince(rows: readonly Row[], log: Log): number {
  const cuts = new Cuts(rows);
  return rows.reduce((sum, row) => {
    switch (row.type) {
      case "input": {
        const { start, repeats, content } = row.body;
        const brings = start === "now" && repeats === undefined && !cuts.dropsInput(row.seq);
        return sum + (brings ? mediaBytes(content) : 0);
      }
      case "input.taken": {
        const input = log.rowOf("input", row.body.input);
        return sum + (input && !cuts.dropsInput(input.seq) ? mediaBytes(input.body.content) : 0);
      }
      case "tool.ended":
        return sum + mediaBytes(row.body.content);
      default:
        return sum;
    }
  }, 0);
}

/**
 * Adds the failure of a compaction's call: it is tried again, in another way, or given up.
 *
 * @param divisible less could be covered
 */
export function addCompactionFailure(
  draft: Draft,
  attempt: AttemptEnd & { call: number },
  failed: CallFailed,
  made: MadeCompaction,
  policy: RetryPolicy,
  divisible: () => boolean,
): void {
  const model = draft.state.epoch?.model ?? draft.state.config.model;
  const why = classify(failed.failure, { model, at: draft.at, owner: failed.owner });
  const inContainer = draft.state.call?.container != null;
  addFailure(draft, attempt);
  const compaction = draft.state.compactions.find(({ seq }) => seq === made.request);
  if (!compaction) return;
  if (made.method === "api" && isRefused(failed, why)) {
    addFallback(draft, attempt.call, why, "summary");
    return;
  }
  if (why.code === "context_overflow" && divisible()) {
    addFallback(draft, attempt.call, why, "part");
    return;
  }
  const { step } = compaction;
  const again =
    why.code === "container_rejected" && inContainer
      ? { at: draft.at }
      : anotherAttempt(why, step, draft.at, policy);
  const { code, message } = why;
  draft.add({
    type: "failure",
    body: {
      turn: draft.state.turn?.turn ?? 0,
      call: attempt.call,
      code,
      message,
      purpose: "compact",
      ...(again ? { retry: { attempt: step.attempt + 1, at: again.at } } : {}),
    },
  });
  if (!again) endCompaction(draft, compaction, { code, message });
}

/** The API does not compact this conversation, or a gateway before it knows no compaction. */
function isRefused({ failure }: CallFailed, why: Classified): boolean {
  if ("error_code" in failure && failure.error_code?.startsWith("compaction_")) return true;
  if (failure.kind === "http" && failure.status === 529) {
    return /compaction/i.test(failure.message ?? "");
  }
  return why.code === "invalid_request" || why.code === "compaction_rejected";
}
