/** The files of a session, and the images and documents of its messages. */
import * as v from "valibot";
import { json, jsonBody, type Operations, type Problems } from "../../../http/openapi/operation.ts";
import { CloneRequest, DeleteQuery, DirectoryRequest, ListQuery, MoveRequest } from "../files.ts";
import { UploadQuery } from "../files-upload.ts";
import { ZipQuery } from "../files-zip.ts";
import type * as Answers from "./answers.ts";

const FILES = "Ledge: files";

export const FILE_TAGS = {
  [FILES]:
    "The folder `/workspace` of a session, which its tools, its shell and these routes share. Everything that one request writes is there when it is answered, or none of it.",
};

const ROOT = "/api/sessions/:id/files";

const IN_THE_WAY = ["already_exists", "not_empty", "not_a_file", "not_a_directory", "changed"];
const FULL = ["workspace_full", "too_many_files", "session_full"];
const BAD_PATH = ["outside_workspace", "invalid_path", "path_too_long"];

/** What reading may meet, and writing. */
const READING: Problems = { 409: IN_THE_WAY, 422: BAD_PATH };
const WRITING: Problems = { ...READING, 503: ["uploads_busy"], 507: FULL };

export function fileOperations(answers: typeof Answers): Operations {
  const uploaded = json(
    v.object({ data: v.array(answers.File) }),
    "The files, each of which was there before.",
    { headers: ["Idempotency-Replayed"] },
  );
  const uploads = {
    200: uploaded,
    201: { ...uploaded, description: "The files, of which one or more are new." },
  };
  return {
    [`GET ${ROOT}`]: {
      id: "listFiles",
      tag: FILES,
      summary: "A folder",
      query: ListQuery,
      answers: {
        200: json(
          answers.page(answers.ListedFile),
          "A page of it, by name, folders before what is in them.",
        ),
      },
      problems: READING,
    },
    [`POST ${ROOT}`]: {
      id: "uploadFiles",
      tag: FILES,
      summary: "Uploads one file or many, as a form",
      description:
        "Each part with a file name is a file, which may lie in folders (`a/b.txt`). A form may have 32 MB.",
      query: UploadQuery,
      headers: ["Idempotency-Key"],
      body: {
        content: [
          {
            type: "multipart/form-data",
            schema: "form",
          },
        ],
      },
      answers: uploads,
      problems: { ...WRITING, 413: ["file_too_large"], 415: ["unsupported_media_type"] },
    },
    [`GET ${ROOT}.zip`]: {
      id: "downloadZip",
      tag: FILES,
      summary: "A folder as a zip archive",
      query: ZipQuery,
      answers: {
        200: {
          description: "The archive.",
          headers: ["Content-Disposition"],
          content: [{ kind: "bytes", type: "application/zip" }],
        },
      },
      problems: READING,
    },
    [`POST ${ROOT}/zip`]: {
      id: "uploadZip",
      tag: FILES,
      summary: "Unpacks a zip archive into a folder",
      description: "Files that are there are replaced. An archive may have 25 MB.",
      query: ZipQuery,
      headers: ["Idempotency-Key"],
      body: { content: [{ type: "application/zip", schema: "bytes" }] },
      answers: uploads,
      problems: {
        ...WRITING,
        413: ["archive_too_large", "file_too_large"],
        415: ["unsupported_media_type"],
        422: [...BAD_PATH, "archive_invalid", "archive_unsafe"],
      },
    },
    [`POST ${ROOT}/move`]: {
      id: "moveFile",
      tag: FILES,
      summary: "Moves a file or a folder",
      headers: ["Idempotency-Key"],
      body: jsonBody(MoveRequest, { from: "notes.md", to: "old/notes.md" }),
      answers: {
        200: json(answers.File, "What was moved, under its new path.", {
          headers: ["Idempotency-Replayed"],
        }),
      },
      problems: WRITING,
    },
    [`POST ${ROOT}/directories`]: {
      id: "createDirectory",
      tag: FILES,
      summary: "Makes a folder, and those above it",
      headers: ["Idempotency-Key"],
      body: jsonBody(DirectoryRequest, { path: "old" }),
      answers: {
        200: json(answers.File, "It was there.", { headers: ["Idempotency-Replayed"] }),
        201: json(answers.File, "It is new.", { headers: ["Idempotency-Replayed"] }),
      },
      problems: WRITING,
    },
    [`POST ${ROOT}/git`]: {
      id: "cloneRepository",
      tag: FILES,
      summary: "Clones the newest commit of a git repository",
      description: "Into a folder that is empty or new, by default named like the repository.",
      headers: ["Idempotency-Key"],
      body: jsonBody(CloneRequest, { url: "https://github.com/octocat/Hello-World" }),
      answers: {
        201: json(
          v.object({
            path: v.string(),
            branch: v.nullable(v.string()),
            commit: v.nullable(v.string()),
          }),
          "The clone.",
          { headers: ["Idempotency-Replayed"] },
        ),
      },
      problems: { ...WRITING, 413: ["*"], 422: [...BAD_PATH, "*"] },
    },
    [`GET ${ROOT}/*`]: {
      id: "downloadFile",
      tag: FILES,
      summary: "A file",
      headers: ["If-Match", "If-None-Match", "If-Range", "Range"],
      answers: {
        200: {
          description: "The file, with the type of its extension.",
          headers: ["ETag", "Last-Modified", "Accept-Ranges", "Content-Disposition"],
          content: [{ kind: "bytes", type: "*/*" }],
        },
        206: {
          description: "The range of it.",
          headers: [
            "ETag",
            "Last-Modified",
            "Accept-Ranges",
            "Content-Disposition",
            "Content-Range",
          ],
          content: [{ kind: "bytes", type: "*/*" }],
        },
        304: { description: "It has not changed.", headers: ["ETag"] },
      },
      problems: {
        ...READING,
        412: ["precondition_failed"],
        416: ["range_not_satisfiable"],
        422: ["validation_error", ...BAD_PATH],
      },
    },
    [`PUT ${ROOT}/*`]: {
      id: "putFile",
      tag: FILES,
      summary: "Writes a file",
      description: "The body becomes the file, whatever its type. A file may have 25 MB.",
      headers: ["If-Match", "If-None-Match"],
      body: { content: [{ type: "application/octet-stream", schema: "bytes" }] },
      answers: {
        200: json(answers.File, "It replaces one.", { headers: ["ETag"] }),
        201: json(answers.File, "It is new.", { headers: ["ETag"] }),
      },
      problems: { ...WRITING, 412: ["precondition_failed"], 413: ["file_too_large"] },
    },
    [`DELETE ${ROOT}/*`]: {
      id: "deleteFile",
      tag: FILES,
      summary: "Deletes a file, a link or a folder",
      query: DeleteQuery,
      answers: {
        200: json(v.object({ path: v.string(), deleted: v.literal(true) }), "It is deleted."),
      },
      problems: READING,
    },
    "GET /api/sessions/:id/media/:sha256": {
      id: "getMedia",
      tag: FILES,
      summary: "An image or a document of the conversation",
      answers: {
        200: { description: "Its bytes.", content: [{ kind: "bytes", type: "*/*" }] },
      },
    },
  };
}
