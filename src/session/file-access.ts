/**
 * The one way to a session's files for its API: where a path leads, what stands there, and writes that
 * are one transaction each. A session whose files nobody has touched has no tables for them, and
 * reading makes none.
 */
import { createHash } from "node:crypto";
import { WorkspaceError } from "../workspace/errors.ts";
import { nameOf, parentOf, ROOT, relativePath, resolvePath } from "../workspace/paths.ts";
import { type Entry, Workspace } from "../workspace/workspace.ts";
import { FILE_PIECE_BYTES, type FileInfo, type ListedFile } from "./file-calls.ts";
import { INSTRUCTIONS_PATH } from "./instructions.ts";

export interface AccessEdges {
  storage: DurableObjectStorage;
  /** The session's workspace, opened on first use. */
  workspace: () => Workspace;
  /** A write has been made, in this very step: of bytes of the owner, or of what was there. */
  written: (by: "owner" | "files") => void;
}

/** Hashes that are remembered by what they are of. */
const KNOWN_HASHES = 1_000;

export class FileAccess {
  readonly #edges: AccessEdges;
  readonly #hashes = new Map<string, string>();

  constructor(edges: AccessEdges) {
    this.#edges = edges;
  }

  /** The workspace, unless the session has none yet. */
  existing(): Workspace | null {
    return Workspace.exists(this.#edges.storage.sql) ? this.#edges.workspace() : null;
  }

  /**
   * The only way in which anything is written: all of `act`, or nothing when it throws. `by` says
   * whose text it is: what the owner sends may be an instruction, what is moved or cloned may not.
   */
  write<T>(act: (files: Workspace) => T, by: "owner" | "files" = "owner"): T {
    const files = this.#edges.workspace();
    const before = this.#instructions(files);
    try {
      const result = this.#edges.storage.transactionSync(() => act(files));
      // A tool that runs may have changed them before, and that was not the owner.
      this.#edges.written(this.#instructions(files) === before ? "files" : by);
      return result;
    } catch (error) {
      files.forget();
      // The versions of what was undone will be those of something else.
      this.#hashes.clear();
      throw error;
    }
  }

  /**
   * Where a path leads: its links are followed, the last one only where the file behind it is meant.
   *
   * @throws WorkspaceError `outside` when a link leads out of the workspace
   */
  place(files: Workspace | null, path: string, last: "file" | "entry" = "file"): string {
    const place = resolvePath(path);
    if (!files || place === ROOT) return place;
    const real =
      last === "file"
        ? files.realPath(place)
        : `${files.realPath(parentOf(place))}/${nameOf(place)}`;
    if (real === ROOT || real.startsWith(`${ROOT}/`)) return real;
    throw new WorkspaceError("outside", `${path} leads out of the workspace.`, path);
  }

  /** The workspace and what a path leads to in it. */
  found(path: string): { files: Workspace; entry: Entry } {
    const files = this.existing();
    const place = this.place(files, path);
    const entry = files?.stat(place);
    if (!files || !entry) throw missing(place);
    return { files, entry };
  }

  /** Writes one file; only inside of `write`. */
  put(files: Workspace, place: string, bytes: Uint8Array, mode: number | null = null) {
    const created = files.write(place, bytes, mode ?? undefined);
    const entry = files.stat(place);
    if (!entry) throw missing(place);
    this.#remember(this.version(entry), sha256(bytes));
    return { ...this.info(files, entry, true), created };
  }

  info(files: Workspace, entry: Entry, hash: boolean): FileInfo {
    return {
      ...listed(entry),
      version: this.version(entry),
      sha256: hash && entry.type === "file" ? this.hash(files, entry) : null,
    };
  }

  /** What stands at a path itself. */
  infoAt(files: Workspace, place: string): FileInfo {
    const entry = files.lstat(place);
    if (!entry) throw missing(place);
    return this.info(files, entry, false);
  }

  /** The version of the file of instructions; null when there is none. */
  #instructions(files: Workspace): string | null {
    const entry = files.stat(INSTRUCTIONS_PATH);
    return entry && this.version(entry);
  }

  /** Another one after every change of the file, also within a millisecond. */
  version({ inode }: Entry): string {
    const query = "SELECT rev FROM vfs_nodes WHERE inode = ?";
    const [node] = this.#edges.storage.sql.exec<{ rev: number }>(query, inode);
    return `${inode}.${node?.rev ?? 0}`;
  }

  hash(files: Workspace, entry: Entry): string {
    const version = this.version(entry);
    const known = this.#hashes.get(version);
    if (known !== undefined) return known;
    const hash = createHash("sha256");
    for (let at = 0; at < entry.size; at += FILE_PIECE_BYTES) {
      hash.update(files.readRange(entry.path, at, FILE_PIECE_BYTES));
    }
    return this.#remember(version, hash.digest("hex"));
  }

  #remember(version: string, sha: string): string {
    if (this.#hashes.size >= KNOWN_HASHES) this.#hashes.clear();
    this.#hashes.set(version, sha);
    return sha;
  }
}

export const sha256 = (content: Uint8Array | string): string =>
  createHash("sha256").update(content).digest("hex");

export const missing = (place: string): WorkspaceError =>
  new WorkspaceError("not_found", `There is no ${place}.`, place);

export const listed = ({ path, name, type, size, mtime }: Entry): ListedFile => ({
  path: relativePath(path),
  name,
  type,
  size,
  mtime,
});
