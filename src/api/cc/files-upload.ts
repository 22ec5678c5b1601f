/** Files on their way into a session: all of a request, or nothing. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { respond } from "../../http/problems.ts";
import { parse } from "../../http/validate.ts";
import type { Uploaded } from "../../session/file-calls.ts";
import { keyId } from "../common/key.ts";
import { sendUpload } from "../common/upload.ts";
import { addressed } from "./address.ts";
import { fileObject, filePath, PATH_FIELD } from "./files-session.ts";

/** `PUT /api/sessions/{id}/files/{path}`: the body is the file, whatever its type. */
export async function putFile(c: HttpContext): Promise<Response> {
  const path = filePath(c);
  const if_match = c.req.header("if-match") ?? null;
  const if_none_match = c.req.header("if-none-match") ?? null;
  const upload = { kind: "file" as const, path, if_match, if_none_match };
  const { files } = await sendUpload(c, addressed(c).session, upload, PATH_FIELD);
  const [file] = files;
  if (!file) throw new Error("an upload was answered without its file");
  return c.json(fileObject(file), file.created ? 201 : 200, { etag: `"${file.sha256}"` });
}

export const UploadQuery = v.object({ path: v.optional(v.string()) });

/** `POST /api/sessions/{id}/files`: a form with one file or many. */
export async function postFiles(c: HttpContext): Promise<Response> {
  const key = keyId(c, "files");
  const { path = null } = parse(UploadQuery, c.req.query(), "query");
  const content_type = c.req.header("content-type") ?? "";
  if (!/^multipart\/form-data\s*;/i.test(content_type)) {
    const detail = "The body must be multipart/form-data. One file as it is: PUT …/files/{path}.";
    return respond(c, { status: 415, code: "unsupported_media_type", detail });
  }
  const upload = { kind: "parts" as const, path, content_type, key };
  return uploadAnswer(c, await sendUpload(c, addressed(c).session, upload, "query -> path"));
}

export const uploadAnswer = (c: HttpContext, { files }: Uploaded): Response =>
  c.json({ data: files.map(fileObject) }, files.some(({ created }) => created) ? 201 : 200);
