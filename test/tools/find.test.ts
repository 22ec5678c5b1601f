/** LS and Glob on a real workspace, and the patterns that all tools share. */
import { expect, onTestFinished, test } from "vitest";
import { globMatcher } from "../../src/tools/glob-pattern.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { ToolBench, textOf } from "./context.ts";

test.each<[string, string, boolean]>([
  ["*.ts", "a.ts", true],
  ["*.ts", "a/b.ts", false],
  ["**/*.ts", "a.ts", true],
  ["**/*.ts", "a/b/c.ts", true],
  ["a/**", "a", true],
  ["a/**", "ab", false],
  ["a/**/**", "b", false],
  ["a/**/z", "a/z", true],
  ["a/**/z", "a/b/c/z", true],
  ["a**z", "a/z", false],
  ["?.js", "x.js", true],
  ["?.js", "/.js", false],
  ["[a-c].js", "b.js", true],
  ["[!a-c].js", "b.js", false],
  ["[^a].js", "/.js", false],
  ["[]].js", "].js", true],
  ["[z-a].js", "[z-a].js", true],
  ["*.{ts,js}", "a.js", true],
  ["{a,b/{c,d}}/x", "b/d/x", true],
  ["{a", "{a", true],
  ["a\\*", "a*", true],
  ["a\\*", "ab", false],
  [".*", ".env", true],
  ["a.b", "axb", false],
  ["a+(b)", "aab", false],
])("the pattern %s and the path %s: %s", (pattern, path, fits) => {
  expect(globMatcher(pattern)(path)).toBe(fits);
});

const put = (bench: ToolBench, ...paths: string[]) =>
  bench.inside((workspace) => {
    for (const path of paths) workspace.write(`/workspace/${path}`, "x");
  });

test("LS shows a tree, without what is to be ignored", async () => {
  const bench = new ToolBench();
  await put(bench, "b/c.ts", "b/d.log", "a.txt", "node_modules/x/y.js", ".git/HEAD");
  const ls = async (input: object, given = {}) => textOf(await bench.call("LS", input, given));
  expect(await ls({ path: "/workspace", ignore: ["*.log"] })).toBe(
    "- /workspace/\n  - .git/\n  - a.txt\n  - b/\n    - c.ts\n  - node_modules/",
  );
  expect(await ls({ path: "b" })).toBe("- /workspace/b/\n  - c.ts\n  - d.log");
  expect(await ls({ path: "b" }, { hidden: (path: string) => path.endsWith("c.ts") })).toBe(
    "- /workspace/b/\n  - d.log",
  );
  expect(await ls({ path: "none" })).toBe("Directory does not exist: /workspace/none");
  expect(await ls({ path: "a.txt" })).toBe("/workspace/a.txt is not a directory.");
});

test("LS says how many entries it does not show", async () => {
  const bench = new ToolBench();
  await put(bench, ...Array.from({ length: 1_003 }, (_, i) => `d/${i}`));
  expect(textOf(await bench.call("LS", { path: "d" }))).toMatch(
    /\(3 more are not shown. List a folder below this one.\)$/,
  );
});

test("Glob finds the newest first", async () => {
  const clock = new FakeClock();
  onTestFinished(() => clock.restore());
  const bench = new ToolBench();
  for (const path of ["old.ts", "new.ts", "b/newest.ts", "b/x.js"]) {
    await put(bench, path);
    clock.advance(1_000);
  }
  const glob = async (input: object, given = {}) => textOf(await bench.call("Glob", input, given));
  expect(await glob({ pattern: "**/*.ts" })).toBe(
    "/workspace/b/newest.ts\n/workspace/new.ts\n/workspace/old.ts",
  );
  expect(await glob({ pattern: "/workspace/b/*" })).toBe(
    "/workspace/b/x.js\n/workspace/b/newest.ts",
  );
  expect(await glob({ pattern: "*.js", path: "b" })).toBe("/workspace/b/x.js");
  expect(await glob({ pattern: "*.js" })).toBe("No files found");
  expect(await glob({ pattern: "**/*.js" }, { hidden: () => true })).toBe("No files found");
});

test("Glob looks into folders of programs when the pattern names them", async () => {
  const bench = new ToolBench();
  await put(bench, "node_modules/x/y.js", "z.js");
  const glob = async (pattern: string) => textOf(await bench.call("Glob", { pattern }));
  expect(await glob("**/*.js")).toBe("/workspace/z.js");
  expect(await glob("node_modules/**/*.js")).toBe("/workspace/node_modules/x/y.js");
});

test("Glob says how many it does not show, and no pattern takes long", async () => {
  const bench = new ToolBench();
  await put(bench, ...Array.from({ length: 101 }, (_, i) => `d/${"a".repeat(200)}${i}`));
  const all = textOf(await bench.call("Glob", { pattern: "d/*" }));
  expect(all.split("\n")).toHaveLength(101);
  expect(all).toMatch(/\(Results are truncated: 100 of 101 files\..*\)$/);
  const slow = textOf(await bench.call("Glob", { pattern: `**/${"*a".repeat(100)}*b` }));
  expect(slow).toBe("No files found");
});
