/**
 * Writes JSON in pieces, so that the text of a large value never exists as a whole. The pieces
 * joined are what `JSON.stringify` gives, or canonical JSON.
 */
import { cutAt, LongText, PIECE_UNITS, TextBuilder } from "./long-text.ts";

/** `sorted`: members in the order of RFC 8785, by UTF-16 units. */
export type MemberOrder = "given" | "sorted";

/** The JSON text of `value`, which is plain data, in pieces of any size, none of them large. */
export function* jsonPieces(value: unknown, order: MemberOrder = "given"): Generator<string> {
  for (const piece of pieces(value, order)) {
    if (typeof piece === "string") yield piece;
    else for (const part of piece.pieces()) yield escaped(part);
  }
}

/** The same, joined to texts of exactly `units`, or one less where a surrogate pair would be cut. */
export function* jsonTexts(value: unknown, units: number, order?: MemberOrder): Generator<string> {
  let text = "";
  for (const piece of jsonPieces(value, order)) {
    text += piece;
    while (text.length > units) {
      const cut = cutAt(text, units);
      yield text.slice(0, cut);
      text = text.slice(cut);
    }
  }
  yield text;
}

/** The same, with what stands between the quotes of each `LongText` yet to be written. */
export function* pieces(value: unknown, order: MemberOrder): Generator<string | LongText> {
  if (typeof value === "string" && value.length > PIECE_UNITS) {
    yield* longString(value);
  } else if (typeof value !== "object" || value === null) {
    yield JSON.stringify(value) ?? "null";
  } else if (value instanceof LongText) {
    yield '"';
    yield value;
    yield '"';
  } else if (order === "given" && isLight(value)) {
    yield JSON.stringify(value);
  } else if (Array.isArray(value)) {
    let before = "[";
    for (const item of value) {
      yield before;
      yield* pieces(item, order);
      before = ",";
    }
    yield value.length > 0 ? "]" : "[]";
  } else {
    let before = "{";
    for (const [name, member] of members(value, order)) {
      if (member === undefined) continue;
      yield `${before}${JSON.stringify(name)}:`;
      yield* pieces(member, order);
      before = ",";
    }
    yield before === "{" ? "{}" : "}";
  }
}

/** The JSON text of `value`, which is a `LongText` when it is long, whatever its type says. */
export function jsonString(value: unknown): string {
  const builder = new TextBuilder(true);
  for (const piece of jsonPieces(value)) builder.add(piece);
  return builder.finish() as string;
}

/** What stands for `text` between the quotes of a JSON string. */
export const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);

/** Whether the text of `value` is surely not much longer than `units`, escapes apart. */
export function isLight(value: unknown, units = PIECE_UNITS): boolean {
  return roomLeft(value, units) >= 0;
}

/** `room` less the units of the strings and the number of the values in `value`, or below 0. */
function roomLeft(value: unknown, room: number): number {
  if (typeof value === "string" || value instanceof LongText) return room - value.length;
  if (typeof value !== "object" || value === null) return room - 1;
  let left = room - 1;
  if (Array.isArray(value)) {
    for (const item of value) {
      left = roomLeft(item, left);
      if (left < 0) return left;
    }
    return left;
  }
  for (const [name, member] of Object.entries(value)) {
    left = roomLeft(member, left - name.length);
    if (left < 0) return left;
  }
  return left;
}

function members(value: object, order: MemberOrder): [string, unknown][] {
  const entries = Object.entries(value);
  return order === "sorted" ? entries.sort(([a], [b]) => (a < b ? -1 : 1)) : entries;
}

function* longString(value: string): Generator<string> {
  yield '"';
  for (let from = 0; from < value.length; ) {
    const to = from + cutAt(value, PIECE_UNITS, from);
    yield escaped(value.slice(from, to));
    from = to;
  }
  yield '"';
}
