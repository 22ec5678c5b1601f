/** Paths of a workspace: absolute, below its root, without dots. */
import { WorkspaceError } from "./errors.ts";

/** The folder that holds a session's files; nothing outside of it can be named. */
export const ROOT = "/workspace";

/** Bytes of a whole path in UTF-8, and of one name in it. */
const MAX_PATH_BYTES = 1_024;
const MAX_NAME_BYTES = 255;

const encoder = new TextEncoder();

/**
 * The absolute path that `path` means in the folder `cwd`. A path from the root of the file system
 * is taken as it is.
 *
 * @throws WorkspaceError `invalid_path`, `path_too_long` or `outside`
 */
export function resolvePath(path: string, cwd = ROOT): string {
  if (path === "" || path.includes("\0")) {
    throw new WorkspaceError("invalid_path", "A path must not be empty or hold a NUL.", path);
  }
  const names: string[] = [];
  const whole = path.startsWith("/") ? path : `${cwd}/${path}`;
  for (const name of whole.split("/")) {
    if (name === "" || name === ".") continue;
    if (name === "..") names.pop();
    else names.push(name);
  }
  const resolved = `/${names.join("/")}`;
  if (resolved !== ROOT && !resolved.startsWith(`${ROOT}/`)) {
    throw new WorkspaceError("outside", `${path} is outside of the workspace (${ROOT}).`, path);
  }
  checkLength(resolved, path);
  return resolved;
}

/** Bytes in UTF-8. */
export const byteLength = (text: string): number => encoder.encode(text).length;

/** @throws WorkspaceError `path_too_long` for the path that was given as `path` */
export function checkLength(resolved: string, path: string): void {
  const long = resolved.split("/").some((name) => byteLength(name) > MAX_NAME_BYTES);
  if (!long && byteLength(resolved) <= MAX_PATH_BYTES) return;
  throw new WorkspaceError(
    "path_too_long",
    `A path may hold ${MAX_PATH_BYTES} bytes and each name in it ${MAX_NAME_BYTES}.`,
    path,
  );
}

/** The path as clients see it: relative to the root; the root itself is `.`. */
export const relativePath = (path: string): string =>
  path === ROOT ? "." : path.slice(ROOT.length + 1);

/** The folder that a path lies in. */
export const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf("/")));

export const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
