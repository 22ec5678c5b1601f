/** Downloads: whole, in ranges, under conditions, and of one version of a file only. */
import { expect, test } from "vitest";
import { byteRange, hasTag } from "../../../src/api/common/byte-range.ts";
import { sha256Hex } from "../../../src/http/canonical.ts";
import { noise, put, putAll, refused } from "./files-support.ts";
import { get, newSession, send, withStandin } from "./server.ts";

withStandin();

test("a file comes as what its name says, to be kept and not to be run", async () => {
  const session = await newSession();
  await putAll(session, { "page.html": "<script>alert(1)</script>", "a.ts": "let a", noext: "x" });
  const response = await get(`${session}/files/page.html`);
  expect(response.status).toBe(200);
  const etag = `"${await sha256Hex("<script>alert(1)</script>")}"`;
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "content-length": "25",
    "content-disposition": "attachment; filename=\"page.html\"; filename*=UTF-8''page.html",
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache, no-transform",
    "content-security-policy": "sandbox",
    "x-content-type-options": "nosniff",
    etag,
  });
  expect(await response.text()).toBe("<script>alert(1)</script>");
  const type = async (path: string) =>
    (await get(`${session}/files/${path}`)).headers.get("content-type");
  expect(await type("a.ts")).toBe("text/plain; charset=utf-8");
  expect(await type("noext")).toBe("application/octet-stream");
  const head = await send("HEAD", `${session}/files/page.html`, undefined, { range: "bytes=0-1" });
  expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([
    200,
    "25",
    "",
  ]);
});

test("a client that has it gets no bytes", async () => {
  const session = await newSession();
  await putAll(session, { a: "one" });
  const etag = `"${await sha256Hex("one")}"`;
  for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
    const response = await get(`${session}/files/a`, { "if-none-match": tag });
    expect([response.status, response.headers.get("etag"), await response.text()]).toEqual([
      304,
      etag,
      "",
    ]);
  }
  expect((await get(`${session}/files/a`, { "if-none-match": '"x"' })).status).toBe(200);
  expect((await get(`${session}/files/a`, { "if-match": etag })).status).toBe(200);
  const other = await get(`${session}/files/a`, { "if-match": '"x"' });
  expect(await refused(other)).toEqual([412, "precondition_failed"]);
  await putAll(session, { a: "two" });
  expect((await get(`${session}/files/a`, { "if-none-match": etag })).status).toBe(200);
});

test("a folder is no file", async () => {
  const session = await newSession();
  await putAll(session, { "a/b": "" });
  expect(await refused(await get(`${session}/files/a`))).toEqual([409, "not_a_file"]);
});

const TEXT = "0123456789";

test.each([
  ["bytes=0-0", "0", "0-0"],
  ["bytes=2-4", "234", "2-4"],
  ["bytes=9-9", "9", "9-9"],
  ["bytes=5-", "56789", "5-9"],
  ["bytes=5-999", "56789", "5-9"],
  ["bytes=-3", "789", "7-9"],
  ["bytes=-999", TEXT, "0-9"],
])("the range %s gives %s", async (range, body, place) => {
  const session = await newSession();
  await putAll(session, { a: TEXT });
  const response = await get(`${session}/files/a`, { range });
  expect([response.status, await response.text()]).toEqual([206, body]);
  expect(response.headers.get("content-range")).toBe(`bytes ${place}/10`);
  expect(response.headers.get("content-length")).toBe(String(body.length));
});

test.each(["bytes=10-", "bytes=99-100", "bytes=-0"])("the range %s is 416", async (range) => {
  const session = await newSession();
  await putAll(session, { a: TEXT });
  const response = await get(`${session}/files/a`, { range });
  expect(response.headers.get("content-range")).toBe("bytes */10");
  expect(await refused(response)).toEqual([416, "range_not_satisfiable"]);
});

test.each(["bytes=4-2", "bytes=0-1,3-4", "bytes=-", "lines=1-2", "bytes=a-b", "bytes 0-1"])(
  "the range %s is ignored",
  async (range) => {
    const session = await newSession();
    await putAll(session, { a: TEXT });
    const response = await get(`${session}/files/a`, { range });
    expect([response.status, await response.text()]).toEqual([200, TEXT]);
  },
);

test("a range of another version than the client has is all of the present one", async () => {
  const session = await newSession();
  await putAll(session, { a: TEXT });
  const etag = `"${await sha256Hex(TEXT)}"`;
  const part = await get(`${session}/files/a`, { range: "bytes=1-2", "if-range": etag });
  expect([part.status, await part.text()]).toEqual([206, "12"]);
  const all = await get(`${session}/files/a`, { range: "bytes=1-2", "if-range": '"x"' });
  expect([all.status, await all.text()]).toEqual([200, TEXT]);
});

test("every range of an empty file is out of it, and all of it is nothing", async () => {
  expect(byteRange("bytes=0-", 0)).toBe("unsatisfiable");
  expect(byteRange("bytes=-1", 0)).toBe("unsatisfiable");
  expect(hasTag('"a", W/"b"', '"b"', false)).toBe(false);
  const session = await newSession();
  await putAll(session, { a: "" });
  const response = await get(`${session}/files/a`);
  expect([response.status, response.headers.get("content-length")]).toEqual([200, "0"]);
});

test("ranges of a large file fit together, across the pieces in which it is read", async () => {
  const session = await newSession();
  const bytes = noise(3_500_001);
  await put(session, "a", bytes);
  for (const [from, to] of [
    [999_999, 1_000_000],
    [0, 2_000_000],
    [1_000_000, 3_500_000],
  ] as const) {
    const response = await get(`${session}/files/a`, { range: `bytes=${from}-${to}` });
    const part = new Uint8Array(await response.arrayBuffer());
    expect(await sha256Hex(part)).toBe(await sha256Hex(bytes.subarray(from, to + 1)));
  }
});

test("a file that changes while it is read is broken off and never mixed", async () => {
  const session = await newSession();
  await put(session, "a", noise(8_000_000));
  const response = await get(`${session}/files/a`);
  const reader = response.body?.getReader();
  await reader?.read();
  await put(session, "a", noise(8_000_000));
  const rest = (async () => {
    for (;;) if ((await reader?.read())?.done) return;
  })();
  await expect(rest).rejects.toThrow();
});
