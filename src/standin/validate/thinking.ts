import type { Memory, Place } from "../binding.ts";
import { startOf, step } from "../binding.ts";
import { digest, mix } from "../hash.ts";
import type { Model } from "../models.ts";
import { openThinking } from "../signature.ts";
import type { RequestDigest } from "../tokens.ts";
import type { JsonObject, Message, Problem } from "../wire.ts";
import { invalid, isThinking, stringAt } from "../wire.ts";
import { readSummary } from "./compaction.ts";

export type MismatchBehavior = "error" | "drop_block";

export interface Dropped {
  readonly message: number;
  readonly block: number;
  readonly reason: "model_binding_mismatch" | "prefix_binding_mismatch";
}

export interface Followed {
  readonly start: number;
  /** The place behind the last message. */
  readonly end: Place;
  readonly dropped: readonly Dropped[];
}

interface Conversation {
  readonly model: Model;
  readonly tools: readonly JsonObject[];
  readonly messages: readonly Message[];
  readonly digests: RequestDigest;
  readonly isThinkingOff: boolean;
}

const MODIFIED =
  "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. These blocks must remain as they were in the original response.";

/**
 * Walks the conversation once. Each thinking block must be where it was made: same model, same
 * prefix, no thinking left out between two blocks that stayed.
 */
export function followThinking(
  conversation: Conversation,
  memory: Memory,
  behavior: MismatchBehavior,
): Followed | Problem {
  const { model, messages, digests } = conversation;
  const start = startOf(conversation.tools, digests);
  const hasThinking = messages.some(({ content }) => content.some(isThinking));
  const roundStart = startOfRound(messages);
  const latest = messages.findLastIndex(({ role }) => role === "assistant");
  const dropped: Dropped[] = [];
  let prefix = start;
  let previous = 0;

  for (const [i, message] of messages.entries()) {
    let own = 0;
    let isDropping = false;
    for (const [j, block] of message.content.entries()) {
      const path = `messages.${i}.content.${j}`;
      const hash = digests.messages[i]?.[j]?.hash ?? 0;
      if (!isThinking(block)) {
        isDropping = false;
        const summary = i === 0 && j === 0 ? readSummary(block) : undefined;
        if (summary) {
          const next = message.content.length > 1 ? message.role : messages[1]?.role;
          const goesOn =
            summary.start === start &&
            summary.keepsThinking &&
            next !== summary.lastRole &&
            next !== "system";
          prefix = goesOn ? summary.end : mix(start, hash);
          continue;
        }
        prefix = step(prefix, message.role, hash);
        const answers = message.role === "assistant" ? memory.answered(prefix) : undefined;
        if (!answers || !hasThinking) continue;
        if (model.preservedThinking) {
          // Nothing before this block means that thinking was removed from the front.
          const isWhole = previous === 0 || answers.some((answer) => answer.previous === previous);
          if (!isWhole) return invalid(`${path}: ${i === latest ? MODIFIED : LEFT_OUT}`);
        } else if (i > roundStart && !conversation.isThinkingOff) {
          const isWhole = answers.some((answer) => !answer.own || answer.previous === own);
          if (!isWhole) return invalid(`${path}: ${MODIFIED}`);
        }
        continue;
      }
      const seal = openThinking(stringAt(block, block.type === "thinking" ? "signature" : "data"));
      if (!seal) {
        return invalid(`${path}: Invalid \`${signedField(block)}\` in \`${block.type}\` block`);
      }
      if (seal.text !== textHash(block)) {
        return invalid(
          `${path}: ${i === latest ? MODIFIED : "Invalid `signature` in `thinking` block"}`,
        );
      }
      const reason = mismatch(seal.model, model, {
        isPrefixSame: seal.prefix === prefix,
        isOrderSame: previous === 0 || seal.previous === previous,
      });
      if (reason && model.preservedThinking && behavior === "error") {
        return invalid(`${path}: ${MISMATCH[reason]}`);
      }
      // A removal takes the rest of the turn's neighbouring thinking with it.
      isDropping ||= reason !== undefined;
      if (isDropping) {
        dropped.push({ message: i, block: j, reason: reason ?? "prefix_binding_mismatch" });
      }
      previous = hash;
      own = hash;
    }
  }
  return { start, end: { prefix, previous }, dropped };
}

const LEFT_OUT =
  "a `thinking` block before this block was left out or moved. Only `thinking` blocks at the start of the conversation may be removed.";

const MISMATCH: Readonly<Record<Dropped["reason"], string>> = {
  model_binding_mismatch:
    "Invalid `signature` in `thinking` block: the block was created by another model.",
  prefix_binding_mismatch:
    "Invalid `signature` in `thinking` block: the block is bound to a different conversation. The system prompt, the tools and all messages before it must be unchanged.",
};

function mismatch(
  sealedModel: string,
  model: Model,
  same: { readonly isPrefixSame: boolean; readonly isOrderSame: boolean },
): Dropped["reason"] | undefined {
  if (sealedModel !== model.id) return "model_binding_mismatch";
  if (!model.preservedThinking || (same.isPrefixSame && same.isOrderSame)) return undefined;
  return "prefix_binding_mismatch";
}

/** Hash of what a thinking block says; redacted thinking says nothing readable. */
export function textHash(block: JsonObject): number {
  return digest(stringAt(block, "thinking")).hash;
}

function signedField(block: JsonObject): string {
  return block.type === "thinking" ? "signature" : "data";
}

/** Index of the user message that began the open tool round. */
function startOfRound(messages: readonly Message[]): number {
  return messages.findLastIndex(
    ({ role, content }) => role === "user" && !content.some(({ type }) => type === "tool_result"),
  );
}

/** The messages that the model is shown, once unreadable thinking is gone. */
export function withoutDropped(
  messages: readonly Message[],
  dropped: readonly Dropped[],
): Message[] {
  if (dropped.length === 0) return [...messages];
  const gone = new Set(dropped.map(({ message, block }) => `${message}.${block}`));
  return messages.map((message, i) => ({
    role: message.role,
    content: message.content.filter((_, j) => !gone.has(`${i}.${j}`)),
  }));
}
