/** `output_format`: in which form the answer is to be. */
import { isJsonObject, type Json, type JsonObject } from "../../shared/content.ts";
import type { OutputFormat } from "../../shared/settings.ts";
import { checkSchema } from "../common/output-schema.ts";

export interface Form {
  format?: OutputFormat;
  /** What the model is told instead, where the form is no schema. */
  instruction?: string;
}

const AS_JSON =
  "Answer with one JSON value and nothing else: no words before or behind it, and no code fence.";

/**
 * The form that is asked for. The original hands any object to its program, which knows schemas only,
 * so what is none of these is no error.
 *
 * @throws ProblemError 422
 */
export function formOf(asked: JsonObject | null | undefined): Form {
  switch (asked?.type) {
    case "json":
    case "json_object":
      return { instruction: AS_JSON };
    case "text":
      return { format: { type: "text" } };
    case "json_schema": {
      if (!isJsonObject(asked.schema)) return {};
      const schema = closed(asked.schema, 0);
      checkSchema(schema, "body -> output_format -> schema");
      return { format: { type: "json_schema", schema } };
    }
    default:
      return {};
  }
}

/** Deeper is refused afterwards. */
const MAX_DEPTH = 100;
const NAMED = ["properties", "$defs", "definitions"];
const LISTED = ["anyOf", "oneOf", "allOf"];

/** The API takes only objects that are said to be closed, which most programs do not say. */
function closed(schema: JsonObject, depth: number): JsonObject {
  if (depth > MAX_DEPTH) return schema;
  const part = (value: Json): Json => (isJsonObject(value) ? closed(value, depth + 1) : value);
  const isObject = schema.type === "object" || isJsonObject(schema.properties);
  const entries = Object.entries(schema).map(([name, value]): [string, Json] => {
    if (NAMED.includes(name) && isJsonObject(value)) {
      return [name, Object.fromEntries(Object.entries(value).map(([k, v]) => [k, part(v)]))];
    }
    if (LISTED.includes(name) && Array.isArray(value)) return [name, value.map(part)];
    return [name, name === "items" ? part(value) : value];
  });
  const open = isObject && !Object.hasOwn(schema, "additionalProperties");
  return Object.fromEntries(open ? [...entries, ["additionalProperties", false]] : entries);
}
