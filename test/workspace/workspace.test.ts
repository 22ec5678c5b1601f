/** The files of a session: synchronous, limited, and gone with what did not reach the disk. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { expect, test } from "vitest";
import { WorkspaceError } from "../../src/workspace/errors.ts";
import { resolvePath } from "../../src/workspace/paths.ts";
import { LIMITS, Workspace, type WorkspaceLimits } from "../../src/workspace/workspace.ts";

/** Runs `act` on the workspace of an object, which is a new one unless a name is given. */
function inside<T>(
  act: (workspace: Workspace, state: DurableObjectState) => T,
  { name = ulid(), limits = LIMITS }: { name?: string; limits?: WorkspaceLimits } = {},
): Promise<T> {
  const object = env.SESSION.getByName(`acct_files/${name}`);
  return runInDurableObject(object, (_, state) => act(new Workspace(state.storage, limits), state));
}

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof WorkspaceError) return error.code;
    throw error;
  }
  return "none";
};

const text = (workspace: Workspace, path: string) => new TextDecoder().decode(workspace.read(path));

test("files are written, read, listed, moved and removed", () =>
  inside((workspace) => {
    expect(workspace.write("/workspace/a/b/c.txt", "one")).toBe(true);
    expect(workspace.write("/workspace/a/b/c.txt", "two")).toBe(false);
    expect(text(workspace, "/workspace/a/b/c.txt")).toBe("two");
    expect([...workspace.walk("/workspace")].map(({ path, type }) => [path, type])).toEqual([
      ["/workspace/a", "directory"],
      ["/workspace/a/b", "directory"],
      ["/workspace/a/b/c.txt", "file"],
    ]);
    workspace.move("/workspace/a/b", "/workspace/d/e");
    expect(text(workspace, "/workspace/d/e/c.txt")).toBe("two");
    expect(codeOf(() => workspace.remove("/workspace/d"))).toBe("not_empty");
    workspace.remove("/workspace/d", true);
    expect(workspace.list("/workspace").map(({ name }) => name)).toEqual(["a"]);
    expect(codeOf(() => workspace.read("/workspace/d"))).toBe("not_found");
    expect(codeOf(() => workspace.read("/workspace/a"))).toBe("not_a_file");
    expect(codeOf(() => workspace.list("/workspace/x"))).toBe("not_found");
  }));

test("links lead where they say, and a path tells where", () =>
  inside((workspace) => {
    workspace.write("/workspace/a.txt", "one");
    workspace.link("a.txt", "/workspace/b");
    expect(text(workspace, "/workspace/b")).toBe("one");
    expect(workspace.lstat("/workspace/b")).toMatchObject({ type: "symlink" });
    expect(workspace.realPath("/workspace/b")).toBe("/workspace/a.txt");
    expect(workspace.readLink("/workspace/b")).toBe("a.txt");
    workspace.write("/workspace/d/x", "x");
    workspace.link("../d", "/workspace/e/up");
    expect(workspace.realPath("/workspace/e/up/x")).toBe("/workspace/d/x");
    workspace.link("circle", "/workspace/circle");
    expect(codeOf(() => workspace.realPath("/workspace/circle"))).toBe("invalid_path");
  }));

test("bytes come back as they were, in parts too", () =>
  inside((workspace) => {
    const bytes = Uint8Array.from({ length: 1_200_000 }, (_, i) => (i * 7) % 256);
    workspace.write("/workspace/x.bin", bytes);
    const read = workspace.read("/workspace/x.bin");
    expect(read.length).toBe(bytes.length);
    expect(read.every((byte, i) => byte === bytes[i])).toBe(true);
    expect(workspace.readRange("/workspace/x.bin", 524_280, 20)).toEqual(
      bytes.slice(524_280, 524_300),
    );
  }));

test("what is used is counted as it is on disk", () =>
  inside((workspace, state) => {
    workspace.write("/workspace/a/one", "12345");
    workspace.write("/workspace/a/one", "123");
    workspace.write("/workspace/two", "1234567");
    workspace.link("two", "/workspace/three");
    workspace.remove("/workspace/two");
    workspace.move("/workspace/a/one", "/workspace/b/one");
    expect(new Workspace(state.storage).usage).toEqual(workspace.usage);
    expect(workspace.usage.bytes).toBe(3);
  }));

test("each limit has its error, and what it refused is not there", () =>
  inside(
    (workspace) => {
      expect(codeOf(() => workspace.write("/workspace/a", "12345678901"))).toBe("file_too_large");
      workspace.write("/workspace/a", "1234567890");
      expect(codeOf(() => workspace.write("/workspace/b", "1234567890"))).toBe("workspace_full");
      workspace.write("/workspace/b", "1");
      workspace.write("/workspace/c", "1");
      expect(codeOf(() => workspace.write("/workspace/d", "1"))).toBe("too_many_files");
      expect(workspace.list("/workspace").map(({ name }) => name)).toEqual(["a", "b", "c"]);
      workspace.remove("/workspace/b");
      workspace.write("/workspace/d", "1");
    },
    { limits: { ...LIMITS, fileBytes: 10, totalBytes: 15, entries: 5 } },
  ));

test("a database that is full takes nothing new, and what frees space goes on", async () => {
  const name = ulid();
  await inside((workspace) => workspace.write("/workspace/a", "x".repeat(10)), { name });
  await inside(
    (workspace) => {
      expect(codeOf(() => workspace.write("/workspace/b", "1"))).toBe("session_full");
      expect(codeOf(() => workspace.write("/workspace/a", "x".repeat(11)))).toBe("session_full");
      expect(codeOf(() => workspace.makeDirectory("/workspace/c"))).toBe("session_full");
      expect(codeOf(() => workspace.link("a", "/workspace/d"))).toBe("session_full");
      workspace.move("/workspace/a", "/workspace/e");
      workspace.write("/workspace/e", "123");
      workspace.remove("/workspace/e");
      expect(workspace.list("/workspace")).toEqual([]);
    },
    { name, limits: { ...LIMITS, storageBytes: 1 } },
  );
});

test("no path becomes longer than one that can be said, by a move or through a link", () =>
  inside((workspace) => {
    const long = "x".repeat(250);
    const inner = [long, long, long].join("/");
    workspace.write(`/workspace/a/${inner}/file`, "deep");
    const move = () => workspace.move("/workspace/a", `/workspace/${long}/longer`);
    expect(codeOf(move)).toBe("path_too_long");
    expect(text(workspace, `/workspace/a/${inner}/file`)).toBe("deep");
    expect(workspace.lstat(`/workspace/${long}`)).toBeNull();
    workspace.move("/workspace/a", `/workspace/${"y".repeat(200)}`);
    expect(text(workspace, `/workspace/${"y".repeat(200)}/${inner}/file`)).toBe("deep");
    workspace.link(`/workspace/${"y".repeat(200)}/${inner}`, "/workspace/short");
    for (const write of [
      () => workspace.write(`/workspace/short/${long}`, "x"),
      () => workspace.makeDirectory(`/workspace/short/${long}`),
      () => workspace.link("x", `/workspace/short/${long}`),
      () => workspace.move("/workspace/short", `/workspace/short/${long}`),
    ]) {
      expect(codeOf(write)).toBe("path_too_long");
    }
  }));

test("a folder that was one and has become a link is not taken for the folder", () =>
  inside((workspace) => {
    const long = Array.from({ length: 4 }, () => "x".repeat(245)).join("/");
    workspace.makeDirectory(`/workspace/${long}`);
    workspace.write("/workspace/a/1", "1");
    workspace.remove("/workspace/a", true);
    workspace.link(long, "/workspace/a");
    const write = () => workspace.write(`/workspace/a/${"y".repeat(50)}`, "2");
    expect(codeOf(write)).toBe("path_too_long");
    workspace.remove("/workspace/a");
    workspace.makeDirectory("/workspace/a");
    write();
    workspace.move("/workspace/a", "/workspace/b");
    workspace.link(long, "/workspace/a");
    expect(codeOf(write)).toBe("path_too_long");
  }));

test("a folder cannot be moved into itself, also not through a link to it", () =>
  inside((workspace) => {
    workspace.write("/workspace/a/x", "x");
    workspace.link("a", "/workspace/link");
    expect(codeOf(() => workspace.move("/workspace/a", "/workspace/a/b"))).toBe("invalid_path");
    expect(codeOf(() => workspace.move("/workspace/a", "/workspace/link/b"))).toBe("invalid_path");
    workspace.move("/workspace/a/x", "/workspace/link/x");
    expect([...workspace.walk("/workspace")].map(({ path }) => path)).toEqual([
      "/workspace/a",
      "/workspace/a/x",
      "/workspace/link",
    ]);
  }));

test("what did not reach the disk before a crash is gone whole", async () => {
  const name = ulid();
  await inside((workspace) => workspace.write("/workspace/a", "before"), { name });
  await inside(
    (workspace, state) => {
      workspace.write("/workspace/a", "after");
      workspace.write("/workspace/b", "after");
      state.abort("crash");
    },
    { name },
  ).catch(() => {});
  await inside(
    (workspace) => {
      expect(text(workspace, "/workspace/a")).toBe("before");
      expect(workspace.stat("/workspace/b")).toBeNull();
    },
    { name },
  );
});

test.each([
  ["a/../b", "/workspace/b"],
  ["./a//b/", "/workspace/a/b"],
  ["/workspace", "/workspace"],
  ["/workspace/../workspace/x", "/workspace/x"],
])("the path %s means %s", (path, meant) => {
  expect(resolvePath(path)).toBe(meant);
});

test.each([
  ["..", "outside"],
  ["/etc/passwd", "outside"],
  ["/workspaces", "outside"],
  ["a/../../..", "outside"],
  ["", "invalid_path"],
  ["a\0b", "invalid_path"],
  ["x".repeat(256), "path_too_long"],
  ["dir/".repeat(300), "path_too_long"],
])("the path %s is refused as %s", (path, code) => {
  expect(codeOf(() => resolvePath(path))).toBe(code);
});
