/** Text files as tools see them: their path, their content, and whether the model knows it. */
import { createHash } from "node:crypto";
import { WorkspaceError } from "../workspace/errors.ts";
import { resolvePath } from "../workspace/paths.ts";
import { errorResult, type ToolContext, type ToolResult } from "./tool.ts";

export interface TextFile {
  path: string;
  text: string;
  sha: string;
}

/** A tool's answer instead of a value: why it cannot go on. */
export class ToolRefusal extends Error {
  readonly result: ToolResult;

  constructor(text: string) {
    super(text);
    this.result = errorResult(text);
  }
}

/** Runs a tool's work; what the workspace refuses is an answer for the model. */
export function answering(work: () => ToolResult): ToolResult {
  try {
    return work();
  } catch (error) {
    if (error instanceof ToolRefusal) return error.result;
    if (error instanceof WorkspaceError) return errorResult(error.message);
    throw error;
  }
}

export const sha256 = (content: Uint8Array | string): string =>
  createHash("sha256").update(content).digest("hex");

/**
 * The absolute path that a tool's input means. Rules have judged its spelling; where its links lead
 * is judged here.
 *
 * @throws WorkspaceError or ToolRefusal
 */
export function pathOf({ workspace, cwd, hidden }: ToolContext, path: string): string {
  const resolved = resolvePath(path, cwd);
  if (hidden?.(workspace.realPath(resolved))) {
    throw new ToolRefusal(`${path} is a link to a file that a rule denies.`);
  }
  return resolved;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text in `bytes`, or null when they are no UTF-8. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** @throws ToolRefusal when there is no such file or it is not text */
export function readText(context: ToolContext, path: string): TextFile {
  const entry = context.workspace.stat(path);
  if (!entry) throw new ToolRefusal(`File does not exist: ${path}`);
  if (entry.type === "directory")
    throw new ToolRefusal(`${path} is a directory. Use LS to see it.`);
  const bytes = context.workspace.read(path);
  const text = textOf(bytes);
  if (text === null) throw new ToolRefusal(`${path} is not a text file.`);
  return { path, text, sha: sha256(bytes) };
}

/**
 * The file as the model knows it, which may be changed therefore.
 *
 * @throws ToolRefusal when the model has not read it, or it has changed since
 */
export function readKnown(context: ToolContext, path: string): TextFile {
  const file = readText(context, path);
  const known = context.seen(path);
  if (known === null) {
    throw new ToolRefusal("File has not been read yet. Read it first before writing to it.");
  }
  if (known !== file.sha) {
    throw new ToolRefusal(
      "File has been modified since read, either by the user or by another tool. Read it again before attempting to write it.",
    );
  }
  return file;
}

/** Writes a text and lets the model know it. */
export function writeText(
  context: ToolContext,
  path: string,
  text: string,
): Record<string, string> {
  context.workspace.write(path, text);
  return { [path]: sha256(text) };
}

const NUMBER_WIDTH = 6;

/** Lines with their numbers, from `first` on, as `cat -n` shows them. */
export const numbered = (lines: readonly string[], first: number): string =>
  lines.map((line, i) => `${String(first + i).padStart(NUMBER_WIDTH)}→${line}`).join("\n");

/** The lines of a text; a line feed at its end begins no further one. */
export function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
}

/** So much of a line, and how much more there is. */
export const shortLine = (line: string, most: number): string =>
  line.length > most
    ? `${line.slice(0, most).toWellFormed()}… [${line.length - most} more characters]`
    : line;
