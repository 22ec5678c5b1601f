/** What rows say of tools: their definitions, and what calls of them may do. */
import type { JsonObject } from "./content.ts";

/** A client tool in the form the Messages API takes. */
export interface ToolDefinition {
  name: string;
  description?: string;
  input_schema: JsonObject;
  strict?: boolean;
  eager_input_streaming?: boolean;
}

/** The API's own tools that a session may be offered. */
export const SERVER_TOOLS = ["web_search", "code_execution"] as const;

export type ServerToolName = (typeof SERVER_TOOLS)[number];

/** A tool that the API runs itself, named by its type. */
export interface ServerTool {
  type: string;
  name: string;
  /** How often the model may use it in one call. */
  max_uses?: number;
}

/**
 * The tools of a turn. The definitions stand in one row only: in this one (`list`), or in the
 * row `seq`. `tools` maps each name to a hash of its definition, which is all that decisions need.
 */
export interface Toolset {
  tools: Record<string, string>;
  list?: (ToolDefinition | ServerTool)[];
  seq?: number;
  /** The session runs them itself; without it the client does. */
  builtin?: true;
}

/** What a permission mode lets the built-in tools do without a question. */
export type PermissionMode = "default" | "acceptEdits" | "plan" | "bypassPermissions" | "dontAsk";

/** Characters of a rule's pattern. */
export const MAX_RULE_PATTERN = 1_000;

const RULE = /^[A-Za-z0-9_*-]{1,128}(\(.{1,1000}\))?$/s;

/** The rule has the form of one; whether its tool exists is not asked, as clients may know more. */
export const isRule = (text: string): boolean => RULE.test(text.trim());

/** Rules are those of Claude Code: `Tool` or `Tool(pattern)`. A denial wins, then a question. */
export interface Permissions {
  mode: PermissionMode;
  allow: string[];
  ask: string[];
  deny: string[];
  /**
   * Nobody can answer a question on this surface: a question by a rule is a denial with its reason.
   * Where a mode would ask, the call runs; with rules in `allow` only what these allow does.
   */
  unattended?: true;
}

/** What the shell keeps between two calls. */
export interface ShellState {
  cwd: string;
  env: Record<string, string>;
}

export type ToolChoice =
  | { type: "auto" }
  | { type: "any" }
  | { type: "none" }
  | { type: "tool"; name: string };

/** Tools that are added to or taken from the epoch by appending a system message. */
export interface ToolChange {
  added: string[];
  removed: string[];
}
