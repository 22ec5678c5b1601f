/** Read and Write on a real workspace, in the words that users of Claude Code know. */
import { expect, test } from "vitest";
import { ToolBench, textOf } from "./context.ts";

const read = async (bench: ToolBench, file_path: string, more: object = {}) =>
  textOf(await bench.call("Read", { file_path, ...more }));

const put = (bench: ToolBench, path: string, content: string | Uint8Array) =>
  bench.inside((workspace) => void workspace.write(`/workspace/${path}`, content));

const get = (bench: ToolBench, path: string) =>
  bench.inside((workspace) => new TextDecoder().decode(workspace.read(`/workspace/${path}`)));

test("Read numbers the lines, and a part of them says what is left", async () => {
  const bench = new ToolBench();
  await put(bench, "a.txt", "one\ntwo\r\nthree\n\nfive");
  expect(await read(bench, "/workspace/a.txt")).toBe(
    "     1→one\n     2→two\n     3→three\n     4→\n     5→five",
  );
  expect(await read(bench, "a.txt", { offset: 2, limit: 2 })).toBe(
    "     2→two\n     3→three\n\n(Lines 2 to 3 of 5. Go on with offset 4.)",
  );
  expect(await read(bench, "a.txt", { offset: 5 })).toBe("     5→five");
  expect(await read(bench, "a.txt", { offset: 9 })).toContain(
    "shorter than the provided offset (9). The file has 5 lines.",
  );
});

test("Read says what it leaves out of long lines and long files", async () => {
  const bench = new ToolBench();
  await put(bench, "wide", `${"x".repeat(2_500)}\nshort`);
  expect(await read(bench, "wide")).toBe(
    `     1→${"x".repeat(2_000)}… [500 more characters]\n     2→short`,
  );
  await put(bench, "long", "line\n".repeat(2_001));
  expect(await read(bench, "long")).toMatch(
    / {2}2000→line\n\n\(Lines 1 to 2000 of 2001. Go on with offset 2001.\)$/,
  );
  await put(bench, "large", `${"y".repeat(1_500)}\n`.repeat(100));
  const part = await read(bench, "large");
  expect(part.length).toBeLessThan(102_000);
  expect(part).toMatch(/\(Lines 1 to 66 of 100. Go on with offset 67.\)$/);
});

test("Read says what is wrong with a path", async () => {
  const bench = new ToolBench();
  await put(bench, "dir/main.ts", "x");
  await put(bench, "empty", "");
  await put(bench, "binary", new Uint8Array([1, 0, 255, 254]));
  expect(await read(bench, "empty")).toContain("the file exists but the contents are empty");
  expect(await read(bench, "dir/main.js")).toBe("File does not exist. Did you mean main.ts?");
  expect(await read(bench, "dir/none")).toBe("File does not exist.");
  expect(await read(bench, "nowhere/none")).toBe("File does not exist.");
  expect(await read(bench, "dir")).toContain("/workspace/dir is a directory");
  expect(await read(bench, "binary")).toContain("is a binary file of 4 bytes");
  expect(await read(bench, "/etc/passwd")).toContain("outside of the workspace");
  for (const path of ["dir", "none", "binary", "../x"]) {
    expect((await bench.call("Read", { file_path: path })).is_error).toBe(true);
  }
});

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);

test("Read shows images and PDFs by what they are, up to their sizes", async () => {
  const bench = new ToolBench();
  await put(bench, "a.PNG", PNG);
  await put(bench, "b.jpg", PNG);
  await put(bench, "c.pdf", "%PDF-1.7\n");
  await put(bench, "d.png", "text");
  const large = new Uint8Array(3_750_001);
  large.set(PNG);
  await put(bench, "e.png", large);
  const blocks = async (file_path: string) => (await bench.call("Read", { file_path })).content;
  const source = { type: "media", media_type: "image/png", bytes: 11 };
  expect(await blocks("a.PNG")).toMatchObject([{ type: "image", source }]);
  expect(await blocks("b.jpg")).toMatchObject([{ type: "image", source }]);
  expect(await blocks("c.pdf")).toMatchObject([
    { type: "document", source: { media_type: "application/pdf" } },
  ]);
  expect(await blocks("d.png")).toEqual([{ type: "text", text: "     1→text" }]);
  expect(await blocks("e.png")).toEqual([
    { type: "text", text: "/workspace/e.png has 3750001 bytes and can be shown up to 3750000." },
  ]);
});

test("Write creates, and replaces what was read and has not changed", async () => {
  const bench = new ToolBench();
  const write = async (content: string) => {
    const result = await bench.call("Write", { file_path: "new/a.txt", content });
    return `${result.is_error ? "error: " : ""}${textOf(result)}`;
  };
  expect(await write("one")).toBe("File created successfully at: /workspace/new/a.txt");
  expect(await write("two")).toBe("The file /workspace/new/a.txt has been updated successfully.");
  await put(bench, "new/a.txt", "theirs");
  expect(await write("three")).toMatch(/^error: File has been modified since read/);
  bench.known.clear();
  expect(await write("three")).toBe(
    "error: File has not been read yet. Read it first before writing to it.",
  );
  expect(await get(bench, "new/a.txt")).toBe("theirs");
  await read(bench, "new/a.txt");
  expect(await write("three")).toContain("updated successfully");
  expect(await get(bench, "new/a.txt")).toBe("three");
  const folder = await bench.call("Write", { file_path: "new", content: "" });
  expect(folder).toMatchObject({ is_error: true });
});

test("a file that a denial hides is no hint either", async () => {
  const bench = new ToolBench();
  await put(bench, "key.pem", "x");
  const hidden = (path: string) => path.endsWith("key.pem");
  const result = await bench.call("Read", { file_path: "key.txt" }, { hidden });
  expect(textOf(result)).toBe("File does not exist.");
});

test("TodoWrite takes the list of Claude Code", async () => {
  const bench = new ToolBench();
  const todos = [{ content: "a", status: "pending", activeForm: "Doing a" }];
  expect(textOf(await bench.call("TodoWrite", { todos }))).toContain("modified successfully");
  await expect(bench.call("TodoWrite", { todos: [{ content: "a", status: "x" }] })).rejects.toThrow(
    /InputValidationError: TodoWrite[\s\S]*todos.0.status/,
  );
});

test("what a model means is taken: numbers, switches and lists in quotes, empty texts", async () => {
  const bench = new ToolBench();
  await put(bench, "a.txt", "one\ntwo\none\n");
  expect(await read(bench, "a.txt", { offset: "2", limit: " 1", pages: "" })).toBe(
    "     2→two\n\n(Lines 2 to 2 of 3. Go on with offset 3.)",
  );
  const call = async (name: string, input: object) => textOf(await bench.call(name, input));
  const old = { file_path: "a.txt", old_string: "one" };
  expect(await call("Edit", { ...old, new_string: "1", replace_all: "False" })).toContain(
    "Found 2 matches",
  );
  await call("Edit", { ...old, new_string: "1", replace_all: "true" });
  const edits = JSON.stringify([{ old_string: "1", new_string: "", replace_all: "true" }]);
  expect(await call("MultiEdit", { file_path: "a.txt", edits })).toContain("Applied 1 edit");
  expect(await get(bench, "a.txt")).toBe("\ntwo\n\n");
  expect(await call("Write", { file_path: "b", content: "1" })).toContain("created");
  expect(await get(bench, "b")).toBe("1");
  expect(await call("Glob", { pattern: "*", path: "" })).toContain("/workspace/b");
  expect(await call("LS", { path: ".", ignore: '["b"]' })).toBe("- /workspace/\n  - a.txt");
  const grep = { pattern: "two", path: "", glob: "", output_mode: "content", "-n": "false" };
  expect(await call("Grep", { ...grep, "-A": "0" })).toBe("/workspace/a.txt:two");
});

test("an input that no tool takes is said in few words", async () => {
  const bench = new ToolBench();
  const said = (name: string, input: unknown) =>
    bench.call(name, input).then(textOf, (error: Error) => error.message);
  expect(await said("Read", { path: "a", offset: "one" })).toBe(
    'InputValidationError: Read failed due to the following issues:\nThe required parameter `file_path` is missing\noffset: Invalid type: Expected number but received "one"\nAn unexpected parameter `path` was provided',
  );
  expect(await said("MultiEdit", { file_path: "a", edits: [{ old_string: "" }] })).toContain(
    "The required parameter `edits.0.new_string` is missing",
  );
  expect(
    (await said("MultiEdit", { file_path: "a", edits: "x".repeat(9_000) })).length,
  ).toBeLessThan(500);
  for (const input of [null, "a", [1], { file_path: ["a"] }]) {
    expect(await said("Read", input)).toContain("InputValidationError: Read");
  }
});

test("a hint names what differs in case or ending only, and the folder that paths begin in", async () => {
  const bench = new ToolBench();
  await put(bench, "src/Makefile", "x");
  expect(await read(bench, "/workspace/src/makefile")).toBe(
    "File does not exist. Did you mean Makefile?",
  );
  bench.shell = { cwd: "/workspace/src", env: {} };
  expect(await read(bench, "src/Makefile")).toBe(
    "File does not exist. Your current folder is /workspace/src.",
  );
});
