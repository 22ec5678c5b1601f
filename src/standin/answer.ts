import type { Memory } from "./binding.ts";
import { step } from "./binding.ts";
import type { CacheBill } from "./cache.ts";
import { digest } from "./hash.ts";
import { randomId } from "./ids.ts";
import { limitBlocks } from "./limit-output.ts";
import type { MessageReply, ReplyBlock } from "./replies.ts";
import { sealCompaction, sealThinking } from "./signature.ts";
import { digestBlock, outputTokens } from "./tokens.ts";
import { changesHash, readSummary } from "./validate/compaction.ts";
import type { Accepted } from "./validate/request.ts";
import { textHash } from "./validate/thinking.ts";
import type { JsonObject, Message } from "./wire.ts";
import { isObject, isThinking, objectsAt, stringAt } from "./wire.ts";

const DELTA_SIZE = 16;

/** One block as it leaves: how it starts, what is streamed into it, what it is in the end. */
interface AnswerBlock {
  readonly start: JsonObject;
  readonly deltas: readonly JsonObject[];
  readonly whole: JsonObject;
  /** Bytes of output that each delta stands for; the start has none. */
  readonly weights: readonly number[];
  /** Bytes of output of a block without deltas. */
  readonly weight: number;
}

/** A complete answer, before it is cut into events. */
export interface Answer {
  readonly id: string;
  readonly blocks: readonly AnswerBlock[];
  readonly opening: JsonObject;
  readonly ending: JsonObject;
  readonly endingUsage: JsonObject;
  /** The message of a non-streaming response. */
  readonly message: JsonObject;
}

/** Turns a scripted reply into the answer to one request, and remembers it. */
export function answer(
  accepted: Accepted,
  reply: MessageReply,
  bill: CacheBill,
  diagnostics: JsonObject | null,
  memory: Memory,
): Answer {
  const { request } = accepted;
  const limited = limitBlocks(reply.blocks, {
    maxTokens: request.maxTokens,
    room: request.model.window - accepted.inputTokens,
    stopSequences: request.stopSequences,
  });
  const { blocks, prefix } = materialise(accepted, limited.blocks, reply.deltaSize, memory);
  const stopReason = limited.stopReason ?? reply.stop_reason ?? defaultStop(limited.blocks);
  if (stopReason === "pause_turn") memory.rememberPause(prefix);

  const id = reply.id ?? randomId("msg_");
  const usage = usageOf(accepted, limited.blocks, blocks, bill, reply.usage ?? {});
  const isSummary = stopReason === "compaction";
  const ending: JsonObject = {
    stop_reason: stopReason,
    stop_sequence: limited.stopSequence ?? reply.stop_sequence ?? null,
    stop_details: reply.stop_details ?? null,
    container: reply.container ?? null,
  };
  const opening: JsonObject = {
    id,
    type: "message",
    role: "assistant",
    model: request.model.id,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics,
    ...(request.betas.has("thinking-binding-controls-2026-08-01")
      ? { input_transformations: transformations(accepted) }
      : {}),
    usage: isSummary ? emptied(usage) : { ...usage, output_tokens: 1, output_tokens_details: null },
  };
  const finalUsage = isSummary ? summaryUsage(usage) : usage;
  return {
    id,
    blocks,
    opening,
    ending,
    endingUsage: deltaUsage(finalUsage),
    message: {
      ...opening,
      ...ending,
      content: blocks.map(({ whole }) => whole),
      usage: finalUsage,
    },
  };
}

function defaultStop(blocks: readonly ReplyBlock[]): string {
  if (blocks.some(({ block }) => block === "tool_use")) return "tool_use";
  return blocks.some(({ block }) => block === "compaction") ? "compaction" : "end_turn";
}

function materialise(
  accepted: Accepted,
  scripted: readonly ReplyBlock[],
  deltaSize: number | undefined,
  memory: Memory,
): { blocks: AnswerBlock[]; prefix: number } {
  const { request, followed } = accepted;
  const size = deltaSize ?? DELTA_SIZE;
  const isSilent = displayOf(request.body, request.model.display) === "omitted";
  let { prefix, previous } = followed.end;
  let own = false;
  let serverCall = openServerCall(request.messages);
  const blocks: AnswerBlock[] = [];
  for (const block of scripted) {
    const made = make(block);
    blocks.push(made);
    const { hash } = digestBlock(made.whole);
    if (isThinking(made.whole)) {
      previous = hash;
      own = true;
    } else {
      prefix = step(prefix, "assistant", hash);
      memory.remember(prefix, { previous, own });
    }
  }
  return { blocks, prefix };

  function make(block: ReplyBlock): AnswerBlock {
    switch (block.block) {
      case "text":
        return makeText(block.text, block.deltas ?? cut(block.text, size), block.citations ?? []);
      case "thinking": {
        const text = isSilent ? "" : block.text;
        const signature =
          block.signature ??
          sealThinking({
            model: request.model.id,
            prefix,
            previous,
            text: textHash({ thinking: text }),
          });
        return makeThinking(text, signature, isSilent ? [] : (block.deltas ?? cut(text, size)), {
          hidden: isSilent ? block.text : "",
        });
      }
      case "redacted_thinking": {
        const data = sealThinking({
          model: request.model.id,
          prefix,
          previous,
          text: textHash({}),
        });
        return whole({ type: "redacted_thinking", data });
      }
      case "tool_use":
      case "server_tool_use": {
        const prefixOfId = block.block === "tool_use" ? "toolu_" : "srvtoolu_";
        const id = block.id ?? randomId(prefixOfId);
        if (block.block === "server_tool_use") serverCall = id;
        return makeCall(block, id, size);
      }
      case "server_result":
        return whole({ type: block.type, tool_use_id: serverCall, content: block.content });
      case "compaction":
        return makeSummary(block.content, accepted);
      case "other":
        return whole(block.value);
    }
  }
}

/** The call that a paused answer left without a result. */
function openServerCall(messages: readonly Message[]): string {
  const last = messages.findLast(({ role }) => role === "assistant")?.content ?? [];
  const open = last.findLast(
    (block) =>
      block.type === "server_tool_use" && !last.some((other) => other.tool_use_id === block.id),
  );
  return open ? stringAt(open, "id") : "";
}

function whole(block: JsonObject): AnswerBlock {
  const weight = digest(JSON.stringify(block)).bytes;
  return { start: block, deltas: [], whole: block, weights: [], weight };
}

function makeText(
  text: string,
  pieces: readonly string[],
  citations: readonly JsonObject[],
): AnswerBlock {
  const cited = citations.length > 0 ? [...citations] : null;
  return {
    start: { type: "text", text: "", citations: cited ? [] : null },
    deltas: [
      ...pieces.map((piece) => ({ type: "text_delta", text: piece })),
      ...citations.map((citation) => ({ type: "citations_delta", citation })),
    ],
    whole: { type: "text", text, citations: cited },
    weights: [...pieces.map(utf8Length), ...citations.map(() => 0)],
    weight: 0,
  };
}

function makeThinking(
  text: string,
  signature: string,
  pieces: readonly string[],
  options: { readonly hidden: string },
): AnswerBlock {
  return {
    start: { type: "thinking", thinking: "", signature: "" },
    deltas: [
      ...pieces.map((piece) => ({ type: "thinking_delta", thinking: piece })),
      { type: "signature_delta", signature },
    ],
    whole: { type: "thinking", thinking: text, signature },
    weights: [...pieces.map(utf8Length), utf8Length(options.hidden)],
    weight: 0,
  };
}

function makeCall(
  block: Extract<ReplyBlock, { block: "tool_use" | "server_tool_use" }>,
  id: string,
  size: number,
): AnswerBlock {
  const json = block.json ?? JSON.stringify(block.input);
  const pieces = block.deltas ?? (json === "{}" ? [""] : cut(json, size));
  const base = { type: block.block, id, name: block.name };
  const caller = { caller: { type: "direct" } };
  return {
    start: { ...base, input: {}, ...caller },
    deltas: pieces.map((piece) => ({ type: "input_json_delta", partial_json: piece })),
    whole: { ...base, input: parsedOr(json, {}), ...caller },
    weights: pieces.map(utf8Length),
    weight: 0,
  };
}

function makeSummary(content: string | null, accepted: Accepted): AnswerBlock {
  const { request, followed, toolChanges } = accepted;
  const earlierBlock = request.messages[0]?.content[0] ?? {};
  const earlier = readSummary(earlierBlock);
  const changes = [...objectsAt(earlierBlock, "tool_changes"), ...toolChanges];
  const seal = {
    start: followed.start,
    end: followed.end.prefix,
    lastRole: request.messages.at(-1)?.role ?? "user",
    content: digest(content ?? "").hash,
    changes: changesHash(changes),
    keepsThinking: request.model.preservedThinking && (earlier?.keepsThinking ?? true),
  };
  const shared = { signature: sealCompaction(seal), tool_changes: changes };
  return {
    start: { type: "compaction", content: null, encrypted_content: null, ...shared },
    deltas: [{ type: "compaction_delta", content, encrypted_content: null }],
    whole: { type: "compaction", content, encrypted_content: null, ...shared },
    weights: [utf8Length(content ?? "")],
    weight: 0,
  };
}

function displayOf(body: JsonObject, standard: string): string {
  const thinking = isObject(body.thinking) ? body.thinking : {};
  return stringAt(thinking, "display") || standard;
}

/** Pieces of `size` UTF-16 units; a surrogate pair stays together. */
export function cut(text: string, size: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    let end = Math.min(text.length, at + Math.max(1, size));
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end += 1;
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}

function utf8Length(text: string): number {
  return digest(text).bytes;
}

function parsedOr(json: string, fallback: JsonObject): JsonObject {
  try {
    const parsed: JsonObject[string] = JSON.parse(json);
    return isObject(parsed) ? parsed : fallback;
  } catch {
    return fallback;
  }
}

function usageOf(
  accepted: Accepted,
  scripted: readonly ReplyBlock[],
  blocks: readonly AnswerBlock[],
  bill: CacheBill,
  overrides: JsonObject,
): JsonObject {
  const weightOf = (block: AnswerBlock) => block.weights.reduce((a, b) => a + b, block.weight);
  const bytes = blocks.reduce((sum, block) => sum + weightOf(block), 0);
  const thought = blocks.filter(({ whole: block }) => isThinking(block));
  const thoughtBytes = thought.reduce((sum, block) => sum + weightOf(block), 0);
  const searches = scripted.filter((b) => b.block === "server_tool_use" && b.name === "web_search");
  const fetches = scripted.filter((b) => b.block === "server_tool_use" && b.name === "web_fetch");
  const { body } = accepted.request;
  return {
    input_tokens: bill.uncached,
    output_tokens: Math.max(1, outputTokens(bytes, blocks.length)),
    cache_creation_input_tokens: bill.write5m + bill.write1h,
    cache_read_input_tokens: bill.read,
    cache_creation: {
      ephemeral_5m_input_tokens: bill.write5m,
      ephemeral_1h_input_tokens: bill.write1h,
    },
    output_tokens_details:
      thought.length > 0 ? { thinking_tokens: outputTokens(thoughtBytes, thought.length) } : null,
    server_tool_use:
      searches.length + fetches.length > 0
        ? { web_search_requests: searches.length, web_fetch_requests: fetches.length }
        : null,
    service_tier: "standard",
    inference_geo: null,
    speed: typeof body.speed === "string" ? body.speed : null,
    ...overrides,
  };
}

/** A summary's tokens stand under `iterations`; the fields on top are zero. */
function summaryUsage(usage: JsonObject): JsonObject {
  const iteration: JsonObject = { type: "compaction" };
  for (const key of [
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation",
  ]) {
    iteration[key] = usage[key] ?? null;
  }
  return { ...emptied(usage), iterations: [iteration] };
}

function emptied(usage: JsonObject): JsonObject {
  return {
    ...usage,
    input_tokens: 0,
    output_tokens: 0,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    cache_creation: null,
    output_tokens_details: null,
  };
}

/** The cumulative usage of `message_delta`. */
function deltaUsage(usage: JsonObject): JsonObject {
  const { cache_creation: _, service_tier: __, inference_geo: ___, speed: ____, ...rest } = usage;
  return rest;
}

function transformations(accepted: Accepted): JsonObject[] {
  return accepted.followed.dropped.map(({ message, block, reason }) => ({
    type: "thinking_dropped",
    path: `messages.${message}.content.${block}`,
    reason,
  }));
}
