/** Walks a folder from a place on, so that a page costs what is on it. */
import type { Entry, Workspace } from "../workspace/workspace.ts";

/**
 * The entries of `folder` behind the path `after`, which need not exist any more; with `recursive`
 * also what is in its folders, each behind the folder itself. By name in each folder.
 */
export function* walkBehind(
  workspace: Workspace,
  folder: string,
  after: string | null,
  recursive: boolean,
): Generator<Entry> {
  const names = after === null ? [] : after.slice(folder.length + 1).split("/");
  yield* behind(workspace, folder, names, recursive);
}

function* behind(
  workspace: Workspace,
  folder: string,
  [name, ...inside]: readonly string[],
  recursive: boolean,
): Generator<Entry> {
  for (const entry of workspace.list(folder)) {
    if (name !== undefined && entry.name < name) continue;
    const reached = entry.name === name;
    if (!reached) yield entry;
    if (!recursive || entry.type !== "directory") continue;
    yield* behind(workspace, entry.path, reached ? inside : [], recursive);
  }
}
