/** Uploads: one file as it is, or a form of many; all of a request or nothing. */
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { sha256Hex } from "../../../src/http/canonical.ts";
import { LIMITS } from "../../../src/workspace/workspace.ts";
import {
  type Bytes,
  bytesOf,
  list,
  noise,
  paths,
  postForm,
  put,
  putAll,
  refused,
  streamOf,
  textOf,
} from "./files-support.ts";
import { get, newSession, objectOf, send, withStandin } from "./server.ts";

withStandin();

test("a file is made, then replaced, and answers with its hash", async () => {
  const session = await newSession();
  const first = await put(session, "a/b.txt", "one");
  const sha256 = await sha256Hex("one");
  expect([first.status, await first.json()]).toEqual([
    201,
    {
      path: "a/b.txt",
      name: "b.txt",
      type: "file",
      size: 3,
      sha256,
      modified_at: expect.any(String),
    },
  ]);
  expect(first.headers.get("etag")).toBe(`"${sha256}"`);
  expect((await put(session, "a/b.txt", "two")).status).toBe(200);
  expect(await textOf(session, "a/b.txt")).toBe("two");
  expect((await send("PUT", `${session}/files/empty`)).status).toBe(201);
  expect(await textOf(session, "empty")).toBe("");
});

test.each([
  ["dir", [409, "not_a_file"]],
  ["a.txt/b", [409, "not_a_directory"]],
])("a file cannot be written at %s", async (path, problem) => {
  const session = await newSession();
  await putAll(session, { "dir/x": "", "a.txt": "A" });
  expect(await refused(await put(session, path, "x"))).toEqual(problem);
});

test("conditions hold before anything is written", async () => {
  const session = await newSession();
  const one = `"${await sha256Hex("one")}"`;
  const failed = [412, "precondition_failed"];
  expect(await refused(await put(session, "a", "x", { "if-match": "*" }))).toEqual(failed);
  expect((await put(session, "a", "one", { "if-none-match": "*" })).status).toBe(201);
  expect(await refused(await put(session, "a", "x", { "if-none-match": "*" }))).toEqual(failed);
  expect(await refused(await put(session, "a", "x", { "if-match": '"0"' }))).toEqual(failed);
  expect(await refused(await put(session, "a", "x", { "if-none-match": one }))).toEqual(failed);
  expect(await textOf(session, "a")).toBe("one");
  expect((await put(session, "a", "two", { "if-match": `"0", ${one}` })).status).toBe(200);
  expect(await refused(await put(session, "a", "x", { "if-match": one }))).toEqual(failed);
});

test("of writers that each want to be the first or the next, one is", async () => {
  const session = await newSession();
  const race = async (headers: Record<string, string>) => {
    const writers = Array.from({ length: 8 }, (_, i) =>
      put(session, "a", `${Object.keys(headers)} ${i}`, headers),
    );
    const answers = await Promise.all(writers);
    return answers.filter(({ ok }) => ok).length;
  };
  expect(await race({ "if-none-match": "*" })).toBe(1);
  const etag = (await get(`${session}/files/a`)).headers.get("etag") ?? "";
  expect(await race({ "if-match": etag })).toBe(1);
});

test("parallel writes of many files all arrive", async () => {
  const session = await newSession();
  const all = Array.from({ length: 40 }, (_, i) => `f${i % 20}/${i}`);
  await Promise.all(all.map((path) => put(session, path, noise(20_000 + path.length))));
  const files = (await list(session, "?recursive=true&limit=1000")).data;
  const sizes = new Map(files.map(({ path, size }) => [path, size]));
  for (const path of all) expect(sizes.get(path)).toBe(20_000 + path.length);
});

test("the largest file is taken, and comes back as it was", async () => {
  const session = await newSession();
  const bytes = new Uint8Array(LIMITS.fileBytes);
  const some = noise(999_983);
  for (let at = 0; at < bytes.length; at += some.length) {
    bytes.set(some.subarray(0, bytes.length - at), at);
  }
  const taken = await put(session, "large", bytes);
  expect([taken.status, await taken.json()]).toMatchObject([201, { size: bytes.length }]);
  const got = Buffer.from(await (await get(`${session}/files/large`)).arrayBuffer());
  expect(got.equals(bytes)).toBe(true);
});

/** More than a file may hold, of which nobody knows how much it will be. */
function tooMuch(): ReadableStream {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(new Uint8Array(1_000_000));
      sent += 1_000_000;
      if (sent > LIMITS.fileBytes) controller.close();
    },
  });
}

test.each<[what: string, content: () => Bytes | ReadableStream, headers: Record<string, string>]>([
  ["is sent", () => new Uint8Array(LIMITS.fileBytes + 1), {}],
  ["is announced", () => bytesOf("x"), { "content-length": String(LIMITS.fileBytes + 1) }],
  ["comes unannounced", tooMuch, {}],
])("one byte more than a file may hold is refused when it %s", async (_, content, headers) => {
  const session = await newSession();
  const body = content();
  const stream = body instanceof ReadableStream ? body : streamOf(body);
  const answer = await send("PUT", `${session}/files/over`, stream, headers);
  expect(await refused(answer)).toEqual([413, "file_too_large"]);
  expect(await paths(session)).toEqual([]);
});

test("a form's files are all there, by their paths, in the folder that it names", async () => {
  const session = await newSession();
  const files = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [`d${i % 7}/${i}.txt`, `${i}`]),
  );
  const response = await postForm(session, files, { query: "?path=up/load" });
  expect(response.status).toBe(201);
  const { data } = await response.json<{ data: { path: string; sha256: string }[] }>();
  expect(data.map(({ path }) => path)).toEqual(Object.keys(files).map((path) => `up/load/${path}`));
  expect(data[7]?.sha256).toBe(await sha256Hex("7"));
  expect(await textOf(session, "up/load/d3/199.txt")).toBe("199");
  expect((await postForm(session, files, { fields: { path: "up/load" } })).status).toBe(200);
  expect((await paths(session)).length).toBe(2 + 7 + 200);
});

test("a form's bytes come through as they are, whatever they look like", async () => {
  const session = await newSession();
  const odd = bytesOf("\r\n--x\r\n\r\n--\r\n");
  const large = noise(5_000_000);
  const files = { "odd.bin": odd, "größe 1.bin": large, 'q"uote.txt': "", "zero.txt": "" };
  expect((await postForm(session, files)).status).toBe(201);
  expect(await textOf(session, "odd.bin")).toBe("\r\n--x\r\n\r\n--\r\n");
  expect(await textOf(session, encodeURIComponent('q"uote.txt'))).toBe("");
  const got = await get(`${session}/files/${encodeURIComponent("größe 1.bin")}`);
  expect(await sha256Hex(new Uint8Array(await got.arrayBuffer()))).toBe(await sha256Hex(large));
});

const long = "x".repeat(256);

test.each([
  ["a name above", { "../up.txt": "x" }, {}, [422, "outside_workspace", "body -> 1"]],
  ["an absolute name", { "/workspace/x": "x" }, {}, [422, "outside_workspace", "body -> 1"]],
  ["a long name", { [long]: "x" }, {}, [422, "path_too_long", "body -> 1"]],
  ["the same file twice", { "a/../good.txt": "x" }, {}, [422, "validation_error", "body -> 1"]],
  ["a folder's name", { dir: "x" }, {}, [409, "not_a_file"]],
  ["an unknown field", {}, { note: "x" }, [422, "validation_error", "body -> 1"]],
  ["a folder outside", {}, { path: "/etc" }, [422, "outside_workspace", "body -> 1"]],
])("a form with %s is refused whole", async (_, files, fields, problem) => {
  const session = await newSession();
  await putAll(session, { "dir/x": "" });
  const all = { "good.txt": "good", ...files };
  // `FormData` of the platform keeps names as they are given.
  expect(await refused(await postForm(session, all, { fields }))).toEqual(problem);
  expect(await paths(session)).toEqual(["dir", "dir/x"]);
});

test("a form without a file, cut, or of another type is refused", async () => {
  const session = await newSession();
  const form = (type: string, body: string) =>
    send("POST", `${session}/files`, body, { "content-type": type });
  const type = "multipart/form-data; boundary=B";
  const part = '--B\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nx';
  const invalid = [422, "validation_error", "body"];
  expect(await refused(await postForm(session, {}))).toEqual(invalid);
  expect(await refused(await form(type, part))).toEqual(invalid);
  expect(await refused(await form(type, "nothing"))).toEqual(invalid);
  expect(await refused(await form("multipart/form-data; charset=x", part))).toEqual(invalid);
  expect(await refused(await form("text/plain", part))).toEqual([415, "unsupported_media_type"]);
  expect(await paths(session)).toEqual([]);
  expect((await form(type, `${part}\r\n--B--\r\n`)).status).toBe(201);
});

test("a form above its limit is refused whole", async () => {
  const session = await newSession();
  const files = { "1": noise(17_000_000), "2": noise(17_000_000) };
  expect(await refused(await postForm(session, files))).toEqual([413, "payload_too_large"]);
  const one = { "good.txt": "x", large: new Uint8Array(LIMITS.fileBytes + 1) };
  expect(await refused(await postForm(session, one))).toEqual([413, "file_too_large"]);
  expect(await paths(session)).toEqual([]);
});

test("what a refused request had begun to write is forgotten, also by those who look for it", async () => {
  const session = await newSession();
  await putAll(session, { "dir/x": "" });
  expect((await postForm(session, { "a.txt": "A", dir: "x" })).status).toBe(409);
  // The next file takes the place in the tables that the undone one had.
  await putAll(session, { "b.txt": "B" });
  expect(await textOf(session, "a.txt")).toBeNull();
  await putAll(session, { "c.txt": "C", "a.txt": "new" });
  expect(await textOf(session, "b.txt")).toBe("B");
  expect(await textOf(session, "a.txt")).toBe("new");
});

test.each([
  [
    "too_many_files",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO vfs_nodes (type, mtime) SELECT 'file', 0 FROM n",
  ],
  ["workspace_full", "UPDATE vfs_nodes SET size = 1073741824 WHERE type = 'file'"],
])("a workspace that is full is %s", async (code, sql) => {
  const session = await newSession();
  await putAll(session, { "a.txt": "A" });
  // What is used is counted when the object wakes.
  await runInDurableObject(await objectOf(session), async (_, state) => {
    state.storage.sql.exec(sql);
    await state.storage.sync();
    state.abort("restart");
  }).catch(() => {});
  expect(await refused(await put(session, "b.txt", "B"))).toEqual([507, code]);
  expect(await paths(session)).toEqual(["a.txt"]);
  expect((await put(session, "a.txt", "")).status).toBe(200);
  expect((await postForm(session, { "c.txt": "C" })).status).toBe(
    code === "workspace_full" ? 201 : 507,
  );
});

test("a body that is shorter than was said was broken off, and nothing is written", async () => {
  const session = await newSession();
  for (const bytes of [10, 900_000, 3_000_000]) {
    const declared = { "content-length": String(bytes + 1) };
    const answer = await put(session, "cut", noise(bytes), declared);
    expect(await refused(answer)).toEqual([422, "validation_error", "body"]);
  }
  expect(await paths(session)).toEqual([]);
});
