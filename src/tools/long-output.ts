/** Results that are too long for the model: a file has all of them. */
import { wholePlace } from "../shared/cursor.ts";
import { WorkspaceError } from "../workspace/errors.ts";
import { ROOT } from "../workspace/paths.ts";
import type { Workspace } from "../workspace/workspace.ts";
import type { ToolContext } from "./tool.ts";

/** Long outputs are kept here, each under the id of its call. */
const OUTPUTS = `${ROOT}/.ledge/output`;

/**
 * The text itself, or its head and tail and the file that has all of it.
 *
 * @param most characters of a result
 */
export function shortened({ workspace, id }: ToolContext, text: string, most: number): string {
  if (text.length <= most) return text;
  const path = `${OUTPUTS}/${id}.txt`;
  const kept = keep(workspace, path, text);
  const half = Math.floor(most / 2) - 200;
  const head = text.slice(0, endOfLine(text, half));
  const tail = text.slice(startOfLine(text, text.length - half));
  const left = text.length - head.length - tail.length;
  return `${head}\n\n[${left} of ${text.length} characters are left out here. ${kept}]\n\n${tail}`;
}

function keep(workspace: Workspace, path: string, text: string): string {
  try {
    // A repository that has the whole workspace must not see them.
    const ignore = `${ROOT}/.ledge/.gitignore`;
    if (!workspace.stat(ignore)) workspace.write(ignore, "*\n");
    workspace.write(path, text);
    return `All of it is in ${path}.`;
  } catch (error) {
    if (!(error instanceof WorkspaceError)) throw error;
    return `They could not be kept: ${error.message}`;
  }
}

/** So much of a text is given up to end it at a line. */
const MAX_LINE_REST = 1_000;

function endOfLine(text: string, at: number): number {
  const line = text.lastIndexOf("\n", at);
  return line > at - MAX_LINE_REST ? line : wholePlace(text, at);
}

function startOfLine(text: string, at: number): number {
  const line = text.indexOf("\n", at);
  return line >= 0 && line < at + MAX_LINE_REST ? line + 1 : wholePlace(text, at);
}
