/** Sessions, and what is asked of a whole one. */
import * as v from "valibot";
import { json, jsonBody, type Operations } from "../../../http/openapi/operation.ts";
import { CompactRequest } from "../compact.ts";
import { ContextQuery } from "../context.ts";
import { ExportQuery } from "../export.ts";
import { PageQuery } from "../page.ts";
import { SearchQuery } from "../search.ts";
import { ListQuery } from "../session-list.ts";
import { CreateSession, UpdateSession } from "../sessions.ts";
import type * as Answers from "./answers.ts";

const SESSIONS = "Ledge: sessions";

export const SESSION_TAGS = {
  [SESSIONS]: "A session is a conversation with its own files. It is kept until it is deleted.",
};

const SESSION = "/api/sessions/:id";

export const sessionOperations = (answers: typeof Answers): Operations => ({
  "POST /api/sessions": {
    id: "createSession",
    tag: SESSIONS,
    summary: "Creates a session",
    description: "All fields may be left out, and so may the body; unknown fields are ignored.",
    headers: ["Idempotency-Key"],
    body: jsonBody(
      CreateSession,
      { title: "Trip to Oslo", system_prompt: "Answer in one sentence." },
      { optional: true },
    ),
    answers: {
      201: json(answers.Session, "The session.", {
        headers: ["Location", "Idempotency-Replayed"],
      }),
    },
    problems: {
      400: ["blocked"],
      409: ["name_taken", "session_limit", "session_deleted", "no_encryption_key"],
      413: ["moderation_limit"],
    },
  },
  "GET /api/sessions": {
    id: "listSessions",
    tag: SESSIONS,
    summary: "The account's sessions",
    description:
      "All parameters that are given must hold. One request looks at 5,000 sessions at most, so a page with `has_more` may be empty.",
    query: v.object({ ...ListQuery.entries, ...PageQuery.entries }),
    answers: {
      200: json(answers.page(answers.ListedSession), "A page of the sessions, newest first."),
    },
  },
  [`GET ${SESSION}`]: {
    id: "getSession",
    tag: SESSIONS,
    summary: "A session",
    answers: { 200: json(answers.Session, "The session.") },
  },
  [`PATCH ${SESSION}`]: {
    id: "updateSession",
    tag: SESSIONS,
    summary: "Changes a session",
    description: "A new model, and new settings, hold from the next message on.",
    headers: ["Idempotency-Key"],
    body: jsonBody(UpdateSession, { title: "Trip to Bergen" }),
    answers: { 200: json(answers.Session, "The session.", { headers: ["Idempotency-Replayed"] }) },
    problems: {
      400: ["blocked"],
      409: ["name_taken", "no_encryption_key"],
      413: ["moderation_limit"],
      507: ["session_full"],
    },
  },
  [`DELETE ${SESSION}`]: {
    id: "deleteSession",
    tag: SESSIONS,
    summary: "Deletes a session with all that it has",
    answers: {
      200: json(v.object({ id: v.string(), deleted: v.literal(true) }), "It is deleted."),
    },
  },
  [`GET ${SESSION}/search`]: {
    id: "searchSession",
    tag: SESSIONS,
    summary: "Looks for a text in a session",
    description:
      "In its messages, answers, tool calls and results, also in what was compacted. A page with `has_more` may be empty.",
    query: v.object({ ...SearchQuery.entries, ...PageQuery.entries }),
    answers: { 200: json(answers.page(answers.SearchHit), "A page of the hits, newest first.") },
  },
  [`GET ${SESSION}/context`]: {
    id: "getContext",
    tag: SESSIONS,
    summary: "How large the conversation is, and what takes the room",
    query: ContextQuery,
    answers: { 200: json(answers.ContextSize, "Tokens, as the next model call would send them.") },
  },
  [`POST ${SESSION}/compact`]: {
    id: "compactSession",
    tag: SESSIONS,
    summary: "Puts a summary in the place of the older messages",
    description:
      "They stay in the history. The answer comes within 50 seconds; what is not done by then goes on.",
    headers: ["Idempotency-Key"],
    body: jsonBody(
      CompactRequest,
      { instructions: "Keep the names of places." },
      { optional: true },
    ),
    answers: {
      200: json(answers.Compaction, "What was done.", {
        headers: ["Idempotency-Replayed"],
      }),
    },
    problems: { 400: ["blocked"], 413: ["moderation_limit"], 507: ["session_full"] },
  },
  [`GET ${SESSION}/export`]: {
    id: "exportSession",
    tag: SESSIONS,
    summary: "The session's log as a file",
    description:
      "Rows as they are stored, in order; with `media=include` also the bytes of images and documents. A file without the line `end` is cut.",
    query: ExportQuery,
    answers: {
      200: {
        description: "A head, the rows, media, and an end or an error.",
        headers: ["Content-Disposition"],
        content: [
          {
            kind: "lines",
            lines: v.union([
              v.object({
                type: v.literal("export"),
                v: v.literal(1),
                session: v.string(),
                head: v.number(),
                format: v.number(),
                exported_at: answers.Time,
                media: v.boolean(),
              }),
              v.object({
                seq: v.number(),
                at: v.number(),
                type: v.string(),
                body: v.looseObject({}),
              }),
              v.object({
                type: v.literal("media"),
                sha256: v.string(),
                n: v.number(),
                data: v.string(),
              }),
              v.object({ type: v.literal("end"), rows: v.number(), media: v.number() }),
              answers.CutExport,
            ]),
          },
        ],
      },
    },
  },
});
