import { digest } from "./hash.ts";
import type { ReplyBlock } from "./replies.ts";
import { outputTokens } from "./tokens.ts";

export interface Limits {
  readonly maxTokens: number;
  /** Tokens left in the context window behind the prompt. */
  readonly room: number;
  readonly stopSequences: readonly string[];
}

export interface Limited {
  readonly blocks: readonly ReplyBlock[];
  /** Why the answer was cut; undefined where it was not. */
  readonly stopReason?: string;
  readonly stopSequence?: string;
}

/** Cuts a reply at the first stop sequence, at `max_tokens`, or at the end of the window. */
export function limitBlocks(blocks: readonly ReplyBlock[], limits: Limits): Limited {
  const stopped = stopAtSequence(blocks, limits.stopSequences);
  const budget = Math.min(limits.maxTokens, limits.room);
  const kept: ReplyBlock[] = [];
  let bytes = 0;
  for (const block of stopped.blocks) {
    const content = contentOf(block);
    const weight = digest(content).bytes;
    if (outputTokens(bytes + weight, kept.length + 1) <= budget) {
      kept.push(block);
      bytes += weight;
      continue;
    }
    const left = (budget - outputTokens(bytes, kept.length + 1)) * 4;
    const cut = left > 0 ? shorten(block, firstBytes(content, left)) : undefined;
    if (cut) kept.push(cut);
    const stopReason =
      limits.maxTokens <= limits.room ? "max_tokens" : "model_context_window_exceeded";
    return { blocks: kept, stopReason };
  }
  return stopped;
}

function stopAtSequence(blocks: readonly ReplyBlock[], sequences: readonly string[]): Limited {
  for (const [i, block] of blocks.entries()) {
    if (block.block !== "text") continue;
    const hits = sequences.map((sequence) => ({ sequence, at: block.text.indexOf(sequence) }));
    const first = hits.filter(({ at }) => at !== -1).sort((a, b) => a.at - b.at)[0];
    if (!first) continue;
    const before = first.at === 0 ? [] : [shorten(block, block.text.slice(0, first.at))];
    return {
      blocks: [...blocks.slice(0, i), ...before.filter((cut) => cut !== undefined)],
      stopReason: "stop_sequence",
      stopSequence: first.sequence,
    };
  }
  return { blocks };
}

/** What is generated for a block, and counted. */
function contentOf(block: ReplyBlock): string {
  switch (block.block) {
    case "text":
    case "thinking":
      return block.text;
    case "tool_use":
    case "server_tool_use":
      return block.json ?? JSON.stringify(block.input);
    case "compaction":
      return block.content ?? "";
    case "redacted_thinking":
    case "server_result":
    case "other":
      return "";
  }
}

/** The block with only `content` generated; undefined where nothing can be left of it. */
function shorten(block: ReplyBlock, content: string): ReplyBlock | undefined {
  if (content === "") return undefined;
  switch (block.block) {
    case "text":
    case "thinking": {
      const { deltas, ...rest } = block;
      return { ...rest, text: content, ...(deltas ? { deltas: recut(deltas, content) } : {}) };
    }
    case "tool_use":
    case "server_tool_use": {
      const { deltas, ...rest } = block;
      return { ...rest, json: content, ...(deltas ? { deltas: recut(deltas, content) } : {}) };
    }
    default:
      return undefined;
  }
}

/** The given deltas up to the end of `content`. */
function recut(deltas: readonly string[], content: string): string[] {
  const kept: string[] = [];
  let left = content.length;
  for (const delta of deltas) {
    if (left <= 0) break;
    kept.push(delta.slice(0, left));
    left -= delta.length;
  }
  return kept;
}

/** The longest start of `text` in at most `max` bytes of UTF-8. */
function firstBytes(text: string, max: number): string {
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += digest(character).bytes;
    if (bytes > max) break;
    end += character.length;
  }
  return text.slice(0, end);
}
