/** Why the workspace refuses something, in words for whoever asked. */
export type WorkspaceErrorCode =
  | "not_found"
  | "not_a_file"
  | "not_a_directory"
  | "not_empty"
  | "already_exists"
  | "invalid_path"
  | "path_too_long"
  | "outside"
  | "file_too_large"
  | "too_many_files"
  | "workspace_full"
  | "session_full";

export class WorkspaceError extends Error {
  readonly code: WorkspaceErrorCode;
  /** As it was given. */
  readonly path: string;

  constructor(code: WorkspaceErrorCode, message: string, path: string) {
    super(message);
    this.code = code;
    this.path = path;
  }
}
