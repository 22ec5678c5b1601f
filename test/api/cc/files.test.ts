/** The files of a session: listed, moved, removed, and never those outside of its workspace. */
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { text, toolUse } from "../../../src/standin/replies.ts";
import { Workspace } from "../../../src/workspace/workspace.ts";
import { list, paths, put, putAll, refused, textOf } from "./files-support.ts";
import { get, newSession, objectOf, post, send, standin, withStandin } from "./server.ts";

withStandin();

const remove = (session: string, path: string) => send("DELETE", `${session}/files/${path}`);
const move = (session: string, body: unknown) => post(`${session}/files/move`, body);

test("a session whose files nobody has touched lists as empty, and reading makes no tables", async () => {
  const session = await newSession();
  expect(await list(session)).toEqual({ data: [], has_more: false, next_cursor: null });
  expect(await refused(await get(`${session}/files/a.txt`))).toEqual([404, "not_found"]);
  expect(await refused(await remove(session, "a.txt"))).toEqual([404, "not_found"]);
  expect(await refused(await move(session, { from: "a", to: "b" }))).toEqual([404, "not_found"]);
  expect((await get(`${session}/files.zip`)).status).toBe(200);
  const made = await runInDurableObject(await objectOf(session), (_, state) =>
    Workspace.exists(state.storage.sql),
  );
  expect(made).toBe(false);
});

test("a folder is listed by name, alone or with all that is in it", async () => {
  const session = await newSession();
  await putAll(session, { "b.txt": "12", "a/z.txt": "1", "a/b/c.txt": "123" });
  const { data } = await list(session);
  expect(data).toEqual([
    { path: "a", name: "a", type: "directory", size: 0, modified_at: expect.any(String) },
    { path: "b.txt", name: "b.txt", type: "file", size: 2, modified_at: expect.any(String) },
  ]);
  expect(await paths(session)).toEqual(["a", "a/b", "a/b/c.txt", "a/z.txt", "b.txt"]);
  const inside = await list(session, "?path=a&recursive=true");
  expect(inside.data.map(({ path }) => path)).toEqual(["a/b", "a/b/c.txt", "a/z.txt"]);
});

test("pages of every size give each entry once, also when the last one is gone", async () => {
  const session = await newSession();
  await putAll(session, { "a!b": "", "a/b/c": "", "a/d": "", "a.x": "", "b/é": "", z: "" });
  const all = await paths(session);
  expect(all).toEqual(["a", "a/b", "a/b/c", "a/d", "a!b", "a.x", "b", "b/é", "z"]);
  for (let limit = 1; limit <= all.length; limit++) {
    const seen: string[] = [];
    let cursor = "";
    do {
      const page = await list(session, `?recursive=true&limit=${limit}${cursor}`);
      seen.push(...page.data.map(({ path }) => path));
      expect(page.has_more).toBe(page.next_cursor !== null);
      cursor = page.next_cursor === null ? "" : `&cursor=${page.next_cursor}`;
    } while (cursor !== "");
    expect(seen).toEqual(all);
  }
  const page = await list(session, "?recursive=true&limit=3");
  expect((await send("DELETE", `${session}/files/a/b?recursive=true`)).status).toBe(200);
  const rest = await list(session, `?recursive=true&cursor=${page.next_cursor}`);
  expect(rest.data.map(({ path }) => path)).toEqual(["a/d", "a!b", "a.x", "b", "b/é", "z"]);
});

test.each([
  ["?limit=0", [422, "validation_error", "query -> limit"]],
  ["?limit=1001", [422, "validation_error", "query -> limit"]],
  ["?recursive=yes", [422, "validation_error", "query -> recursive"]],
  ["?cursor=!", [422, "validation_error", "query -> cursor"]],
  ["?cursor=Li4vLi4veA", [422, "outside_workspace", "query -> path"]],
  ["?path=a&cursor=eg", [422, "validation_error", "query -> cursor"]],
  ["?path=nothing", [404, "not_found"]],
  ["?path=a/b.txt", [409, "not_a_directory"]],
  ["?path=..", [422, "outside_workspace", "query -> path"]],
  ["?path=/etc", [422, "outside_workspace", "query -> path"]],
  ["?path=", [422, "invalid_path", "query -> path"]],
])("a list with %s is refused", async (query, problem) => {
  const session = await newSession();
  await putAll(session, { "a/b.txt": "" });
  expect(await refused(await get(`${session}/files${query}`))).toEqual(problem);
});

test.each([
  ["..%2F..%2Fetc%2Fpasswd", 422, "outside_workspace"],
  ["%2Fetc%2Fpasswd", 422, "outside_workspace"],
  ["a/..%2F..%2F..", 422, "outside_workspace"],
  ["%2Ftmp%2Fx", 422, "outside_workspace"],
  ["a%00b", 422, "invalid_path"],
  ["%ff", 422, "validation_error"],
  ["%zz", 422, "validation_error"],
  ["", 422, "invalid_path"],
  ["x".repeat(256), 422, "path_too_long"],
  ["d/".repeat(600), 422, "path_too_long"],
])("the path %s is refused by every route", async (path, status, code) => {
  const session = await newSession();
  for (const method of ["GET", "PUT", "DELETE"]) {
    const body = method === "PUT" ? "x" : undefined;
    const response = await send(method, `${session}/files/${path}`, body);
    expect(await refused(response)).toEqual([status, code, "path -> path"]);
  }
  expect(await list(session)).toMatchObject({ data: [] });
});

test("dots that the address itself resolves never reach another route's session", async () => {
  const session = await newSession();
  expect((await put(session, "../../x", "x")).status).toBe(405);
  expect((await put(session, "%2e%2e/turns", "x")).status).toBe(405);
});

test.each([
  "with space.txt",
  "ünïcode/日本語.txt",
  "🙂.md",
  "a+b&c=d?e#f.txt",
  "100%.txt",
  "%2F.txt",
  "...",
  ".hidden",
  'quote"back\\slash.txt',
  "new\nline.txt",
  "x".repeat(255),
])("the name %s comes back as it was", async (name) => {
  const session = await newSession();
  const path = name.split("/").map(encodeURIComponent).join("/");
  expect((await put(session, path, name)).status).toBe(201);
  const response = await get(`${session}/files/${path}`);
  expect(await response.text()).toBe(name);
  const file = name.split("/").at(-1) ?? "";
  const disposition = response.headers.get("content-disposition") ?? "";
  expect(decodeURIComponent(disposition.split("filename*=UTF-8''")[1] ?? "")).toBe(file);
  expect(disposition).toMatch(/^attachment; filename="[ !#-[\]-~]*"; /);
  expect((await paths(session)).at(-1)).toBe(name);
  // A slash may be written either way.
  expect(await textOf(session, encodeURIComponent(name))).toBe(name);
});

test("a file or an empty folder is removed, a full one only with all that is in it", async () => {
  const session = await newSession();
  await putAll(session, { "a/b/c.txt": "1", "a/d.txt": "2" });
  expect(await refused(await remove(session, "a"))).toEqual([409, "not_empty"]);
  const removed = await remove(session, "a/d.txt");
  expect(await removed.json()).toEqual({ path: "a/d.txt", deleted: true });
  expect(await refused(await remove(session, "a/d.txt"))).toEqual([404, "not_found"]);
  expect((await remove(session, "a?recursive=true")).status).toBe(200);
  expect(await paths(session)).toEqual([]);
  expect(await refused(await remove(session, "a?recursive=1"))).toEqual([
    422,
    "validation_error",
    "query -> recursive",
  ]);
});

test("what is moved is at its new place only, and replaces nothing unasked", async () => {
  const session = await newSession();
  await putAll(session, { "a.txt": "A", "b.txt": "B", "dir/c.txt": "C" });
  const moved = await move(session, { from: "a.txt", to: "new/place.txt" });
  expect([moved.status, await moved.json()]).toMatchObject([
    200,
    { path: "new/place.txt", type: "file", size: 1 },
  ]);
  expect(await textOf(session, "new/place.txt")).toBe("A");
  expect(await textOf(session, "a.txt")).toBeNull();
  const onto = { from: "new/place.txt", to: "b.txt" };
  expect(await refused(await move(session, onto))).toEqual([409, "already_exists"]);
  expect(await textOf(session, "b.txt")).toBe("B");
  expect((await move(session, { ...onto, overwrite: true })).status).toBe(200);
  expect(await textOf(session, "b.txt")).toBe("A");
  expect((await move(session, { from: "dir", to: "new/dir" })).status).toBe(200);
  expect(await textOf(session, "new/dir/c.txt")).toBe("C");
  expect((await move(session, { from: "b.txt", to: "b.txt" })).status).toBe(200);
  expect(await textOf(session, "b.txt")).toBe("A");
});

test.each([
  [{ from: "none", to: "x" }, [404, "not_found"]],
  [{ from: "dir", to: "dir/inside" }, [422, "invalid_path", "body -> to"]],
  [{ from: "a", to: "dir", overwrite: true }, [409, "already_exists"]],
  [{ from: "a", to: "../x" }, [422, "outside_workspace", "body -> to"]],
  [{ from: "/etc/passwd", to: "x" }, [422, "outside_workspace", "body -> from"]],
  [{ from: "a", to: "b/c" }, [409, "not_a_directory"]],
  [{ from: "a" }, [422, "validation_error", "body -> to"]],
  [{ from: 1, to: "x" }, [422, "validation_error", "body -> from"]],
  [{ from: "a", to: "x", force: true }, [422, "validation_error", "body -> force"]],
  ["{", [422, "validation_error", "body -> 1"]],
])("a move of %j is refused and moves nothing", async (body, problem) => {
  const session = await newSession();
  await putAll(session, { a: "A", b: "B", "dir/c": "C" });
  expect(await refused(await move(session, body))).toEqual(problem);
  expect(await paths(session)).toEqual(["a", "b", "dir", "dir/c"]);
});

test("a folder is made with those above it, and is there when it is made again", async () => {
  const session = await newSession();
  const make = (body: unknown) => post(`${session}/files/directories`, body);
  const made = await make({ path: "a/b" });
  expect([made.status, await made.json()]).toMatchObject([
    201,
    { path: "a/b", name: "b", type: "directory" },
  ]);
  expect((await make({ path: "a/b" })).status).toBe(200);
  await putAll(session, { "a/f": "" });
  expect(await refused(await make({ path: "a/f" }))).toEqual([409, "not_a_directory"]);
  expect(await refused(await make({ path: "../x" }))).toEqual([
    422,
    "outside_workspace",
    "body -> path",
  ]);
  expect(await refused(await make({}))).toEqual([422, "validation_error", "body -> path"]);
  expect(await paths(session)).toEqual(["a", "a/b", "a/f"]);
});

test("a link leads as far as the workspace goes, and is itself what is moved and removed", async () => {
  const session = await newSession();
  await putAll(session, { "real.txt": "real" });
  await runInDurableObject(await objectOf(session), (_, state) => {
    const workspace = new Workspace(state.storage);
    workspace.write("/tmp/secret", "secret");
    workspace.link("real.txt", "/workspace/good");
    workspace.link("/tmp/secret", "/workspace/bad");
    workspace.link("/tmp", "/workspace/out");
  });
  expect(await textOf(session, "good")).toBe("real");
  for (const path of ["bad", "out/secret"]) {
    const problem = [422, "outside_workspace", "path -> path"];
    expect(await refused(await get(`${session}/files/${path}`))).toEqual(problem);
    expect(await refused(await put(session, path, "x"))).toEqual(problem);
  }
  expect(await refused(await remove(session, "out/secret"))).toEqual([
    422,
    "outside_workspace",
    "path -> path",
  ]);
  expect((await move(session, { from: "good", to: "better" })).status).toBe(200);
  expect((await remove(session, "better")).status).toBe(200);
  expect((await remove(session, "out")).status).toBe(200);
  expect(await textOf(session, "real.txt")).toBe("real");
});

test("tools read what was uploaded, and what they write is downloaded", async () => {
  const session = await newSession();
  await putAll(session, { "in/data.txt": "forty-two\n" });
  standin.script(
    [
      toolUse("Read", { file_path: "/workspace/in/data.txt" }),
      toolUse("Write", { file_path: "out/answer.txt", content: "42\n" }),
    ],
    text("done"),
  );
  const turn = await post(`${session}/turns`, { input: "go" });
  expect(await turn.json()).toMatchObject({ outcome: "completed" });
  expect(JSON.stringify(standin.requests.at(-1)?.body)).toContain("forty-two");
  expect(await textOf(session, "out/answer.txt")).toBe("42\n");
});

test("a deleted session has no files, and another session has its own", async () => {
  const [session, other] = [await newSession(), await newSession()];
  await putAll(session, { "a.txt": "A" });
  expect(await textOf(other, "a.txt")).toBeNull();
  expect((await send("DELETE", session)).status).toBe(200);
  expect((await get(`${session}/files`)).status).toBe(404);
  expect((await get(`${session}/files/a.txt`)).status).toBe(404);
  expect((await put(session, "b.txt", "B")).status).toBe(404);
  expect((await get(`${session}/files.zip`)).status).toBe(404);
});

test("another method is 405 and says which are", async () => {
  const session = await newSession();
  const response = await post(`${session}/files/a.txt`, {});
  expect(response.status).toBe(405);
  expect(response.headers.get("allow")).toBe("GET, HEAD, PUT, DELETE");
});
