import type { Json, JsonObject, Problem } from "../wire.ts";
import { invalid, isObject, objectsAt, stringAt } from "../wire.ts";

const TYPES = ["string", "number", "integer", "boolean", "object", "array", "null"];

/** The input schema of a client tool. */
export function checkSchema(schema: Json, path: string, tool: JsonObject): Problem | undefined {
  if (!isObject(schema)) return invalid(`${path}: Input should be a valid dictionary`);
  if (schema.type === undefined) return invalid(`${path}.type: Field required`);
  if (schema.type !== "object") return invalid(`${path}.type: Input should be 'object'`);
  for (const key of ["oneOf", "allOf", "anyOf"]) {
    if (schema[key] !== undefined) {
      return invalid(
        `${path}: input_schema does not support oneOf, allOf, or anyOf at the top level`,
      );
    }
  }
  if (isObject(schema.properties)) {
    for (const key of Object.keys(schema.properties)) {
      if (!/^[a-zA-Z0-9_.-]{1,64}$/.test(key)) {
        return invalid(
          `${path}.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'`,
        );
      }
    }
  }
  if (!isSchema(schema)) {
    return invalid(
      `${path}: JSON schema is invalid. It must match JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12).`,
    );
  }
  if (tool.strict === true && !isClosed(schema)) {
    return invalid(
      `${path}: For 'object' type, 'additionalProperties' must be explicitly set to false`,
    );
  }
  return undefined;
}

/** The schema of `output_config.format`: closed objects throughout. */
export function checkOutputSchema(schema: Json, path: string): Problem | undefined {
  if (!isObject(schema) || !isSchema(schema)) {
    return invalid(`${path}: JSON schema is invalid. It must match JSON Schema draft 2020-12.`);
  }
  return isClosed(schema)
    ? undefined
    : invalid(`${path}: For 'object' type, 'additionalProperties' must be explicitly set to false`);
}

/** The keywords that a schema's meaning hangs on have values of the right kind. */
function isSchema(schema: Json): boolean {
  if (typeof schema === "boolean") return true;
  if (!isObject(schema)) return false;
  const { type, properties, required, items } = schema;
  const types = Array.isArray(type) ? type : type === undefined ? [] : [type];
  if (!types.every((name) => typeof name === "string" && TYPES.includes(name))) return false;
  if (required !== undefined && required !== null) {
    if (!Array.isArray(required)) return false;
    if (!required.every((name) => typeof name === "string")) return false;
    if (new Set(required).size !== required.length) return false;
  }
  if (schema.enum !== undefined && !Array.isArray(schema.enum)) return false;
  if (schema.description !== undefined && typeof schema.description !== "string") return false;
  if (properties !== undefined && properties !== null) {
    if (!isObject(properties) || !Object.values(properties).every(isSchema)) return false;
  }
  if (items !== undefined && !isSchema(items)) return false;
  return ["anyOf", "oneOf", "allOf"].every((key) => {
    const list = schema[key];
    return list === undefined || (Array.isArray(list) && list.length > 0 && list.every(isSchema));
  });
}

function isClosed(schema: JsonObject): boolean {
  const isObjectType = schema.type === "object" || isObject(schema.properties);
  if (isObjectType && schema.additionalProperties !== false) return false;
  return children(schema).every(isClosed);
}

/** Optional and union-typed parameters of a strict tool, at every depth. */
export function countStrict(schema: Json): { optionals: number; unions: number } {
  if (!isObject(schema)) return { optionals: 0, unions: 0 };
  const names = isObject(schema.properties) ? Object.keys(schema.properties) : [];
  const needed = Array.isArray(schema.required) ? schema.required : [];
  let optionals = names.filter((name) => !needed.includes(name)).length;
  let unions = Array.isArray(schema.type) || Array.isArray(schema.anyOf) ? 1 : 0;
  for (const child of children(schema)) {
    const counts = countStrict(child);
    optionals += counts.optionals;
    unions += counts.unions;
  }
  return { optionals, unions };
}

function children(schema: JsonObject): JsonObject[] {
  const properties = isObject(schema.properties) ? Object.values(schema.properties) : [];
  return [
    ...properties.filter(isObject),
    ...(isObject(schema.items) ? [schema.items] : []),
    ...["anyOf", "oneOf", "allOf"].flatMap((key) => objectsAt(schema, key)),
  ];
}

/** A small value that fits `schema`, for the friendly model's arguments and structured answers. */
export function exampleOf(schema: JsonObject, hint: string): Json {
  const choices = schema.enum;
  if (Array.isArray(choices) && choices[0] !== undefined) return choices[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.default !== undefined) return schema.default;
  const branch = objectsAt(schema, "anyOf")[0] ?? objectsAt(schema, "oneOf")[0];
  if (branch) return exampleOf(branch, hint);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case "integer":
    case "number":
      return typeof schema.minimum === "number" ? schema.minimum : 1;
    case "boolean":
      return true;
    case "null":
      return null;
    case "array":
      return isObject(schema.items) ? [exampleOf(schema.items, hint)] : [];
    case "object": {
      const properties = isObject(schema.properties) ? schema.properties : {};
      const entries = Object.entries(properties).map(([key, child]): [string, Json] => [
        key,
        isObject(child) ? exampleOf(child, hint) : null,
      ]);
      return Object.fromEntries(entries);
    }
    default:
      return stringAt(schema, "format") === "date" ? "2026-11-20" : hint;
  }
}
