/** The kinds of content blocks that the Messages API gives, and takes back. */
import type { BetaContentBlock } from "@anthropic-ai/sdk/resources/beta/messages/messages";
import type { ModelBlock } from "../shared/content.ts";

const KNOWN = {
  text: true,
  thinking: true,
  redacted_thinking: true,
  tool_use: true,
  server_tool_use: true,
  web_search_tool_result: true,
  web_fetch_tool_result: true,
  advisor_tool_result: true,
  code_execution_tool_result: true,
  bash_code_execution_tool_result: true,
  text_editor_code_execution_tool_result: true,
  tool_search_tool_result: true,
  mcp_tool_use: true,
  mcp_tool_result: true,
  mcp_tool_listing: true,
  container_upload: true,
  compaction: true,
  fallback: true,
} satisfies Record<BetaContentBlock["type"], true>;

const isKnown = (type: string): boolean => Object.hasOwn(KNOWN, type);

const CALLS: ReadonlySet<string> = new Set(["tool_use", "server_tool_use", "mcp_tool_use"]);

/** The block calls a tool, of the client's or of a server's. */
export const isCall = ({ type }: ModelBlock): boolean => CALLS.has(type);

/** The kinds of blocks into which each kind of delta goes. */
const HOMES: ReadonlyMap<unknown, ReadonlySet<string>> = new Map([
  ["text_delta", new Set(["text"])],
  ["citations_delta", new Set(["text"])],
  ["thinking_delta", new Set(["thinking"])],
  ["signature_delta", new Set(["thinking"])],
  ["input_json_delta", CALLS],
  ["compaction_delta", new Set(["compaction"])],
]);

/** False where a delta would make of a known block what is none. */
export const takesDelta = (block: ModelBlock, delta: unknown): boolean =>
  !isKnown(block.type) || (HOMES.get(delta)?.has(block.type) ?? true);

/**
 * Whether a block of the model's may go back to it. The API refuses kinds that it does not know and
 * thinking without a signature; where a gateway gave such a block, it would refuse every later
 * request.
 */
export function isReturnable(block: ModelBlock): boolean {
  if (block.type !== "thinking") return isKnown(block.type);
  return typeof block.thinking === "string" && typeof block.signature === "string";
}
