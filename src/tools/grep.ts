/** Searching in files, with an engine whose time is linear in the text whatever the pattern. */
import { RE2JS } from "re2js";
import * as v from "valibot";
import type { Entry } from "../workspace/workspace.ts";
import { filesBelow, matcher } from "./find.ts";
import { answering, linesOf, pathOf, shortLine, ToolRefusal, textOf } from "./text-file.ts";
import { defineTool, type ToolContext, textResult } from "./tool.ts";

const MAX_CHARACTERS = 30_000;
const MAX_LINE = 500;
/** Larger files are data and not read by line. */
const MAX_FILE_BYTES = 5_000_000;
/** Bytes of all files of one search: an object must not be busy for longer than it may. */
const MAX_SEARCHED = 64_000_000;

/** Extensions of the types that ripgrep knows under these names. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  c: ["c", "h"],
  cpp: ["cpp", "cc", "cxx", "hpp", "hh", "h"],
  cs: ["cs"],
  csharp: ["cs"],
  css: ["css", "scss"],
  go: ["go"],
  html: ["html", "htm"],
  java: ["java"],
  js: ["js", "jsx", "mjs", "cjs"],
  json: ["json"],
  kotlin: ["kt", "kts"],
  lua: ["lua"],
  markdown: ["md", "markdown", "mdx"],
  md: ["md", "markdown", "mdx"],
  php: ["php"],
  py: ["py", "pyi"],
  python: ["py", "pyi"],
  ruby: ["rb"],
  rust: ["rs"],
  sh: ["sh", "bash", "zsh"],
  sql: ["sql"],
  swift: ["swift"],
  toml: ["toml"],
  ts: ["ts", "tsx", "mts", "cts"],
  txt: ["txt"],
  typescript: ["ts", "tsx", "mts", "cts"],
  xml: ["xml"],
  yaml: ["yaml", "yml"],
};

const Count = v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0)));
const Switch = v.nullish(v.boolean());

const Input = v.object({
  pattern: v.pipe(v.string(), v.minLength(1), v.maxLength(2_000)),
  path: v.nullish(v.string(), null),
  glob: v.nullish(v.pipe(v.string(), v.minLength(1), v.maxLength(1_000)), null),
  type: v.nullish(v.string(), null),
  output_mode: v.nullish(
    v.picklist(["content", "files_with_matches", "count"]),
    "files_with_matches",
  ),
  "-A": Count,
  "-B": Count,
  "-C": Count,
  "-n": Switch,
  "-i": Switch,
  multiline: Switch,
  head_limit: Count,
  offset: Count,
});

type Input = v.InferOutput<typeof Input>;

export const grep = defineTool({
  definition: {
    name: "Grep",
    description:
      "Searches file contents with a regular expression (RE2 syntax). output_mode: content, files_with_matches (default) or count. -A, -B, -C give lines of context in content mode.",
    input_schema: {
      type: "object",
      properties: {
        pattern: { type: "string" },
        path: { type: "string" },
        glob: { type: "string", description: 'such as "*.js" or "**/*.tsx"' },
        type: { type: "string", description: "such as js, py, rust" },
        output_mode: { type: "string", enum: ["content", "files_with_matches", "count"] },
        "-A": { type: "integer" },
        "-B": { type: "integer" },
        "-C": { type: "integer" },
        "-n": { type: "boolean" },
        "-i": { type: "boolean" },
        multiline: { type: "boolean" },
        head_limit: { type: "integer" },
        offset: { type: "integer" },
      },
      required: ["pattern"],
    },
  },
  kind: "atomic",
  access: "read",
  input: Input,
  run: (input, context) =>
    answering(() => {
      const regex = compiled(input);
      const search = new Search(input);
      for (const entry of candidates(input, context)) {
        if (!search.takes(entry)) continue;
        const text = textOf(context.workspace.read(entry.path));
        // As grep does: what holds a NUL is a binary file.
        if (text === null || text.includes("\0")) continue;
        const lines = linesOf(text);
        const matches = input.multiline ? spans(regex, text) : matching(regex, lines);
        if (matches.length > 0) search.add(entry, lines, matches);
      }
      return textResult(search.report());
    }),
});

/** @throws ToolRefusal when the pattern is none */
function compiled({ pattern, multiline, ...flags }: Input): RE2JS {
  let bits = RE2JS.MULTILINE;
  if (flags["-i"]) bits |= RE2JS.CASE_INSENSITIVE;
  if (multiline) bits |= RE2JS.DOTALL;
  try {
    return RE2JS.compile(pattern, bits);
  } catch (error) {
    const why = error instanceof Error ? error.message : "unknown error";
    throw new ToolRefusal(`The pattern is not a regular expression of RE2: ${why}`);
  }
}

function* candidates({ path, glob, type }: Input, context: ToolContext): Generator<Entry> {
  const at = path === null ? context.cwd : pathOf(context, path);
  const entry = context.workspace.stat(at);
  if (!entry) throw new ToolRefusal(`Path does not exist: ${at}`);
  if (entry.type === "file") {
    yield entry;
    return;
  }
  const extensions = type === null ? null : TYPES[type];
  if (extensions === undefined) {
    throw new ToolRefusal(`There is no type ${type}. Known: ${Object.keys(TYPES).join(", ")}.`);
  }
  const matches = glob === null ? null : globsMatcher(at, glob);
  for (const file of filesBelow(context, at, glob)) {
    const extension = file.name.slice(file.name.lastIndexOf(".") + 1);
    if (extensions && !extensions.includes(extension)) continue;
    if (matches && !matches(file.path)) continue;
    yield file;
  }
}

/** One of several patterns fits, as ripgrep's `--glob` has it, and none of those with a `!`. */
function globsMatcher(folder: string, globs: string): (path: string) => boolean {
  const matchers = (turned: boolean) =>
    globs
      .split(/\s+/)
      .flatMap((one) => (one.includes("{") ? [one] : one.split(",")))
      .filter((one) => !/^!?$/.test(one) && one.startsWith("!") === turned)
      // A pattern without a slash is for names in any folder.
      .map((one) => matcher(folder, one.includes("/") ? one : one.replace(/^!?/, "$&**/")));
  const [within, without] = [matchers(false), matchers(true)];
  return (path) =>
    (within.length === 0 || within.some((matches) => matches(path))) &&
    without.every((matches) => matches(path));
}

const matching = (regex: RE2JS, lines: readonly string[]): number[] =>
  lines.flatMap((line, i) => (regex.matcher(line).find() ? [i] : []));

/** Lines that a match over several lines touches. */
function spans(regex: RE2JS, text: string): number[] {
  const touched = new Set<number>();
  const matcher = regex.matcher(text);
  let line = 0;
  let at = 0;
  const lineOf = (place: number): number => {
    for (; at < place; at++) if (text[at] === "\n") line += 1;
    return line;
  };
  while (matcher.find()) {
    const first = lineOf(matcher.start());
    const last = lineOf(Math.max(matcher.start(), matcher.end() - 1));
    for (let i = first; i <= last; i++) touched.add(i);
  }
  return [...touched];
}

/** What a search has found; it keeps what it will show and counts the rest. */
class Search {
  readonly #input: Input;
  readonly #shown: Shown;
  readonly #files: Entry[] = [];
  #matches = 0;
  #searched = 0;
  /** Files that were too large, and those behind the most that is searched. */
  #large = 0;
  #left = 0;

  constructor(input: Input) {
    this.#input = input;
    this.#shown = new Shown(input);
  }

  /** Whether the file is to be read. */
  takes({ size }: Entry): boolean {
    if (size > MAX_FILE_BYTES) this.#large += 1;
    else if (this.#searched + size > MAX_SEARCHED) this.#left += 1;
    else {
      this.#searched += size;
      return true;
    }
    return false;
  }

  add(entry: Entry, lines: readonly string[], matches: readonly number[]): void {
    this.#files.push(entry);
    this.#matches += matches.length;
    if (this.#input.output_mode === "content") {
      for (const line of contentLines(this.#input, entry, lines, matches)) this.#shown.add(line);
    }
    if (this.#input.output_mode === "count") this.#shown.add(`${entry.path}:${matches.length}`);
  }

  report(): string {
    const { length } = this.#files;
    const files = length === 1 ? "1 file" : `${length} files`;
    const notes = [
      this.#large > 0
        ? `\n(${this.#large} larger than ${MAX_FILE_BYTES} bytes not searched. Use grep in Bash.)`
        : "",
      this.#left > 0
        ? `\n(${this.#left} more files not searched: a search reads ${MAX_SEARCHED} bytes. Give a path, glob or type.)`
        : "",
    ].join("");
    if (length === 0) return `No matches found${notes}`;
    if (this.#input.output_mode === "files_with_matches") {
      for (const { path } of this.#files.toSorted((a, b) => b.mtime - a.mtime)) {
        this.#shown.add(path);
      }
      return `Found ${files}\n${this.#shown.text()}${notes}`;
    }
    const occurrences =
      this.#matches === 1 ? "1 total occurrence" : `${this.#matches} total occurrences`;
    const sum =
      this.#input.output_mode === "count" ? `\n\nFound ${occurrences} across ${files}.` : "";
    return `${this.#shown.text()}${sum}${notes}`;
  }
}

/** `path:line:text` of a match and `path-line-text` around it, `--` between groups. */
function* contentLines(
  input: Input,
  { path }: Entry,
  lines: readonly string[],
  matches: readonly number[],
): Generator<string> {
  const before = input["-B"] ?? input["-C"] ?? 0;
  const after = input["-A"] ?? input["-C"] ?? 0;
  const numbers = input["-n"] ?? true;
  const own = new Set(matches);
  let last = -1;
  for (const match of matches) {
    const from = Math.max(last + 1, match - before);
    if (before + after > 0 && last >= 0 && from > last + 1) yield "--";
    for (let i = from; i <= Math.min(lines.length - 1, match + after); i++) {
      const mark = own.has(i) ? ":" : "-";
      yield `${path}${mark}${numbers ? `${i + 1}${mark}` : ""}${shortLine(lines[i] ?? "", MAX_LINE)}`;
      last = i;
    }
  }
}

/** The asked part of the lines as far as it fits, and how many there are besides. */
class Shown {
  readonly #from: number;
  readonly #to: number;
  readonly #lines: string[] = [];
  #size = 0;
  #count = 0;
  #full = false;

  constructor({ head_limit, offset }: Input) {
    this.#from = offset ?? 0;
    this.#to = head_limit ? this.#from + head_limit : Number.POSITIVE_INFINITY;
  }

  add(line: string): void {
    const at = this.#count;
    this.#count += 1;
    if (this.#full || at < this.#from || at >= this.#to) return;
    if (this.#lines.length > 0 && this.#size + line.length > MAX_CHARACTERS) this.#full = true;
    else {
      this.#lines.push(line);
      this.#size += line.length + 1;
    }
  }

  text(): string {
    if (this.#lines.length === 0)
      return `(There are ${this.#count} lines, none from offset ${this.#from} on.)`;
    const next = this.#from + this.#lines.length;
    const left = this.#count - next;
    const note = left > 0 ? `\n(${left} more lines. Go on with offset ${next}.)` : "";
    return this.#lines.join("\n") + note;
  }
}
