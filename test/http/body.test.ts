import fc from "fast-check";
import { expect, test } from "vitest";
import { readJson } from "../../src/http/body.ts";
import { ProblemError } from "../../src/http/problems.ts";
import type { Json } from "../../src/shared/content.ts";
import { wellFormed } from "../../src/shared/well-formed.ts";

const encoder = new TextEncoder();

/** A request whose body comes in these chunks, without a Content-Length. */
function chunked(chunks: readonly (string | Uint8Array)[], onCancel?: () => void): Request {
  let next = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = chunks[next];
      next += 1;
      if (chunk === undefined) controller.close();
      else controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
    },
    cancel() {
      onCancel?.();
    },
  });
  return new Request("http://localhost/", { method: "POST", body });
}

const post = (body: BodyInit | null, headers: Record<string, string> = {}): Request =>
  new Request("http://localhost/", { method: "POST", body, headers });

/** The problem with which reading is refused. */
async function refusal(reading: Promise<unknown>) {
  const error: unknown = await reading.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProblemError)) throw new Error(`not refused: ${String(error)}`);
  const { status, code, errors } = error.problem;
  return { status, code, errors };
}

const field = (name: string, type: string) => ({
  status: 422,
  code: "validation_error",
  errors: [{ field: name, type, message: expect.any(String) }],
});

test("a body is read whatever its content type", async () => {
  for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded", ""]) {
    const request = post('{"a": [1, "ü", null]}', { "content-type": type });
    expect(await readJson(request, 1000)).toEqual({ a: [1, "ü", null] });
  }
});

test("a body of exactly the limit is read, one byte more is 413, chunked or not", async () => {
  const text = JSON.stringify("ü".repeat(48));
  const bytes = encoder.encode(text);
  expect(bytes.byteLength).toBe(98);
  const cut = [...bytes].map((_, i) => bytes.subarray(i, i + 1));
  for (const make of [() => post(bytes), () => chunked([bytes]), () => chunked(cut)]) {
    expect(await readJson(make(), 98)).toBe(JSON.parse(text));
    expect(await refusal(readJson(make(), 97))).toEqual({
      status: 413,
      code: "payload_too_large",
      errors: undefined,
    });
  }
});

test("a body that its Content-Length says is too large is read to its end and refused", async () => {
  // Whoever is still sending sees no answer, so the rest is taken and thrown away.
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 1;
      if (pulled > 100) controller.close();
      else controller.enqueue(new Uint8Array(10));
    },
  });
  const headers = { "content-length": "1000" };
  const request = new Request("http://localhost/", { method: "POST", body, headers });
  expect(await refusal(readJson(request, 100))).toMatchObject({ status: 413 });
  expect(pulled).toBe(101);
});

test("an endless body is cut off, also when its Content-Length lies", async () => {
  const cancelled = Promise.withResolvers<void>();
  const megabyte = new Uint8Array(1024 * 1024);
  const request = chunked(Array(200).fill(megabyte), cancelled.resolve);
  expect(await refusal(readJson(request, 100))).toMatchObject({ status: 413 });
  await cancelled.promise;
});

test("characters may be cut anywhere between chunks", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary" }),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
      async (text, sizes) => {
        const bytes = encoder.encode(JSON.stringify(text.toWellFormed()));
        const chunks: Uint8Array[] = [];
        for (let at = 0, i = 0; at < bytes.byteLength; i += 1) {
          const size = sizes[i % sizes.length] ?? 1;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(await readJson(chunked(chunks), 1e6)).toBe(text.toWellFormed());
      },
    ),
    { numRuns: 50 },
  );
});

test.each<[string, Uint8Array]>([
  ["a lone continuation byte", new Uint8Array([0x22, 0x80, 0x22])],
  ["an overlong form", new Uint8Array([0x22, 0xc0, 0xaf, 0x22])],
  ["an encoded surrogate", new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ["a character that is cut off at the end", new Uint8Array([0x22, 0xf0, 0x9f])],
  ["UTF-16", new Uint8Array([0xff, 0xfe, 0x22, 0x00])],
])("bytes that are not UTF-8 are refused: %s", async (_, bytes) => {
  expect(await refusal(readJson(chunked([bytes]), 100))).toEqual(field("body", "string_unicode"));
});

test("an empty body is missing, unless the route has a value for it", async () => {
  for (const make of [() => post(null), () => post(""), () => chunked([])]) {
    expect(await refusal(readJson(make(), 100))).toEqual(field("body", "missing"));
    expect(await readJson(make(), 100, {})).toEqual({});
  }
});

test("broken JSON is refused with the place where it is broken", async () => {
  const places: [string, number][] = [
    ["{", 1],
    ['{"a":1,}', 7],
    ['{"a" 1}', 5],
    ["[1,]", 3],
    ["[1 2]", 3],
    ["nul", 0],
    ["NaN", 0],
    ["01", 1],
    ["1.", 1],
    ["'a'", 0],
    ['"a', 2],
    ['"a\nb"', 2],
    ['"\\x"', 1],
    ['"\\u12G4"', 1],
    ["[1]]", 3],
    ["{}x", 2],
    ["  ", 2],
    ['{"a":1 "b":2}', 7],
    ["\u00a01", 0],
  ];
  for (const [text, offset] of places) {
    const refused = await refusal(readJson(post(text), 100));
    expect([text, refused]).toEqual([text, field(`body -> ${offset}`, "json_invalid")]);
  }
});

test("a hundred levels are read, one more is refused, and a bomb does no harm", async () => {
  const nest = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  expect(await readJson(post(nest(100)), 1000)).toBeInstanceOf(Array);
  const mixed = `${'{"a":['.repeat(50)}1${"]}".repeat(50)}`;
  expect(await readJson(post(mixed), 1000)).toBeInstanceOf(Object);
  expect(await refusal(readJson(post(nest(101)), 1000))).toEqual(
    field("body -> 100", "json_too_deep"),
  );
  expect(await refusal(readJson(post("[".repeat(1_000_000)), 2_000_000))).toEqual(
    field("body -> 100", "json_too_deep"),
  );
});

test("lone surrogates are replaced everywhere, in names too", async () => {
  const text = '{"\\ud800k": ["\\udfff", {"a": "x\\ud83dy"}], "ok": "\\ud83d\\ude00"}';
  expect(await readJson(post(text), 1000)).toEqual({
    "\ufffdk": ["\ufffd", { a: "x\ufffdy" }],
    ok: "😀",
  });
});

test("what is well-formed is not copied, beside what is not", () => {
  const good: Json = { a: [1, "b", { c: null }] };
  expect(wellFormed(good)).toBe(good);
  const list: Json = [good, "\ud800"];
  const mended = wellFormed(list);
  expect(mended).toEqual([good, "\ufffd"]);
  expect(Array.isArray(mended) && mended[0] === good).toBe(true);
});

test("a member named __proto__ stays a member", async () => {
  const value = await readJson(post('{"__proto__": {"x": "\\ud800"}}'), 100);
  expect(JSON.stringify(value)).toBe('{"__proto__":{"x":"\ufffd"}}');
});
