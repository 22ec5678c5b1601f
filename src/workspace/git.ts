/** Git over the session's files: one repository of it, and how one comes here. */
import type { HttpClient } from "isomorphic-git";
import type { GuardedRequester } from "../net/request.ts";
import { clock } from "../shared/clock.ts";
import { WorkspaceError } from "./errors.ts";
import { FsError } from "./fs-errors.ts";
import { type GitFs, gitFs } from "./git-fs.ts";
import { checkRepository, GitRefused, gitHttp } from "./git-http.ts";
import { withLockOf } from "./git-lock.ts";
import { PackRefused } from "./git-pack.ts";
import { isKept, keptPath, normalized } from "./kept-paths.ts";
import { parentOf, resolvePath } from "./paths.ts";
import type { Workspace } from "./workspace.ts";

export type GitLibrary = typeof import("isomorphic-git");

/** Kept once it is there: an object that dies while it is loaded must not hold up the next one. */
let loaded: GitLibrary | null = null;

export interface Git {
  git: GitLibrary;
  fs: GitFs;
  http: HttpClient;
  /** Of objects and indexes that were read. */
  cache: object;
}

export interface GitSurrounding {
  workspace: Workspace;
  request: GuardedRequester;
  enter?: () => Promise<void> | undefined;
}

/** What a command of git works with. */
export async function openGit({ workspace, request, enter }: GitSurrounding): Promise<Git> {
  loaded ??= await import("isomorphic-git");
  const git = withLockOf(workspace, loaded);
  return { git, fs: gitFs({ workspace, clock, enter }), http: gitHttp(request), cache: {} };
}

export interface CloneTarget {
  /** `https://…`; `http://…` at the hosts that the configuration lets through. */
  url: string;
  /** The folder of the new repository; it must be empty or not exist. */
  path: string;
  /** A branch or tag; the remote's own choice when absent. */
  ref?: string;
}

export type Cloned =
  | { ok: true; path: string; branch: string | null; commit: string | null }
  | { ok: false; code: string; message: string };

/** Clones the newest commit of a repository. What fails leaves nothing behind. */
export async function cloneRepository(
  workspace: Workspace,
  request: GuardedRequester,
  target: CloneTarget,
): Promise<Cloned> {
  try {
    return await cloneInto(await openGit({ workspace, request }), workspace, target);
  } catch (error) {
    return { ok: false, ...problemOf(error) };
  }
}

/** @throws WorkspaceError, GitRefused, PackRefused or an error of git */
export async function cloneInto(
  { git, fs, http, cache }: Git,
  workspace: Workspace,
  { url, path, ref }: CloneTarget,
): Promise<Extract<Cloned, { ok: true }>> {
  checkRepository(url);
  const dir = isKept(path) ? keptPath(normalized(path)) : resolvePath(path);
  const before = workspace.stat(dir);
  if (before && (before.type !== "directory" || workspace.list(dir).length > 0)) {
    throw new WorkspaceError(
      "already_exists",
      `destination path '${path}' already exists and is not an empty directory.`,
      dir,
    );
  }
  const made = before ? dir : firstMissing(workspace, dir);
  try {
    const options = { fs, http, cache, dir, url, depth: 1, singleBranch: true, noTags: true };
    await git.clone(ref === undefined ? options : { ...options, ref });
  } catch (error) {
    if (workspace.stat(dir)) workspace.remove(dir, true);
    if (before) workspace.makeDirectory(dir);
    else removeEmpty(workspace, parentOf(dir), made);
    throw error;
  }
  const branch = (await git.currentBranch({ fs, dir })) ?? null;
  const commit = await git.resolveRef({ fs, dir, ref: "HEAD" }).catch(() => null);
  return { ok: true, path: dir, branch, commit };
}

/** The topmost folder on the way to `dir` that is not there. */
function firstMissing(workspace: Workspace, dir: string): string {
  const parent = parentOf(dir);
  return parent === "/" || workspace.stat(parent) ? dir : firstMissing(workspace, parent);
}

/** Removes the folders that were made for a clone, up to `top`, unless others have put something there. */
function removeEmpty(workspace: Workspace, folder: string, top: string): void {
  if (folder.length < top.length || workspace.stat(folder)?.type !== "directory") return;
  if (workspace.list(folder).length > 0) return;
  workspace.remove(folder);
  removeEmpty(workspace, parentOf(folder), top);
}

/** What went wrong, for a user: a code of ours and a sentence. */
export function problemOf(error: unknown): { code: string; message: string } {
  // A checkout goes on behind its first error, and says no more than that there are several.
  if (error instanceof Error && "errors" in error && Array.isArray(error.errors)) {
    const [first] = error.errors;
    if (first instanceof Error) return problemOf(first);
  }
  if (error instanceof GitRefused || error instanceof PackRefused) {
    return { code: error.code, message: error.message };
  }
  const limit = error instanceof FsError ? error.limit : null;
  if (limit) return { code: limit.code, message: limit.message };
  if (error instanceof WorkspaceError) return { code: error.code, message: error.message };
  const message = error instanceof Error ? error.message : "unknown error";
  const status = /^HTTP Error: (\d+)/.exec(message)?.[1];
  if (status === "401" || status === "403" || status === "404") {
    return {
      code: "repository_not_found",
      message: `The server has no such repository, or not for everybody (status ${status}).`,
    };
  }
  return { code: "git_failed", message };
}
