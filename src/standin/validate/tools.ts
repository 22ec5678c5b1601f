import type { Json, JsonObject, Problem } from "../wire.ts";
import { invalid, isObject, stringAt } from "../wire.ts";
import { cacheControl } from "./blocks.ts";
import { checkSchema, countStrict } from "./json-schema.ts";
import type { Check, Shape } from "./shape.ts";
import {
  among,
  checkFields,
  dictionary,
  firstProblem,
  flag,
  listOf,
  matching,
  nullable,
  optional,
  required,
  text,
  whole,
} from "./shape.ts";

const MAX_STRICT_TOOLS = 20;
const MAX_STRICT_OPTIONAL = 24;
const MAX_STRICT_UNIONS = 16;

const callers = among(
  "direct",
  "code_execution_20250825",
  "code_execution_20260120",
  "code_execution_20260521",
);

/** Fields that every tool of every kind may carry. */
const COMMON: Shape = {
  cache_control: cacheControl,
  defer_loading: optional(flag),
  allowed_callers: optional(listOf(callers)),
  strict: optional(flag),
};

const CUSTOM: Shape = {
  ...COMMON,
  type: optional(nullable(among("custom"))),
  name: required(matching(/^[a-zA-Z0-9_-]{1,128}$/)),
  description: optional(text),
  input_schema: required(dictionary),
  input_examples: optional(listOf(dictionary)),
  eager_input_streaming: optional(nullable(flag)),
};

const WEB: Shape = {
  ...COMMON,
  max_uses: optional(nullable(whole(1))),
  allowed_domains: optional(nullable(listOf(text))),
  blocked_domains: optional(nullable(listOf(text))),
  response_inclusion: optional(nullable(text)),
};

interface Typed {
  readonly name: string;
  readonly shape: Shape;
}

const EXAMPLES: Shape = { ...COMMON, input_examples: optional(listOf(dictionary)) };
const SEARCH: Typed = {
  name: "web_search",
  shape: { ...WEB, user_location: optional(nullable(dictionary)) },
};
const FETCH: Typed = {
  name: "web_fetch",
  shape: {
    ...WEB,
    citations: optional(nullable(dictionary)),
    max_content_tokens: optional(nullable(whole(1))),
    use_cache: optional(nullable(flag)),
    url_sources: optional(nullable(dictionary)),
  },
};
const CODE: Typed = { name: "code_execution", shape: COMMON };
const EDITOR: Typed = {
  name: "str_replace_based_edit_tool",
  shape: { ...EXAMPLES, max_characters: optional(nullable(whole(1))) },
};

/** Tools that the API defines: the type fixes the name. */
const TYPED: Readonly<Record<string, Typed>> = {
  bash_20250124: { name: "bash", shape: EXAMPLES },
  text_editor_20250124: { name: "str_replace_editor", shape: EXAMPLES },
  text_editor_20250429: EDITOR,
  text_editor_20250728: EDITOR,
  memory_20250818: { name: "memory", shape: EXAMPLES },
  web_search_20250305: SEARCH,
  web_search_20260209: SEARCH,
  web_search_20260318: SEARCH,
  web_fetch_20250910: FETCH,
  web_fetch_20260209: FETCH,
  web_fetch_20260309: FETCH,
  web_fetch_20260318: FETCH,
  code_execution_20250522: CODE,
  code_execution_20250825: CODE,
  code_execution_20260120: CODE,
  code_execution_20260521: CODE,
  tool_search_tool_bm25_20251119: { name: "tool_search_tool_bm25", shape: COMMON },
  tool_search_tool_regex_20251119: { name: "tool_search_tool_regex", shape: COMMON },
};

/** One tool definition, in the `tools` parameter or inside a `tool_addition`. */
export const toolDefinition: Check = (tool, path) => {
  if (!isObject(tool)) return invalid(`${path}: Input should be a valid dictionary`);
  const tag = tool.type ?? "custom";
  const own = tag === "custom";
  const typed = typeof tag === "string" && Object.hasOwn(TYPED, tag) ? TYPED[tag] : undefined;
  if (!own && !typed) {
    return invalid(
      `${path}: Input tag '${String(tag)}' found using 'type' does not match any of the expected tags: 'custom', ${Object.keys(
        TYPED,
      )
        .map((name) => `'${name}'`)
        .join(", ")}`,
    );
  }
  const at = `${path}.${String(tag)}`;
  const shape: Shape = typed
    ? { ...typed.shape, type: required(text), name: required(among(typed.name)) }
    : CUSTOM;
  return (
    checkFields(tool, at, shape) ??
    (tool.defer_loading === true && tool.cache_control
      ? invalid(
          `${at}: Tool '${stringAt(tool, "name")}' cannot have both defer_loading=true and cache_control set. Tools with defer_loading cannot use prompt caching.`,
        )
      : undefined) ??
    (Array.isArray(tool.allowed_domains) && Array.isArray(tool.blocked_domains)
      ? invalid(`${at}: only one of allowed_domains and blocked_domains may be set`)
      : undefined) ??
    (own ? checkSchema(tool.input_schema ?? null, `${at}.input_schema`, tool) : undefined)
  );
};

/** The `tools` array as a whole. */
export function checkTools(tools: readonly Json[]): Problem | undefined {
  const problem = firstProblem(tools, (tool, i) => toolDefinition(tool, `tools.${i}`));
  if (problem) return problem;
  const defined = tools.filter(isObject);
  const names = new Set<string>();
  for (const tool of defined) {
    const name = stringAt(tool, "name");
    if (names.has(name)) return invalid("tools: Tool names must be unique.");
    names.add(name);
  }
  if (defined.length > 0 && defined.every((tool) => tool.defer_loading === true)) {
    return invalid("At least one tool must have defer_loading=false.");
  }
  return checkStrictLimits(defined);
}

/** The compiled grammar of all strict tools together is bounded. */
function checkStrictLimits(tools: readonly JsonObject[]): Problem | undefined {
  const strict = tools.filter((tool) => tool.strict === true);
  if (strict.length > MAX_STRICT_TOOLS) {
    return invalid(
      `tools: Too many strict tools (${strict.length}). The maximum number of strict tools supported is ${MAX_STRICT_TOOLS}.`,
    );
  }
  let optionals = 0;
  let unions = 0;
  for (const tool of strict) {
    const counts = countStrict(tool.input_schema ?? null);
    optionals += counts.optionals;
    unions += counts.unions;
  }
  if (optionals > MAX_STRICT_OPTIONAL) {
    return invalid(
      `tools: Schemas contain too many optional parameters (${optionals}), which would make grammar compilation inefficient. Reduce the number of optional parameters in your strict tools (limit: ${MAX_STRICT_OPTIONAL}).`,
    );
  }
  return unions > MAX_STRICT_UNIONS
    ? invalid(
        `tools: Schemas contain too many parameters with union types (${unions} parameters with type arrays or anyOf), limit: ${MAX_STRICT_UNIONS}.`,
      )
    : undefined;
}

export function isClientTool(tool: JsonObject): boolean {
  const type = stringAt(tool, "type");
  return !/^(web_search|web_fetch|code_execution|tool_search)/.test(type);
}
