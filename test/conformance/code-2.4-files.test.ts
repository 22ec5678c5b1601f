/** Files of a session: both forms of upload, the list, and downloads. */
import { expect, test } from "vitest";
import { text, toolUse } from "../../src/standin/replies.ts";
import { pngBytes, standin, withStandin } from "../api/cc/server.ts";
import {
  chat,
  dataOf,
  get,
  type Headers,
  newSession,
  post,
  problemOf,
} from "../api/code/client.ts";

withStandin();

interface Part {
  name: string;
  filename?: string;
  value: string | Uint8Array<ArrayBuffer>;
}

const BOUNDARY = "----ledge";

/** A form as clients send it, in one stream of bytes. */
function form(...parts: Part[]): [body: ReadableStream, headers: Headers] {
  const pieces = parts.flatMap(({ name, filename, value }) => {
    const file = filename === undefined ? "" : `; filename="${filename}"`;
    const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`;
    return [head, value, "\r\n"];
  });
  const body = new Blob([...pieces, `--${BOUNDARY}--\r\n`]).stream();
  return [body, { "content-type": `multipart/form-data; boundary=${BOUNDARY}` }];
}

const file = (value: Part["value"], filename = "notes.md"): Part => ({
  name: "file",
  filename,
  value,
});

const upload = (session: string, query: string, ...parts: Part[]): Promise<Response> =>
  post(`${session}/files${query}`, ...form(...parts));

const read = async (session: string, path: string): Promise<string> =>
  (await get(`${session}/files/${path}`)).text();

test("a file goes under its own name into the workspace", async () => {
  const session = await newSession();
  const response = await upload(session, "", file("Buy milk."));
  expect(response.status).toBe(201);
  expect(await response.json()).toEqual({
    data: { path: "notes.md", size: 9, name: "notes.md" },
    meta: expect.objectContaining({ version: "v1" }),
  });
  expect(await read(session, "notes.md")).toBe("Buy milk.");
});

test("path in the query is a folder, made if need be", async () => {
  const session = await newSession();
  const data = await dataOf(upload(session, "?path=docs/new", file("a")));
  expect(data).toEqual({ path: "docs/new/notes.md", size: 1, name: "notes.md" });
  expect(await read(session, "docs/new/notes.md")).toBe("a");
});

test("path in the form is where the file itself goes", async () => {
  const session = await newSession();
  const path = { name: "path", value: "docs/other.txt" };
  const data = await dataOf(upload(session, "", file("a"), path));
  expect(data).toEqual({ path: "docs/other.txt", size: 1, name: "notes.md" });
  // Also before the file, and over the folder of the query; with a slash at its end it is a folder.
  const first = await dataOf(upload(session, "?path=elsewhere", path, file("bc")));
  expect(first).toMatchObject({ path: "docs/other.txt", size: 2 });
  const folder = { name: "path", value: "docs/" };
  expect(await dataOf(upload(session, "", file("d"), folder))).toMatchObject({
    path: "docs/notes.md",
  });
  expect(await read(session, "docs/other.txt")).toBe("bc");
});

test("a file of the same name is written over, and other fields are passed over", async () => {
  const session = await newSession();
  await upload(session, "", file("one"));
  const again = await upload(session, "", { name: "note", value: "x" }, file("two"));
  expect(again.status).toBe(201);
  expect(await read(session, "notes.md")).toBe("two");
});

test("the model's tools see what was uploaded, and clients what tools wrote", async () => {
  const session = await newSession();
  await upload(session, "", file("Buy milk."));
  standin.script(
    toolUse("Read", { file_path: "notes.md" }),
    toolUse("Write", { file_path: "out/done.txt", content: "bought" }),
    text("Done."),
  );
  await chat(session, "Do what the notes say");
  expect(JSON.stringify(standin.requests.at(1)?.body)).toContain("Buy milk.");
  expect(await read(session, "out/done.txt")).toBe("bought");
});

test.each([
  ["?path=..", "a.txt"],
  ["?path=/etc", "a.txt"],
  ["?path=docs/../..", "a.txt"],
  ["", "../../a.txt"],
])("outside of the workspace is 400: %s %s", async (query, filename) => {
  const problem = await problemOf(upload(await newSession(), query, file("a", filename)));
  expect(problem).toMatchObject({ status: 400, detail: "Path outside session workspace" });
});

test("the form's path cannot lead out either", async () => {
  const session = await newSession();
  for (const value of ["../a.txt", "/etc/passwd", "a/../../b", "/workspace"]) {
    const problem = await problemOf(upload(session, "", file("a"), { name: "path", value }));
    expect(problem).toMatchObject({ status: 400, detail: "Path outside session workspace" });
  }
  expect(await dataOf(get(`${session}/files`))).toEqual([]);
});

test("a form without a file, and what is no form, lacks the field file", async () => {
  const session = await newSession();
  const [body, headers] = form({ name: "path", value: "a" });
  for (const sent of [
    post(`${session}/files`, body, headers),
    post(`${session}/files`, ...form({ name: "file", value: "no name" })),
    post(`${session}/files`, { file: "a" }),
    post(`${session}/files`),
  ]) {
    const problem = await problemOf(sent);
    expect(problem.status).toBe(422);
    expect(problem.errors).toEqual([
      { field: "body -> file", type: "missing", message: "Field required" },
    ]);
  }
});

test("a file may have 10 MiB and no more", async () => {
  const session = await newSession();
  const size = 10 * 1024 * 1024;
  const most = await upload(session, "", file(new Uint8Array(size), "most.bin"));
  expect(await dataOf(most)).toMatchObject({ size });
  for (const more of [size + 1, size + 1024 * 1024]) {
    const problem = await problemOf(upload(session, "", file(new Uint8Array(more), "more.bin")));
    expect(problem).toMatchObject({ status: 413, detail: "File exceeds 10MB limit" });
  }
});

test("an upload with a known Idempotency-Key is answered like the first and changes nothing", async () => {
  const session = await newSession();
  const send = (value: string) => {
    const [body, headers] = form(file(value));
    return post(`${session}/files`, body, { ...headers, "idempotency-key": "u-1" });
  };
  const first = await dataOf(send("one"));
  await upload(session, "", file("two"));
  const again = await send("one");
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await dataOf(again)).toEqual(first);
  expect(await read(session, "notes.md")).toBe("two");
  expect((await send("other")).status).toBe(409);
});

test("the list has one level, sorted, without hidden names, and is paged", async () => {
  const session = await newSession();
  for (const path of ["b.txt", "a/1.txt", "a/2.txt", ".env", "c/.keep", "A.txt"]) {
    await upload(session, "", file("12", "x"), { name: "path", value: path });
  }
  const list = async (query = "") => (await get(`${session}/files${query}`)).json();
  expect(await list()).toEqual({
    data: [
      { name: "A.txt", path: "A.txt", type: "file", size: 2 },
      { name: "a", path: "a", type: "directory", size: null },
      { name: "b.txt", path: "b.txt", type: "file", size: 2 },
      { name: "c", path: "c", type: "directory", size: null },
    ],
    path: ".",
    pagination: { total: 4, page: 1, limit: 100, pages: 1 },
    meta: expect.objectContaining({ version: "v1" }),
  });
  expect(await list("?path=a&limit=1&page=2")).toMatchObject({
    data: [{ name: "2.txt", path: "a/2.txt", type: "file", size: 2 }],
    path: "a",
    pagination: { total: 2, page: 2, limit: 1, pages: 2 },
  });
  expect(await list("?path=c")).toMatchObject({ data: [], pagination: { total: 0, pages: 1 } });
  // What is hidden is there all the same.
  expect(await read(session, ".env")).toBe("12");
});

test("a folder that is not there, and one outside", async () => {
  const session = await newSession();
  await upload(session, "", file("a"));
  for (const path of ["nowhere", "notes.md", "notes.md/x"]) {
    expect(await problemOf(get(`${session}/files?path=${path}`))).toMatchObject({
      status: 404,
      detail: "Directory not found",
    });
  }
  for (const path of ["..", "/", "/etc"]) {
    expect(await problemOf(get(`${session}/files?path=${path}`))).toMatchObject({
      status: 400,
      detail: "Path outside session workspace",
    });
  }
});

test("a download has its type, its name, a tag and a date", async () => {
  const session = await newSession();
  const bytes = pngBytes(5_000);
  await upload(session, "", file(bytes, "p.png"), { name: "path", value: "über/ein bild.png" });
  const path = `${session}/files/${encodeURIComponent("über")}/ein%20bild.png`;
  const response = await get(path);
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "image/png",
    "content-length": "5000",
    "content-disposition": expect.stringContaining("attachment; filename="),
    etag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
    "last-modified": expect.stringMatching(/ GMT$/),
    "accept-ranges": "bytes",
    "x-response-time": expect.stringMatching(/ms$/),
  });
  expect(response.headers.get("content-disposition")).toContain("filename*=UTF-8''ein%20bild.png");
  expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
  const etag = response.headers.get("etag") ?? "";
  expect((await get(path, { "if-none-match": etag })).status).toBe(304);
});

test("a part of a download", async () => {
  const session = await newSession();
  await upload(session, "", file("0123456789"));
  const part = async (range: string) => {
    const response = await get(`${session}/files/notes.md`, { range });
    return [response.status, response.headers.get("content-range"), await response.text()];
  };
  expect(await part("bytes=2-4")).toEqual([206, "bytes 2-4/10", "234"]);
  expect(await part("bytes=7-")).toEqual([206, "bytes 7-9/10", "789"]);
  expect(await part("bytes=-3")).toEqual([206, "bytes 7-9/10", "789"]);
  expect((await part("bytes=10-"))[0]).toBe(416);
});

test("a file that is not there, a folder, and one outside", async () => {
  const session = await newSession();
  await upload(session, "?path=docs", file("a"));
  for (const path of ["nothing.txt", "docs", "docs/notes.md/x", ""]) {
    expect(await problemOf(get(`${session}/files/${path || "%20"}`))).toMatchObject({
      status: 404,
      detail: "File not found",
    });
  }
  expect(await problemOf(get(`${session}/files/..%2F..%2Fetc%2Fpasswd`))).toMatchObject({
    status: 400,
    detail: "Path outside session workspace",
  });
});

test("two sessions have no files in common", async () => {
  const [one, other] = [await newSession(), await newSession()];
  await upload(one, "", file("secret"));
  expect((await get(`${other}/files/notes.md`)).status).toBe(404);
  expect(await dataOf(get(`${other}/files`))).toEqual([]);
});
