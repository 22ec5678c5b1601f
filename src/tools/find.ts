/** Finding files: LS and Glob. */
import * as v from "valibot";
import type { Entry } from "../workspace/workspace.ts";
import { globMatcher } from "./glob-pattern.ts";
import { answering, pathOf, ToolRefusal } from "./text-file.ts";
import { defineTool, type ToolContext, textResult } from "./tool.ts";

const MAX_LISTED = 1_000;
const MAX_FOUND = 100;
/** Folders whose content is of interest to programs only. */
const HIDDEN_FOLDERS = new Set([".git", "node_modules"]);

const Pattern = v.pipe(v.string(), v.minLength(1), v.maxLength(1_000));

/** The folder that `path` means, or the current one. @throws ToolRefusal */
function folderOf(context: ToolContext, path: string | null): string {
  const folder = path === null ? context.cwd : pathOf(context, path);
  const entry = context.workspace.stat(folder);
  if (!entry) throw new ToolRefusal(`Directory does not exist: ${folder}`);
  if (entry.type !== "directory") throw new ToolRefusal(`${folder} is not a directory.`);
  return folder;
}

/**
 * Files below a folder, without those that a denial hides and those that only programs read; a
 * pattern that names one of their folders finds them.
 */
export function* filesBelow(
  context: ToolContext,
  folder: string,
  pattern: string | null,
): Generator<Entry> {
  for (const entry of context.workspace.list(folder)) {
    if (context.hidden?.(entry.path)) continue;
    if (entry.type === "file") yield entry;
    const skipped = HIDDEN_FOLDERS.has(entry.name) && pattern?.includes(entry.name) !== true;
    if (entry.type === "directory" && !skipped) yield* filesBelow(context, entry.path, pattern);
  }
}

/** Matches the paths of files below `folder`; a `!` in front turns the pattern round. */
export function matcher(folder: string, pattern: string): (path: string) => boolean {
  if (pattern.startsWith("!")) {
    const matches = matcher(folder, pattern.slice(1));
    return (path) => !matches(path);
  }
  const below = pattern.startsWith(`${folder}/`) ? pattern.slice(folder.length + 1) : pattern;
  const matches = globMatcher(below.replace(/^\.?\/+/, ""));
  return (path) => matches(path.slice(folder.length + 1));
}

export const ls = defineTool({
  definition: {
    name: "LS",
    description: "Lists the files and folders below a folder, as a tree.",
    input_schema: {
      type: "object",
      properties: {
        path: { type: "string" },
        ignore: { type: "array", items: { type: "string" }, description: "globs" },
      },
      required: ["path"],
    },
  },
  kind: "atomic",
  access: "read",
  input: v.object({
    path: v.nullish(v.string(), null),
    ignore: v.nullish(v.pipe(v.array(Pattern), v.maxLength(100)), []),
  }),
  run: ({ path, ignore }, context) =>
    answering(() => {
      const folder = folderOf(context, path);
      const ignored = ignore.map(globMatcher);
      const lines = [`- ${folder}/`];
      let left = 0;
      const list = (at: string, depth: number): void => {
        for (const entry of context.workspace.list(at)) {
          const relative = entry.path.slice(folder.length + 1);
          if (context.hidden?.(entry.path)) continue;
          if (ignored.some((matches) => matches(relative) || matches(entry.name))) continue;
          const inside = entry.type === "directory";
          if (lines.length > MAX_LISTED) left += 1;
          else lines.push(`${"  ".repeat(depth)}- ${entry.name}${inside ? "/" : ""}`);
          if (inside && !HIDDEN_FOLDERS.has(entry.name)) list(entry.path, depth + 1);
        }
      };
      list(folder, 1);
      if (left > 0) lines.push(`(${left} more are not shown. List a folder below this one.)`);
      return textResult(lines.join("\n"));
    }),
});

export const glob = defineTool({
  definition: {
    name: "Glob",
    description: 'Finds files by a pattern such as "**/*.ts", the newest first.',
    input_schema: {
      type: "object",
      properties: { pattern: { type: "string" }, path: { type: "string" } },
      required: ["pattern"],
    },
  },
  kind: "atomic",
  access: "read",
  input: v.object({
    pattern: Pattern,
    path: v.nullish(v.string(), null),
  }),
  run: ({ pattern, path }, context) =>
    answering(() => {
      const folder = folderOf(context, path);
      const matches = matcher(folder, pattern);
      const found = [...filesBelow(context, folder, pattern)]
        .filter((entry) => matches(entry.path))
        .sort((a, b) => b.mtime - a.mtime);
      if (found.length === 0) return textResult("No files found");
      const lines = found.slice(0, MAX_FOUND).map((entry) => entry.path);
      if (found.length > MAX_FOUND) {
        lines.push(
          `(Results are truncated: ${MAX_FOUND} of ${found.length} files. Consider using a more specific path or pattern.)`,
        );
      }
      return textResult(lines.join("\n"));
    }),
});
