import { expect, test } from "vitest";
import { packJson, unpackJson, unpackRows } from "../../src/session/wire.ts";
import { LONG_UNITS, LongText } from "../../src/shared/long-text.ts";

const LONG = "wörd 😀 ".repeat(300_000);

test("what crosses to another object comes out as it went in", () => {
  const value = { a: [1, null, { b: "ü😀" }], long: LONG };
  const packed = packJson(value);
  expect(packed.length).toBeGreaterThan(10);
  const unpacked = unpackJson(packed);
  expect(packed).toEqual([]);
  expect(JSON.stringify(unpacked) === JSON.stringify(value)).toBe(true);
  expect(unpackJson(packJson("x"))).toBe("x");
});

test("of the rows in a long page only what clients sent may be LongText", () => {
  const answer = "z".repeat(LONG_UNITS + 1);
  const rows = [
    { seq: 1, at: 1, type: "block.text", body: { block: { type: "text", text: answer } } },
    { seq: 2, at: 1, type: "input", body: { content: [{ type: "text", text: LONG }] } },
  ];
  const [block, input] = unpackRows(packJson(rows));
  // The view is made of what the model wrote.
  expect(block).toEqual(rows[0]);
  const text: unknown = input?.type === "input" && Object(input.body.content[0]).text;
  expect(text).toBeInstanceOf(LongText);
  expect(JSON.stringify(input) === JSON.stringify(rows[1])).toBe(true);
});
