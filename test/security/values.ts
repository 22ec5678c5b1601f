/** Values, texts and bytes that a client should not send, for every place where it may send one. */
import fc from "fast-check";
import type { Json } from "../../src/shared/content.ts";

const STRANGE_TEXTS = [
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "a\udc00b",
  "\u202e\u200b\ufeff",
  "NaN",
  "Infinity",
  "-0",
  "1e999",
  "0x10",
  "null",
  "true",
  "undefined",
  "__proto__",
  "constructor",
  "toString",
  "../../etc/passwd",
  "/workspace/../..",
  "%00",
  "%2e%2e%2f",
  "' OR 1=1 --",
  "{{7*7}}",
  "<script>",
  "\r\nset-cookie: a=b",
  "sess_01J0000000000000000000000A",
  "key_01J0000000000000000000000A",
  "turn_999999999999999999999",
  "call_0_0",
  "2026-02-30",
  "9999-12-31T23:59:60Z",
  "http://[::1",
  "data:image/png;base64,AAAA",
  "x".repeat(300),
  "é".repeat(5_000),
];

export const strangeText = fc.oneof(
  fc.constantFrom(...STRANGE_TEXTS),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ maxLength: 40 }),
);

const strangeNumber = fc.oneof(
  fc.constantFrom(0, -0, -1, 0.5, 1e21, -1e21, 5e-324, 2 ** 31, 2 ** 53, Number.MAX_VALUE),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

/** Any JSON, and often something that nearly fits. */
export const strangeValue: fc.Arbitrary<Json> = fc.oneof(
  strangeText,
  strangeNumber,
  fc.constantFrom<Json>(null, true, false, [], {}, [[]], [null], { type: null }, { length: 1e9 }),
  fc.constantFrom<Json>("auto", "none", "text", "base64", "allow", "read", "run", "admin"),
  fc.array(strangeText, { maxLength: 4 }),
  fc.dictionary(fc.constantFrom("type", "text", "name", "url", "source", "__proto__"), strangeText),
  fc.integer({ min: 1, max: 90 }).map(nested),
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as Json),
);

/** A value of each kind, and the ends of what a kind can hold. */
export const KINDS: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1.5,
  Number.MAX_VALUE,
  "",
  "x\u0000\ud800",
  "y".repeat(20_000),
  [],
  {},
  [null],
  { type: "none", length: -1 },
];

/** Arrays and objects in one another. */
export function nested(depth: number): Json {
  let value: Json = 1;
  for (let n = 0; n < depth; n++) value = n % 2 === 0 ? [value] : { a: value };
  return value;
}

/** Text that is no JSON, or JSON that no program writes. */
export const strangeJson = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "{",
    "}",
    "[",
    "nul",
    "NaN",
    "-",
    "01",
    "1.",
    "'a'",
    '{"a":1,}',
    '{"a":1 "b":2}',
    '{"input":"a","input":7}',
    '{"__proto__":{"input":"a"}}',
    '"\\ud800"',
    '"\\x41"',
    '"\u0000"',
    "\ufeff{}",
    `${"[".repeat(500)}`,
    `${"[".repeat(101)}${"]".repeat(101)}`,
    `{"a":${"9".repeat(1_500)}}`,
    `{"${"n".repeat(70_000)}":1}`,
    '{"limit":1e400}',
    '{"a":-}',
  ),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.json({ maxDepth: 4 }),
);

/** Bytes that are no UTF-8, or the beginning of some format. */
export const strangeBytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.constantFrom(
    ...["ff", "c328", "f0288cbc", "eda080", "7b22ff223a317d", "504b0304", "504b0506", "1f8b08"].map(
      (hex) => Uint8Array.fromHex(hex),
    ),
  ),
);

/** Segments of a path as they stand in an address. */
export const STRANGE_SEGMENTS = [
  "%00",
  "%ff",
  "%c3%28",
  "%",
  "%2",
  "%zz",
  "%2e%2e",
  "%252e%252e",
  "..%2f..",
  "%2f",
  "%5c",
  "a%0d%0ab",
  ".",
  "..",
  "...",
  "~",
  "*",
  "__proto__",
  "%E2%80%AE",
  "a%20b",
  "x".repeat(300),
  `${"d%2f".repeat(700)}a`,
  "sess_",
  "turn_0",
  "turn_-1",
  "turn_1e3",
  "turn_99999999999999999999",
  "input_1",
  "0".repeat(64),
];

export const strangeSegment = fc.oneof(
  fc.constantFrom(...STRANGE_SEGMENTS),
  strangeText.map((text) => encodeURIComponent(text.toWellFormed())),
);
