/** Tools and `tool_choice` as clients write them, made into the form the Messages API takes. */
import * as v from "valibot";
import { canonicalJson, sha256Hex } from "../../http/canonical.ts";
import { invalidField, ProblemError } from "../../http/problems.ts";
import { jsonObject, parse } from "../../http/validate.ts";
import type { Json, JsonObject } from "../../shared/content.ts";
import { isLight } from "../../shared/json-text.ts";
import type { ToolChoice, ToolDefinition, Toolset } from "../../shared/tools.ts";

const MAX_TOOLS = 256;
const MAX_TOOL_BYTES = 128 * 1024;
/** So much of a definition's hash tells it from another one of the same name. */
const HASH_DIGITS = 16;

const Name = v.pipe(
  v.string(),
  v.regex(/^[a-zA-Z0-9_-]{1,128}$/),
  // Tools are kept by name, and no object can have a member of this one.
  v.notValue("__proto__", "This name is reserved"),
);

/** `{type: "function", function: {…}}`, as OpenAI clients send it. */
export const FunctionTool = v.object({
  type: v.literal("function"),
  function: v.object({
    name: Name,
    description: v.nullish(v.string()),
    parameters: v.nullish(jsonObject),
    strict: v.nullish(v.boolean()),
    eager_input_streaming: v.nullish(v.boolean()),
  }),
  eager_input_streaming: v.nullish(v.boolean()),
});

/** A tool of the Messages API. Its other types are tools that the API itself defines. */
export const PlainTool = v.object({
  type: v.nullish(v.literal("custom")),
  name: Name,
  description: v.nullish(v.string()),
  input_schema: v.nullish(jsonObject),
  strict: v.nullish(v.boolean()),
  eager_input_streaming: v.nullish(v.boolean()),
});

const isFunctionTool = (tool: unknown): boolean =>
  typeof tool === "object" && tool !== null && "type" in tool && tool.type === "function";

const Tool = v.lazy((tool: unknown) => (isFunctionTool(tool) ? FunctionTool : PlainTool));

export const ToolList = v.pipe(v.array(Tool), v.maxLength(MAX_TOOLS));

type WireTool = v.InferOutput<typeof Tool>;

const refuse = (field: string, message: string): ProblemError =>
  new ProblemError(invalidField(field, "value_error", message));

/**
 * The toolset of `tools`; `{tools: {}}` for none.
 *
 * @param field the name of the field that holds them
 * @throws ProblemError 422
 */
export async function decodeTools(tools: readonly WireTool[], field: string): Promise<Toolset> {
  const list = tools.map((tool, i) => definition(tool, `${field} -> ${i}`));
  const hashes: Record<string, string> = {};
  for (const [i, tool] of list.entries()) {
    const place = `${field} -> ${i}`;
    if (Object.hasOwn(hashes, tool.name)) {
      throw refuse(place, "Another tool has this name");
    }
    // A definition is JSON by construction; its interface has no index signature.
    const text = isLight(tool, MAX_TOOL_BYTES)
      ? canonicalJson(tool as unknown as JsonObject)
      : null;
    if (text === null || new TextEncoder().encode(text).length > MAX_TOOL_BYTES) {
      throw refuse(place, `A tool may have at most ${MAX_TOOL_BYTES} bytes as JSON`);
    }
    hashes[tool.name] = (await sha256Hex(text)).slice(0, HASH_DIGITS);
  }
  return list.length > 0 ? { tools: hashes, list } : { tools: {} };
}

/** In one order of members, so that the same tools sent again are the same bytes. */
function definition(tool: WireTool, place: string): ToolDefinition {
  const isFunction = "function" in tool;
  const { name, description, strict, eager_input_streaming } = isFunction ? tool.function : tool;
  const given = isFunction ? tool.function.parameters : tool.input_schema;
  const schemaField = isFunction ? "function -> parameters" : "input_schema";
  const eager = eager_input_streaming ?? tool.eager_input_streaming;
  return {
    name,
    ...(description ? { description } : {}),
    input_schema: inputSchema(given ?? {}, `${place} -> ${schemaField}`),
    ...(strict ? { strict } : {}),
    ...(eager ? { eager_input_streaming: eager } : {}),
  };
}

/** Rules whose breach makes the API refuse every request that carries the tool. */
function inputSchema(schema: JsonObject, field: string): JsonObject {
  if (Object.keys(schema).length === 0) return { type: "object", properties: {} };
  if (schema.type !== "object") throw refuse(`${field} -> type`, 'Input should be "object"');
  for (const keyword of ["oneOf", "anyOf", "allOf"]) {
    if (Object.hasOwn(schema, keyword)) {
      throw refuse(`${field} -> ${keyword}`, "This is not allowed at the top of a tool's schema");
    }
  }
  const { properties } = schema;
  if (properties === undefined || properties === null) return schema;
  if (typeof properties !== "object" || Array.isArray(properties)) {
    throw refuse(`${field} -> properties`, "Input should be a valid dictionary");
  }
  if (!Object.keys(properties).every((key) => /^[a-zA-Z0-9_.-]{1,64}$/.test(key))) {
    const rule = "A property's name must be 1 to 64 letters, digits, `_`, `.` or `-`";
    throw refuse(`${field} -> properties`, rule);
  }
  return schema;
}

const Parallel = { disable_parallel_tool_use: v.nullish(v.boolean()) };

const ChoiceObject = v.variant("type", [
  v.object({ type: v.literal("auto"), ...Parallel }),
  v.object({ type: v.literal("any"), ...Parallel }),
  v.object({ type: v.literal("none") }),
  v.object({ type: v.literal("tool"), name: v.string(), ...Parallel }),
  v.object({ type: v.literal("function"), function: v.object({ name: v.string() }) }),
]);

export const Choice = v.union([v.string(), ChoiceObject]);

export interface DecodedChoice {
  choice: ToolChoice;
  /** Null where `tool_choice` does not say it. */
  parallel: boolean | null;
}

/** `tool_choice` in any of its forms; null when it is not given. */
export function decodeChoice(value: Json | undefined): DecodedChoice | null {
  if (value === undefined || value === null) return null;
  const choice = parse(v.object({ tool_choice: Choice }), { tool_choice: value }).tool_choice;
  if (typeof choice === "string") return { choice: choiceOfWord(choice), parallel: null };
  switch (choice.type) {
    case "none":
      return { choice: { type: "none" }, parallel: null };
    case "function":
      return { choice: { type: "tool", name: choice.function.name }, parallel: null };
    case "tool":
      return { choice: { type: "tool", name: choice.name }, parallel: parallelOf(choice) };
    default:
      return { choice: { type: choice.type }, parallel: parallelOf(choice) };
  }
}

const parallelOf = (choice: { disable_parallel_tool_use?: boolean | null | undefined }) =>
  choice.disable_parallel_tool_use === true ? false : null;

function choiceOfWord(word: string): ToolChoice {
  if (word === "auto" || word === "none") return { type: word };
  if (word === "any" || word === "required") return { type: "any" };
  return { type: "tool", name: word };
}

/**
 * A choice has to be possible with the tools that the request brings. Without any the tools are
 * the session's or the turn's, which are not known here.
 *
 * @throws ProblemError 422
 */
export function checkChoice(choice: ToolChoice, toolset: Toolset | null): void {
  if (!toolset) return;
  const names = Object.keys(toolset.tools);
  if (choice.type === "any" && names.length === 0) {
    throw refuse("body -> tool_choice", "A tool cannot be required when there are no tools");
  }
  if (choice.type === "tool" && !names.includes(choice.name)) {
    throw refuse(
      "body -> tool_choice",
      'Input should be "auto", "none", "required", "any" or the name of one of the tools',
    );
  }
}
