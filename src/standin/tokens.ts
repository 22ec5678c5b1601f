import { digest } from "./hash.ts";
import type { JsonObject, Message } from "./wire.ts";
import { isObject, objectsAt } from "./wire.ts";

const BYTES_PER_TOKEN = 4;
const BLOCK_TOKENS = 4;
const IMAGE_TOKENS = 1_600;
const PDF_TOKENS = 3_000;
const TYPED_TOOL_TOKENS = 400;

/** Identity and weight of one block, its cache marks left out. */
export interface BlockDigest {
  readonly hash: number;
  readonly tokens: number;
}

export interface RequestDigest {
  readonly tools: readonly BlockDigest[];
  readonly system: readonly BlockDigest[];
  readonly messages: readonly (readonly BlockDigest[])[];
}

/** Reads each block once; all later accounting works on these numbers. */
export function digestRequest(
  tools: readonly JsonObject[],
  system: readonly JsonObject[],
  messages: readonly Message[],
): RequestDigest {
  return {
    tools: tools.map(digestBlock),
    system: system.map(digestBlock),
    messages: messages.map((message) => message.content.map(digestBlock)),
  };
}

export function digestBlock(block: JsonObject): BlockDigest {
  const { hash, bytes } = digest(JSON.stringify(withoutMarks(block)));
  const media = mediaOf(block);
  const typed = typeof block.type === "string" && /_20\d{6}$/.test(block.type);
  return {
    hash,
    tokens:
      BLOCK_TOKENS +
      Math.ceil((bytes - media.bytes) / BYTES_PER_TOKEN) +
      media.tokens +
      (typed ? TYPED_TOOL_TOKENS : 0),
  };
}

/** Tokens of generated text of `bytes` bytes in `blocks` blocks. */
export function outputTokens(bytes: number, blocks: number): number {
  return BLOCK_TOKENS * blocks + Math.ceil(bytes / BYTES_PER_TOKEN);
}

export function sumTokens(request: RequestDigest): number {
  const lists = [request.tools, request.system, ...request.messages];
  return lists.reduce((sum, list) => list.reduce((inner, { tokens }) => inner + tokens, sum), 0);
}

/** The block as the prefix sees it: `cache_control` is no part of the prompt. */
function withoutMarks(block: JsonObject): JsonObject {
  const content = block.content;
  const nested = Array.isArray(content) && content.some(isMarked);
  if (!nested && !isMarked(block)) return block;
  const { cache_control: _, ...rest } = block;
  if (nested) rest.content = content.map((item) => (isObject(item) ? withoutMarks(item) : item));
  return rest;
}

function isMarked(value: JsonObject[string]): boolean {
  return isObject(value) && value.cache_control !== undefined;
}

/** Base64 data weighs a fixed count instead of its bytes. */
function mediaOf(block: JsonObject): { bytes: number; tokens: number } {
  const type = block.type;
  if (type === "image" || type === "document") {
    const source = isObject(block.source) ? block.source : {};
    if (source.type === "content") return sum(objectsAt(source, "content"));
    const data = source.type === "base64" && typeof source.data === "string" ? source.data : "";
    if (type === "document" && data === "") return { bytes: 0, tokens: 0 };
    return { bytes: data.length, tokens: type === "image" ? IMAGE_TOKENS : PDF_TOKENS };
  }
  return type === "tool_result" ? sum(objectsAt(block, "content")) : { bytes: 0, tokens: 0 };
}

function sum(blocks: readonly JsonObject[]): { bytes: number; tokens: number } {
  let bytes = 0;
  let tokens = 0;
  for (const block of blocks) {
    const media = mediaOf(block);
    bytes += media.bytes;
    tokens += media.tokens;
  }
  return { bytes, tokens };
}
