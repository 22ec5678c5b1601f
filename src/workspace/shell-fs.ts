/**
 * The file system of a shell: the session's files at `/workspace` and `/tmp`, and around them what
 * belongs to the shell itself (`/bin`, `/dev`, `/proc`), which nothing can write to.
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { BufferEncoding, CpOptions, FsStat, IFileSystem, InMemoryFs } from "just-bash";
import { WorkspaceError } from "./errors.ts";
import { asFileSystem, FsError } from "./fs-errors.ts";
import { isKept, keptPath, normalized, TEMPORARY } from "./kept-paths.ts";
import { nameOf, parentOf, ROOT } from "./paths.ts";
import type { Entry, Workspace } from "./workspace.ts";

/** What stands at a path of `/dev`, other than a file. */
export interface Device {
  read?: () => Uint8Array<ArrayBuffer>;
  /** Takes what is written; false when the device does not exist for reading. */
  write?: (content: string | Uint8Array, encoding: BufferEncoding) => void;
}

export interface ShellFsOptions {
  workspace: Workspace;
  /** Holds the commands and what the shell needs for itself. */
  base: InMemoryFs;
  devices: Readonly<Record<string, Device>>;
  /**
   * Before each access, with what it costs (1 is a file): throws once the shell was stopped, and lets
   * others run now and then.
   */
  enter: Enter;
  /** A file could not be opened for writing, for this reason. */
  refused: (reason: string) => void;
}

type Enter = (cost?: number) => Promise<void> | undefined;

type Encoded = { encoding?: BufferEncoding | null } | BufferEncoding | undefined;

/** What a device gives that has no end. */
export const DEVICE_BYTES = 65_536;

/** What an access to a device costs. */
const DEVICE_COST = 0.05;
const EMPTY = new Uint8Array(0);

/** The devices that every shell has. */
export const DEVICES: Readonly<Record<string, Device>> = {
  "/dev/null": { read: () => EMPTY, write: () => {} },
  "/dev/zero": { read: () => new Uint8Array(DEVICE_BYTES), write: () => {} },
  "/dev/random": { read: () => new Uint8Array(randomBytes(DEVICE_BYTES)) },
  "/dev/urandom": { read: () => new Uint8Array(randomBytes(DEVICE_BYTES)) },
};

const encodingOf = (options: Encoded): BufferEncoding =>
  (typeof options === "string" ? options : options?.encoding) ?? "utf8";

function toBytes(content: string | Uint8Array, encoding: BufferEncoding): Uint8Array<ArrayBuffer> {
  return typeof content === "string"
    ? new Uint8Array(Buffer.from(content, encoding))
    : new Uint8Array(content);
}

const readOnly = (operation: string, path: string): FsError =>
  new FsError(
    "EROFS",
    `read-only file system; files are kept in ${ROOT} and ${TEMPORARY}`,
    `${operation} '${path}'`,
  );

const statOf = ({ type, mode, size, mtime, inode }: Entry): FsStat => ({
  isFile: type === "file",
  isDirectory: type === "directory",
  isSymbolicLink: type === "symlink",
  mode,
  size,
  mtime: new Date(mtime),
  // Commands that replace files ask whether two paths are one.
  identity: `${inode}`,
});

const DEVICE_STAT: FsStat = {
  isFile: true,
  isDirectory: false,
  isSymbolicLink: false,
  mode: 0o666,
  size: 0,
  mtime: new Date(0),
};

export class ShellFs implements IFileSystem {
  readonly #workspace: Workspace;
  readonly #base: InMemoryFs;
  readonly #devices: Readonly<Record<string, Device>>;
  readonly #enter: Enter;
  readonly #refused: (reason: string) => void;

  constructor({ workspace, base, devices, enter, refused }: ShellFsOptions) {
    this.#workspace = workspace;
    this.#base = base;
    this.#devices = devices;
    this.#enter = enter;
    this.#refused = refused;
    base.mkdirSync(ROOT, { recursive: true });
    base.mkdirSync(TEMPORARY, { recursive: true });
  }

  /** The shell puts its commands and devices in place with these two. */
  mkdirSync(path: string, options?: { recursive?: boolean }): void {
    this.#base.mkdirSync(path, options);
  }

  writeFileSync(path: string, content: string | Uint8Array): void {
    this.#base.writeFileSync(path, content);
  }

  async readFile(path: string, options?: Encoded): Promise<string> {
    const bytes = await this.readFileBuffer(path);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(
      encodingOf(options),
    );
  }

  async readFileBuffer(path: string): Promise<Uint8Array> {
    await this.#enter();
    const at = normalized(path);
    const device = this.#devices[at];
    if (device?.read) return device.read();
    if (!isKept(at)) return this.#base.readFileBuffer(at);
    return asFileSystem("open", path, () => this.#workspace.read(keptPath(at)));
  }

  async writeFile(path: string, content: string | Uint8Array, options?: Encoded): Promise<void> {
    await this.#write(path, content, encodingOf(options), false);
  }

  async appendFile(path: string, content: string | Uint8Array, options?: Encoded): Promise<void> {
    await this.#write(path, content, encodingOf(options), true);
  }

  async #write(
    path: string,
    content: string | Uint8Array,
    encoding: BufferEncoding,
    append: boolean,
  ): Promise<void> {
    const at = normalized(path);
    const device = this.#devices[at];
    await this.#enter(device ? DEVICE_COST : 1);
    if (device?.write) return device.write(content, encoding);
    if (this.#isShellsOwn(at)) {
      if (append) return this.#base.appendFile(at, content, encoding);
      return this.#base.writeFile(at, content, encoding);
    }
    try {
      if (!isKept(at)) throw readOnly("open", path);
      asFileSystem("open", path, () => this.#writeKept(at, toBytes(content, encoding), append));
    } catch (error) {
      if (error instanceof FsError) this.#refused(error.words);
      throw error;
    }
  }

  #writeKept(at: string, bytes: Uint8Array<ArrayBuffer>, append: boolean): void {
    const kept = keptPath(at);
    if (!append || !this.#workspace.stat(kept)) {
      this.#checkParent(at);
      this.#workspace.write(kept, bytes);
      return;
    }
    if (bytes.length === 0) return;
    const before = this.#workspace.read(kept);
    const whole = new Uint8Array(before.length + bytes.length);
    whole.set(before);
    whole.set(bytes, before.length);
    this.#workspace.write(kept, whole);
  }

  async exists(path: string): Promise<boolean> {
    const at = normalized(path);
    const device = this.#devices[at];
    await this.#enter(device ? DEVICE_COST : 1);
    if (device) return device.read !== undefined;
    if (!isKept(at)) return this.#base.exists(at);
    return this.#isRoot(at) || this.#find(() => this.#workspace.stat(keptPath(at))) !== null;
  }

  stat(path: string): Promise<FsStat> {
    return this.#stat("stat", path, (at) => this.#workspace.stat(at));
  }

  lstat(path: string): Promise<FsStat> {
    return this.#stat("lstat", path, (at) => this.#workspace.lstat(at));
  }

  async mkdir(path: string, options?: { recursive?: boolean }): Promise<void> {
    await this.#enter();
    const at = normalized(path);
    if (!isKept(at)) {
      if (options?.recursive && (await this.#base.exists(at))) return;
      throw (await this.#base.exists(at))
        ? new FsError("EEXIST", "file already exists", `mkdir '${path}'`)
        : readOnly("mkdir", path);
    }
    asFileSystem("mkdir", path, () => {
      const there = this.#workspace.lstat(keptPath(at));
      if (there && !(options?.recursive && there.type !== "file")) {
        throw new WorkspaceError("already_exists", `${at} exists.`, at);
      }
      if (!options?.recursive) this.#checkParent(at);
      this.#workspace.makeDirectory(keptPath(at));
    });
  }

  async readdir(path: string): Promise<string[]> {
    return (await this.readdirWithFileTypes(path)).map(({ name }) => name);
  }

  async readdirWithFileTypes(path: string) {
    await this.#enter();
    const at = normalized(path);
    if (!isKept(at)) return this.#base.readdirWithFileTypes(at);
    if (this.#isRoot(at) && !this.#workspace.stat(at)) return [];
    return asFileSystem("scandir", path, () =>
      this.#workspace.list(this.#workspace.realPath(keptPath(at))).map(({ name, type }) => ({
        name,
        isFile: type === "file",
        isDirectory: type === "directory",
        isSymbolicLink: type === "symlink",
      })),
    );
  }

  async rm(path: string, options?: { recursive?: boolean; force?: boolean }): Promise<void> {
    await this.#enter();
    const at = normalized(path);
    if (this.#isShellsOwn(at)) return this.#base.rm(at, options);
    if (!isKept(at)) throw readOnly("rm", path);
    asFileSystem("rm", path, () => {
      if (options?.force && !this.#workspace.lstat(keptPath(at))) return;
      this.#workspace.remove(keptPath(at), options?.recursive);
    });
  }

  async cp(source: string, target: string, options?: CpOptions): Promise<void> {
    const from = normalized(source);
    const to = normalized(target);
    const entry = await this.lstat(from);
    if (from === to || to.startsWith(`${from}/`)) {
      throw new FsError("EINVAL", "cannot copy into itself", `cp '${source}' -> '${target}'`);
    }
    if (entry.isSymbolicLink) {
      await this.rm(to, { force: true });
      return this.symlink(await this.readlink(from), to);
    }
    if (entry.isFile) {
      await this.writeFile(to, await this.readFileBuffer(from));
      return this.chmod(to, entry.mode);
    }
    if (!options?.recursive) {
      throw new FsError("EISDIR", "illegal operation on a directory", `cp '${source}'`);
    }
    await this.mkdir(to, { recursive: true });
    for (const name of await this.readdir(from)) {
      await this.cp(`${from}/${name}`, `${to}/${name}`, options);
    }
  }

  async mv(source: string, target: string): Promise<void> {
    const from = normalized(source);
    const to = normalized(target);
    if (!isKept(from)) throw readOnly("rename", source);
    if (!isKept(to)) throw readOnly("rename", target);
    await this.#enter();
    asFileSystem("rename", source, () => {
      this.#checkParent(to);
      this.#workspace.move(keptPath(from), keptPath(to));
    });
  }

  resolvePath(base: string, path: string): string {
    return normalized(path.startsWith("/") ? path : `${base}/${path}`);
  }

  /** Only for file systems that cannot list folders. */
  getAllPaths(): string[] {
    return [];
  }

  async chmod(path: string, mode: number): Promise<void> {
    await this.#enter();
    const at = normalized(path);
    if (!isKept(at)) throw readOnly("chmod", path);
    asFileSystem("chmod", path, () => {
      const kept = this.#workspace.realPath(keptPath(at));
      if (!this.#workspace.stat(kept)) throw new WorkspaceError("not_found", "", at);
      this.#workspace.setMode(kept, mode & 0o7777);
    });
  }

  async symlink(target: string, path: string): Promise<void> {
    await this.#enter();
    const at = normalized(path);
    if (!isKept(at)) throw readOnly("symlink", path);
    asFileSystem("symlink", path, () => {
      this.#checkParent(at);
      this.#workspace.link(target, keptPath(at));
    });
  }

  /** A copy: the workspace has no second name for one file. */
  async link(existing: string, path: string): Promise<void> {
    if (await this.exists(path)) {
      throw new FsError("EEXIST", "file already exists", `link '${path}'`);
    }
    await this.writeFile(path, await this.readFileBuffer(existing));
  }

  async readlink(path: string): Promise<string> {
    await this.#enter();
    const at = normalized(path);
    if (!isKept(at)) return this.#base.readlink(at);
    return asFileSystem("readlink", path, () => {
      const entry = this.#workspace.lstat(keptPath(at));
      if (!entry) throw new WorkspaceError("not_found", "", at);
      if (entry.type !== "symlink") throw new WorkspaceError("invalid_path", "", at);
      return this.#workspace.readLink(keptPath(at));
    });
  }

  async realpath(path: string): Promise<string> {
    await this.#enter();
    const at = normalized(path);
    if (!isKept(at)) return this.#base.realpath(at);
    return asFileSystem("realpath", path, () => {
      const real = this.#workspace.realPath(keptPath(at));
      if (!this.#isRoot(real) && !this.#workspace.stat(real)) {
        throw new WorkspaceError("not_found", "", at);
      }
      return real;
    });
  }

  /** The workspace keeps the time of the last write only, so another one is not taken. */
  async utimes(path: string): Promise<void> {
    await this.stat(path);
  }

  async #stat(
    operation: string,
    path: string,
    read: (at: string) => Entry | null,
  ): Promise<FsStat> {
    await this.#enter();
    const at = normalized(path);
    if (this.#devices[at]) return DEVICE_STAT;
    if (!isKept(at)) return operation === "stat" ? this.#base.stat(at) : this.#base.lstat(at);
    const entry = asFileSystem(operation, path, () => read(keptPath(at)));
    if (entry) return statOf(entry);
    if (this.#isRoot(at)) return this.#base.stat(at);
    throw new FsError("ENOENT", "no such file or directory", `${operation} '${path}'`);
  }

  /** The folder of a new file must be there: a shell does not make it. */
  #checkParent(at: string): void {
    const parent = parentOf(at);
    if (this.#isRoot(parent)) return;
    const entry = this.#workspace.stat(keptPath(parent));
    if (!entry) throw new WorkspaceError("not_found", `There is no ${parent}.`, at);
    if (entry.type !== "directory") {
      throw new WorkspaceError("not_a_directory", `${nameOf(parent)} is not a folder.`, at);
    }
  }

  /** The shell may ask for these before the workspace has them. */
  #isRoot(at: string): boolean {
    return at === ROOT || at === TEMPORARY;
  }

  /** The shell itself keeps the two ends of `<(…)` there. */
  #isShellsOwn(at: string): boolean {
    return at.startsWith("/dev/fd/");
  }

  #find(read: () => Entry | null): Entry | null {
    try {
      return read();
    } catch (error) {
      if (error instanceof WorkspaceError) return null;
      throw error;
    }
  }
}
