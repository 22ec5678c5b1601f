/** What a built-in tool is, and what it is given when it runs. */
import * as v from "valibot";
import type { GuardedRequester } from "../net/request.ts";
import type { ContentBlock, MediaSource } from "../shared/content.ts";
import type { ShellState, ToolDefinition } from "../shared/tools.ts";
import type { Workspace } from "../workspace/workspace.ts";
import { lenient } from "./lenient-input.ts";

/**
 * `atomic`: it writes nothing, or only files, and does not return to the event loop in between, so a
 * crash undoes it together with its row and it runs again. `once`: it is noted on disk before it
 * starts, and is not run again after a crash.
 */
export type ToolKind = "atomic" | "once";

/** What it touches, which decides what a permission mode says of it. */
export type ToolAccess = "read" | "edit" | "execute" | "network" | "none";

export interface ToolResult {
  content: ContentBlock[];
  is_error: boolean;
  /** Files whose content the model has seen or written with this call: path → SHA-256. */
  seen?: Record<string, string>;
  /** The shell's state behind the call. */
  shell?: ShellState;
}

/** Files that denials name, links followed. */
export interface FileRules {
  unreadable: (path: string) => boolean;
  unwritable: (path: string) => boolean;
}

export interface ToolContext {
  workspace: Workspace;
  /** SHA-256 of a file's content as the model knows it; null when it has not seen it. */
  seen: (path: string) => string | null;
  /** A denial keeps the file from this tool, which must not find it either. */
  hidden?: (path: string) => boolean;
  /** What denials of other tools mean for the files of a shell. */
  rules?: FileRules;
  /** The folder that relative paths begin in. */
  cwd: string;
  shell: ShellState;
  /** Requests to the world outside, guarded; they end with an interrupt. */
  request: GuardedRequester;
  /** Shows output to followers while the tool runs. It is not kept. */
  output: (text: string) => void;
  /** Aborts on an interrupt. */
  signal: AbortSignal;
  /** Stores bytes of an image or document and gives the block's source. */
  media: (bytes: Uint8Array<ArrayBuffer>, media_type: string) => MediaSource;
  /** Public id of the call. */
  id: string;
}

interface ToolBase<S extends v.GenericSchema> {
  definition: ToolDefinition;
  access: ToolAccess;
  input: S;
}

/** Answers at once. */
export interface AtomicTool<S extends v.GenericSchema> extends ToolBase<S> {
  kind: "atomic";
  run: (input: v.InferOutput<S>, context: ToolContext) => ToolResult;
}

/** May wait for the world outside. */
export interface OnceTool<S extends v.GenericSchema> extends ToolBase<S> {
  kind: "once";
  run: (input: v.InferOutput<S>, context: ToolContext) => Promise<ToolResult>;
}

/** A tool of any input: it is checked against the tool's own schema before it runs. */
export interface AnyTool {
  definition: ToolDefinition;
  access: ToolAccess;
  kind: ToolKind;
  /** Checks the input; the failure is a text for the model. */
  prepare(input: unknown):
    | { ok: true; run: (context: ToolContext) => ToolResult | Promise<ToolResult> }
    | {
        ok: false;
        message: string;
      };
}

/** Joins a tool's schema and its action, so that the action runs on checked input only. */
export function defineTool<S extends v.GenericSchema>(tool: AtomicTool<S> | OnceTool<S>): AnyTool {
  const { definition, access, kind, input: schema } = tool;
  return {
    definition,
    access,
    kind,
    prepare(input) {
      const parsed = v.safeParse(schema, lenient(definition.input_schema, input));
      if (!parsed.success)
        return { ok: false, message: inputError(definition, input, parsed.issues) };
      return { ok: true, run: (context) => tool.run(parsed.output, context) };
    },
  };
}

/** So much of a value is quoted in an error. */
const MAX_QUOTED = 300;

/** In the words of Claude Code, which models know how to answer. */
function inputError(
  { name, input_schema }: ToolDefinition,
  input: unknown,
  issues: readonly v.BaseIssue<unknown>[],
): string {
  const lines = issues.map((issue) => {
    const path = v.getDotPath(issue);
    const missing = issue.kind === "schema" && issue.received === "undefined";
    if (missing) return `The required parameter \`${path}\` is missing`;
    const message = issue.message.slice(0, MAX_QUOTED).toWellFormed();
    return path === null ? message : `${path}: ${message}`;
  });
  const known = new Set(Object.keys(Object(input_schema.properties)));
  const others = Array.isArray(input) ? [] : Object.keys(Object(input));
  for (const other of others.filter((one) => !known.has(one)).slice(0, MAX_NAMED)) {
    lines.push(`An unexpected parameter \`${other.slice(0, MAX_QUOTED)}\` was provided`);
  }
  return `InputValidationError: ${name} failed due to the following issues:\n${lines.join("\n")}`;
}

/** So many unexpected parameters are named. */
const MAX_NAMED = 5;

/** A result of one text. */
export const textResult = (text: string): ToolResult => ({
  content: [{ type: "text", text }],
  is_error: false,
});

/** What the model is told when its call could not be done. */
export const errorResult = (text: string): ToolResult => ({
  content: [{ type: "text", text }],
  is_error: true,
});
