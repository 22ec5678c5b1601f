// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are expansions of the shell.
/** What is read of a shell script, judged by the parser of the shell that runs it. */
import fc from "fast-check";
import { Bash } from "just-bash";
import { expect, test } from "vitest";
import { onlyLooks } from "../../src/tools/command-names.ts";
import { gateOf } from "../../src/tools/permissions.ts";
import { ROOT } from "../../src/workspace/paths.ts";

const gate = (command: string, rules: { allow?: string[]; deny?: string[] }): string =>
  gateOf(
    { mode: rules.deny ? "bypassPermissions" : "dontAsk", allow: [], ask: [], deny: [], ...rules },
    { name: "Bash", access: "execute", input: { command }, cwd: ROOT },
  ).gate;

interface Node {
  type?: string;
  [field: string]: unknown;
}

/** Every node of the script's tree, those of substitutions too. */
function* nodes(value: unknown): Generator<Node> {
  if (typeof value !== "object" || value === null) return;
  // A record of the parser's tree, or a list of them.
  const node = value as Node;
  if (typeof node.type === "string") yield node;
  for (const inner of Object.values(node)) yield* nodes(inner);
}

/** A word without its quotes; null when it is computed. */
function literal(word: unknown): string | null {
  let text = "";
  for (const part of (word as { parts: Node[] }).parts) {
    if (part.type === "DoubleQuoted") {
      const inner = literal(part);
      if (inner === null) return null;
      text += inner;
    } else if (["Literal", "SingleQuoted", "Escaped"].includes(part.type ?? "")) {
      text += String(part.value);
    } else if (part.type === "Glob") text += String(part.pattern);
    else return null;
  }
  return text;
}

const shell = new Bash();

interface Known {
  /** Words of the simple commands, null for computed ones. */
  commands: (string | null)[][];
  writes: boolean;
  functions: boolean;
}

/** What the script would run; null when the shell does not take it. */
function known(script: string): Known | null {
  let tree: unknown;
  try {
    tree = shell.transform(script).ast;
  } catch {
    return null;
  }
  const all = [...nodes(tree)];
  const commands = all
    .filter(({ type, name }) => type === "SimpleCommand" && name)
    .map(({ name, args }) => [name, ...(args as unknown[])].map(literal));
  const writes = all.some((node) => {
    if (node.type !== "Redirection" || !/>/.test(String(node.operator))) return false;
    const target = literal(node.target);
    const duplicates = String(node.operator).endsWith("&") && /^([0-9]+|-)$/.test(target ?? "");
    return !duplicates && target !== "/dev/null";
  });
  return { commands, writes, functions: all.some(({ type }) => type === "FunctionDef") };
}

const FRAGMENTS = [
  "git",
  "rm",
  "ls",
  "echo",
  "x",
  "E",
  "a=1",
  "PATH=b",
  "-c",
  "1",
  "2",
  " ",
  " ",
  " ",
  " ",
  "\n",
  "\n",
  ";",
  "&",
  "|",
  "&&",
  "||",
  "'",
  "'",
  '"',
  '"',
  "`",
  "\\",
  "\\\n",
  "#",
  "$",
  "$x",
  "$(",
  "$((",
  "))",
  ")",
  "(",
  "()",
  "{",
  "}",
  "{ ",
  "; }",
  "${",
  "${x:-",
  ":=",
  "$'",
  "<<E\n",
  "<<-E\n",
  "<<'E'\n",
  "\nE\n",
  "\n\tE\n",
  "<<<",
  "<(",
  ">",
  ">>",
  "<",
  ">&",
  "&>",
  "2>&1",
  ">/dev/null",
  "[[",
  "]]",
  "case x in ",
  " in ",
  "x)",
  ";;",
  "esac",
  "for x in ",
  "while ",
  "if ",
  "then ",
  "else ",
  "fi",
  "do ",
  "done",
  "! ",
  "function f",
  "f()",
  "time ",
  "*",
  "?",
  "~",
  "!",
  "=",
  ",",
  "[",
  "]",
  "\t",
  "\r",
];

const scriptOf = (maxLength: number) =>
  fc.array(fc.constantFrom(...FRAGMENTS), { maxLength }).map((parts) => parts.join(""));

const script = scriptOf(14);

/** The same scripts each time: some forms the shell's own parser never comes back from. */
const RUNS = { numRuns: 5_000, seed: 1 };

test("whatever Bash(git *) allows consists of git and of commands that look", () => {
  let allowed = 0;
  const holds = (source: string) => {
    if (gate(source, { allow: ["Bash(git *)"] }) !== "allow") return;
    const seen = known(source);
    if (!seen) return;
    allowed += 1;
    const { commands, writes, functions } = seen;
    expect({ source, writes, functions }).toEqual({ source, writes: false, functions: false });
    for (const words of commands) {
      const harmless = words[0] === "git" || onlyLooks(words.map((word) => word ?? "$"));
      expect({ source, words, harmless }).toMatchObject({ harmless: true });
    }
  };
  fc.assert(fc.property(script, holds), RUNS);
  fc.assert(
    fc.property(script, (rest) => holds(`git ${rest}`)),
    RUNS,
  );
  expect(allowed).toBeGreaterThan(1_000);
});

test("a denied command is found wherever the shell would run it", () => {
  let found = 0;
  const holds = (source: string) => {
    const seen = known(source);
    if (!seen?.commands.some(([name]) => name === "rm")) return;
    found += 1;
    const denied = gate(source, { deny: ["Bash(rm *)"] });
    expect({ source, denied }).toEqual({ source, denied: "deny" });
  };
  fc.assert(fc.property(script, holds), RUNS);
  fc.assert(
    fc.property(scriptOf(6), scriptOf(4), (before, after) => holds(`${before}rm x${after}`)),
    RUNS,
  );
  expect(found).toBeGreaterThan(500);
});

test("whatever a script repeats, it is read in little time", () => {
  const rule = { deny: ["Bash(rm *)"] };
  for (const part of ["$(", "(", "`", "eval '", '"$(', "${x:-", "a=(", "<<E\n", "case x in "]) {
    expect(gate(part.repeat(6_000), rule)).toBe("allow");
  }
  expect(gate("sudo a b c; ".repeat(5_000), rule)).toBe("allow");
  expect(gate(`${"eval ".repeat(2_000)} rm x`, rule)).toBeDefined();
});
