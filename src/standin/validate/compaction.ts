import { digest } from "../hash.ts";
import type { Model } from "../models.ts";
import type { CompactionSeal } from "../signature.ts";
import { openCompaction } from "../signature.ts";
import type { Json, JsonObject, Message, Problem } from "../wire.ts";
import { invalid, isObject, stringAt } from "../wire.ts";
import { checkFields, nullable, optional, required, sized, text } from "./shape.ts";

const MAX_INSTRUCTIONS = 16_384;

/** The seal of a compaction block that carries a summary. */
export function readSummary(block: JsonObject): CompactionSeal | undefined {
  if (block.type !== "compaction" || typeof block.content !== "string") return undefined;
  return openCompaction(stringAt(block, "signature"));
}

/** Hash of a block's `tool_changes`; absent and empty are the same. */
export function changesHash(changes: Json | undefined): number {
  return digest(JSON.stringify(Array.isArray(changes) ? changes : [])).hash;
}

/** A summary stands first, once, and as it was received. */
export function checkCompactionBlocks(messages: readonly Message[]): Problem | undefined {
  const summaries = messages.flatMap(({ role, content }, i) =>
    content.flatMap((block, j) =>
      block.type === "compaction" && typeof block.content === "string"
        ? [{ role, block, i, j }]
        : [],
    ),
  );
  const [first] = summaries;
  if (!first) return undefined;
  const path = `messages.${first.i}.content.${first.j}`;
  if (summaries.length > 1) {
    return invalid(
      "messages: only one `compaction` block with content may be sent. Send the block the conversation returned last.",
      "compaction_block_ambiguous",
    );
  }
  if (first.i !== 0 || first.j !== 0 || first.role !== "assistant") {
    return invalid(
      `${path}: a \`compaction\` block must be the first block of a leading assistant message`,
      "compaction_block_misplaced",
    );
  }
  const seal = readSummary(first.block);
  if (!seal) {
    return invalid(
      `${path}: Invalid \`signature\` in \`compaction\` block`,
      "compaction_signature_invalid",
    );
  }
  if (seal.content !== digest(stringAt(first.block, "content")).hash) {
    return invalid(
      `${path}: the \`content\` of a \`compaction\` block must be sent back unchanged`,
      "compaction_content_mismatch",
    );
  }
  return seal.changes === changesHash(first.block.tool_changes)
    ? undefined
    : invalid(
        `${path}: the \`tool_changes\` of a \`compaction\` block must be sent back unchanged`,
        "compaction_tool_changes_mismatch",
      );
}

/** A request for a summary. */
export function checkCompactionRequest(
  body: JsonObject,
  model: Model,
  messages: readonly Message[],
): Problem | undefined {
  const compaction = body.compaction;
  if (compaction === undefined || compaction === null) return undefined;
  if (!isObject(compaction)) return invalid("compaction: Input should be a valid dictionary");
  if (!model.compaction) return invalid("compaction: not supported on this model");
  const problem =
    checkFields(compaction, "compaction", {
      type: required(text),
      instructions: optional(nullable(sized(0, MAX_INSTRUCTIONS))),
    }) ??
    (compaction.type === "summarize"
      ? undefined
      : invalid("compaction.type: Input should be 'summarize'")) ??
    incompatible(body);
  if (problem) return problem;
  const last = messages.at(-1);
  const isOpen =
    last?.role === "assistant" &&
    last.content.some((block) => block.type === "tool_use" || isOpenServerCall(block, last));
  if (isOpen) {
    return invalid(
      "compaction: the conversation ends on an assistant turn that is not finished",
      "compaction_incomplete_turn",
    );
  }
  const hasContent = messages.some(
    ({ role, content }) => role !== "system" && content.some(({ type }) => type !== "compaction"),
  );
  return hasContent
    ? undefined
    : invalid("compaction: there is nothing to summarize", "compaction_nothing_to_summarize");
}

function incompatible(body: JsonObject): Problem | undefined {
  const format = isObject(body.output_config) ? body.output_config.format : undefined;
  const choice = isObject(body.tool_choice) ? body.tool_choice.type : undefined;
  const conflicts: readonly (readonly [string, boolean])[] = [
    ["stop_sequences", Array.isArray(body.stop_sequences) && body.stop_sequences.length > 0],
    ["output_config.format", isObject(format)],
    ["tool_choice", choice === "any" || choice === "tool"],
    ["context_management", isObject(body.context_management)],
  ];
  const conflict = conflicts.find(([, isThere]) => isThere);
  return conflict
    ? invalid(`compaction: cannot be used together with \`${conflict[0]}\``)
    : undefined;
}

function isOpenServerCall(block: JsonObject, message: Message): boolean {
  return (
    block.type === "server_tool_use" &&
    !message.content.some((other) => other.tool_use_id === block.id)
  );
}
