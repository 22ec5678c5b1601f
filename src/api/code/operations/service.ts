/** Templates and figures of claude-code-api, and whether all is well. */
import * as v from "valibot";
import { json, jsonBody, type Operations, type Problems } from "../../../http/openapi/operation.ts";
import { AuditQuery } from "../audit.ts";
import { CountTokens } from "../tokens.ts";
import { UsageQuery } from "../usage.ts";
import type * as Answers from "./answers.ts";

const OTHERS = "claude-code-api: service";

export const SERVICE_TAGS = {
  [OTHERS]: "Templates, figures, and whether all is well.",
};

/** Without a key there are those that every account has. */
const TEMPLATE_PROBLEMS: Problems = {
  401: ["unauthorized", "key_revoked", "key_expired"],
  403: ["missing_scope"],
  503: ["unavailable"],
};

export const serviceOperations = (answers: typeof Answers): Operations => ({
  "GET /api/v1/health": {
    id: "codeHealth",
    tag: OTHERS,
    summary: "Whether it can answer",
    answers: { 200: json(answers.Health, "What can be reached.") },
  },
  "GET /api/v1/templates": {
    id: "codeListTemplates",
    tag: OTHERS,
    summary: "The templates",
    answers: {
      200: json(answers.enveloped(v.record(v.string(), answers.CodeTemplate)), "By name."),
    },
    problems: TEMPLATE_PROBLEMS,
  },
  "GET /api/v1/templates/:template": {
    id: "codeGetTemplate",
    tag: OTHERS,
    summary: "A template",
    answers: { 200: json(answers.enveloped(answers.CodeTemplate), "The template.") },
    problems: TEMPLATE_PROBLEMS,
  },
  "POST /api/v1/templates/reload": {
    id: "codeReloadTemplates",
    tag: OTHERS,
    summary: "Names the templates",
    description: "A change of a template holds at once, so nothing has to be loaded.",
    answers: {
      200: json(
        answers.enveloped(v.object({ count: v.number(), names: v.array(v.string()) })),
        "Their names.",
      ),
    },
  },
  "POST /api/v1/tokens/count": {
    id: "codeCountTokens",
    tag: OTHERS,
    summary: "Estimates the tokens of a text",
    body: jsonBody(CountTokens, { text: "Hello, world" }),
    answers: { 200: json(answers.enveloped(answers.TokenCount), "The figures.") },
  },
  "GET /api/v1/usage": {
    id: "codeGetUsage",
    tag: OTHERS,
    summary: "What the account has used",
    query: UsageQuery,
    answers: {
      200: json(answers.enveloped(answers.CodeUsage, { user_id: v.string() }), "The figures."),
    },
  },
  "GET /api/v1/audit": {
    id: "codeGetAudit",
    tag: OTHERS,
    summary: "The messages of all sessions",
    query: AuditQuery,
    answers: {
      200: json(
        answers.enveloped(v.array(answers.AuditMessage), {
          count: v.number(),
          user_id: v.string(),
          pagination: answers.Pagination,
        }),
        "A page of the messages, newest first.",
      ),
    },
  },
});
