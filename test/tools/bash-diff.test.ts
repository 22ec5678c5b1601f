/** `diff` as users of GNU diff know it. */
import "just-bash";
import { expect, test } from "vitest";
import { said, ToolBench } from "./context.ts";

const FILES = `printf '1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n' > a; printf '1\\nTWO\\n3\\n4\\n5\\n6\\n8\\n9' > b;`;

test("diff shows what differs in the normal and in the unified form", async () => {
  const bench = new ToolBench();
  expect(await said(bench, `${FILES} diff a b`)).toBe(
    "Exit code 1\n2c2\n< 2\n---\n> TWO\n7d6\n< 7\n8a8\n> 9\n\\ No newline at end of file",
  );
  expect(await said(bench, "diff -u a b; echo $?")).toBe(
    "--- a\n+++ b\n@@ -1,8 +1,8 @@\n 1\n-2\n+TWO\n 3\n 4\n 5\n 6\n-7\n 8\n+9\n\\ No newline at end of file\n1",
  );
  expect(await said(bench, "diff -U0 a b | grep -c ^@@; diff --unified a b | head -1")).toBe(
    "3\n--- a",
  );
  expect(await said(bench, "diff a a && diff -s a a && cat b | diff -q b - && echo same")).toBe(
    "Files a and a are identical\nsame",
  );
  expect(
    await said(
      bench,
      "diff -q a b; diff -i <(echo A) <(echo a); diff -w <(echo ' a') <(echo a); echo $?",
    ),
  ).toBe("Files a and b differ\n0");
  expect(await said(bench, "diff <(echo ü) - <<< ü && diff /dev/null a | head -2")).toBe(
    "0a1,8\n> 1",
  );
});

test("diff compares folders, and says what it cannot", async () => {
  const bench = new ToolBench();
  const made = `mkdir -p x/d y/d; echo 1 > x/a; echo 2 > y/a; echo 3 > x/d/n; echo 4 > y/only; cp x/d/n y/d/n; echo z >> y/d/n;`;
  expect(await said(bench, `${made} diff x y`)).toBe(
    "Exit code 1\ndiff x/a y/a\n1c1\n< 1\n---\n> 2\nCommon subdirectories: x/d and y/d\nOnly in y: only",
  );
  expect(await said(bench, "diff -rq x y")).toBe(
    "Exit code 1\nFiles x/a and y/a differ\nFiles x/d/n and y/d/n differ\nOnly in y: only",
  );
  expect(await said(bench, "diff -ruN x y | grep '^[+-]'")).toContain("+++ y/only\n+4");
  expect(await said(bench, "diff x/a y")).toContain("> 2");
  expect(await said(bench, "ln -s . x/loop; ln -s . y/loop; diff -rq x y")).toContain(
    "diff: too many symlinks",
  );
  expect(await said(bench, "diff x/none y/a")).toBe(
    "Exit code 2\ndiff: x/none: No such file or directory",
  );
  expect(await said(bench, "diff -Z x y")).toBe("Exit code 2\ndiff: unknown option `Z'");
  expect(await said(bench, "diff x")).toContain("diff: two files");
  expect(await said(bench, "printf 'a\\0' > p; printf 'b\\0' > q; diff p q")).toContain(
    "Binary files p and q differ",
  );
});

test("long files that differ in every line are soon compared", async () => {
  const bench = new ToolBench();
  expect(await said(bench, "diff <(seq 100000) <(seq 200001 300000) | wc -l; echo done")).toBe(
    "200002\ndone",
  );
});
