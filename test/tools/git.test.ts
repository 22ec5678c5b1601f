/** git in the workspace, in the words that its users know. */
import "just-bash";
import "isomorphic-git";
import { expect, onTestFinished, test } from "vitest";
import { FakeClock } from "../support/fake-clock.ts";
import { said, ToolBench, textOf } from "./context.ts";

/** A session in a repository with one commit: `a` of two lines and `d/b`. */
async function repository(): Promise<ToolBench> {
  const bench = new ToolBench();
  await said(
    bench,
    "git init -q; printf 'one\\ntwo\\n' > a; mkdir d; echo b > d/b; git add .; git commit -qm first",
  );
  return bench;
}

test("from nothing to a commit", async () => {
  const bench = new ToolBench();
  expect(await said(bench, "git status")).toBe(
    "Exit code 128\nfatal: not a git repository (or any of the parent directories): .git",
  );
  expect(await said(bench, "git init p; cd p; git log")).toBe(
    "Exit code 128\nInitialized empty Git repository in /workspace/p/.git/\nfatal: your current branch 'main' does not have any commits yet",
  );
  expect(await said(bench, "mkdir d; echo a > a; touch d/x d/y; git status")).toBe(
    'On branch main\n\nNo commits yet\n\nUntracked files:\n  (use "git add <file>..." to include in what will be committed)\n\ta\n\td/\n\nnothing added to commit but untracked files present (use "git add" to track)',
  );
  expect(
    await said(bench, "git add a d/x; git status -s; git commit -m 'the first' -m more"),
  ).toMatch(
    /^A {2}a\nA {2}d\/x\n\?\? d\/y\n\[main \(root-commit\) [0-9a-f]{7}\] the first\n 2 files changed, 1 insertion\(\+\)$/,
  );
  expect(await said(bench, "git log")).toMatch(
    /^commit [0-9a-f]{40} \(HEAD -> main\)\nAuthor: Ledge <ledge@localhost>\nDate: {3}\w{3} \w{3} \d+ \S+ \d{4} \+0000\n\n {4}the first\n\n {4}more$/,
  );
});

test("what has changed is shown where it is, and only there", async () => {
  const bench = await repository();
  await said(bench, "echo three >> a; rm d/b; echo n > new; git add new");
  expect(await said(bench, "git status -s; git diff")).toBe(
    " M a\n D d/b\nA  new\ndiff --git a/a b/a\nindex 814f4a4..4cb29ea 100644\n--- a/a\n+++ b/a\n@@ -1,2 +1,3 @@\n one\n two\n+three\ndiff --git a/d/b b/d/b\ndeleted file mode 100644\nindex 6178079..0000000\n--- a/d/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-b",
  );
  expect(
    await said(
      bench,
      "git diff --staged --stat; git diff --name-status HEAD; cd d; git diff -- ../a | tail -1",
    ),
  ).toBe(" new | 1 +\n 1 file changed, 1 insertion(+)\nM\ta\nD\td/b\nA\tnew\n+three");
  expect(
    await said(
      bench,
      "git -C .. add -A; git commit -qm second; git show --stat | tail -4; git diff HEAD~1..HEAD --name-only; git show HEAD~1:d/b",
    ),
  ).toBe(
    " a   | 1 +\n d/b | 1 -\n new | 1 +\n 3 files changed, 2 insertions(+), 1 deletion(-)\na\nd/b\nnew\nb",
  );
  expect(
    await said(
      bench,
      "printf 'a\\0b' > ../bin; git -C .. add bin; git diff --cached | tail -1; git commit -q; git commit -qm x; git log --oneline -n 2 | cut -c9-",
    ),
  ).toBe(
    "Binary files /dev/null and b/bin differ\n(HEAD -> main) x\nsecond\nerror: there is no editor here; give the message with -m",
  );
});

test("a change of the same length in the same moment is a change", async () => {
  const clock = new FakeClock(Date.UTC(2030, 0, 1));
  onTestFinished(() => clock.restore());
  const bench = await repository();
  expect(
    await said(bench, "echo 1 > f; git add f; git commit -qm f; echo 2 > f; git status -s"),
  ).toBe(" M f");
  clock.advance(60_000);
  expect(
    await said(bench, "git status -s; git commit -qam g; git status -s; git show HEAD:f"),
  ).toBe(" M f\n2");
});

test("branches are made, switched, merged and removed", async () => {
  const bench = await repository();
  expect(
    await said(
      bench,
      "git checkout -b feature; echo f > f; git add f; git commit -qm feature; git checkout main; ls; git branch",
    ),
  ).toBe("Switched to a new branch 'feature'\nSwitched to branch 'main'\na\nd\n  feature\n* main");
  expect(
    await said(bench, "git merge feature; ls; git branch -d feature; git branch --show-current"),
  ).toMatch(
    /^Updating [0-9a-f]{7}\.\.[0-9a-f]{7}\nFast-forward\na\nd\nf\nDeleted branch feature \(was [0-9a-f]{7}\)\.\nmain$/,
  );
  expect(
    await said(
      bench,
      "git switch -c x; echo x > a; git commit -qam x; git switch main; echo y > a; git switch x; cat a",
    ),
  ).toContain("would be overwritten by checkout:\n\ta\n");
  expect(await said(bench, "git commit -qam y; git merge x; git status -s")).toContain(
    "CONFLICT (content): Merge conflict in a",
  );
  expect(
    await said(
      bench,
      "cat a; echo both > a; git add a; git commit -qm merged; git log -1 | head -2; git merge x",
    ),
  ).toMatch(/^<<<<<<< [\s\S]*\nMerge: [0-9a-f]{7} [0-9a-f]{7}\nAlready up to date\.$/);
  expect(await said(bench, "git checkout HEAD~1; git branch; git checkout nothing")).toMatch(
    /HEAD is now at [0-9a-f]{7} y\n\* \(HEAD detached at [0-9a-f]{7}\)\n {2}main\n {2}x\nerror: pathspec 'nothing' did not match any file/,
  );
});

test("what was changed is taken back", async () => {
  const bench = await repository();
  expect(
    await said(
      bench,
      "echo x > a; git restore a; cat a; echo y > a; git checkout -- a; cat a; echo z > a; git add a; git restore --staged a; git status -s",
    ),
  ).toBe("one\ntwo\nUpdated 1 path from the index\none\ntwo\n M a");
  expect(
    await said(
      bench,
      "git commit -qam second; git reset --soft HEAD~1; git status -s; git reset; git status -s; git reset --hard; git status -s; cat a",
    ),
  ).toMatch(/^M {2}a\n M a\nHEAD is now at [0-9a-f]{7} first\none\ntwo$/);
  expect(
    await said(
      bench,
      "echo n > n; git add n; git commit -qm n; git reset --hard HEAD~1; ls; git log --oneline | wc -l",
    ),
  ).toMatch(/^HEAD is now at .* first\na\nd\n1$/);
  expect(
    await said(bench, "echo w > a; git stash; cat a; git stash pop; cat a; git stash list"),
  ).toBe("Saved working directory and index state\none\ntwo\nw");
  expect(
    await said(
      bench,
      "git rm -q --cached d/b; git status -s; git rm nope; git mv a d/c; git status -s",
    ),
  ).toContain("pathspec 'nope' did not match any files");
});

test("files that are ignored stay out, and a commit can be amended and is from whom it should be", async () => {
  const bench = await repository();
  expect(
    await said(
      bench,
      "echo '*.log' > .gitignore; touch x.log; git add -A; git status -s; git config user.name Ada; git config user.email ada@x; git commit -qm 'wrong'; git commit --amend -m right | head -1; git log --format='%an <%ae> %s' -n 2",
    ),
  ).toMatch(
    /^A {2}\.gitignore\n\[main [0-9a-f]{7}\] right\nAda <ada@x> right\nLedge <ledge@localhost> first$/,
  );
  expect(
    await said(
      bench,
      "git config --global user.name Glo; cd /workspace; git init -q g; cd g; touch x; git add x; GIT_AUTHOR_EMAIL=e@x git commit -qm x; git log --format='%an %ae %cn'",
    ),
  ).toBe("Glo e@x Glo");
  expect(
    await said(
      bench,
      "git tag v1; git tag -a v2 -m two; git tag; git rev-parse --short v2 HEAD; git log --oneline",
    ),
  ).toMatch(/^v1\nv2\n([0-9a-f]{7})\n\1\n\1 \(HEAD -> main, tag: v1, tag: v2\) x$/);
});

test.each([
  [
    "git rebase main",
    "git: 'rebase' is not a git command here. There are: add, branch, checkout, clone, commit, config, diff, ",
  ],
  ["git status --frob", "error: unknown option `frob'"],
  ["git commit -m", "error: option `message' requires a value"],
  ["git add nope", "fatal: pathspec 'nope' did not match any files"],
  [
    "git show nope",
    "fatal: ambiguous argument 'nope': unknown revision or path not in the working tree.",
  ],
  ["git commit -m x", "nothing to commit, working tree clean"],
  ["git branch main", "fatal: a branch named 'main' already exists"],
  ["git fetch", "fatal: 'origin' does not appear to be a git repository"],
])("%s is refused in git's words", async (command, words) => {
  const bench = await repository();
  const result = await bench.call("Bash", { command });
  expect(result.is_error).toBe(true);
  expect(textOf(result)).toContain(words);
});
