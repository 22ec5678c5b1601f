/** The files of a session: what there is, and what is done with it without a body of bytes. */
import { ulid } from "ulid";
import * as v from "valibot";
import { readJson } from "../../http/body.ts";
import { hashJson } from "../../http/canonical.ts";
import type { HttpContext } from "../../http/context.ts";
import { invalidField, ProblemError } from "../../http/problems.ts";
import { parse, queryInteger } from "../../http/validate.ts";
import type { Once } from "../../session/file-calls.ts";
import { clock } from "../../shared/clock.ts";
import type { Json } from "../../shared/content.ts";
import { ROOT } from "../../workspace/paths.ts";
import { ask, askOnce } from "../common/files.ts";
import { keyId } from "../common/key.ts";
import { addressed } from "./address.ts";
import { fileObject, filePath, PATH_FIELD } from "./files-session.ts";

const BOOLEAN = v.picklist(["true", "false"]);

export const ListQuery = v.object({
  path: v.optional(v.string(), ROOT),
  recursive: v.optional(BOOLEAN, "false"),
  limit: v.optional(queryInteger(1, 1000), "100"),
  cursor: v.optional(v.pipe(v.string(), v.minLength(1))),
});

/** `GET /api/sessions/{id}/files` */
export async function listFiles(c: HttpContext): Promise<Response> {
  const { session } = addressed(c);
  const { path, recursive, limit, cursor } = parse(ListQuery, c.req.query(), "query");
  const after = cursor === undefined ? null : readCursor(cursor);
  const asked = { path, recursive: recursive === "true", after, limit };
  const { files, more } = await ask(session, "list", asked, "query -> path");
  const last = files.at(-1);
  return c.json({
    data: files.map(fileObject),
    has_more: more,
    next_cursor: more && last ? cursorOf(last.path) : null,
  });
}

const cursorOf = (path: string): string =>
  new TextEncoder().encode(path).toBase64({ alphabet: "base64url", omitPadding: true });

function readCursor(cursor: string): string {
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const rule = "The cursor must be the next_cursor of a page of this list";
    throw new ProblemError(invalidField("query -> cursor", "invalid_cursor", rule));
  }
}

export const DeleteQuery = v.object({ recursive: v.optional(BOOLEAN, "false") });

/** `DELETE /api/sessions/{id}/files/{path}` */
export async function deleteFile(c: HttpContext): Promise<Response> {
  const { session } = addressed(c);
  const path = filePath(c);
  const recursive = parse(DeleteQuery, c.req.query(), "query").recursive === "true";
  await ask(session, "remove", (again) => ({ path, recursive, again }), PATH_FIELD);
  return c.json({ path, deleted: true });
}

export const MoveRequest = v.strictObject({
  from: v.string(),
  to: v.string(),
  overwrite: v.nullish(v.boolean(), false),
});

/** `POST /api/sessions/{id}/files/move` */
export async function moveFile(c: HttpContext): Promise<Response> {
  const key = keyId(c, "files/move");
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes);
  const { from, to, overwrite } = parse(MoveRequest, body);
  const once = (await onceOf(key, body)) ?? onceOnly();
  const moved = await askOnce(
    c,
    addressed(c).session,
    "move",
    { from, to, overwrite, once },
    "body -> to",
  );
  return c.json(fileObject(moved));
}

export const DirectoryRequest = v.strictObject({ path: v.string() });

/** `POST /api/sessions/{id}/files/directories` */
export async function makeDirectory(c: HttpContext): Promise<Response> {
  const key = keyId(c, "files/directories");
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes);
  const { path } = parse(DirectoryRequest, body);
  const once = await onceOf(key, body);
  const made = await askOnce(c, addressed(c).session, "directory", { path, once }, "body -> path");
  return c.json(fileObject(made), made.created ? 201 : 200);
}

export const CloneRequest = v.strictObject({
  url: v.string(),
  path: v.nullish(v.string()),
  ref: v.nullish(v.pipe(v.string(), v.minLength(1), v.maxLength(255))),
});

/** `POST /api/sessions/{id}/files/git` */
export async function cloneGit(c: HttpContext): Promise<Response> {
  const key = keyId(c, "files/git");
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes);
  const { url, path, ref = null } = parse(CloneRequest, body);
  const once = (await onceOf(key, body)) ?? onceOnly();
  const asked = { url, path: path ?? repositoryName(url), ref, id: ulid(clock.now()), once };
  return c.json(await askOnce(c, addressed(c).session, "clone", asked, "body -> path"), 201);
}

const onceOf = async (key: string | null, body: Json): Promise<Once | null> =>
  key === null ? null : { key, hash: await hashJson(body) };

/** A key for one request, in which a call may be repeated that cannot be done twice. */
const onceOnly = (): Once => ({ key: `request ${ulid(clock.now())}`, hash: "" });

/** The folder that git itself would choose. */
function repositoryName(url: string): string {
  const name = /([^/:]+?)(?:\.git)?\/*$/.exec(url.split(/[?#]/)[0] ?? "")?.[1];
  return name === undefined || name === "." || name === ".." ? "repository" : name;
}
