/** How the model is to answer, as clients ask for it. Null is as if it were left out. */
import * as v from "valibot";
import { invalidField, ProblemError } from "../../http/problems.ts";
import { jsonObject } from "../../http/validate.ts";
import { isJsonObject, type Json, type JsonObject } from "../../shared/content.ts";
import { isLight } from "../../shared/json-text.ts";
import {
  EFFORTS,
  type ModelSettings,
  type SettingsChange,
  type ThinkingSetting,
} from "../../shared/settings.ts";

/** The API's own least. */
const LEAST_BUDGET = 1_024;
const MOST_BUDGET = 1_000_000;
const MAX_STOP_SEQUENCES = 16;
const MAX_STOP_SEQUENCE = 256;
const MAX_USER_ID = 256;
const MAX_SCHEMA_BYTES = 64 * 1024;
const MAX_SCHEMA_DEPTH = 64;

const Display = v.nullish(v.picklist(["summarized", "omitted"]));

const Thinking = v.variant("type", [
  v.object({ type: v.literal("adaptive"), display: Display }),
  v.object({ type: v.literal("between_tools"), display: Display }),
  v.object({ type: v.literal("disabled"), display: Display }),
  v.object({
    type: v.literal("enabled"),
    budget_tokens: v.pipe(
      v.number(),
      v.integer(),
      v.minValue(LEAST_BUDGET),
      v.maxValue(MOST_BUDGET),
    ),
    display: Display,
  }),
]);

const Format = v.variant("type", [
  v.object({ type: v.literal("json_schema"), schema: jsonObject }),
  v.object({ type: v.literal("text") }),
]);

const StopSequence = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(MAX_STOP_SEQUENCE),
  v.check((text) => text.trim() !== "", "The API takes no stop sequence of white space only"),
);

export const CacheTtlField = v.picklist(["5m", "1h"]);

/** Fields of a session and of a turn. */
export const SETTINGS = {
  thinking: v.nullish(Thinking),
  effort: v.nullish(v.picklist(EFFORTS)),
  output_format: v.nullish(Format),
  stop_sequences: v.nullish(v.pipe(v.array(StopSequence), v.maxLength(MAX_STOP_SEQUENCES))),
  service_tier: v.nullish(v.picklist(["auto", "standard_only"])),
  speed: v.nullish(v.picklist(["standard", "fast"])),
  user_id: v.nullish(v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_USER_ID))),
};

const Settings = v.object(SETTINGS);
type Asked = v.InferOutput<typeof Settings>;

/**
 * The settings that were given; null for none.
 *
 * @throws ProblemError 422
 */
export function decodeSettings(asked: Asked): ModelSettings | null {
  const entries = Object.entries(changeOf(asked) ?? {}).filter(([, value]) => value !== null);
  // Without its nulls a change is settings.
  return entries.length > 0 ? (Object.fromEntries(entries) as ModelSettings) : null;
}

/**
 * The same for a change, in which null takes a setting back to its default.
 *
 * @throws ProblemError 422
 */
export function changeOf(asked: Asked): SettingsChange | null {
  const { thinking, effort, output_format, stop_sequences, service_tier, speed, user_id } = asked;
  if (output_format?.type === "json_schema") {
    checkSchema(output_format.schema, "body -> output_format -> schema");
  }
  const change: SettingsChange = {
    ...(thinking === undefined ? {} : { thinking: thinking && thinkingOf(thinking) }),
    ...(effort === undefined ? {} : { effort }),
    ...(output_format === undefined ? {} : { output_format }),
    ...(stop_sequences === undefined ? {} : { stop_sequences }),
    ...(service_tier === undefined ? {} : { service_tier }),
    ...(speed === undefined ? {} : { speed }),
    ...(user_id === undefined ? {} : { user_id }),
  };
  return Object.keys(change).length > 0 ? change : null;
}

/** Without the fields that were given as null. */
function thinkingOf(asked: NonNullable<Asked["thinking"]>): ThinkingSetting {
  const { type, display } = asked;
  return {
    type,
    ...("budget_tokens" in asked ? { budget_tokens: asked.budget_tokens } : {}),
    ...(display ? { display } : {}),
  };
}

const refuse = (field: string, message: string): ProblemError =>
  new ProblemError(invalidField(field, "value_error", message));

const TYPES = ["string", "number", "integer", "boolean", "object", "array", "null"];

/** Rules whose breach makes the API refuse every request with this output format. */
function checkSchema(schema: JsonObject, field: string): void {
  const light = isLight(schema, MAX_SCHEMA_BYTES);
  if (!light || new TextEncoder().encode(JSON.stringify(schema)).length > MAX_SCHEMA_BYTES) {
    throw refuse(field, `The schema may have at most ${MAX_SCHEMA_BYTES} bytes as JSON`);
  }
  if (Object.keys(schema).length === 0) throw refuse(field, "The schema says nothing");
  checkPart(schema, field, 0);
}

function checkPart(schema: Json, field: string, depth: number): void {
  if (depth > MAX_SCHEMA_DEPTH) throw refuse(field, "The schema is nested too deeply");
  if (typeof schema === "boolean") return;
  if (!isJsonObject(schema)) throw refuse(field, "Input should be a JSON schema");
  const { type, properties, required } = schema;
  const types = Array.isArray(type) ? type : type === undefined ? [] : [type];
  if (!types.every((name) => typeof name === "string" && TYPES.includes(name))) {
    throw refuse(`${field} -> type`, `Input should be one of ${TYPES.join(", ")}`);
  }
  if (
    (types.includes("object") || isJsonObject(properties)) &&
    schema.additionalProperties !== false
  ) {
    throw refuse(
      `${field} -> additionalProperties`,
      "The API takes only closed objects: set additionalProperties to false",
    );
  }
  if (required !== undefined && !isListOfNames(required)) {
    throw refuse(`${field} -> required`, "Input should be a list of different names");
  }
  if (schema.enum !== undefined && !Array.isArray(schema.enum)) {
    throw refuse(`${field} -> enum`, "Input should be a valid list");
  }
  if (schema.description !== undefined && typeof schema.description !== "string") {
    throw refuse(`${field} -> description`, "Input should be a valid string");
  }
  for (const keyword of ["properties", "$defs", "definitions"]) {
    const parts = schema[keyword];
    if (parts === undefined) continue;
    if (!isJsonObject(parts))
      throw refuse(`${field} -> ${keyword}`, "Input should be a valid dictionary");
    for (const [name, part] of Object.entries(parts)) {
      checkPart(part, `${field} -> ${keyword} -> ${name.slice(0, 100)}`, depth + 1);
    }
  }
  if (schema.items !== undefined) checkPart(schema.items, `${field} -> items`, depth + 1);
  for (const keyword of ["anyOf", "oneOf", "allOf"]) {
    const parts = schema[keyword];
    if (parts === undefined) continue;
    if (!Array.isArray(parts) || parts.length === 0) {
      throw refuse(`${field} -> ${keyword}`, "Input should be a list of schemas");
    }
    for (const [i, part] of parts.entries()) {
      checkPart(part, `${field} -> ${keyword} -> ${i}`, depth + 1);
    }
  }
}

const isListOfNames = (value: Json): boolean =>
  Array.isArray(value) &&
  value.every((name) => typeof name === "string") &&
  new Set(value).size === value.length;
