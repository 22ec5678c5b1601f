import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson, hashJson, sha256Hex } from "../../src/http/canonical.ts";
import type { Json } from "../../src/shared/content.ts";

const json = fc.jsonValue({ maxDepth: 4 }).map((value): Json => JSON.parse(JSON.stringify(value)));

test("members are sorted at every level, by UTF-16 units", () => {
  const value = {
    b: [{ z: 1, a: null }],
    a: { "\u20ac": 1, "1": 2, "😀": 3, "\ufb33": 4 },
    "": true,
  };
  expect(canonicalJson(value)).toBe(
    '{"":true,"a":{"1":2,"\u20ac":1,"😀":3,"\ufb33":4},"b":[{"a":null,"z":1}]}',
  );
});

test("numbers, strings and empty containers have one form", () => {
  expect(canonicalJson(JSON.parse('[1.0, 1e2, -0, 1E-7, "\\u0041\\/\\n", [], {}]'))).toBe(
    '[1,100,0,1e-7,"A/\\n",[],{}]',
  );
});

test("the canonical text means the same value, and the order of members does not show in it", () => {
  const reversed = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, item]) => [key, reversed(item)]),
    );
  };
  fc.assert(
    fc.property(json, (value) => {
      const text = canonicalJson(value);
      expect(JSON.parse(text)).toEqual(value);
      expect(canonicalJson(reversed(value))).toBe(text);
    }),
  );
});

test("the hash is that of the canonical text", async () => {
  await fc.assert(
    fc.asyncProperty(json, async (value) => {
      expect(await hashJson(value)).toBe(await sha256Hex(canonicalJson(value)));
    }),
    { numRuns: 50 },
  );
});

test("long strings are hashed in parts that do not cut a character", async () => {
  for (const before of [0, 1, 2, 65_534, 65_535]) {
    const value = { data: `${"x".repeat(before)}${"😀".repeat(70_000)}"\\ü` };
    expect(canonicalJson(value)).toBe(JSON.stringify(value));
    expect(await hashJson(value)).toBe(await sha256Hex(JSON.stringify(value)));
  }
});

test("sha256Hex is SHA-256", async () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(await sha256Hex("abc")).toBe(abc);
  expect(await sha256Hex(new TextEncoder().encode("abc"))).toBe(abc);
});
