/** Files of a session, as claude-code-api's clients see them: below the folder in which it works. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import {
  invalidField,
  notFound,
  type Problem,
  ProblemError,
  respond,
} from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import type { SessionStub } from "../../session/calls.ts";
import type { ListAsked, ListedFile } from "../../session/file-calls.ts";
import { WorkspaceError } from "../../workspace/errors.ts";
import { relativePath, resolvePath } from "../../workspace/paths.ts";
import { type Addressed, found } from "../common/address.ts";
import { download } from "../common/download.ts";
import { ask } from "../common/files.ts";
import { keyId } from "../common/key.ts";
import { sendUpload } from "../common/upload.ts";
import { addressed } from "./address.ts";
import { answer, pagination } from "./envelope.ts";
import { pageFields } from "./fields.ts";

interface Folder extends Addressed {
  /** Absolute: what paths begin in, and do not leave. */
  cwd: string;
}

async function folderOf(c: HttpContext): Promise<Folder> {
  const place = await addressed(c);
  const { cwd } = found(await repeatedly(() => place.session.describe()));
  return { ...place, cwd };
}

const OUTSIDE: Problem = {
  status: 400,
  code: "outside_workspace",
  detail: "Path outside session workspace",
};

/** @throws ProblemError 400 */
function pathIn(cwd: string, path: string): string {
  try {
    const resolved = resolvePath(path === "" ? "." : path, cwd);
    if (resolved === cwd || resolved.startsWith(`${cwd}/`)) return resolved;
  } catch (error) {
    if (!(error instanceof WorkspaceError)) throw error;
  }
  throw new ProblemError(OUTSIDE);
}

/** As clients see a path: relative to the folder; the folder itself is a dot. */
function shown(cwd: string, path: string): string {
  if (path === cwd) return ".";
  // A link may lead to another place of the workspace.
  return path.startsWith(`${cwd}/`) ? path.slice(cwd.length + 1) : relativePath(path);
}

/** The refusals of a session's files in the words of the original. */
async function inItsWords<T>(missing: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const { code } = error.problem;
    // A link may lead out, which its path does not show.
    if (code === "outside_workspace") throw new ProblemError(OUTSIDE);
    const isMissing = code === "not_found" || code === "not_a_directory" || code === "not_a_file";
    throw isMissing ? new ProblemError(notFound(missing)) : error;
  }
}

export const UploadQuery = v.object({ path: v.optional(v.string(), "") });

/** `POST /api/v1/sessions/{name}/files` */
export async function postFile(c: HttpContext): Promise<Response> {
  const key = keyId(c, "v1/files");
  const { path } = parse(UploadQuery, c.req.query(), "query");
  const content_type = c.req.header("content-type") ?? "";
  if (!/^multipart\/form-data\s*;/i.test(content_type)) {
    return respond(c, invalidField("body -> file", "missing", "Field required"));
  }
  const { session, cwd } = await folderOf(c);
  const folder = pathIn(cwd, path);
  const form = { kind: "form" as const, cwd, folder, content_type, key };
  const { files, filename } = await sendUpload(c, session, form, "query -> path").catch(outside);
  const [file] = files;
  if (!file) throw new Error("an upload was answered without its file");
  const data = {
    path: shown(cwd, resolvePath(file.path)),
    size: file.size,
    name: filename ?? file.name,
  };
  return answer(c, data, { status: 201 });
}

function outside(error: unknown): never {
  const isOutside = error instanceof ProblemError && error.problem.code === "outside_workspace";
  throw isOutside ? new ProblemError(OUTSIDE) : error;
}

export interface FileEntry {
  name: string;
  path: string;
  type: "file" | "directory";
  size: number | null;
}

export const ListQuery = v.object({ path: v.optional(v.string(), ""), ...pageFields(100, 1_000) });

/** `GET /api/v1/sessions/{name}/files` */
export async function listFiles(c: HttpContext): Promise<Response> {
  const { path, ...page } = parse(ListQuery, c.req.query(), "query");
  const { session, cwd } = await folderOf(c);
  const folder = pathIn(cwd, path);
  const files = await inItsWords("Directory", () => entriesIn(session, folder));
  const from = (page.page - 1) * page.limit;
  const data = files.slice(from, from + page.limit).map((file) => entryOf(cwd, file));
  const paged = pagination(page, files.length);
  return answer(c, data, { beside: { path: shown(cwd, folder), pagination: paged } });
}

const PAGE_FILES = 1_000;

/** All that is not hidden: clients are told how many there are. */
async function entriesIn(session: SessionStub, path: string): Promise<ListedFile[]> {
  const all: ListedFile[] = [];
  for (let after: string | null = null; ; ) {
    const asked: ListAsked = { path, recursive: false, after, limit: PAGE_FILES };
    const { files, more } = await ask(session, "list", asked, "query -> path");
    all.push(...files.filter(({ name }) => !name.startsWith(".")));
    const last = files.at(-1);
    if (!more || !last) return all;
    after = last.path;
  }
}

const entryOf = (cwd: string, { name, path, type, size }: ListedFile): FileEntry => ({
  name,
  path: shown(cwd, resolvePath(path)),
  type: type === "directory" ? "directory" : "file",
  size: type === "directory" ? null : size,
});

const FILES = /^\/api\/v1\/sessions\/[^/]+\/files\/(.*)$/s;

/** `GET /api/v1/sessions/{name}/files/{path}` */
export async function getFile(c: HttpContext): Promise<Response> {
  const { session, cwd } = await folderOf(c);
  const path = pathIn(cwd, pathAsked(c));
  const get = () => download(c, session, relativePath(path), "path -> path");
  const response = await inItsWords("File", get);
  // A folder is no file.
  return response.status === 409 ? respond(c, notFound("File")) : response;
}

/** Decoded once and as a whole, so that `%2F` is a slash like any other. */
function pathAsked(c: HttpContext): string {
  const encoded = FILES.exec(new URL(c.req.url).pathname)?.[1] ?? "";
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new ProblemError(notFound("File"));
  }
}
