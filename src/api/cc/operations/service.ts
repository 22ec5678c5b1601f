/** What the service and an account have, beside sessions. */
import * as v from "valibot";
import { json, jsonBody, type Operations } from "../../../http/openapi/operation.ts";
import { SetKey } from "../account.ts";
import { AuditQuery } from "../audit.ts";
import { CreateKey, KeyQuery, UpdateKey } from "../keys.ts";
import { PageQuery } from "../page.ts";
import { UsageRequest } from "../usage.ts";
import type * as Answers from "./answers.ts";
import type * as Service from "./answers-service.ts";

const SERVICE = "Ledge: service";
const KEYS = "Ledge: keys and account";

export const SERVICE_TAGS = {
  [SERVICE]: "What this server is, whether it is well, and the models that it has.",
  [KEYS]: "Keys of clients, the account's own Anthropic key, usage and audit.",
};

export const serviceOperations = (
  answers: typeof Answers,
  service: typeof Service,
): Operations => ({
  "GET /": {
    id: "about",
    tag: SERVICE,
    summary: "What this server is",
    answers: {
      200: json(
        v.object({
          name: v.string(),
          version: v.string(),
          apis: v.array(v.object({ name: v.string(), path: v.string() })),
          docs: v.string(),
        }),
        "Its name, its version and its APIs.",
      ),
    },
  },
  "GET /healthz": {
    id: "health",
    tag: SERVICE,
    summary: "Whether it can answer",
    answers: { 200: json(v.object({ status: v.literal("ok") }), "It can.") },
    problems: { 503: ["no_upstream_key"] },
  },
  "GET /api/models": {
    id: "listModels",
    tag: SERVICE,
    summary: "The models that a session can have",
    description: "Each under its API id and as `anthropic/…` with a dotted version.",
    answers: { 200: json(v.object({ data: v.array(service.Model) }), "The models.") },
  },
  "GET /api/usage": {
    id: "getUsage",
    tag: KEYS,
    summary: "What the account has used, and where its budgets stand",
    description:
      "Newest first; without `from` and `to` the last 30 days (UTC). Sessions report when a turn ends, so a call is here a moment later. What deleted sessions used stays.",
    query: v.object({ ...UsageRequest.entries, ...PageQuery.entries }),
    answers: { 200: json(service.Usage, "A page of the groups, and the totals of the period.") },
  },
  "GET /api/account": {
    id: "getAccount",
    tag: KEYS,
    summary: "The account",
    answers: { 200: json(service.Account, "The account.") },
  },
  "PUT /api/account/anthropic-key": {
    id: "putAnthropicKey",
    tag: KEYS,
    summary: "Sets an Anthropic key that pays for the account's model calls",
    description: "It is kept encrypted and never shown again.",
    body: jsonBody(SetKey, { api_key: "sk-ant-your-own-key" }),
    answers: { 200: json(service.Account, "The account.") },
    problems: { 409: ["no_encryption_key"] },
  },
  "DELETE /api/account/anthropic-key": {
    id: "deleteAnthropicKey",
    tag: KEYS,
    summary: "Removes the account's own Anthropic key",
    answers: { 200: json(service.Account, "The account, whether there was a key or not.") },
  },
  "GET /api/account/webhook-secret": {
    id: "getWebhookSecret",
    tag: KEYS,
    summary: "What the webhooks of the account's jobs are signed with",
    description: "As Standard Webhooks has it. It is derived from the server's `ENCRYPTION_KEY`.",
    answers: { 200: json(service.WebhookSecret, "The secret.") },
    problems: { 409: ["no_encryption_key"] },
  },
  "GET /api/keys": {
    id: "listKeys",
    tag: KEYS,
    summary: "The account's managed keys",
    query: v.object({ ...KeyQuery.entries, ...PageQuery.entries }),
    answers: { 200: json(service.KeyPage, "A page of the keys, newest first.") },
    problems: { 403: ["foreign_account"] },
  },
  "POST /api/keys": {
    id: "createKey",
    tag: KEYS,
    summary: "Makes a key",
    headers: ["Idempotency-Key"],
    body: jsonBody(CreateKey, {
      name: "Ben's phone",
      scopes: ["read", "run"],
      rate_limit: { requests: 30, window_seconds: 60 },
      budgets: { day_usd: 5 },
    }),
    answers: {
      201: json(service.NewKey, "The key. Its text is in this answer only.", {
        headers: ["Location"],
      }),
    },
    problems: {
      403: ["foreign_account"],
      409: ["key_shown_once", "too_many_keys", "too_many_accounts"],
    },
  },
  "GET /api/keys/:key": {
    id: "getKey",
    tag: KEYS,
    summary: "A key, and what its turns have cost",
    query: KeyQuery,
    answers: { 200: json(service.KeyWithSpent, "The key.") },
    problems: { 403: ["foreign_account"] },
  },
  "PATCH /api/keys/:key": {
    id: "updateKey",
    tag: KEYS,
    summary: "Changes a key",
    description: "What is absent stays, also inside `budgets`; null takes a limit away.",
    query: KeyQuery,
    headers: ["Idempotency-Key"],
    body: jsonBody(UpdateKey, { budgets: { day_usd: 10 } }),
    answers: { 200: json(service.Key, "The key.", { headers: ["Idempotency-Replayed"] }) },
    problems: { 403: ["foreign_account"], 409: ["key_revoked"] },
  },
  "DELETE /api/keys/:key": {
    id: "revokeKey",
    tag: KEYS,
    summary: "Revokes a key for good",
    query: KeyQuery,
    answers: { 200: json(service.Key, "The key, which stays in the list.") },
    problems: { 403: ["foreign_account"] },
  },
  "GET /api/audit": {
    id: "listAudit",
    tag: KEYS,
    summary: "Who did what in the account, and what was refused",
    description: "One request looks at 5,000 entries, so a page with `has_more` may be empty.",
    query: v.object({ ...AuditQuery.entries, ...PageQuery.entries }),
    answers: {
      200: json(answers.page(service.AuditEntry), "A page of the entries, newest first."),
    },
  },
  "GET /api/audit/export": {
    id: "exportAudit",
    tag: KEYS,
    summary: "Exports the audit as a file",
    description: "Oldest first. A file without the line `end` is cut.",
    query: AuditQuery,
    answers: {
      200: {
        description: "A head, the entries, and an end or an error.",
        headers: ["Content-Disposition"],
        content: [
          {
            kind: "lines",
            lines: v.union([
              v.object({
                type: v.literal("export"),
                v: v.literal(1),
                account: v.string(),
                after: v.nullable(answers.Time),
                before: v.nullable(answers.Time),
                exported_at: answers.Time,
              }),
              service.AuditEntry,
              v.object({ type: v.literal("end"), entries: v.number() }),
              answers.CutExport,
            ]),
          },
        ],
      },
    },
  },
});
