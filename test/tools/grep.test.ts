/** Grep on a real workspace. */
import { expect, test } from "vitest";
import { ToolBench, textOf } from "./context.ts";

async function withFiles(files: Record<string, string | Uint8Array>): Promise<ToolBench> {
  const bench = new ToolBench();
  await bench.inside((workspace) => {
    for (const [path, content] of Object.entries(files)) {
      workspace.write(`/workspace/${path}`, content);
    }
  });
  return bench;
}

const grep = async (bench: ToolBench, pattern: string, more: object = {}, given = {}) =>
  textOf(await bench.call("Grep", { pattern, ...more }, given));

const FILES = {
  "a.ts": "one\ntwo two\nthree\nfour\nfive\nTWO\n",
  "b/c.py": "two\n",
  "b/d.tsx": "none\r\ntwo\r\n",
  "e.bin": new Uint8Array([0x74, 0x77, 0x6f, 0]),
  "node_modules/f.ts": "two",
};

test("three modes: files, lines and counts", async () => {
  const bench = await withFiles(FILES);
  expect((await grep(bench, "two")).split("\n").toSorted()).toEqual([
    "/workspace/a.ts",
    "/workspace/b/c.py",
    "/workspace/b/d.tsx",
    "Found 3 files",
  ]);
  expect(await grep(bench, "two", { output_mode: "content" })).toBe(
    "/workspace/a.ts:2:two two\n/workspace/b/c.py:1:two\n/workspace/b/d.tsx:2:two",
  );
  expect(await grep(bench, "two", { output_mode: "count", "-i": true })).toBe(
    "/workspace/a.ts:2\n/workspace/b/c.py:1\n/workspace/b/d.tsx:1\n\nFound 4 total occurrences across 3 files.",
  );
  expect(await grep(bench, "^t.o$", { output_mode: "content", "-n": false })).toBe(
    "/workspace/b/c.py:two\n/workspace/b/d.tsx:two",
  );
  expect(await grep(bench, "nothing")).toBe("No matches found");
});

test("lines of context, and marks between groups", async () => {
  const bench = await withFiles({ a: "1\n2\nx\n4\n5\n6\n7\nx\n9\n" });
  const content = (more: object) =>
    grep(bench, "x", { output_mode: "content", path: "a", ...more });
  expect(await content({ "-C": 1 })).toBe(
    ["-2-2", ":3:x", "-4-4"].map((line) => `/workspace/a${line}`).join("\n") +
      "\n--\n" +
      ["-7-7", ":8:x", "-9-9"].map((line) => `/workspace/a${line}`).join("\n"),
  );
  expect(await content({ "-B": 2, "-n": false })).toBe(
    "/workspace/a-1\n/workspace/a-2\n/workspace/a:x\n--\n/workspace/a-6\n/workspace/a-7\n/workspace/a:x",
  );
  expect(await content({ "-A": 4, head_limit: 2 })).toBe(
    "/workspace/a:3:x\n/workspace/a-4-4\n(5 more lines. Go on with offset 2.)",
  );
});

test("files by path, glob and type", async () => {
  const bench = await withFiles(FILES);
  const found = (more: object, given = {}) =>
    grep(bench, "two", { output_mode: "count", ...more }, given);
  expect(await found({ path: "b" })).toContain("across 2 files");
  expect(await found({ path: "b/c.py" })).toContain("across 1 file.");
  expect(await found({ glob: "*.py" })).toMatch(/^\/workspace\/b\/c.py:1\n\n/);
  expect(await found({ glob: "b/*.{py,tsx}" })).toContain("across 2 files");
  expect(await found({ glob: "!*.py" })).toContain("across 2 files");
  expect(await found({ type: "ts" })).toContain("across 2 files");
  expect(await found({ path: "node_modules" })).toContain("across 1 file.");
  expect(await found({ type: "cobol" })).toContain("There is no type cobol. Known: c, cpp");
  expect(await found({ path: "none" })).toBe("Path does not exist: /workspace/none");
  expect(await found({}, { hidden: (path: string) => path.includes("/b/") })).toContain(
    "across 1 file.",
  );
});

test("head_limit and offset page through the result", async () => {
  const bench = await withFiles({ a: "x\n".repeat(10) });
  const page = (head_limit: number, offset: number) =>
    grep(bench, "x", { output_mode: "content", "-n": false, head_limit, offset });
  expect(await page(2, 3)).toBe(
    "/workspace/a:x\n/workspace/a:x\n(5 more lines. Go on with offset 5.)",
  );
  expect(await page(0, 9)).toBe("/workspace/a:x");
  expect(await page(2, 20)).toBe("(There are 10 lines, none from offset 20 on.)");
});

test("a match over several lines", async () => {
  const bench = await withFiles({ a: "a {\n  b\n}\nc\n" });
  const content = (pattern: string, multiline: boolean) =>
    grep(bench, pattern, { output_mode: "content", multiline });
  expect(await content("a \\{.*?\\}", true)).toBe(
    "/workspace/a:1:a {\n/workspace/a:2:  b\n/workspace/a:3:}",
  );
  expect(await content("a \\{.*?\\}", false)).toBe("No matches found");
});

test("what is left out is said", async () => {
  const bench = await withFiles({
    wide: `x${"y".repeat(600)}\n`,
    long: `x${"z".repeat(400)}\n`.repeat(100),
    huge: "x".repeat(5_000_001),
  });
  const wide = await grep(bench, "x", { path: "wide", output_mode: "content" });
  expect(wide).toMatch(/y… \[101 more characters\]$/);
  const long = await grep(bench, "x", { path: "long", output_mode: "content" });
  expect(long.length).toBeLessThan(31_000);
  expect(long).toMatch(/\(29 more lines. Go on with offset 71.\)$/);
  expect(await grep(bench, "x")).toContain("(1 larger than 5000000 bytes not searched.");
});

test("a pattern that stops other engines ends here, and what is none is refused", async () => {
  const bench = await withFiles({ a: `${"a".repeat(1_000_000)}!\n` });
  expect(await grep(bench, "(a+)+$")).toBe("No matches found");
  expect(await grep(bench, "(a|aa)*b", { multiline: true })).toBe("No matches found");
  expect(await grep(bench, "(a")).toContain("not a regular expression of RE2");
  expect(await grep(bench, "(?=a)")).toContain("not a regular expression of RE2");
});

test("several globs are taken as ripgrep takes them", async () => {
  const bench = new ToolBench();
  const paths = ["a.ts", "b/b.js", "c.md", "b/d.test.ts"];
  await bench.inside((workspace) => {
    for (const path of paths) workspace.write(`/workspace/${path}`, "x\n");
  });
  const found = async (glob: string) =>
    textOf(await bench.call("Grep", { pattern: "x", output_mode: "count", glob }))
      .split("\n")
      .flatMap((line) => /^\/workspace\/(.*):1$/.exec(line)?.[1] ?? []);
  expect(await found("*.ts,*.js")).toEqual(["a.ts", "b/b.js", "b/d.test.ts"]);
  expect(await found("*.md *.js")).toEqual(["b/b.js", "c.md"]);
  expect(await found("*.{md,js}")).toEqual(["b/b.js", "c.md"]);
  expect(await found("*.ts !*.test.ts")).toEqual(["a.ts"]);
  expect(await found("!*.ts !*.js")).toEqual(["c.md"]);
  expect(textOf(await bench.call("Grep", { pattern: "x", type: "typescript" }))).toContain("a.ts");
});
