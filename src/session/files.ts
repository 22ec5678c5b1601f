/**
 * A session's files as the API sees them. Whatever changes them is one transaction: all of a request
 * is done or nothing. A session whose files nobody has touched has no tables for them, and reading
 * makes none.
 */
import type { GuardedRequester } from "../net/request.ts";
import type { Json } from "../shared/content.ts";
import { ArchiveError, readArchive } from "../workspace/archive.ts";
import { WorkspaceError } from "../workspace/errors.ts";
import { cloneRepository } from "../workspace/git.ts";
import { TEMPORARY } from "../workspace/kept-paths.ts";
import { relativePath, resolvePath } from "../workspace/paths.ts";
import type { Entry, Workspace } from "../workspace/workspace.ts";
import type { FaultPoint } from "./fault-points.ts";
import { type AccessEdges, FileAccess, listed, missing, sha256 } from "./file-access.ts";
import { type Answered, FileAnswers } from "./file-answers.ts";
import { collect } from "./file-body.ts";
import {
  type Asked,
  FILE_PIECE_BYTES,
  type FileAnswer,
  type FileCalls,
  type FileInfo,
  FileRefused,
  type ListedFile,
  type Once,
  type Packed,
  type PackedFile,
  UPLOAD_LIMITS,
  type Upload,
  type Uploaded,
} from "./file-calls.ts";
import { type FormFile, formFile, formFiles, named } from "./file-parts.ts";
import { walkBehind } from "./file-walk.ts";

export interface FileEdges extends AccessEdges {
  request: GuardedRequester;
  reach: (point: FaultPoint) => void;
  /** The session is being deleted, so nothing may be written any more. */
  deleted: () => boolean;
}

/** Entries of one page of an archive, whose contents together are about one piece. */
const PACKED_ENTRIES = 200;

export class SessionFiles implements FileCalls {
  readonly #edges: FileEdges;
  readonly #access: FileAccess;
  readonly #answers: FileAnswers;
  /** Folders of clones that run. */
  readonly #clones = new Set<string>();

  constructor(edges: FileEdges) {
    this.#edges = edges;
    this.#access = new FileAccess(edges);
    this.#answers = new FileAnswers(edges.storage.sql);
  }

  /** Does what is asked; a refusal is an answer too. */
  async answer<K extends keyof FileCalls>(call: K, asked: Asked<K>): Promise<FileAnswer<K>> {
    // Indexing by a type parameter loses which call has which argument.
    const act = this[call] as (asked: Asked<K>) => ReturnType<FileCalls[K]>;
    const once = "once" in asked ? asked.once : null;
    const answer = await answered<K>(() => this.#answers.once(once, () => act.call(this, asked)));
    this.#edges.reach("answer");
    return answer;
  }

  /** An upload: what it is stands in the address, and its bytes are the body. */
  async upload(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url);
    // Written by `uploadUrl`, which no client can reach.
    const upload = JSON.parse(searchParams.get("upload") ?? "{}") as Upload;
    const answer = await answered<"upload">(async () => {
      const { length, end } = upload;
      const maxBytes = UPLOAD_LIMITS[upload.kind];
      const { bytes, release } = await collect(request.body, { maxBytes, length, end });
      try {
        if (this.#edges.deleted()) throw new FileRefused("no_session", "There is no such session.");
        return await this.#store(upload, bytes);
      } finally {
        release();
      }
    });
    this.#edges.reach("answer");
    return Response.json(answer);
  }

  /** Writes, and keeps what is answered, in one transaction. */
  #write<T extends object>(
    once: Once | null,
    act: (files: Workspace) => T,
    by: "owner" | "files" = "owner",
  ): T {
    return this.#access.write((files) => {
      const value = act(files);
      if (once) this.#answers.keep(once, value);
      return value;
    }, by);
  }

  list({ path, recursive, after, limit }: Asked<"list">) {
    const workspace = this.#access.existing();
    const folder = this.#access.place(workspace, path);
    if (!workspace) return { files: [], more: false };
    const behind = after === null ? null : placeBehind(folder, after);
    const files: ListedFile[] = [];
    for (const entry of walkBehind(workspace, folder, behind, recursive)) {
      if (files.length === limit) return { files, more: true };
      files.push(listed(entry));
    }
    return { files, more: false };
  }

  stat({ path }: Asked<"stat">): FileInfo {
    const { files, entry } = this.#access.found(path);
    return this.#access.info(files, entry, true);
  }

  read({ path, version, from, length }: Asked<"read">): Uint8Array<ArrayBuffer> {
    const { files, entry } = this.#access.found(path);
    if (this.#access.version(entry) !== version) {
      throw new FileRefused("changed", `${entry.path} has changed while it was read.`);
    }
    return files.readRange(entry.path, from, Math.min(length, FILE_PIECE_BYTES));
  }

  /** A page of what is in a folder, with the contents of what is small. Links to files are followed. */
  pack({ path, after }: Asked<"pack">): Packed {
    const workspace = this.#access.existing();
    const folder = this.#access.place(workspace, path);
    if (!workspace) return { files: [], next: null };
    const behind = after === null ? null : placeBehind(folder, after);
    const files: PackedFile[] = [];
    let bytes = 0;
    let last: string | null = null;
    let looked = 0;
    for (const entry of walkBehind(workspace, folder, behind, true)) {
      if (looked === PACKED_ENTRIES || bytes >= FILE_PIECE_BYTES) return { files, next: last };
      const packed = this.#packed(workspace, folder, entry, FILE_PIECE_BYTES - bytes);
      if (packed === "later") return { files, next: last };
      if (packed) files.push(packed);
      bytes += packed?.bytes?.byteLength ?? 0;
      last = relativePath(entry.path);
      looked += 1;
    }
    return { files, next: null };
  }

  remove({ path, recursive, again }: Asked<"remove">): boolean {
    const workspace = this.#access.existing();
    const place = this.#access.place(workspace, path, "entry");
    if (!workspace?.lstat(place)) {
      // The call before this one has removed it, and its answer was lost.
      if (again) return true;
      throw missing(place);
    }
    this.#access.write((files) => files.remove(place, recursive));
    return true;
  }

  move({ from, to, overwrite, once }: Asked<"move">): FileInfo {
    const workspace = this.#access.existing();
    const source = named("body -> from", () => this.#access.place(workspace, from, "entry"));
    const target = this.#access.place(workspace, to, "entry");
    if (!workspace?.lstat(source)) throw missing(source);
    if (workspace.lstat(target) && source !== target && !overwrite) {
      throw new WorkspaceError("already_exists", `${target} exists.`, to);
    }
    const move = (files: Workspace) => {
      files.move(source, target);
      return this.#access.infoAt(files, target);
    };
    return this.#write(once, move, "files");
  }

  directory({ path, once }: Asked<"directory">): FileInfo & { created: boolean } {
    const place = this.#access.place(this.#access.existing(), path);
    const before = this.#access.existing()?.stat(place) ?? null;
    return this.#write(once, (files) => {
      files.makeDirectory(place);
      return { ...this.#access.infoAt(files, place), created: before === null };
    });
  }

  /**
   * Clones beside the workspace and moves what has come into it, so that a crash in the middle leaves
   * nothing behind that anyone could take for a repository.
   */
  async clone({ url, path, ref, id, once }: Asked<"clone">) {
    const workspace = this.#edges.workspace();
    const place = this.#access.place(workspace, path);
    free(workspace, place);
    this.#access.write((files) => this.#removeOldClones(files));
    const clone = `${TEMPORARY}/${CLONE}${id}`;
    this.#clones.add(clone);
    try {
      const cloned = await cloneRepository(workspace, this.#edges.request, {
        url,
        path: clone,
        ...(ref === null ? {} : { ref }),
      });
      if (this.#edges.deleted()) throw new FileRefused("no_session", "There is no such session.");
      if (!cloned.ok) throw new FileRefused("clone_failed", cloned.message, cloned.code);
      const { branch, commit } = cloned;
      const take = (files: Workspace) => {
        free(files, place);
        files.makeDirectory(place);
        for (const { path: from, name } of files.list(clone)) files.move(from, `${place}/${name}`);
        files.remove(clone, true);
        return { path: relativePath(place), branch, commit };
      };
      return this.#write(once, take, "files");
    } finally {
      this.#clones.delete(clone);
    }
  }

  #removeOldClones(files: Workspace): void {
    if (!files.stat(TEMPORARY)) return;
    for (const { path, name } of files.list(TEMPORARY)) {
      if (name.startsWith(CLONE) && !this.#clones.has(path)) files.remove(path, true);
    }
  }

  #store(upload: Upload, bytes: Uint8Array<ArrayBuffer>): Promise<Answered> {
    switch (upload.kind) {
      case "file":
        return this.#answers.once(null, () => ({ files: [this.#storeFile(upload, bytes)] }));
      case "parts": {
        const parts = formFiles(bytes, upload.content_type, upload.path);
        // The same form has another boundary when it is sent again.
        const sent = () => parts.map((part) => [part.path, sha256(part.bytes)]);
        const once = onceOf(upload.key, sent);
        return this.#answers.once(once, () => this.#storeParts(parts, once));
      }
      case "form": {
        const file = formFile(bytes, upload);
        const once = onceOf(upload.key, () => [file.path, sha256(file.bytes)]);
        return this.#answers.once(once, () => this.#storeParts([file], once, file.filename));
      }
      case "archive": {
        const once = onceOf(upload.key, () => [upload.path, sha256(bytes)]);
        return this.#answers.once(once, () => this.#unpack(upload.path, bytes, once));
      }
    }
  }

  #storeFile(
    { path, if_match, if_none_match, again }: Extract<Upload, { kind: "file" }>,
    bytes: Uint8Array<ArrayBuffer>,
  ) {
    const workspace = this.#access.existing();
    const place = this.#access.place(workspace, path);
    const before = workspace?.stat(place) ?? null;
    const conditional = if_match !== null || if_none_match !== null;
    if (conditional && before?.type !== "directory") {
      const known = workspace && before ? this.#access.hash(workspace, before) : null;
      // The call before this one has written just this, and its answer was lost.
      const done = again && known !== null && known === sha256(bytes);
      const holds =
        (if_match === null || matches(if_match, known)) && !matches(if_none_match, known);
      if (!holds && !done) {
        const state = known === null ? "is not there" : "is another";
        throw new FileRefused("precondition_failed", `${place} ${state}, so it was not written.`);
      }
    }
    return this.#access.write((files) => this.#access.put(files, place, bytes));
  }

  #storeParts(parts: readonly FormFile[], once: Once | null, filename?: string): Uploaded {
    return this.#write(once, (files) => ({
      ...(filename === undefined ? {} : { filename }),
      files: parts.map(({ path, bytes }) =>
        this.#access.put(files, this.#access.place(files, path), bytes),
      ),
    }));
  }

  #unpack(path: string, bytes: Uint8Array<ArrayBuffer>, once: Once | null): Uploaded {
    const entries = readArchive(bytes);
    const folder = this.#access.place(this.#access.existing(), path);
    return this.#write(once, (files) => {
      files.makeDirectory(folder);
      const unpacked = entries.flatMap((entry) => {
        const place = this.#access.place(files, `${folder}/${entry.path}`);
        if (entry.directory) files.makeDirectory(place);
        return entry.directory ? [] : [this.#access.put(files, place, entry.read(), entry.mode)];
      });
      return { files: unpacked };
    });
  }

  #packed(
    files: Workspace,
    folder: string,
    entry: Entry,
    room: number,
  ): PackedFile | "later" | null {
    const place = entry.type === "symlink" ? this.#linked(files, entry.path) : entry.path;
    const real = place === null ? null : files.stat(place);
    // A link to a folder could lead round in circles, and one to nowhere has no content.
    if (place === null || !real || (entry.type === "symlink" && real.type !== "file")) return null;
    if (real.size > room && room < FILE_PIECE_BYTES) return "later";
    const { type, mode, mtime, size } = real;
    const whole = type === "file" && size <= room;
    return {
      path: relativePath(place),
      name: entry.path.slice(folder.length + 1),
      directory: type === "directory",
      mode,
      mtime,
      size,
      version: this.#access.version(real),
      bytes: whole ? files.readRange(place, 0, size) : null,
    };
  }

  #linked(files: Workspace, path: string): string | null {
    try {
      return this.#access.place(files, path);
    } catch (error) {
      if (error instanceof WorkspaceError) return null;
      throw error;
    }
  }
}

const CLONE = "clone-";

/** @throws FileRefused when the cursor is no path of this folder */
function placeBehind(folder: string, after: string): string {
  const place = resolvePath(after);
  if (place.startsWith(`${folder}/`)) return place;
  throw new FileRefused("invalid_cursor", "The cursor is not one of this list.");
}

/** `*`, or the hash in a list of entity tags, of which null has none. */
function matches(tags: string | null, sha: string | null): boolean {
  if (tags === null || sha === null) return false;
  return tags.trim() === "*" || tags.split(",").some((tag) => tag.trim() === `"${sha}"`);
}

/** @throws WorkspaceError when a repository cannot come there */
function free(files: Workspace, place: string): void {
  const there = files.stat(place);
  if (!there || (there.type === "directory" && files.list(place).length === 0)) return;
  throw new WorkspaceError("already_exists", `${place} exists and is not an empty folder.`, place);
}

/** Null without a key, and then nothing is hashed. */
const onceOf = (key: string | null, sent: () => Json): Once | null =>
  key === null ? null : { key, hash: sha256(JSON.stringify(sent())) };

/** Refusals as data: an error loses its class on the way to another object. */
async function answered<K extends keyof FileCalls | "upload">(
  act: () => Promise<Answered>,
): Promise<FileAnswer<K>> {
  try {
    const { value, replayed } = await act();
    // Each caller's `act` gives what the type of its call says.
    return { ok: true, value: value as never, replayed };
  } catch (error) {
    if (error instanceof FileRefused) {
      const { code, message, field } = error;
      return { ok: false, error: { code, message, field } };
    }
    if (error instanceof WorkspaceError || error instanceof ArchiveError) {
      return { ok: false, error: { code: error.code, message: error.message, field: null } };
    }
    throw error;
  }
}
