/** The session's files as git reads and writes them. */
import { Buffer } from "node:buffer";
import type { Clock } from "../shared/clock.ts";
import { WorkspaceError } from "./errors.ts";
import { asFileSystem } from "./fs-errors.ts";
import { checkPack } from "./git-pack.ts";
import { isKept, keptPath, normalized } from "./kept-paths.ts";
import { parentOf, ROOT } from "./paths.ts";
import type { Entry, Workspace } from "./workspace.ts";

export interface GitFsOptions {
  workspace: Workspace;
  clock: Clock;
  /** Before each access: throws once git was stopped, and lets others run now and then. */
  enter?: (() => Promise<void> | undefined) | undefined;
}

const TYPE_BITS = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;

/** A file that was changed so shortly before may change again without another time on it. */
const RECENT_MS = 2_000;

const LARGEST_TIME = 2 ** 41;

const PACK = /\/objects\/pack\/pack-[0-9a-f]+\.pack$/;

type Encoded = { encoding?: string } | string | undefined;

/** What the library asks of a file system, and what we ask of it. */
export type GitFs = ReturnType<typeof gitFs>;

export function gitFs({ workspace, clock, enter }: GitFsOptions) {
  /** Runs `act` on a path of the workspace, in the errors that git knows. */
  const at = async <T>(operation: string, path: string, act: (kept: string) => T): Promise<T> => {
    await enter?.();
    return asFileSystem(operation, path, () => {
      const whole = normalized(path);
      if (!isKept(whole)) throw new WorkspaceError("not_found", "", path);
      return act(keptPath(whole));
    });
  };

  /**
   * Git takes a file for unchanged when its time and size are those in its index. Time stands still
   * while a script runs, so for a recent file the answer is never the same: git then compares
   * contents.
   */
  const statOf = (entry: Entry) => {
    const recent = clock.now() - entry.mtime < RECENT_MS;
    return {
      mode: TYPE_BITS[entry.type] | entry.mode,
      size: entry.size,
      mtimeMs: entry.mtime,
      ctimeMs: recent ? Math.floor(Math.random() * LARGEST_TIME) : entry.mtime,
      ino: entry.inode,
      dev: 1,
      uid: 1000,
      gid: 1000,
      isFile: () => entry.type === "file",
      isDirectory: () => entry.type === "directory",
      isSymbolicLink: () => entry.type === "symlink",
    };
  };

  const found = (entry: Entry | null, path: string): Entry => {
    if (!entry) throw new WorkspaceError("not_found", "", path);
    return entry;
  };

  const promises = {
    readFile: (path: string, options: Encoded) =>
      at("open", path, (kept) => {
        const { buffer } = workspace.read(kept);
        const bytes = Buffer.from(buffer);
        const encoding = typeof options === "string" ? options : options?.encoding;
        return encoding === "utf8" ? bytes.toString("utf8") : bytes;
      }),
    writeFile: (path: string, content: Uint8Array | string, options?: { mode?: number }) =>
      at("open", path, (kept) => {
        if (PACK.test(kept) && typeof content !== "string") checkPack(content);
        const entry = workspace.lstat(kept);
        // A link is replaced and not followed, or a repository could write through its own.
        if (entry?.type === "symlink") workspace.remove(kept);
        if (!entry && !workspace.stat(parentOf(kept))) {
          throw new WorkspaceError("not_found", "", path);
        }
        workspace.write(kept, content, options?.mode === undefined ? undefined : 0o755);
      }),
    unlink: (path: string) => at("unlink", path, (kept) => workspace.remove(kept)),
    readdir: (path: string) =>
      at("scandir", path, (kept) => workspace.list(kept).map(({ name }) => name)),
    mkdir: (path: string) =>
      at("mkdir", path, (kept) => {
        if (workspace.lstat(kept)) throw new WorkspaceError("already_exists", "", path);
        const parent = parentOf(kept);
        if (parent !== ROOT && parent !== "/" && !workspace.stat(parent)) {
          throw new WorkspaceError("not_found", "", path);
        }
        workspace.makeDirectory(kept);
      }),
    rmdir: (path: string) => at("rmdir", path, (kept) => workspace.remove(kept)),
    rm: (path: string, options?: { recursive?: boolean }) =>
      at("rm", path, (kept) => workspace.remove(kept, options?.recursive)),
    stat: (path: string) => at("stat", path, (kept) => statOf(found(workspace.stat(kept), path))),
    lstat: (path: string) =>
      at("lstat", path, (kept) => statOf(found(workspace.lstat(kept), path))),
    readlink: (path: string) =>
      at("readlink", path, (kept) => {
        found(workspace.lstat(kept), path);
        return Buffer.from(workspace.readLink(kept));
      }),
    rename: (from: string, to: string) =>
      at("rename", from, (kept) => workspace.move(kept, keptPath(normalized(to)))),
    symlink: (target: string, path: string) =>
      at("symlink", path, (kept) => workspace.link(target, kept)),
    chmod: (path: string, mode: number) =>
      at("chmod", path, (kept) => workspace.setMode(kept, mode & 0o777)),
  };
  return { promises };
}
