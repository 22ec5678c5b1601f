// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are expansions of the shell.
/** What modes and rules say of calls of the built-in tools. */
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/shared/content.ts";
import { isRule, type PermissionMode, type Permissions } from "../../src/shared/tools.ts";
import { gateOf, hiddenFrom } from "../../src/tools/permissions.ts";
import { builtinTool } from "../../src/tools/registry.ts";
import { ROOT } from "../../src/workspace/paths.ts";

const NONE: Permissions = { mode: "default", allow: [], ask: [], deny: [] };

function gate(
  permissions: Partial<Permissions>,
  name: string,
  input: JsonObject,
  cwd: string = ROOT,
) {
  const access = builtinTool(name)?.access;
  if (!access) throw new Error(`there is no tool ${name}`);
  return gateOf({ ...NONE, ...permissions }, { name, access, input, cwd });
}

const bash = (permissions: Partial<Permissions>, command: string): string =>
  gate(permissions, "Bash", { command }).gate;

const CALLS: Record<string, [string, JsonObject]> = {
  read: ["Read", { file_path: "a" }],
  ls: ["LS", { path: "." }],
  glob: ["Glob", { pattern: "**" }],
  grep: ["Grep", { pattern: "x" }],
  notebook: ["NotebookRead", { notebook_path: "a.ipynb" }],
  todo: ["TodoWrite", { todos: [] }],
  write: ["Write", { file_path: "a", content: "" }],
  edit: ["Edit", { file_path: "a", old_string: "a", new_string: "b" }],
  multi: ["MultiEdit", { file_path: "a", edits: [] }],
  cell: ["NotebookEdit", { notebook_path: "a.ipynb", new_source: "" }],
  looking: ["Bash", { command: "ls -la | head && git log --oneline" }],
  changing: ["Bash", { command: "mkdir x && rm -rf y" }],
  running: ["Bash", { command: "git push" }],
  fetch: ["WebFetch", { url: "https://example.com/" }],
};

const READS = ["read", "ls", "glob", "grep", "notebook", "todo", "looking"];

test.each<[PermissionMode, boolean, Record<string, string>]>([
  [
    "default",
    false,
    {
      write: "ask",
      edit: "ask",
      multi: "ask",
      cell: "ask",
      changing: "ask",
      running: "ask",
      fetch: "ask",
    },
  ],
  [
    "acceptEdits",
    false,
    {
      write: "allow",
      edit: "allow",
      multi: "allow",
      cell: "allow",
      changing: "allow",
      running: "ask",
      fetch: "ask",
    },
  ],
  [
    "plan",
    false,
    {
      write: "deny",
      edit: "deny",
      multi: "deny",
      cell: "deny",
      changing: "deny",
      running: "deny",
      fetch: "ask",
    },
  ],
  [
    "dontAsk",
    false,
    {
      write: "deny",
      edit: "deny",
      multi: "deny",
      cell: "deny",
      changing: "deny",
      running: "deny",
      fetch: "deny",
    },
  ],
  [
    "bypassPermissions",
    false,
    {
      write: "allow",
      edit: "allow",
      multi: "allow",
      cell: "allow",
      changing: "allow",
      running: "allow",
      fetch: "allow",
    },
  ],
  [
    "default",
    true,
    {
      write: "allow",
      edit: "allow",
      multi: "allow",
      cell: "allow",
      changing: "allow",
      running: "allow",
      fetch: "allow",
    },
  ],
  [
    "acceptEdits",
    true,
    {
      write: "allow",
      edit: "allow",
      multi: "allow",
      cell: "allow",
      changing: "allow",
      running: "allow",
      fetch: "allow",
    },
  ],
  [
    "plan",
    true,
    {
      write: "deny",
      edit: "deny",
      multi: "deny",
      cell: "deny",
      changing: "deny",
      running: "deny",
      fetch: "allow",
    },
  ],
  [
    "dontAsk",
    true,
    {
      write: "deny",
      edit: "deny",
      multi: "deny",
      cell: "deny",
      changing: "deny",
      running: "deny",
      fetch: "deny",
    },
  ],
])("the mode %s, unattended: %s", (mode, unattended, expected) => {
  const permissions = { mode, ...(unattended ? { unattended } : {}) };
  const said = Object.entries(CALLS).map(([key, [name, input]]) => [
    key,
    gate(permissions, name, input).gate,
  ]);
  const reads = READS.map((key) => [key, "allow"]);
  expect(Object.fromEntries(said)).toEqual({ ...Object.fromEntries(reads), ...expected });
});

test.each([
  // pattern, path, cwd, fits
  ["src/**", "src/a.ts", ROOT, true],
  ["src/**", "/workspace/src/a/b.ts", ROOT, true],
  ["src/**", "a.ts", `${ROOT}/src`, true],
  ["src/**", "src/../b.ts", ROOT, false],
  ["src/**", "../b.ts", `${ROOT}/src`, false],
  ["src/**", "lib/src/a.ts", ROOT, false],
  ["src/**", "srcs/a.ts", ROOT, false],
  ["src", "src/a.ts", ROOT, true],
  ["*.md", "docs/deep/a.md", ROOT, true],
  ["/*.md", "docs/a.md", ROOT, false],
  ["/*.md", "a.md", ROOT, true],
  ["./a.md", "a.md", ROOT, true],
  ["//a.md", "b/a.md", ROOT, false],
  ["/workspace/src/**", "src/a.ts", ROOT, true],
  ["src/*.ts", "src/a/b.ts", ROOT, false],
  ["src/{a,b}/**", "src/b/x", ROOT, true],
  [".env", "config/.env", ROOT, true],
  ["dist/", "packages/a/dist/x.js", ROOT, true],
  ["**", "a/b/c", ROOT, true],
])("the pattern %s and the path %s in %s: %s", (pattern, path, cwd, fits) => {
  const input = { file_path: path, notebook_path: path, content: "" };
  const allowed = gate({ allow: [`Write(${pattern})`] }, "Write", input, cwd);
  expect(allowed.gate).toBe(fits ? "allow" : "ask");
  for (const name of ["Edit", "Write", "MultiEdit", "NotebookEdit"]) {
    expect(gate({ allow: [`Edit(${pattern})`] }, name, input, cwd).gate).toBe(
      fits ? "allow" : "ask",
    );
    const denied = gate(
      { mode: "bypassPermissions", deny: [`Edit(${pattern})`] },
      name,
      input,
      cwd,
    );
    expect(denied.gate).toBe(fits ? "deny" : "allow");
  }
  const read = gate({ deny: [`Read(${pattern})`] }, "Read", input, cwd);
  expect(read.gate).toBe(fits ? "deny" : "allow");
});

test("a rule is about the tools it names", () => {
  const { read, write, edit, running, fetch } = CALLS;
  const all = [read, write, edit, running, fetch].filter((one) => one !== undefined);
  const gates = (permissions: Partial<Permissions>) =>
    all.map(([name, input]) => gate(permissions, name, input).gate);
  expect(gates({ allow: ["Write"] })).toEqual(["allow", "allow", "ask", "ask", "ask"]);
  expect(gates({ allow: ["*"] })).toEqual(["allow", "allow", "allow", "allow", "allow"]);
  expect(gates({ allow: ["Bash(*)", "Edit"] })).toEqual(["allow", "ask", "allow", "allow", "ask"]);
  expect(gates({ allow: ["*"], deny: ["Read", "Bash"] })).toEqual([
    "deny",
    "allow",
    "allow",
    "deny",
    "allow",
  ]);
  // A question is asked although another rule allows the call; a denial wins over both.
  expect(gates({ allow: ["*"], ask: ["Write", "Bash(git push *)"] })).toEqual([
    "allow",
    "ask",
    "allow",
    "ask",
    "allow",
  ]);
  expect(gates({ allow: ["Write"], ask: ["Write"], deny: ["Write(a)"] })[1]).toBe("deny");
  expect(gates({ mode: "bypassPermissions", deny: ["Write(a)"] })[1]).toBe("deny");
  expect(gates({ ask: ["Write"], unattended: true })[1]).toBe("deny");
});

test("where nobody is asked, rules that allow something leave only that", () => {
  const { read, write, edit, running, fetch } = CALLS;
  const all = [read, write, edit, running, fetch].filter((one) => one !== undefined);
  const gates = (permissions: Partial<Permissions>) =>
    all.map(([name, input]) => gate({ ...permissions, unattended: true }, name, input).gate);
  const [yes, no] = ["allow", "deny"];
  expect(gates({})).toEqual([yes, yes, yes, yes, yes]);
  expect(gates({ allow: ["Write", "Bash(git *)"] })).toEqual([yes, yes, no, yes, no]);
  expect(gates({ mode: "acceptEdits", allow: ["Read"] })).toEqual([yes, yes, yes, no, no]);
  expect(gates({ mode: "plan", allow: ["WebFetch"] })).toEqual([yes, no, no, no, yes]);
  expect(gates({ mode: "bypassPermissions", allow: ["Read"] })).toEqual([yes, yes, yes, yes, yes]);
});

test.each([
  ["domain:example.com", "https://example.com/a?b", true],
  ["domain:example.com", "https://EXAMPLE.com./", true],
  ["domain:example.com", "https://example.com@evil.test/", false],
  ["domain:example.com", "https://www.example.com/", false],
  ["domain:example.com", "https://example.com.evil.test/", false],
  ["domain:*.example.com", "https://www.example.com/", true],
  ["domain:*.example.com", "https://badexample.com/", false],
  ["domain:*", "https://anything.test/", true],
  ["example.com", "http://example.com/", true],
])("WebFetch(%s) and %s: %s", (pattern, url, fits) => {
  const rule = `WebFetch(${pattern})`;
  expect(gate({ allow: [rule] }, "WebFetch", { url }).gate).toBe(fits ? "allow" : "ask");
  const denied = gate({ mode: "bypassPermissions", deny: [rule] }, "WebFetch", { url });
  expect(denied.gate).toBe(fits ? "deny" : "allow");
});

test.each([
  "git status",
  "git commit -m 'a; rm -rf b' && git push",
  'git add . ; git commit -m "x"',
  "git log | head -5 | grep x",
  "git log --oneline 2>/dev/null",
  "git log 2>&1",
  "git\tstatus",
  "(git fetch; git pull)",
  "{ git fetch; }",
  "if git diff --quiet; then git push; else git stash; fi",
  "for f in a b; do git add $f; done",
  "A=1 git status",
  'git commit -m "$(git log -1)"',
  "git commit -F - <<'EOF'\nrm -rf x\n$(rm y)\nEOF",
  "git commit -F - <<EOF\nit's done\nEOF\ngit push",
  'git commit -m "$(cat <<\'EOF\'\nA title (with "quotes")\nEOF\n)"',
  "git diff <(git show a) <(git show b)",
  "git \\\n  status",
  "git status # rm x",
  "! git diff",
  'git show "${x:-a}"',
])("Bash(git *) allows %j", (command) => {
  expect(bash({ allow: ["Bash(git *)"] }, command)).toBe("allow");
  expect(bash({ allow: ["Bash(git:*)"] }, command)).toBe("allow");
});

test.each([
  "gitx status",
  "rm x",
  "git status && rm x",
  "git status; rm x",
  "git status | tee x",
  "git status || rm x",
  "git status & rm x",
  "git status\nrm x",
  "git log > x",
  "git log >> x",
  "git log > x 2>/dev/null",
  "git log > 3",
  "git log &> x",
  "git log >| x",
  "git log <> x",
  "git log >& x",
  "> x",
  "git $(rm x)",
  'git "$(rm x)"',
  "git `rm x`",
  'git "`rm x`"',
  "git ${x:-$(rm x)}",
  "git ${x:=y}",
  'git "${x@P}"',
  "git $((PATH=1))",
  "git $[PATH=1]",
  "((PATH=1)); git status",
  "git <(rm x)",
  "git >(rm x)",
  "git $'\\'' ; rm x #'",
  "git $'a' ; rm x #'",
  "$x git",
  "$(echo rm) x",
  "{rm,x}",
  "/bin/r? x",
  "PATH=. git status",
  "PATH=/workspace/bin; git status",
  "for PATH in bin; do git status; done",
  "export PATH=bin; git status",
  "printf -v PATH bin; git status",
  "read PATH <<< bin; git status",
  "declare -n p=PATH; p=bin; git status",
  "BASH_ALIAS_git=rm git status",
  "test -v 'x[$(rm x)]' && git status",
  "[ -v 'x[$(rm x)]' ] && git status",
  "git() { rm x; }; git status",
  "git() { git status; }",
  "function git { rm x; }; git status",
  "alias git=rm; git x",
  "eval git status",
  "bash -c 'git status'",
  "sudo git status",
  "env git status",
  "env A=1 git status",
  "git ls-files | xargs rm",
  "find . -exec rm {} \\;",
  "find . -delete",
  "command git status",
  "time git status",
  "sed -i s/a/b/ x",
  "awk 'BEGIN { system(\"rm x\") }'",
  "sort -o x y",
  "sort --output=x y",
  "sort -uo x y",
  "uniq a b",
  "rg --pre sh x",
  "git log --output=x > y",
  "git commit -F - <<EOF\n$(rm x)\nEOF",
  "git commit -F - <<EOF\nEOF\nrm x",
  "git commit -F - <<EOF",
  "git 'unclosed",
  'git "unclosed',
  "git $(unclosed",
  "git (x)",
  "case x in x) git status;; esac",
  "[[ -v 'x[$(rm x)]' ]]",
  "source x",
  ". x",
  "./git status",
  "bin/git status",
  '"git status"',
])("Bash(git *) does not allow %j", (command) => {
  expect(bash({ allow: ["Bash(git *)"] }, command)).not.toBe("allow");
});

test.each([
  "rm x",
  "/bin/rm x",
  "\\rm x",
  "'rm' x",
  "r''m x",
  "r\\\nm x",
  "$'\\x72m' x",
  "$'rm' x",
  "A=1 rm x",
  "ls; rm x",
  "ls && rm x",
  "ls | rm x",
  "ls\nrm x",
  "(rm x)",
  "{ rm x; }",
  "! rm x",
  "if true; then rm x; fi",
  "while rm x; do :; done",
  "for a in b; do rm x; done",
  "case a in a) rm x;; esac",
  'echo "$(case a in a) rm x;; esac)"',
  "case a in (a) rm x;; esac",
  "echo $(rm x)",
  'echo "$(rm x)"',
  'echo "$(echo ")"; rm x)"',
  "echo `rm x`",
  "echo ${y:-$(rm x)}",
  "echo $(( $(rm x) ))",
  "cat <(rm x)",
  "cat <<EOF\n$(rm x)\nEOF",
  "cat <<EOF\nit's\nEOF\nrm x",
  "cat <<'EOF'\n`\nEOF\nrm x",
  "echo $'\\'' ; rm x #'",
  "echo $((1 << 2)); rm x",
  "f() { rm x; }; f",
  "function f { rm x; }; f",
  "a=(1 2); rm x",
  "sudo rm x",
  "env A=1 rm x",
  "env -i rm x",
  "command rm x",
  "builtin rm x",
  "exec rm x",
  "nohup rm x",
  "timeout 5 rm x",
  "time -p rm x",
  "ls | xargs rm",
  "ls | xargs -n 1 rm -f",
  "find . -exec rm {} \\;",
  "bash -c 'rm x'",
  'sh -c "ls; rm x"',
  "eval rm x",
  "eval 'ls; rm x'",
  "eval \"eval 'rm x'\"",
  "trap 'rm x' EXIT",
  "rm",
  "2>/dev/null rm x",
  "< a rm x",
])("a denial of Bash(rm *) holds for %j", (command) => {
  expect(bash({ mode: "bypassPermissions", deny: ["Bash(rm *)"] }, command)).toBe("deny");
  expect(bash({ allow: ["*"], ask: ["Bash(rm:*)"] }, command)).toBe("ask");
});

test.each([
  "ls rm",
  "echo 'rm x'",
  'git commit -m "rm x"',
  "echo a # rm x",
  "cat <<EOF\nrm x\nEOF",
  "rmdir x",
  "echo \\; rm",
])("a denial of Bash(rm *) leaves %j alone", (command) => {
  expect(bash({ mode: "bypassPermissions", deny: ["Bash(rm *)"] }, command)).toBe("allow");
});

test("options before the subcommand do not hide it", () => {
  const deny = ["Bash(git push *)"];
  for (const command of ["git -C x push", "git --no-pager -c a=b push origin", "/bin/git push"]) {
    expect(bash({ mode: "bypassPermissions", deny }, command)).toBe("deny");
  }
  expect(bash({ mode: "bypassPermissions", deny }, "git pull")).toBe("allow");
});

test("each part of a script may be allowed by its own rule", () => {
  const allow = ["Bash(npm run test:*)", "Bash(git commit *)", "Bash(make)"];
  expect(bash({ allow }, "npm run test && git commit -m x")).toBe("allow");
  expect(bash({ allow }, "npm run test -- a; make; ls")).toBe("allow");
  expect(bash({ allow }, "npm run tests")).toBe("ask");
  expect(bash({ allow }, "npm run")).toBe("ask");
  expect(bash({ allow }, "make install")).toBe("ask");
  expect(bash({ allow, mode: "acceptEdits" }, "mkdir a && make")).toBe("allow");
  expect(bash({ allow, mode: "plan" }, "make")).toBe("deny");
  expect(bash({ allow, mode: "dontAsk" }, "make")).toBe("allow");
});

test("a denial for files holds for commands that name them", () => {
  const deny = ["Read(.env)", "Edit(src/**)"];
  const said = (command: string, cwd?: string) =>
    gate({ mode: "bypassPermissions", deny }, "Bash", { command }, cwd).gate;
  for (const command of [
    "cat .env",
    "cat < config/.env",
    "grep x --file=.env",
    "sed -n p ./.env",
  ]) {
    expect(said(command)).toBe("deny");
  }
  expect(said("echo x > src/a")).toBe("deny");
  expect(said("rm -r a", `${ROOT}/src`)).toBe("deny");
  expect(said("cat a > b")).toBe("allow");
});

test("files that a denial keeps from a tool are hidden from its searches", () => {
  const hidden = hiddenFrom({ ...NONE, deny: ["Read(.env)", "Grep(data/**)", "Bash"] }, "Grep");
  expect(hidden("/workspace/a/.env")).toBe(true);
  expect(hidden("/workspace/data/x")).toBe(true);
  expect(hidden("/workspace/x")).toBe(false);
});

test.each<[string, JsonObject, string]>([
  ["Bash", { command: "git commit -m x" }, "Bash(git commit *)"],
  ["Bash", { command: "make all" }, "Bash(make *)"],
  ["Bash", { command: "make && make install" }, "Bash(make && make install)"],
  ["Bash", { command: "echo x > y" }, "Bash(echo x > y)"],
  ["Bash", { command: `make && ${"x".repeat(2_000)}` }, "Bash"],
  ["Write", { file_path: "src/a/b.ts", content: "" }, "Edit(/src/a/**)"],
  ["Edit", { file_path: "a.ts" }, "Edit(/a.ts)"],
  ["WebFetch", { url: "https://example.com/x" }, "WebFetch(domain:example.com)"],
])("allowing %s %j for always adds %s", (name, input, rule) => {
  const asked = gate({}, name, input);
  expect(asked).toMatchObject({ gate: "ask", rule });
  expect(isRule(rule)).toBe(true);
  expect(gate({ allow: [rule] }, name, input).gate).toBe("allow");
});

test("no pattern takes long", () => {
  const stars = `${"*a".repeat(400)}b`;
  const path = "a".repeat(250);
  expect(bash({ allow: [`Bash(${stars})`] }, "a".repeat(100_000))).toBe("ask");
  expect(gate({ allow: [`Write(${stars})`] }, "Write", { file_path: path }).gate).toBe("ask");
});

test("a script that is too long to be read is what any rule about commands names", () => {
  const long = `cat > notes <<'EOF'\n${"text\n".repeat(20_000)}EOF`;
  const mode = "bypassPermissions";
  expect(bash({ mode }, long)).toBe("allow");
  expect(bash({ mode, deny: ["Read(.env)", "Edit(src/**)"] }, long)).toBe("allow");
  const denied = gate({ mode, deny: ["Bash(rm *)"] }, "Bash", { command: long });
  expect(denied).toMatchObject({ gate: "deny", reason: expect.stringContaining("use Write") });
  expect(bash({ allow: ["Bash(cat *)"], ask: ["Bash(rm *)"] }, long)).toBe("ask");
  expect(bash({ allow: ["Bash(cat *)"] }, long)).toBe("ask");
  expect(bash({ allow: ["Bash"] }, long)).toBe("allow");
});

test("no script takes long to be read", () => {
  const deny = Array.from({ length: 60 }, (_, i) => `Bash(command${i} *)`);
  const scripts = [
    `xargs ${"a ".repeat(250_000)}`,
    `xargs ${"a ".repeat(32_000)}`,
    "eval ".repeat(13_000),
    "a[".repeat(32_000),
    "$(".repeat(32_000),
    `${"xargs 'a b $c';".repeat(4_000)}`,
  ];
  for (const script of scripts) expect(bash({ deny }, script)).not.toBe("allow");
});
