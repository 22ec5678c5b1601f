/** Paths of the file system that a shell and git see: more than the workspace, and not all of it is kept. */
import { ROOT, resolvePath } from "./paths.ts";

/** Where files are kept that do not belong to the session's work. */
export const TEMPORARY = "/tmp";

/** The path lies in a folder whose files are kept. */
export const isKept = (path: string): boolean =>
  [ROOT, TEMPORARY].some((root) => path === root || path.startsWith(`${root}/`));

/** Absolute and without dots; the limits of a path hold for every folder that is kept. */
export function keptPath(path: string): string {
  if (!path.startsWith(TEMPORARY)) return resolvePath(path);
  return resolvePath(`${ROOT}${path}`).slice(ROOT.length);
}

export function normalized(path: string): string {
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return `/${names.join("/")}`;
}
