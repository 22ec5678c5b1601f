import fc from "fast-check";
import { expect, test } from "vitest";
import { isLight, jsonPieces, jsonString, jsonTexts } from "../../src/shared/json-text.ts";
import { LongText, PIECE_UNITS, TextBuilder } from "../../src/shared/long-text.ts";

/** A long text as it comes from a body, in pieces of these sizes. */
function longText(text: string, sizes: readonly number[] = [5000]): LongText {
  const builder = new TextBuilder(true);
  for (let at = 0, i = 0; at < text.length; i += 1) {
    const size = sizes[i % sizes.length] ?? 1;
    builder.add(text.slice(at, at + size));
    at += size;
  }
  const built = builder.finish();
  if (typeof built === "string") throw new Error("it is short");
  return built;
}

const LONG = 'wörd 😀 \u0000"\\ '.repeat(20_000);

test("the pieces are the text of JSON.stringify", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      expect([...jsonPieces(value)].join("")).toBe(JSON.stringify(value));
    }),
  );
  const long = { a: [LONG, { b: LONG, none: undefined }, [], {}, undefined], "\ud800": "\udfff" };
  expect([...jsonPieces(long)].join("")).toBe(JSON.stringify(long));
  const lazy = { a: [longText(LONG), { b: longText(LONG) }] };
  expect([...jsonPieces(lazy)].join("")).toBe(JSON.stringify({ a: [LONG, { b: LONG }] }));
  expect(JSON.stringify(lazy)).toBe(JSON.stringify({ a: [LONG, { b: LONG }] }));
});

test("no piece is large", () => {
  // Six characters for one is the most that an escape takes.
  const value = { a: "\u0000".repeat(300_000), b: longText("\u0000".repeat(300_000)), c: LONG };
  for (const piece of jsonPieces(value)) expect(piece.length).toBeLessThanOrEqual(6 * PIECE_UNITS);
});

test("texts have the size that is asked for, and none ends inside a surrogate pair", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.integer({ min: 2, max: 50 }), (value, units) => {
      const texts = [...jsonTexts({ value, pairs: "x😀😀😀" }, units)];
      expect(texts.join("")).toBe(JSON.stringify({ value, pairs: "x😀😀😀" }));
      for (const [i, text] of texts.entries()) {
        expect(text.length).toBeLessThanOrEqual(units);
        if (i < texts.length - 1) expect(text.length).toBeGreaterThanOrEqual(units - 1);
        expect(text.isWellFormed()).toBe(true);
      }
    }),
  );
});

test("what is not light has a longer text", () => {
  let heavy = 0;
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.integer({ min: 0, max: 100 }), (value, units) => {
      if (isLight(value, units)) return;
      heavy += 1;
      expect(JSON.stringify(value).length).toBeGreaterThan(units);
    }),
    { numRuns: 1000 },
  );
  expect(heavy).toBeGreaterThan(50);
  expect(isLight({ a: longText(LONG) }, LONG.length)).toBe(false);
  expect(isLight({ a: longText(LONG) }, LONG.length + 10)).toBe(true);
});

test("the text of a value is long when it is", () => {
  expect(jsonString([1, { a: "b" }])).toBe('[1,{"a":"b"}]');
  const long: unknown = jsonString([LONG]);
  expect(long).toBeInstanceOf(LongText);
  expect(String(long)).toBe(JSON.stringify([LONG]));
});

test("a long text is asked like a string", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1 }), (sizes) => {
      const text = longText(`Resume 😀${LONG}the end`, sizes);
      const string = String(text);
      expect(text.length).toBe(string.length);
      expect(text.startsWith("Resume 😀w")).toBe(true);
      expect(text.startsWith("resume")).toBe(false);
      // Wherever its pieces meet.
      expect(text.includes("\\ the end")).toBe(true);
      expect(text.includes("the End")).toBe(false);
      expect(String(text.slice(7))).toBe(string.slice(7));
      expect([...text.slice(7).drain()].join("")).toBe(string.slice(7));
      expect(String(text)).toBe("");
    }),
    { numRuns: 30 },
  );
});
