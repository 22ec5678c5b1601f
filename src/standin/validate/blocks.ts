import type { ApiVersion, Json, JsonObject, Problem, Role } from "../wire.ts";
import { invalid, isObject } from "../wire.ts";
import { checkMedia } from "./media.ts";
import type { Check, Shape } from "./shape.ts";
import {
  among,
  anything,
  checkFields,
  dictionary,
  either,
  firstProblem,
  flag,
  listOf,
  matching,
  nullable,
  optional,
  required,
  shaped,
  sized,
  text,
} from "./shape.ts";

export interface BlockContext {
  readonly version: ApiVersion;
  readonly betas: ReadonlySet<string>;
}

interface BlockKind {
  readonly roles: readonly Role[];
  readonly shape: Shape;
  /** One of these beta headers must be sent. */
  readonly betas?: readonly string[];
}

export const cacheControl = optional(
  nullable(
    shaped({ type: required(among("ephemeral")), ttl: optional(nullable(among("5m", "1h"))) }),
  ),
);

const type = required(text);
const toolUseId = required(matching(/^[a-zA-Z0-9_-]+$/));
const serverToolUseId = required(matching(/^srvtoolu_[a-zA-Z0-9_]+$/));
const citationsConfig = optional(nullable(shaped({ enabled: optional(flag) })));
const caller = optional(
  shaped({
    type: required(among("direct", "code_execution_20250825", "code_execution_20260120")),
    tool_id: optional(text),
  }),
);

const TEXT: Shape = {
  type,
  text: required(text),
  citations: optional(nullable(listOf(dictionary))),
  cache_control: cacheControl,
};
const IMAGE: Shape = {
  type,
  source: required(dictionary),
  transformations: optional(nullable(dictionary)),
  cache_control: cacheControl,
};
const DOCUMENT: Shape = {
  type,
  source: required(dictionary),
  title: optional(nullable(text)),
  context: optional(nullable(text)),
  citations: citationsConfig,
  cache_control: cacheControl,
};
const SEARCH_RESULT: Shape = {
  type,
  source: required(text),
  title: required(text),
  content: required(listOf(dictionary)),
  citations: citationsConfig,
  cache_control: cacheControl,
};
const TOOL_REFERENCE: Shape = { type, tool_name: required(text), cache_control: cacheControl };
const SERVER_RESULT: Shape = {
  type,
  tool_use_id: serverToolUseId,
  content: required(anything),
  caller,
  cache_control: cacheControl,
};

/** What a `tool_result` may hold. */
const RESULT_CONTENT: Readonly<Record<string, Shape>> = {
  text: TEXT,
  image: IMAGE,
  document: DOCUMENT,
  search_result: SEARCH_RESULT,
  tool_reference: TOOL_REFERENCE,
};

const TOOL_CHANGES = ["mid-conversation-tool-changes-2026-07-01", "inline-tools-2026-09-15"];
const COMPACTIONS = ["compact-2026-09-04", "compact-2026-01-12"];
const MCP = ["mcp-client-2025-11-20", "mcp-client-2026-09-15"];

const KINDS: Readonly<Record<string, BlockKind>> = {
  text: { roles: ["user", "assistant", "system"], shape: TEXT },
  image: { roles: ["user"], shape: IMAGE },
  document: { roles: ["user", "assistant"], shape: DOCUMENT },
  search_result: { roles: ["user"], shape: SEARCH_RESULT },
  container_upload: {
    roles: ["user"],
    shape: { type, file_id: required(text), cache_control: cacheControl },
  },
  tool_result: {
    roles: ["user"],
    shape: {
      type,
      tool_use_id: toolUseId,
      content: optional(either(text, listOf(dictionary))),
      is_error: optional(flag),
      toolset_name: optional(nullable(text)),
      cache_control: cacheControl,
    },
  },
  thinking: {
    roles: ["assistant"],
    shape: { type, thinking: required(text), signature: required(text) },
  },
  redacted_thinking: { roles: ["assistant"], shape: { type, data: required(text) } },
  tool_use: {
    roles: ["assistant"],
    shape: {
      type,
      id: toolUseId,
      name: required(sized(1, 200)),
      input: required(dictionary),
      caller,
      toolset_name: optional(nullable(text)),
      cache_control: cacheControl,
    },
  },
  server_tool_use: {
    roles: ["assistant"],
    shape: {
      type,
      id: serverToolUseId,
      name: required(
        among(
          "web_search",
          "web_fetch",
          "code_execution",
          "bash_code_execution",
          "text_editor_code_execution",
          "tool_search_tool_regex",
          "tool_search_tool_bm25",
        ),
      ),
      input: required(dictionary),
      caller,
      cache_control: cacheControl,
    },
  },
  web_search_tool_result: { roles: ["assistant"], shape: SERVER_RESULT },
  web_fetch_tool_result: { roles: ["assistant"], shape: SERVER_RESULT },
  code_execution_tool_result: { roles: ["assistant"], shape: SERVER_RESULT },
  bash_code_execution_tool_result: { roles: ["assistant"], shape: SERVER_RESULT },
  text_editor_code_execution_tool_result: { roles: ["assistant"], shape: SERVER_RESULT },
  tool_search_tool_result: { roles: ["assistant"], shape: SERVER_RESULT },
  mcp_tool_use: {
    roles: ["assistant"],
    betas: MCP,
    shape: {
      type,
      id: required(matching(/^mcptoolu_[a-zA-Z0-9_]+$/)),
      name: required(text),
      server_name: required(text),
      input: required(dictionary),
      cache_control: cacheControl,
    },
  },
  mcp_tool_result: {
    roles: ["assistant"],
    betas: MCP,
    shape: {
      type,
      tool_use_id: required(matching(/^mcptoolu_[a-zA-Z0-9_]+$/)),
      content: optional(either(text, listOf(dictionary))),
      is_error: optional(flag),
      cache_control: cacheControl,
    },
  },
  compaction: {
    // A block in a message of another role is answered by the rules of compaction.
    roles: ["assistant", "user", "system"],
    betas: COMPACTIONS,
    shape: {
      type,
      content: optional(nullable(sized(1, Number.MAX_SAFE_INTEGER))),
      encrypted_content: optional(nullable(text)),
      signature: optional(nullable(text)),
      tool_changes: optional(nullable(listOf(dictionary))),
      cache_control: cacheControl,
    },
  },
  tool_addition: {
    roles: ["system"],
    betas: TOOL_CHANGES,
    shape: { type, tool: required(dictionary), cache_control: cacheControl },
  },
  tool_removal: {
    roles: ["system"],
    betas: TOOL_CHANGES,
    shape: { type, tool: required(dictionary), cache_control: cacheControl },
  },
};

/** The block's own shape, its place (role), and the media inside it. */
export function checkBlock(
  block: Json,
  role: Role,
  path: string,
  context: BlockContext,
): Problem | undefined {
  if (!isObject(block)) return invalid(`${path}: Input should be a valid dictionary`);
  const tag = block.type;
  if (tag === undefined) return invalid(`${path}.type: Field required`);
  const kind = typeof tag === "string" && Object.hasOwn(KINDS, tag) ? KINDS[tag] : undefined;
  if (!kind || (kind.betas && !kind.betas.some((beta) => context.betas.has(beta)))) {
    return invalid(
      `${path}: Input tag '${String(tag)}' found using 'type' does not match any of the expected tags: ${Object.keys(
        KINDS,
      )
        .map((name) => `'${name}'`)
        .join(", ")}`,
    );
  }
  if (!kind.roles.includes(role)) {
    return invalid(
      `${path}: \`${String(tag)}\` blocks can only be in ${kind.roles.map((name) => `\`${name}\``).join(" or ")} messages`,
    );
  }
  if (tag === "document" && role === "assistant" && context.version === "2026-10-21") {
    return invalid(`${path}: \`document\` blocks are not supported in \`assistant\` messages`);
  }
  const at = `${path}.${String(tag)}`;
  return (
    checkFields(block, at, kind.shape) ??
    checkText(block, at) ??
    checkMedia(block, at) ??
    (tag === "text" && role === "user" ? checkUserText(block, at, context.version) : undefined) ??
    (tag === "tool_result" ? checkToolResult(block, at) : undefined)
  );
}

/** Text blocks hold something to read. */
function checkText(block: JsonObject, path: string): Problem | undefined {
  if (block.type !== "text" || typeof block.text !== "string") return undefined;
  if (block.text === "") {
    return block.cache_control
      ? invalid(`${path}: cache_control cannot be set for empty text blocks`)
      : invalid(`${path}: text content blocks must be non-empty`);
  }
  return block.text.trim() === ""
    ? invalid(`${path}: text content blocks must contain non-whitespace text`)
    : undefined;
}

function checkUserText(block: JsonObject, path: string, version: ApiVersion): Problem | undefined {
  const cited = Array.isArray(block.citations) && block.citations.length > 0;
  return cited && version === "2026-10-21"
    ? invalid(`${path}.citations: citations are not permitted on text in \`user\` messages`)
    : undefined;
}

function checkToolResult(block: JsonObject, path: string): Problem | undefined {
  if (!Array.isArray(block.content)) return undefined;
  return firstProblem(block.content, (item, i) => {
    const at = `${path}.content.${i}`;
    if (!isObject(item)) return invalid(`${at}: Input should be a valid dictionary`);
    const tag = typeof item.type === "string" ? item.type : "";
    const shape = Object.hasOwn(RESULT_CONTENT, tag) ? RESULT_CONTENT[tag] : undefined;
    if (!shape) {
      return invalid(
        `${at}: Input tag '${tag}' found using 'type' does not match any of the expected tags: ${Object.keys(
          RESULT_CONTENT,
        )
          .map((name) => `'${name}'`)
          .join(", ")}`,
      );
    }
    if (block.is_error === true && tag !== "text") {
      return invalid(`${path}: all content must be type "text" if \`is_error\` is true`);
    }
    const inner = `${at}.${tag}`;
    return checkFields(item, inner, shape) ?? checkText(item, inner) ?? checkMedia(item, inner);
  });
}

/** Blocks of the top-level `system` parameter: text only. */
export const systemBlock: Check = (block, path) => {
  if (!isObject(block)) return invalid(`${path}: Input should be a valid dictionary`);
  if (block.type !== "text") return invalid(`${path}.type: Input should be 'text'`);
  return checkFields(block, path, TEXT) ?? checkText(block, path);
};
