import fc from "fast-check";
import { expect, test } from "vitest";
import { atRow, type Cursor, formatCursor, parseCursor } from "../../src/shared/cursor.ts";

const number = fc.nat({ max: 999_999_999_999_999 });
const cursor: fc.Arbitrary<Cursor> = fc.oneof(
  fc.record({ kind: fc.constant("row" as const), seq: number }),
  fc.record({ kind: fc.constant("preview" as const), seq: number, offset: number }),
  fc.record({ kind: fc.constant("frames" as const), seq: number, frames: number }),
);

test("a cursor survives its wire form", () => {
  fc.assert(
    fc.property(cursor, (one) => {
      expect(parseCursor(formatCursor(one))).toEqual(one);
    }),
  );
});

test.each([
  ["0", { kind: "row", seq: 0 }],
  ["12", { kind: "row", seq: 12 }],
  ["12:0", { kind: "preview", seq: 12, offset: 0 }],
  ["12:40", { kind: "preview", seq: 12, offset: 40 }],
  ["12+1", { kind: "frames", seq: 12, frames: 1 }],
])("%s is read", (text, expected) => {
  expect(parseCursor(text)).toEqual(expected);
});

test.each([
  "",
  " 1",
  "1 ",
  "-1",
  "01",
  "1.5",
  "1:",
  "1+",
  ":1",
  "1:02",
  "1:-1",
  "1+1+1",
  "1:1+1",
  "1e3",
  "0x1",
  "1\n",
  "٣",
  "9999999999999999",
  "head",
])("%j is none", (text) => {
  expect(parseCursor(text)).toBeNull();
});

test("the place behind a row", () => {
  expect(formatCursor(atRow(7))).toBe("7");
});
