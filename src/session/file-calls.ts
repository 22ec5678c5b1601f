/** What a Worker may ask of a session's files, and what it is told. */
import { ARCHIVE_LIMITS, type ArchiveErrorCode } from "../workspace/archive.ts";
import type { WorkspaceErrorCode } from "../workspace/errors.ts";
import { LIMITS } from "../workspace/workspace.ts";

/** Bytes of a file that travel at once. */
export const FILE_PIECE_BYTES = 1_000_000;

/** Bytes of the file in a form with one file: claude-code-api's limit. */
export const FORM_FILE_BYTES = 10 * 1024 * 1024;
export const FORM_FILE_TOO_LARGE = "File exceeds 10MB limit";

/** Bytes of a body, which is held until it is stored. */
export const UPLOAD_LIMITS: Readonly<Record<Upload["kind"], number>> = {
  file: LIMITS.fileBytes,
  parts: 32 * 1024 * 1024,
  // The other parts of the form, and what stands between them.
  form: FORM_FILE_BYTES + 64 * 1024,
  archive: ARCHIVE_LIMITS.packedBytes,
};

export type FileErrorCode =
  | WorkspaceErrorCode
  | ArchiveErrorCode
  | "no_session"
  | "key_conflict"
  | "changed"
  | "precondition_failed"
  | "invalid_body"
  | "no_file"
  | "invalid_cursor"
  | "clone_failed"
  | "body_too_large"
  | "body_cut"
  | "busy";

export class FileRefused extends Error {
  readonly code: FileErrorCode;
  /** The field at fault; of a clone, the code of its failure. */
  readonly field: string | null;

  constructor(code: FileErrorCode, message: string, field: string | null = null) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

export interface ListedFile {
  /** Relative to the workspace. */
  path: string;
  name: string;
  type: "file" | "directory" | "symlink";
  size: number;
  /** Milliseconds since the epoch. */
  mtime: number;
}

export interface FileInfo extends ListedFile {
  /** Another one after every change. */
  version: string;
  /** Of files, when it was asked for. */
  sha256: string | null;
}

export interface PackedFile {
  /** Where its content is read. */
  path: string;
  /** Relative to the folder that is packed. */
  name: string;
  directory: boolean;
  mode: number;
  mtime: number;
  size: number;
  version: string;
  /** Null when it is too large to be here, and for folders. */
  bytes: Uint8Array<ArrayBuffer> | null;
}

export interface Packed {
  files: PackedFile[];
  /** What the next page is asked with; null at the end. */
  next: string | null;
}

export interface ListAsked {
  path: string;
  recursive: boolean;
  /** Path of an entry, which need not exist any more. */
  after: string | null;
  limit: number;
}

/** By what a request that comes again is known, and told from another one. */
export interface Once {
  /** The client's, with its route; else one that no other request has. */
  key: string;
  /** Of what was asked. */
  hash: string;
}

export interface MoveAsked {
  from: string;
  to: string;
  overwrite: boolean;
  once: Once;
}

export interface CloneAsked {
  url: string;
  path: string;
  ref: string | null;
  /** A name that no other clone has. */
  id: string;
  once: Once;
}

export interface Cloned {
  path: string;
  branch: string | null;
  commit: string | null;
}

/** `again`: an earlier call may have done it, but its answer was lost. */
export interface FileCalls {
  list(asked: ListAsked): { files: ListedFile[]; more: boolean };
  /** Of a file with its hash. */
  stat(asked: { path: string }): FileInfo;
  /** At most one piece. */
  read(asked: {
    path: string;
    version: string;
    from: number;
    length: number;
  }): Uint8Array<ArrayBuffer>;
  pack(asked: { path: string; after: string | null }): Packed;
  remove(asked: { path: string; recursive: boolean; again: boolean }): boolean;
  move(asked: MoveAsked): FileInfo;
  directory(asked: { path: string; once: Once | null }): FileInfo & { created: boolean };
  clone(asked: CloneAsked): Promise<Cloned>;
}

export type Asked<K extends keyof FileCalls> = Parameters<FileCalls[K]>[0];

/** `end`: the text behind the last byte of the body, without which the body was cut. */
export type Upload = { length: number | null; again: boolean; end: string } & (
  | { kind: "file"; path: string; if_match: string | null; if_none_match: string | null }
  | { kind: "parts"; path: string | null; content_type: string; key: string | null }
  /** One file, as claude-code-api takes it: `folder` is below `cwd`, and the form may say where it goes. */
  | { kind: "form"; cwd: string; folder: string; content_type: string; key: string | null }
  | { kind: "archive"; path: string; key: string | null }
);

export interface Uploaded {
  files: (FileInfo & { created: boolean })[];
  /** Of a form with one file: the name that it came with. */
  filename?: string;
}

export interface FileError {
  code: FileErrorCode;
  message: string;
  field: string | null;
}

type ValueOf<K extends keyof FileCalls | "upload"> = K extends keyof FileCalls
  ? Awaited<ReturnType<FileCalls[K]>>
  : Uploaded;

export type FileAnswer<K extends keyof FileCalls | "upload"> =
  | {
      ok: true;
      value: ValueOf<K>;
      /** It is the answer of an earlier request with the same key. */
      replayed: boolean;
    }
  | { ok: false; error: FileError };

/** Where the object takes an upload. */
export const uploadUrl = (upload: Upload): URL =>
  new URL(`https://session/files?upload=${encodeURIComponent(JSON.stringify(upload))}`);
