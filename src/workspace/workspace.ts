/**
 * The files of a session, in its object's own SQLite. Everything is synchronous, so what a tool
 * writes and the row that says so are one transaction of the object's storage: a crash undoes both
 * or neither. Every write goes through here, which is where the limits hold.
 */
import { Workspace as Computer, type SQLiteWorkspaceProvider } from "@cloudflare/computer";
import { clock } from "../shared/clock.ts";
import { FULL_BYTES } from "../shared/storage-limit.ts";
import { WorkspaceError } from "./errors.ts";
import { byteLength, checkLength, nameOf, parentOf, ROOT } from "./paths.ts";

export interface WorkspaceLimits {
  /** Bytes of one file. */
  fileBytes: number;
  /** Bytes of all files. */
  totalBytes: number;
  /** Files, folders and links. */
  entries: number;
  /** Bytes of the object's database, with all that is not a file. */
  storageBytes: number;
}

export const LIMITS: WorkspaceLimits = {
  fileBytes: 25 * 1024 * 1024,
  totalBytes: 1024 * 1024 * 1024,
  entries: 20_000,
  storageBytes: FULL_BYTES,
};

/** Links that one path may lead through. */
const MAX_LINKS = 40;
/** Folders of which it is remembered where they are. */
const KNOWN_FOLDERS = 1_000;

export interface Entry {
  /** Absolute. */
  path: string;
  name: string;
  type: "file" | "directory" | "symlink";
  /** Bytes; 0 for folders. */
  size: number;
  /** Milliseconds since the epoch. */
  mtime: number;
  mode: number;
  /** The same for every path that leads to the same entry. */
  inode: number;
}

/** Paths are those of `resolvePath`: absolute, below the root, without dots. */
export class Workspace {
  readonly #storage: DurableObjectStorage;
  readonly #limits: WorkspaceLimits;
  #files: SQLiteWorkspaceProvider;
  /** What is used, once it was counted; every write keeps it true. */
  #usage: { bytes: number; entries: number } | null = null;
  /** Where folders really are, until a link may lead them elsewhere. */
  readonly #folders = new Map<string, string>();

  /** Opens the workspace, and makes its tables if there is none yet. */
  constructor(storage: DurableObjectStorage, limits: WorkspaceLimits = LIMITS) {
    this.#storage = storage;
    this.#limits = limits;
    this.#files = open(storage);
    if (!this.#files.existsSync(ROOT)) this.#files.mkdirSync(ROOT, { recursive: true });
  }

  /** The session has a workspace. Writes nothing. */
  static exists(sql: SqlStorage): boolean {
    const query = "SELECT count(*) AS n FROM sqlite_master WHERE name = 'vfs_nodes'";
    return sql.exec<{ n: number }>(query).one().n > 0;
  }

  /** What is used of the limits. */
  get usage(): { bytes: number; entries: number } {
    this.#usage ??= this.#storage.sql
      .exec<{ bytes: number; entries: number }>(
        "SELECT coalesce(sum(size), 0) AS bytes, count(*) AS entries FROM vfs_nodes",
      )
      .one();
    return this.#usage;
  }

  /** What was written since is being undone, so what is known of it is not true any more. */
  forget(): void {
    this.#usage = null;
    this.#folders.clear();
    // The library remembers which path leads to which inode, and inodes that were undone come again.
    this.#files = open(this.#storage);
  }

  /** The entry at a path, its link not followed; null when there is none. */
  lstat(path: string): Entry | null {
    return this.#stat(path, () => this.#files.lstatSync(path));
  }

  /** The entry that a path leads to; null when there is none. */
  stat(path: string): Entry | null {
    return this.#stat(path, () => this.#files.statSync(path));
  }

  /** Where a path leads once its links are followed; what does not exist stays as it is. */
  realPath(path: string): string {
    const names = path.split("/").reverse();
    let at = "";
    for (let links = 0; names.length > 0; ) {
      const name = names.pop() ?? "";
      if (name === "" || name === ".") continue;
      if (name === "..") at = at.slice(0, Math.max(0, at.lastIndexOf("/")));
      else if (this.lstat(`${at}/${name}`)?.type !== "symlink") at = `${at}/${name}`;
      else {
        links += 1;
        if (links > MAX_LINKS) {
          throw new WorkspaceError("invalid_path", `${path} is a circle of links.`, path);
        }
        const target = this.readLink(`${at}/${name}`);
        if (target.startsWith("/")) at = "";
        names.push(...target.split("/").reverse());
      }
    }
    return at || "/";
  }

  /** @throws WorkspaceError `not_found` or `not_a_file` */
  read(path: string): Uint8Array<ArrayBuffer> {
    this.#file(path);
    // A copy: the library's own buffer may be one that it goes on writing to.
    return new Uint8Array(translated(path, () => this.#files.readFileSync(path)) as Uint8Array);
  }

  /** Bytes `from` to `from + length`, as far as there are any. */
  readRange(path: string, from: number, length: number): Uint8Array<ArrayBuffer> {
    this.#file(path);
    return new Uint8Array(translated(path, () => this.#files.readRangeSync(path, from, length)));
  }

  /** Writes a whole file; its folders are made. True when there was none before. */
  write(path: string, content: Uint8Array | string, mode?: number): boolean {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const before = this.stat(path);
    if (before && before.type !== "file") throw notAFile(path);
    if (bytes.byteLength > this.#limits.fileBytes) {
      throw new WorkspaceError(
        "file_too_large",
        `A file may hold ${this.#limits.fileBytes} bytes and this one would hold ${bytes.byteLength}.`,
        path,
      );
    }
    if (!before) this.makeDirectory(parentOf(path));
    this.#reserve(path, bytes.byteLength - (before?.size ?? 0), before ? 0 : 1);
    const options = mode === undefined ? {} : { mode };
    translated(path, () => this.#files.writeFileSync(path, asBuffer(bytes), options));
    return !before;
  }

  /** Makes a folder and those above it; nothing when it is there. */
  makeDirectory(path: string): void {
    const missing: string[] = [];
    for (let at = path; ; at = parentOf(at)) {
      const entry = this.stat(at);
      if (entry?.type === "directory") break;
      if (entry) throw new WorkspaceError("not_a_directory", `${at} is not a folder.`, path);
      missing.push(at);
      if (at === "/" || at === ROOT) break;
    }
    this.#reserve(path, 0, missing.length);
    if (missing.length > 0)
      translated(path, () => this.#files.mkdirSync(path, { recursive: true }));
  }

  /**
   * Removes a file, a link or a folder; with `recursive` also what is in it.
   *
   * @throws WorkspaceError `not_found`, `not_empty`
   */
  remove(path: string, recursive = false): void {
    const entry = this.lstat(path);
    if (!entry) throw notFound(path);
    this.#folders.clear();
    if (path === ROOT && !recursive) throw new WorkspaceError("not_empty", `${ROOT} stays.`, path);
    if (entry.type === "directory") {
      const inside = this.list(path);
      if (inside.length > 0 && !recursive) {
        throw new WorkspaceError("not_empty", `${path} is a folder that is not empty.`, path);
      }
      for (const one of inside) this.remove(one.path, true);
      if (path === ROOT) return;
      translated(path, () => this.#files.rmdirSync(path));
    } else {
      translated(path, () => this.#files.unlinkSync(path));
    }
    this.#used(-entry.size, -1);
  }

  /** Moves or renames; what is at `to` is replaced when it is a file. */
  move(from: string, to: string): void {
    const entry = this.lstat(from);
    if (!entry) throw notFound(from);
    const source = this.#realEntry(from);
    const target = this.#realEntry(to);
    if (source === target) return;
    if (source === ROOT || target.startsWith(`${source}/`)) {
      throw new WorkspaceError("invalid_path", `${from} cannot be moved into itself.`, to);
    }
    checkLength(target, to);
    if (entry.type === "directory") this.#checkLengths(source, target);
    const there = this.lstat(to);
    if (there?.type === "directory") {
      throw new WorkspaceError("already_exists", `${to} is a folder that exists.`, to);
    }
    if (there) this.remove(to);
    this.makeDirectory(parentOf(to));
    this.#folders.clear();
    translated(from, () => this.#files.renameSync(from, to));
  }

  link(target: string, path: string): void {
    if (this.lstat(path)) throw new WorkspaceError("already_exists", `${path} exists.`, path);
    this.makeDirectory(parentOf(path));
    this.#reserve(path, 0, 1);
    this.#folders.clear();
    translated(path, () => this.#files.symlinkSync(target, path));
  }

  readLink(path: string): string {
    return translated(path, () => this.#files.readlinkSync(path));
  }

  setMode(path: string, mode: number): void {
    translated(path, () => this.#files.chmodSync(path, mode));
  }

  /**
   * The entries of a folder by name.
   *
   * @throws WorkspaceError `not_found` or `not_a_directory`
   */
  list(path: string): Entry[] {
    const entry = this.stat(path);
    if (!entry) throw notFound(path);
    if (entry.type !== "directory") {
      throw new WorkspaceError("not_a_directory", `${path} is not a folder.`, path);
    }
    const names = translated(path, () => this.#files.readdirEntriesSync(path));
    return names
      .map(({ name }) => this.lstat(path === "/" ? `/${name}` : `${path}/${name}`))
      .filter((one) => one !== null)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Everything below a folder, depth first and by name. Links are not followed. */
  *walk(path: string): Generator<Entry> {
    for (const entry of this.list(path)) {
      yield entry;
      if (entry.type === "directory") yield* this.walk(entry.path);
    }
  }

  /** Where an entry is, or would be: the links on the way to it are followed, it is not itself. */
  #realEntry(path: string): string {
    const folder = parentOf(path);
    const real = this.#folders.get(folder) ?? this.realPath(folder);
    if (this.#folders.size >= KNOWN_FOLDERS) this.#folders.clear();
    this.#folders.set(folder, real);
    return `${real === "/" ? "" : real}/${nameOf(path)}`;
  }

  /** What is in a folder must have a path that can be said behind the move too. */
  #checkLengths(from: string, to: string): void {
    if (byteLength(to) <= byteLength(from)) return;
    for (const { path } of this.walk(from)) checkLength(to + path.slice(from.length), to);
  }

  #file(path: string): void {
    const entry = this.stat(path);
    if (!entry) throw notFound(path);
    if (entry.type !== "file") throw notAFile(path);
  }

  #stat(path: string, read: () => ReturnType<SQLiteWorkspaceProvider["statSync"]>): Entry | null {
    try {
      const stats = read();
      const type = stats.isDirectory() ? "directory" : stats.isSymbolicLink() ? "symlink" : "file";
      const size = type === "directory" ? 0 : stats.size;
      const { mtimeMs: mtime, mode, ino: inode } = stats;
      return { path, name: nameOf(path), type, size, mtime, mode: mode & 0o7777, inode };
    } catch (error) {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return null;
      throw error;
    }
  }

  /** Checks that so much more fits, and counts it. */
  #reserve(path: string, bytes: number, entries: number): void {
    const used = this.usage;
    const { databaseSize } = this.#storage.sql;
    if ((bytes > 0 || entries > 0) && databaseSize + bytes > this.#limits.storageBytes) {
      throw new WorkspaceError(
        "session_full",
        "The session's storage is full. Remove files, or export what you need and start a new session.",
        path,
      );
    }
    // A link may lead to where the whole path is longer than the one that was given.
    if (entries > 0) checkLength(this.#realEntry(path), path);
    if (bytes > 0 && used.bytes + bytes > this.#limits.totalBytes) {
      throw new WorkspaceError(
        "workspace_full",
        `The files of a workspace may hold ${this.#limits.totalBytes} bytes together; these hold ${used.bytes} and ${bytes} more do not fit. Remove some first.`,
        path,
      );
    }
    if (entries > 0 && used.entries + entries > this.#limits.entries) {
      throw new WorkspaceError(
        "too_many_files",
        `A workspace may have ${this.#limits.entries} files and folders. Remove some first.`,
        path,
      );
    }
    this.#used(bytes, entries);
  }

  #used(bytes: number, entries: number): void {
    const used = this.usage;
    this.#usage = { bytes: used.bytes + bytes, entries: used.entries + entries };
  }
}

const open = (storage: DurableObjectStorage): SQLiteWorkspaceProvider =>
  new Computer({ storage, now: () => clock.now(), output: false }).provider();

const notFound = (path: string): WorkspaceError =>
  new WorkspaceError("not_found", `There is no ${path}.`, path);

const notAFile = (path: string): WorkspaceError =>
  new WorkspaceError("not_a_file", `${path} is not a file.`, path);

const codeOf = (error: unknown): string | null =>
  error instanceof Error && "code" in error ? String(error.code) : null;

const CODES: Readonly<Record<string, WorkspaceError["code"]>> = {
  ENOENT: "not_found",
  ENOTDIR: "not_a_directory",
  EISDIR: "not_a_file",
  EEXIST: "already_exists",
  ENOTEMPTY: "not_empty",
  ELOOP: "invalid_path",
  EINVAL: "invalid_path",
};

/** The library's errors in our own words. */
function translated<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const code = CODES[codeOf(error) ?? ""];
    if (!code) throw error;
    throw new WorkspaceError(
      code,
      `${path}: ${error instanceof Error ? error.message : code}`,
      path,
    );
  }
}

/** The library is written for Node's `Buffer`, of which it uses what every byte array has. */
const asBuffer = (bytes: Uint8Array) =>
  bytes as Parameters<SQLiteWorkspaceProvider["writeFileSync"]>[1];
