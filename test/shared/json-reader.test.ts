import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type JsonOptions,
  JsonReader,
  type JsonResult,
  MAX_NAME,
  MAX_NUMBER,
  parsePieces,
} from "../../src/shared/json-reader.ts";
import { LONG_UNITS, LongText } from "../../src/shared/long-text.ts";

/** Reads a text in pieces of these sizes, over and over. */
function read(text: string, sizes: readonly number[], options?: JsonOptions): JsonResult {
  const reader = new JsonReader(options);
  for (let at = 0, i = 0; at < text.length; i += 1) {
    const size = sizes[i % sizes.length] ?? 1;
    reader.push(text.slice(at, at + size));
    at += size;
  }
  return reader.end();
}

const whole = (text: string, options?: JsonOptions): JsonResult => read(text, [Infinity], options);

const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 });

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("it accepts what JSON.parse accepts, and nothing else, wherever the text is cut", () => {
  const accepted = { yes: 0, no: 0 };
  /** Real JSON with one character put in, taken out or replaced. */
  const mutated = fc
    .tuple(
      fc.json({ maxDepth: 4 }),
      fc.nat(),
      fc.constantFrom(...'{}[],:"\\u0123456789eE+-.tfn \n\t\u0001é', "", "\\u00e9", '\\"', "\\\\"),
      fc.boolean(),
    )
    .map(([text, at, character, replace]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + character + text.slice(place + (replace ? 1 : 0));
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.json(), fc.string()), cuts, (text, sizes) => {
      const ok = parses(text);
      accepted[ok ? "yes" : "no"] += 1;
      const result = whole(text);
      expect(result.ok).toBe(ok);
      if (result.ok) expect(JSON.stringify(result.value)).toBe(JSON.stringify(JSON.parse(text)));
      expect(read(text, sizes)).toEqual(result);
    }),
    { numRuns: 3000 },
  );
  expect(accepted.yes).toBeGreaterThan(300);
  expect(accepted.no).toBeGreaterThan(300);
});

test("what is refused is refused at one place, however it is cut", () => {
  const faults: [string, JsonOptions, string, number][] = [
    ['{"a":[1,2', {}, "syntax", 9],
    ['["\\u12', {}, "syntax", 2],
    ['["ab\u0001"]', {}, "syntax", 4],
    ['["\\\\\\x"]', {}, "syntax", 4],
    ["[[[[]]]]", { depth: 3 }, "deep", 3],
    ['{"a":{"b":[]}}', { depth: 2 }, "deep", 10],
    ["[1,2,[],{},5]", { values: 4 }, "many", 11],
    [`[${"1".repeat(MAX_NUMBER + 1)}]`, {}, "long_number", 1],
    [`[${"a".repeat(MAX_NUMBER + 1)}]`, {}, "syntax", 1],
  ];
  for (const [text, options, kind, offset] of faults) {
    for (const sizes of [[Infinity], [1], [2, 3], [700]]) {
      expect([text.slice(0, 20), read(text, sizes, options)]).toEqual([
        text.slice(0, 20),
        { ok: false, fault: { kind, offset } },
      ]);
    }
  }
  const named = (length: number) => read(`{"${"n".repeat(length)}":1}`, [65_536]);
  expect(named(MAX_NAME).ok).toBe(true);
  expect(named(MAX_NAME + 1)).toMatchObject({ ok: false, fault: { kind: "long_name" } });
  expect(whole(`[${"1".repeat(MAX_NUMBER)}]`).ok).toBe(true);
  expect(whole("[1,2,[],{},5]", { values: 6 }).ok).toBe(true);
});

/** Characters of every width, escapes and halves of surrogate pairs among them. */
const characters = fc.constantFrom(
  "a",
  "ü",
  "€",
  "😀",
  '"',
  "\\",
  "\n",
  "\u0000",
  "\ud83d",
  "\ude00",
);

test("long strings in named members come as LongText, with lone surrogates replaced", () => {
  fc.assert(
    fc.property(
      fc.array(characters, { minLength: 1, maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 }),
      (unit, sizes) => {
        const text = unit.join("").repeat(Math.ceil((LONG_UNITS + 1) / unit.join("").length));
        const value = { text, other: text, short: "x", in: [{ text: "y" }, { text }, text] };
        const result = read(JSON.stringify(value), sizes, { long: new Set(["text"]) });
        if (!result.ok) throw new Error("it is JSON");
        const seen: LongText[] = [];
        JSON.stringify(result.value, function (name) {
          // `toJSON` has made a string of it by now.
          const raw: unknown = this[name];
          if (raw instanceof LongText) seen.push(raw);
          return raw instanceof LongText ? "" : raw;
        });
        expect(seen.map(String)).toEqual([text.toWellFormed(), text.toWellFormed()]);
        expect(seen.map(({ length }) => length)).toEqual([text.length, text.length]);
        expect(JSON.parse(JSON.stringify(result.value))).toEqual({
          ...value,
          text: text.toWellFormed(),
          in: [{ text: "y" }, { text: text.toWellFormed() }, text],
        });
      },
    ),
    { numRuns: 50 },
  );
});

test("a name is never one", () => {
  const text = `{"\\ud800${"n".repeat(LONG_UNITS)}":1}`;
  expect(whole(text, { long: "all" })).toEqual({ ok: true, value: JSON.parse(text) });
});

test("a string of just the limit stays one", () => {
  const of = (length: number) => whole(`"${"x".repeat(length)}"`, { long: "all" });
  expect(of(LONG_UNITS)).toEqual({ ok: true, value: "x".repeat(LONG_UNITS) });
  expect(of(LONG_UNITS + 1)).toMatchObject({ ok: true, value: expect.any(LongText) });
});

test("texts of our own are read in pieces, also when they are long", () => {
  const value = { a: ["x".repeat(2_100_000), 1, null], b: "ü" };
  const text = JSON.stringify(value);
  const pieces = () => text.match(/.{1,70000}/g) ?? [];
  expect(parsePieces(pieces())).toEqual(value);
  expect(JSON.parse(JSON.stringify(parsePieces(pieces(), true)))).toEqual(value);
  expect(parsePieces(['{"a"', ":1}"])).toEqual({ a: 1 });
  expect(() => parsePieces([text.slice(0, -1)])).toThrow("not JSON at");
});
