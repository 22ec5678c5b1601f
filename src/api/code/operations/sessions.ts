/** Sessions of claude-code-api, and what was said in them. */
import * as v from "valibot";
import { json, jsonBody, type Operations } from "../../../http/openapi/operation.ts";
import { HistoryQuery } from "../history.ts";
import { RepoRequest } from "../repo.ts";
import { CreateSession, ListQuery } from "../sessions.ts";
import type * as Answers from "./answers.ts";

const SESSIONS = "claude-code-api: sessions";

export const SESSION_TAGS = {
  [SESSIONS]: "The API of claude-code-api, for its clients: sessions and what was said in them.",
};

const SESSION = "/api/v1/sessions/:name";
const REPLAYED = { headers: ["Idempotency-Replayed"] } as const;

export const sessionOperations = (answers: typeof Answers): Operations => ({
  "POST /api/v1/sessions": {
    id: "codeCreateSession",
    tag: SESSIONS,
    summary: "Creates a session",
    description:
      "Unknown fields are refused. A name that is in use goes to the new session. Where the account is full, its session in which nothing has happened for longest is deleted.",
    headers: ["Idempotency-Key"],
    body: jsonBody(CreateSession, { name: "my-project", template: "code-reviewer" }),
    answers: {
      201: json(answers.enveloped(answers.CodeSession), "The session.", {
        headers: ["Location", "Idempotency-Replayed"],
      }),
    },
    problems: {
      400: ["invalid_name", "template_not_found"],
      409: ["session_limit", "session_deleted"],
    },
  },
  "GET /api/v1/sessions": {
    id: "codeListSessions",
    tag: SESSIONS,
    summary: "The account's sessions",
    query: ListQuery,
    answers: {
      200: json(
        answers.enveloped(v.array(answers.CodeSession), { pagination: answers.Pagination }),
        "A page of the sessions; the one that was changed last comes first.",
      ),
    },
  },
  [`GET ${SESSION}`]: {
    id: "codeGetSession",
    tag: SESSIONS,
    summary: "A session",
    answers: { 200: json(answers.enveloped(answers.CodeSession), "The session.") },
  },
  [`DELETE ${SESSION}`]: {
    id: "codeDeleteSession",
    tag: SESSIONS,
    summary: "Deletes a session with its files",
    answers: { 204: { description: "It is deleted." } },
  },
  [`POST ${SESSION}/repo`]: {
    id: "codeSetFolder",
    tag: SESSIONS,
    summary: "Chooses the folder in which a session works",
    headers: ["Idempotency-Key"],
    body: jsonBody(RepoRequest, { working_dir: "/workspace" }),
    answers: { 200: json(answers.enveloped(answers.CodeSession), "The session.", REPLAYED) },
    problems: {
      400: ["session_pending", "outside_workspace", "no_such_directory"],
      507: ["session_full"],
    },
  },
  [`GET ${SESSION}/history`]: {
    id: "codeGetHistory",
    tag: SESSIONS,
    summary: "What was said",
    query: HistoryQuery,
    answers: {
      200: json(
        answers.enveloped(v.array(answers.CodeMessage), {
          session_id: v.string(),
          count: v.number(),
          pagination: v.nullable(answers.Pagination),
        }),
        "A page of the messages, oldest first.",
      ),
    },
  },
});
