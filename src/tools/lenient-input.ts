/**
 * The input of a call as its schema means it. Models now and then send a number or a list as a text,
 * or an empty text for what they leave out; the meaning is plain, so the call is not sent back. Pure.
 */
import type { Json, JsonObject } from "../shared/content.ts";

/** The input with such values as the schema has them; all else is left to the tool's own check. */
export function lenient(schema: Json | undefined, input: unknown): unknown {
  if (!isObject(schema)) return input;
  switch (schema.type) {
    case "integer":
      return typeof input === "string" && /^\s*-?\d{1,15}\s*$/.test(input) ? Number(input) : input;
    case "boolean":
      if (typeof input !== "string") return input;
      return (
        ({ true: true, false: false } as Record<string, boolean>)[input.toLowerCase()] ?? input
      );
    case "array": {
      const list = typeof input === "string" ? listIn(input) : input;
      return Array.isArray(list) ? list.map((one) => lenient(schema.items, one)) : list;
    }
    case "object":
      return isObject(input) ? fields(schema, input) : input;
    default:
      return input;
  }
}

function fields({ properties, required }: JsonObject, input: JsonObject): JsonObject {
  const needed = new Set(Array.isArray(required) ? required : []);
  const known = isObject(properties) ? properties : {};
  return Object.fromEntries(
    Object.entries(input)
      .filter(([name, value]) => value !== "" || needed.has(name))
      .map(([name, value]) => [name, lenient(known[name], value) as Json]),
  );
}

function listIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
