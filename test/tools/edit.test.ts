/** Edit and MultiEdit on a real workspace. */
import { expect, test } from "vitest";
import { ToolBench, textOf } from "./context.ts";

const put = (bench: ToolBench, path: string, content: string) =>
  bench.inside((workspace) => void workspace.write(`/workspace/${path}`, content));

const get = (bench: ToolBench, path: string) =>
  bench.inside((workspace) => new TextDecoder().decode(workspace.read(`/workspace/${path}`)));

/** A bench with one file that was read. */
async function withFile(content: string): Promise<ToolBench> {
  const bench = new ToolBench();
  await put(bench, "a", content);
  await bench.call("Read", { file_path: "a" });
  return bench;
}

const edit = (bench: ToolBench, old_string: string, new_string: string, more: object = {}) =>
  bench.call("Edit", { file_path: "a", old_string, new_string, ...more });

test("a unique string is replaced, and the lines around it are shown", async () => {
  const bench = await withFile("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
  const result = await edit(bench, "6\n", "six\nand more\n");
  expect(textOf(result)).toBe(
    "The file /workspace/a has been updated. Here's the result of running `cat -n` on a snippet of the edited file:\n     2→2\n     3→3\n     4→4\n     5→5\n     6→six\n     7→and more\n     8→7\n     9→8\n    10→9\n    11→10",
  );
  // What it wrote it knows, so that the next one needs no reading.
  expect((await edit(bench, "six", "$& $1")).is_error).toBe(false);
  expect(await get(bench, "a")).toBe("1\n2\n3\n4\n5\n$& $1\nand more\n7\n8\n9\n10\n");
});

test("what cannot be done is said, and the file stays", async () => {
  const bench = await withFile("x x");
  const said = async (old_string: string, new_string: string) => {
    const result = await edit(bench, old_string, new_string);
    expect(result.is_error).toBe(true);
    return textOf(result);
  };
  expect(await said("x", "y")).toMatch(
    /^Found 2 matches of the string to replace, but replace_all is false\..*\nString: x$/,
  );
  expect(await said("z", "y")).toBe("String to replace not found in file.\nString: z");
  expect(await said("x", "x")).toBe(
    "No changes to make: old_string and new_string are exactly the same.",
  );
  expect(await said("", "y")).toContain("must not be empty");
  bench.known.clear();
  expect(await said("x x", "y")).toContain("File has not been read yet");
  await bench.call("Read", { file_path: "a" });
  await put(bench, "a", "x x!");
  expect(await said("x x", "y")).toContain("File has been modified since read");
  expect(await get(bench, "a")).toBe("x x!");
});

test("replace_all replaces each, and a long change is shown in part", async () => {
  const bench = await withFile("x\n".repeat(300));
  const result = await edit(bench, "x", "y", { replace_all: true });
  expect(await get(bench, "a")).toBe("y\n".repeat(300));
  expect(textOf(result)).toMatch(/ {3}100→y\n\(200 more lines up to the last change.\)$/);
});

test("an empty old_string creates a file, or fills an empty one", async () => {
  const bench = new ToolBench();
  expect((await edit(bench, "", "new\n")).is_error).toBe(false);
  expect(await get(bench, "a")).toBe("new\n");
  const empty = await withFile("");
  expect((await edit(empty, "", "filled")).is_error).toBe(false);
  expect(await get(empty, "a")).toBe("filled");
});

test("the ends of lines stay as they are in the file", async () => {
  const bench = await withFile("one\r\ntwo\r\nthree\r\n");
  expect((await edit(bench, "one\ntwo", "1\n2\n2b")).is_error).toBe(false);
  expect(await get(bench, "a")).toBe("1\r\n2\r\n2b\r\nthree\r\n");
  const mixed = await withFile("one\r\ntwo\nthree\r\n");
  expect((await edit(mixed, "two\n", "2\n")).is_error).toBe(false);
  expect(await get(mixed, "a")).toBe("one\r\n2\nthree\r\n");
});

test("MultiEdit makes all edits in order, or none", async () => {
  const bench = await withFile("a b c");
  const edits = (...pairs: [string, string][]) =>
    bench.call("MultiEdit", {
      file_path: "a",
      edits: pairs.map(([old_string, new_string]) => ({ old_string, new_string })),
    });
  const failed = await edits(["a", "x"], ["nothing", "y"]);
  expect(failed).toMatchObject({ is_error: true });
  expect(await get(bench, "a")).toBe("a b c");
  expect(textOf(await edits(["a", "x"], ["x b", "z"]))).toBe(
    'Applied 2 edits to /workspace/a:\n1. Replaced "a" with "x"\n2. Replaced "x b" with "z"',
  );
  expect(await get(bench, "a")).toBe("z c");
});
