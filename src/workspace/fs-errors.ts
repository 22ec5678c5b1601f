/** The errors of the workspace as those of a file system. */
import { WorkspaceError, type WorkspaceErrorCode } from "./errors.ts";

/** An error in the words that users of a shell know, which its commands look for. */
export class FsError extends Error {
  readonly code: string;
  /** Without the code and the path. */
  readonly words: string;
  /** The limit of the workspace that was in the way. */
  readonly limit: WorkspaceError | null;

  constructor(code: string, words: string, what: string, limit: WorkspaceError | null = null) {
    super(`${code}: ${words}, ${what}`);
    this.code = code;
    this.words = words;
    this.limit = limit;
  }
}

const ERRORS: Readonly<Record<WorkspaceErrorCode, readonly [code: string, words: string]>> = {
  not_found: ["ENOENT", "no such file or directory"],
  not_a_file: ["EISDIR", "illegal operation on a directory"],
  not_a_directory: ["ENOTDIR", "not a directory"],
  not_empty: ["ENOTEMPTY", "directory not empty"],
  already_exists: ["EEXIST", "file already exists"],
  invalid_path: ["EINVAL", "invalid argument"],
  path_too_long: ["ENAMETOOLONG", "file name too long"],
  outside: ["EACCES", "permission denied"],
  file_too_large: ["EFBIG", "file too large"],
  too_many_files: ["ENOSPC", "no space left on device"],
  workspace_full: ["ENOSPC", "no space left on device"],
  session_full: ["ENOSPC", "no space left on device"],
};

/** These say a number that the user has to know. */
const LIMITS: ReadonlySet<WorkspaceErrorCode> = new Set([
  "path_too_long",
  "file_too_large",
  "too_many_files",
  "workspace_full",
  "session_full",
]);

/** Does something with the workspace; its errors become those of a file system. */
export function asFileSystem<T>(operation: string, path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof WorkspaceError)) throw error;
    const [code, words] = ERRORS[error.code];
    const limit = LIMITS.has(error.code) ? error : null;
    const why = limit ? ` (${limit.message})` : "";
    throw new FsError(code, words + why, `${operation} '${path}'`, limit);
  }
}
