/** `diff`: of files and folders. The shell's own one takes hours for long files that differ much. */
import { Buffer } from "node:buffer";
import type { CustomCommand, ExecResult, ResolvedCommandContext } from "just-bash";
import { type Arguments, GitExit, parseArguments } from "./git/arguments.ts";
import { hunksBetween, unifiedLines } from "./text-diff.ts";

const OPTIONS = [
  "u",
  "U|unified=",
  "q|brief",
  "s|report-identical-files",
  "i|ignore-case",
  "w|ignore-all-space",
  "b|ignore-space-change",
  "r|recursive",
  "N|new-file",
  "a|text",
  "no-color",
];

export const diffCommand: CustomCommand = {
  name: "diff",
  async execute(args, context) {
    try {
      const options = parseArguments(
        args.map((one) => (one === "--unified" ? "-u" : one)),
        OPTIONS,
      );
      const [a, b, ...more] = [...options.rest, ...(options.paths ?? [])];
      if (a === undefined || b === undefined || more.length > 0) {
        throw new GitExit("diff: two files or folders must be named", 2);
      }
      const stdout = await new Comparison(options, context).compare(a, b, 0);
      return { stdout, stderr: "", exitCode: stdout === "" || isSame(stdout) ? 0 : 1 };
    } catch (error) {
      return failed(error);
    }
  },
};

/** It says of nothing but equal files. */
const isSame = (text: string): boolean =>
  text
    .trimEnd()
    .split("\n")
    .every((line) => /^Files .* are identical$/.test(line));

function failed(error: unknown): ExecResult {
  const message = error instanceof Error ? error.message : "unknown error";
  const stderr = `${message.replace(/^(error|diff): /, "").replace(/^/, "diff: ")}\n`;
  return { stdout: "", stderr, exitCode: 2 };
}

class Comparison {
  readonly #options: Arguments;
  readonly #context: ResolvedCommandContext;

  constructor(options: Arguments, context: ResolvedCommandContext) {
    this.#options = options;
    this.#context = context;
  }

  async compare(a: string, b: string, depth: number): Promise<string> {
    const [first, second] = [await this.#isFolder(a), await this.#isFolder(b)];
    if (first && second) return this.#folders(a, b, depth);
    // A file and a folder: the one of the same name in it.
    if (first) return this.#files(`${a}/${baseName(b)}`, b, depth);
    if (second) return this.#files(a, `${b}/${baseName(a)}`, depth);
    return this.#files(a, b, depth);
  }

  async #isFolder(name: string): Promise<boolean> {
    if (name === "-") return false;
    const { fs, cwd } = this.#context;
    const path = fs.resolvePath(cwd, name);
    if (!(await fs.exists(path))) return false;
    return (await fs.stat(path)).isDirectory;
  }

  async #folders(a: string, b: string, depth: number): Promise<string> {
    const { has } = this.#options;
    const [left, right] = [await this.#names(a), await this.#names(b)];
    const parts: string[] = [];
    for (const name of [...new Set([...left, ...right])].sort()) {
      const [one, two] = [`${a}/${name}`, `${b}/${name}`];
      const only = !left.has(name) ? b : !right.has(name) ? a : null;
      if (only !== null && !has("new-file")) parts.push(`Only in ${only}: ${name}\n`);
      else if ((await this.#isFolder(one)) || (await this.#isFolder(two))) {
        if (has("recursive")) parts.push(await this.compare(one, two, depth + 1));
        else parts.push(`Common subdirectories: ${one} and ${two}\n`);
      } else parts.push(await this.#files(one, two, depth + 1));
    }
    return parts.join("");
  }

  async #names(name: string): Promise<Set<string>> {
    const { fs, cwd } = this.#context;
    const path = fs.resolvePath(cwd, name);
    return new Set((await fs.exists(path)) ? await fs.readdir(path) : []);
  }

  async #files(a: string, b: string, depth: number): Promise<string> {
    const { has, value } = this.#options;
    const [old, now] = [await this.#content(a), await this.#content(b)];
    const same = has("report-identical-files") ? `Files ${a} and ${b} are identical\n` : "";
    if (old === now) return same;
    if (!has("text") && [old, now].some((text) => text.includes("\0"))) {
      return `Binary files ${a} and ${b} differ\n`;
    }
    const unified = value("unified");
    const shape = has("u") || unified !== undefined;
    const context = shape ? Number.parseInt(unified ?? "3", 10) || 0 : 0;
    const hunks = hunksBetween(old, now, {
      context,
      ignoreCase: has("ignore-case"),
      ignoreWhitespace: has("ignore-all-space") || has("ignore-space-change"),
    });
    if (hunks.length === 0) return same;
    if (has("brief")) return `Files ${a} and ${b} differ\n`;
    const head = depth > 0 ? [`diff${this.#given()} ${a} ${b}`] : [];
    const lines = shape
      ? [...head, `--- ${a}`, `+++ ${b}`, ...unifiedLines(hunks)]
      : [...head, ...hunks.flatMap(normalLines)];
    return `${lines.join("\n")}\n`;
  }

  /** The options that the line in front of a file in a folder repeats. */
  #given(): string {
    const { has } = this.#options;
    const letters = `${has("u") ? "u" : ""}${has("recursive") ? "r" : ""}${has("new-file") ? "N" : ""}`;
    return letters === "" ? "" : ` -${letters}`;
  }

  async #content(name: string): Promise<string> {
    const { fs, cwd, stdin } = this.#context;
    if (name === "-") return Buffer.from(stdin, "latin1").toString("utf8");
    const path = fs.resolvePath(cwd, name);
    if (!(await fs.exists(path))) {
      if (this.#options.has("new-file")) return "";
      throw new GitExit(`${name}: No such file or directory`, 2);
    }
    return Buffer.from(await fs.readFileBuffer(path)).toString("utf8");
  }
}

const baseName = (name: string): string => name.slice(name.lastIndexOf("/") + 1);

/** As `diff` without options shows a change: `2,3c2` and the lines of both sides. */
function normalLines(hunk: ReturnType<typeof hunksBetween>[number]): string[] {
  const { oldStart, oldLines, newStart, newLines, lines } = hunk;
  const range = (start: number, count: number): string => {
    if (count === 0) return `${start - 1}`;
    return count === 1 ? `${start}` : `${start},${start + count - 1}`;
  };
  const kind = oldLines === 0 ? "a" : newLines === 0 ? "d" : "c";
  const shown = (sign: string, mark: string): string[] => {
    let taken = false;
    return lines.flatMap((line) => {
      if (line.startsWith("\\")) return taken ? [line] : [];
      taken = line.startsWith(sign);
      return taken ? [`${mark} ${line.slice(1)}`] : [];
    });
  };
  return [
    `${range(oldStart, oldLines)}${kind}${range(newStart, newLines)}`,
    ...shown("-", "<"),
    ...(kind === "c" ? ["---"] : []),
    ...shown("+", ">"),
  ];
}
