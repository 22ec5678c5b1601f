/** The files of an uploaded form, and where each of them goes. */
import { WorkspaceError } from "../workspace/errors.ts";
import { boundaryOf, type Part, readMultipart } from "../workspace/multipart.ts";
import { ROOT, resolvePath } from "../workspace/paths.ts";
import { FileRefused, FORM_FILE_BYTES, FORM_FILE_TOO_LARGE } from "./file-calls.ts";

export interface FormFile {
  /** Absolute, inside of the form's folder. */
  path: string;
  bytes: Uint8Array<ArrayBuffer>;
  field: string;
}

/**
 * @param path the folder that the address names
 * @throws FileRefused, WorkspaceError
 */
export function formFiles(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string,
  path: string | null,
): FormFile[] {
  const boundary = boundaryOf(contentType);
  const parts = boundary === null ? NO_BOUNDARY : readMultipart(bytes, boundary);
  if (typeof parts === "string") throw new FileRefused("invalid_body", parts);
  const folder = folderOf(parts, path);
  const files = parts.flatMap(({ filename, bytes }, i): FormFile[] => {
    const field = fieldOf(i);
    return filename === null ? [] : [{ path: pathIn(folder, filename, field), bytes, field }];
  });
  if (files.length === 0) throw new FileRefused("invalid_body", "There is no file in the body.");
  const twice = files.find((one, i) => files.findIndex(({ path }) => path === one.path) < i);
  if (twice) throw new FileRefused("invalid_body", `${twice.path} is there twice.`, twice.field);
  return files;
}

/**
 * The one file of a form, and where it goes: to the path that the form's field `path` names, or under
 * its own name into the folder of the address. Other fields are none of ours.
 *
 * @throws FileRefused, WorkspaceError
 */
export function formFile(
  bytes: Uint8Array<ArrayBuffer>,
  { content_type, cwd, folder }: { content_type: string; cwd: string; folder: string },
): FormFile & { filename: string } {
  const boundary = boundaryOf(content_type);
  const parts = boundary === null ? NO_BOUNDARY : readMultipart(bytes, boundary);
  if (typeof parts === "string") throw new FileRefused("invalid_body", parts);
  const file = parts.find(({ name, filename }) => name === "file" && filename !== null);
  if (!file?.filename) throw new FileRefused("no_file", "Field required", "body -> file");
  if (file.bytes.byteLength > FORM_FILE_BYTES) {
    throw new FileRefused("file_too_large", FORM_FILE_TOO_LARGE);
  }
  const { filename } = file;
  const field = parts.find((part) => part.name === "path" && part.filename === null);
  const named = field ? new TextDecoder().decode(field.bytes) : "";
  // A path with a slash at its end is a folder's.
  const target = named.endsWith("/") ? `${named}${filename}` : named || `${folder}/${filename}`;
  const path = resolvePath(target, cwd);
  if (!path.startsWith(`${cwd}/`)) {
    throw new FileRefused("outside", `${target} is outside of the session's folder.`);
  }
  return { path, bytes: file.bytes, field: "body -> file", filename };
}

const NO_BOUNDARY = "The Content-Type must name the boundary of the parts.";

const fieldOf = (i: number): string => `body -> ${i}`;

/** A refusal of a path says which field it stands in. */
export function named<T>(field: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof WorkspaceError)) throw error;
    throw new FileRefused(error.code, error.message, field);
  }
}

/** The folder that the form names, or that the address did. */
function folderOf(parts: readonly Part[], path: string | null): string {
  let folder = path === null ? null : resolvePath(path);
  for (const [i, { name, filename, bytes }] of parts.entries()) {
    if (filename !== null) continue;
    if (name !== "path") {
      const message = `There is no field ${JSON.stringify(name.slice(0, 100))}.`;
      throw new FileRefused("invalid_body", message, fieldOf(i));
    }
    const value = named(fieldOf(i), () => resolvePath(new TextDecoder().decode(bytes)));
    if (folder !== null && folder !== value) {
      throw new FileRefused("invalid_body", "The path is given twice.", fieldOf(i));
    }
    folder = value;
  }
  return folder ?? ROOT;
}

/** The path that a file's name means in its folder; never one above it. */
function pathIn(folder: string, filename: string, field: string): string {
  if (filename === "") throw new FileRefused("invalid_body", "A file needs a name.", field);
  const path = filename.startsWith("/") ? ROOT : named(field, () => resolvePath(filename, folder));
  if (path.startsWith(`${folder}/`)) return path;
  throw new FileRefused("outside", `${filename} is outside of its folder.`, field);
}
