import type { JsonObject, Message, Problem } from "../wire.ts";
import { invalid, isObject, isThinking, objectsAt } from "../wire.ts";

const MAX_BREAKPOINTS = 4;
export type Ttl = "5m" | "1h";

/** The TTL of a block's cache breakpoint, if it carries one. */
export function markOf(block: JsonObject): Ttl | undefined {
  const mark = block.cache_control;
  if (!isObject(mark)) return undefined;
  return mark.ttl === "1h" ? "1h" : "5m";
}

/** The block that the top-level `cache_control` marks: the last one that can be marked. */
export function lastCacheable(
  tools: readonly JsonObject[],
  system: readonly JsonObject[],
  messages: readonly Message[],
): JsonObject | undefined {
  for (const message of messages.toReversed()) {
    const block = message.content.findLast((candidate) => !isThinking(candidate));
    if (block) return block;
  }
  return system.at(-1) ?? tools.at(-1);
}

/** Number and order of breakpoints, in the order tools, system, messages. */
export function checkCacheMarks(
  body: JsonObject,
  tools: readonly JsonObject[],
  system: readonly JsonObject[],
  messages: readonly Message[],
): Problem | undefined {
  const marks: Ttl[] = [];
  for (const block of [...tools, ...system]) push(marks, block);
  for (const message of messages) {
    for (const block of message.content) {
      if (block.type === "tool_result") {
        for (const inner of objectsAt(block, "content")) push(marks, inner);
      }
      push(marks, block);
    }
  }
  if (marks.length > MAX_BREAKPOINTS) {
    return invalid(
      `A maximum of ${MAX_BREAKPOINTS} blocks with cache_control may be provided. Found ${marks.length}.`,
    );
  }
  const automatic = markOf(body);
  if (automatic) {
    const last = lastCacheable(tools, system, messages);
    const own = last && markOf(last);
    if (own && own !== automatic) {
      return invalid(
        `cache_control: automatic caching uses ttl='${automatic}', but the last cacheable block already has a cache_control with ttl='${own}'`,
      );
    }
    if (!own && marks.length === MAX_BREAKPOINTS) {
      return invalid(
        `cache_control: automatic caching needs one of the ${MAX_BREAKPOINTS} cache_control slots, but all are in use`,
      );
    }
    if (!own) marks.push(automatic);
  }
  const firstShort = marks.indexOf("5m");
  return firstShort !== -1 && marks.lastIndexOf("1h") > firstShort
    ? invalid(
        "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are processed in the following order: `tools`, `system`, `messages`.",
      )
    : undefined;
}

function push(marks: Ttl[], block: JsonObject): void {
  const mark = markOf(block);
  if (mark) marks.push(mark);
}
