/** Turns what the context decided into the exact request to the Messages API. Pure. */
import type {
  BetaCacheControlEphemeral,
  BetaMessageParam,
  BetaToolChoice,
  BetaToolUnion,
  MessageCreateParamsStreaming,
} from "@anthropic-ai/sdk/resources/beta/messages/messages";
import type { CacheTtl, ModelFacts, ModelSettings } from "../shared/settings.ts";
import type { ServerTool, ToolChoice, ToolDefinition } from "../shared/tools.ts";
import { type ModelRules, rulesOf } from "./catalogue.ts";
import { type SettingNotice, settingsFor } from "./settings.ts";

/** A content block of a request: one of the model's, sent as received, or one of ours. */
export interface RequestBlock {
  readonly type: string;
}

export interface RequestMessage {
  readonly role: "user" | "assistant" | "system";
  readonly content: readonly RequestBlock[];
}

export interface RequestInput {
  /** Resolved id. */
  model: string;
  /** What the API said of a model that the catalogue does not have. */
  facts?: ModelFacts | null;
  system: string | null;
  tools: readonly (ToolDefinition | ServerTool | BetaToolUnion)[];
  toolChoice: ToolChoice;
  parallelToolCalls: boolean;
  messages: readonly RequestMessage[];
  maxTokens: number;
  /** Ordinals of the blocks that carry a cache breakpoint, counted over all messages from 0. */
  marks: readonly number[];
  ttl: CacheTtl;
  /** The API's machine for code execution to go on in. */
  container?: string | null;
  /** Asks for a summary of the conversation, and for no answer. */
  compaction?: { instructions: string | null };
  /** As they were asked for; what the model does not take is mapped or left out. */
  settings?: ModelSettings;
}

export interface ModelRequest {
  params: Omit<MessageCreateParamsStreaming, "betas">;
  /** Values of the `anthropic-beta` header. */
  betas: string[];
  notices: SettingNotice[];
}

/** The API refuses a request with more. */
const MAX_BREAKPOINTS = 4;

const COMPACT = "compact-2026-09-04";

/**
 * Builds the request. The same input gives the same bytes, and a longer conversation gives a
 * request that begins with the shorter one's, `cache_control` apart. Sampling parameters do not
 * exist here: the API rejects them.
 */
export function buildRequest(input: RequestInput): ModelRequest {
  const rules = rulesOf(input.model, input.facts);
  const mark: BetaCacheControlEphemeral =
    input.ttl === "1h" ? { type: "ephemeral", ttl: "1h" } : { type: "ephemeral" };
  const { choice, notices } = toolChoiceFor(rules, input);
  const applied = settingsFor(rules, input.settings ?? {}, {
    maxTokens: input.maxTokens,
    forced: choice?.type === "any" || choice?.type === "tool",
    citations: input.settings?.output_format !== undefined && input.messages.some(cites),
  });
  // The API renders tools before system. A mark behind each: sessions with the same tools share
  // what those take, whatever their prompts say.
  const markTools = input.tools.length > 0;
  const left = MAX_BREAKPOINTS - (input.system ? 1 : 0) - (markTools ? 1 : 0);
  return {
    params: {
      model: input.model,
      max_tokens: input.maxTokens,
      ...(input.system
        ? { system: [{ type: "text", text: input.system, cache_control: mark }] }
        : {}),
      ...(input.tools.length > 0 ? { tools: toolsFor(input.tools, markTools ? mark : null) } : {}),
      ...(choice ? { tool_choice: choice } : {}),
      ...applied.fields,
      ...(input.compaction ? { compaction: compactionFor(input.compaction) } : {}),
      ...(input.container ? { container: input.container } : {}),
      messages: markMessages(input.messages, input.marks, left, mark),
      stream: true,
    },
    betas: [...betasFor(input), ...applied.betas],
    notices: [...notices, ...applied.notices],
  };
}

/** A document with citations stands in the message, or in a tool's result there. */
function cites({ content }: { content: readonly RequestBlock[] }): boolean {
  return content.some((block) => {
    if ("citations" in block && block.type === "document") return isOn(block.citations);
    const results: unknown = block.type === "tool_result" && "content" in block && block.content;
    // What the session puts into a result are content blocks.
    return Array.isArray(results) && cites({ content: results as RequestBlock[] });
  });
}

const isOn = (citations: unknown): boolean =>
  typeof citations === "object" &&
  citations !== null &&
  "enabled" in citations &&
  citations.enabled === true;

function toolChoiceFor(
  rules: ModelRules,
  { tools, toolChoice, parallelToolCalls }: RequestInput,
): { choice: BetaToolChoice | null; notices: SettingNotice[] } {
  // The API refuses a tool_choice without tools.
  if (tools.length === 0) return { choice: null, notices: [] };
  if (toolChoice.type === "none") return { choice: toolChoice, notices: [] };
  const forced = toolChoice.type !== "auto";
  const refused = forced && !rules.forced_tool_choice;
  const choice: BetaToolChoice = refused ? { type: "auto" } : toolChoice;
  const notices: SettingNotice[] = refused
    ? [
        {
          code: "tool_choice_not_forced",
          message: `${rules.name} cannot be made to call a tool; tool_choice "${toolChoice.type}" was sent as "auto".`,
        },
      ]
    : [];
  if (!parallelToolCalls)
    return { choice: { ...choice, disable_parallel_tool_use: true }, notices };
  return { choice: choice.type === "auto" ? null : choice, notices };
}

function toolsFor(
  tools: RequestInput["tools"],
  mark: BetaCacheControlEphemeral | null,
): BetaToolUnion[] {
  const marked = tools.map((tool, i) =>
    mark && i === tools.length - 1 ? { ...tool, cache_control: mark } : tool,
  );
  // A client's schema was checked to be of type "object" when it was accepted; the SDK's type
  // wants that in the static type too.
  return marked as BetaToolUnion[];
}

/** Blocks that take `cache_control`. A type that is not here might be refused with it. */
const MARKABLE: ReadonlySet<string> = new Set([
  "text",
  "image",
  "document",
  "search_result",
  "tool_use",
  "tool_result",
  "server_tool_use",
  "web_search_tool_result",
  "web_fetch_tool_result",
  "code_execution_tool_result",
  "bash_code_execution_tool_result",
  "text_editor_code_execution_tool_result",
  "tool_search_tool_result",
  "mcp_tool_use",
  "mcp_tool_result",
  "container_upload",
  "compaction",
  "tool_addition",
  "tool_removal",
]);

/** Whether a block may carry a cache breakpoint: no thinking, no empty text. */
export function markable(block: RequestBlock): boolean {
  if (!MARKABLE.has(block.type)) return false;
  return !(block.type === "text" && "text" in block && block.text === "");
}

function markMessages(
  messages: readonly RequestMessage[],
  marks: readonly number[],
  left: number,
  mark: BetaCacheControlEphemeral,
): BetaMessageParam[] {
  const blocks = messages.flatMap(({ content }) => content);
  const places = marks.map((at) => blocks.findLastIndex((block, i) => i <= at && markable(block)));
  // Of too many marks the last ones are worth most: their prefixes contain the others'.
  const kept = new Set(
    [...new Set(places)]
      .filter((at) => at >= 0)
      .sort((a, b) => a - b)
      .slice(-left),
  );
  let ordinal = 0;
  const marked = messages.map(({ role, content }) => ({
    role,
    content: content.map((block) =>
      kept.has(ordinal++) ? { ...block, cache_control: mark } : block,
    ),
  }));
  // Blocks go back exactly as they came, also those that the SDK's types do not know.
  return marked as BetaMessageParam[];
}

const compactionFor = ({ instructions }: { instructions: string | null }) => ({
  type: "summarize" as const,
  ...(instructions ? { instructions } : {}),
});

/** The beta features that the messages use, and a compaction of them. */
function betasFor({ messages, compaction }: RequestInput): string[] {
  const betas = new Set<string>(compaction ? [COMPACT] : []);
  for (const { content } of messages) {
    for (const block of content) {
      if (block.type === "compaction") betas.add(COMPACT);
      if (block.type === "tool_addition" || block.type === "tool_removal") {
        betas.add("mid-conversation-tool-changes-2026-07-01");
        if (definesTool(block)) betas.add("inline-tools-2026-09-15");
      }
    }
  }
  return [...betas];
}

/** A tool change that brings the definition instead of naming a tool of the array. */
function definesTool(block: RequestBlock): boolean {
  const tool: unknown = "tool" in block ? block.tool : null;
  return (
    typeof tool === "object" && tool !== null && "type" in tool && tool.type === "tool_definition"
  );
}
