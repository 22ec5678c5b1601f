/** Files as the wire shows and names them. */
import type { HttpContext } from "../../http/context.ts";
import { invalidField, ProblemError } from "../../http/problems.ts";
import type { FileInfo, ListedFile } from "../../session/file-calls.ts";

/** A file or folder as the wire shows it. */
export function fileObject(file: ListedFile | FileInfo) {
  const { path, name, type, size, mtime } = file;
  const hash = "sha256" in file && file.sha256 !== null ? { sha256: file.sha256 } : {};
  return { path, name, type, size, ...hash, modified_at: new Date(mtime).toISOString() };
}

const FILES = /^\/api\/sessions\/[^/]+\/files\/(.*)$/s;

/**
 * The path behind `/files/`. It is decoded once and as a whole, so `%2F` is a slash like any other.
 *
 * @throws ProblemError 422
 */
export function filePath(c: HttpContext): string {
  const encoded = FILES.exec(new URL(c.req.url).pathname)?.[1] ?? "";
  try {
    return decodeURIComponent(encoded);
  } catch {
    const rule = "The path must be UTF-8 in percent-encoding";
    throw new ProblemError(invalidField(PATH_FIELD, "invalid_path", rule));
  }
}

export const PATH_FIELD = "path -> path";
