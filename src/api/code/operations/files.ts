/** Files of claude-code-api's sessions. */
import * as v from "valibot";
import { json, type Operations } from "../../../http/openapi/operation.ts";
import { ListQuery, UploadQuery } from "../files.ts";
import type * as Answers from "./answers.ts";

const FILES = "claude-code-api: files";

export const FILE_TAGS = {
  [FILES]: "The files of a session, below the folder in which it works.",
};

const SESSION = "/api/v1/sessions/:name";
const REPLAYED = { headers: ["Idempotency-Replayed"] } as const;

export const fileOperations = (answers: typeof Answers): Operations => ({
  [`POST ${SESSION}/files`]: {
    id: "codeUploadFile",
    tag: FILES,
    summary: "Uploads a file, as a form",
    description:
      "The part `file` is the file, of 10 MiB at most. `path` in the query is a folder; a field `path` of the form is the file's own path.",
    query: UploadQuery,
    headers: ["Idempotency-Key"],
    body: { content: [{ type: "multipart/form-data", schema: "form" }] },
    answers: {
      201: json(
        answers.enveloped(v.object({ path: v.string(), size: v.number(), name: v.string() })),
        "The file.",
        REPLAYED,
      ),
    },
    problems: {
      400: ["outside_workspace"],
      409: ["not_a_file", "not_a_directory", "changed"],
      413: ["file_too_large"],
      422: ["invalid_path", "path_too_long"],
      503: ["uploads_busy"],
      507: ["workspace_full", "too_many_files", "session_full"],
    },
  },
  [`GET ${SESSION}/files`]: {
    id: "codeListFiles",
    tag: FILES,
    summary: "A folder",
    query: ListQuery,
    answers: {
      200: json(
        answers.enveloped(v.array(answers.CodeFile), {
          path: v.string(),
          pagination: answers.Pagination,
        }),
        "A page of it, by path, without hidden files.",
      ),
    },
    problems: { 400: ["outside_workspace"] },
  },
  [`GET ${SESSION}/files/*`]: {
    id: "codeDownloadFile",
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
        headers: ["ETag", "Last-Modified", "Accept-Ranges", "Content-Disposition", "Content-Range"],
        content: [{ kind: "bytes", type: "*/*" }],
      },
      304: { description: "It has not changed.", headers: ["ETag", "Last-Modified"] },
    },
    problems: {
      400: ["outside_workspace"],
      412: ["precondition_failed"],
      416: ["range_not_satisfiable"],
    },
  },
});
