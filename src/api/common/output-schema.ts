/** JSON schemas that an answer has to fit. */
import { invalidField, ProblemError } from "../../http/problems.ts";
import { isJsonObject, type Json, type JsonObject } from "../../shared/content.ts";
import { isLight } from "../../shared/json-text.ts";

const MAX_SCHEMA_BYTES = 64 * 1024;
const MAX_SCHEMA_DEPTH = 64;

const refuse = (field: string, message: string): ProblemError =>
  new ProblemError(invalidField(field, "value_error", message));

const TYPES = ["string", "number", "integer", "boolean", "object", "array", "null"];

/**
 * Rules whose breach makes the API refuse every request with this output format.
 *
 * @throws ProblemError 422
 */
export function checkSchema(schema: JsonObject, field: string): void {
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
