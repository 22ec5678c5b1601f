import type { Json } from "./content.ts";
import { LongText } from "./long-text.ts";

/**
 * `value` with lone surrogates replaced by U+FFFD, in names and strings alike. What needs no
 * change is not copied. A lone surrogate survives JSON, and the model's API refuses every request
 * that carries one; so it must not get into a transcript.
 */
export function wellFormed(value: Json): Json {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) {
    const items = value.map(wellFormed);
    return items.some((item, i) => item !== value[i]) ? items : value;
  }
  // A `LongText` is well-formed.
  if (typeof value === "object" && value !== null && !(value instanceof LongText)) {
    const before = Object.entries(value);
    const after = before.map(([key, item]): [string, Json] => [
      key.toWellFormed(),
      wellFormed(item),
    ]);
    const same = after.every(([key, item], i) => key === before[i]?.[0] && item === before[i]?.[1]);
    return same ? value : Object.fromEntries(after);
  }
  return value;
}
