/** The built-in tools: by name, and as the toolset that a session is created with. */
import { createHash } from "node:crypto";
import type { ServerTool, ToolDefinition, Toolset } from "../shared/tools.ts";
import { ROOT } from "../workspace/paths.ts";
import { bash } from "./bash.ts";
import { edit, multiEdit } from "./edit.ts";
import { glob, ls } from "./find.ts";
import { grep } from "./grep.ts";
import { notebookEdit, notebookRead } from "./notebook.ts";
import { read } from "./read.ts";
import { todoWrite } from "./todo-write.ts";
import type { AnyTool } from "./tool.ts";
import { webFetch } from "./web-fetch.ts";
import { write } from "./write.ts";

const TOOLS: readonly AnyTool[] = [
  read,
  write,
  edit,
  multiEdit,
  ls,
  glob,
  grep,
  notebookRead,
  notebookEdit,
  todoWrite,
  bash,
  webFetch,
];

const BY_NAME: ReadonlyMap<string, AnyTool> = new Map(
  TOOLS.map((tool) => [tool.definition.name, tool]),
);

/** The tool with this name, or null. */
export const builtinTool = (name: string): AnyTool | null => BY_NAME.get(name) ?? null;

/** So much of a definition's hash tells it from another one of the same name. */
const HASH_DIGITS = 16;

const hash = (definition: ToolDefinition | ServerTool): string =>
  createHash("sha256").update(JSON.stringify(definition)).digest("hex").slice(0, HASH_DIGITS);

/**
 * All built-in tools and those of the API, with their definitions: the log keeps them, so that a
 * new version of these texts does not change what a session has sent already.
 */
export function builtinToolset(serverTools: readonly ServerTool[] = []): Toolset {
  const list = [...TOOLS.map(({ definition }) => definition), ...serverTools];
  const tools = Object.fromEntries(list.map((one) => [one.name, hash(one)]));
  return { tools, list, builtin: true };
}

/** Where no other folder is the current one. */
const IN_ROOT = ", which is also the current directory";

const WORKSPACE = `You work in a session with a file system of its own. Files are under ${ROOT}${IN_ROOT}. The shell is a bash of its own over the same files: there are no processes of an operating system, no package managers and no compilers.`;

const ELSEWHERE =
  "Code execution runs on another machine, which has Python and sees none of these files: what it needs goes into its code.";

/** What the model is told of its workspace, behind the session's own prompt. */
export const harnessOf = ({ tools }: Toolset): string =>
  Object.hasOwn(tools, "code_execution") ? `${WORKSPACE} ${ELSEWHERE}` : WORKSPACE;

/** The same where tools begin in the folder `cwd`. */
export const harnessIn = (harness: string, cwd: string): string =>
  cwd === ROOT ? harness : `${harness.replace(IN_ROOT, "")} The current directory is ${cwd}.`;
