/** All routes of CC API, the native surface, each with the scope that its caller's key needs. */
import type { Hono } from "hono";
import { audited } from "../../http/audit.ts";
import { authentication } from "../../http/auth.ts";
import type { HttpEnv } from "../../http/context.ts";
import { guarded, type Route } from "../../http/routes.ts";
import { about, health } from "./about.ts";
import { deleteAnthropicKey, getAccount, getWebhookSecret, putAnthropicKey } from "./account.ts";
import { exportAudit, listAudit } from "./audit.ts";
import { postCompact } from "./compact.ts";
import { getPending, postConfirmations } from "./confirmations.ts";
import { getContext } from "./context.ts";
import { getEvents, streamSession } from "./events.ts";
import { getExport } from "./export.ts";
import { cloneGit, deleteFile, listFiles, makeDirectory, moveFile } from "./files.ts";
import { getFile } from "./files-download.ts";
import { postFiles, putFile } from "./files-upload.ts";
import { getZip, postZip } from "./files-zip.ts";
import { postInterrupt } from "./interrupt.ts";
import { createKey, getKey, listKeys, revokeKey, updateKey } from "./keys.ts";
import { getMedia } from "./media.ts";
import { getModels } from "./models.ts";
import { cancelQueued, getQueue } from "./queue.ts";
import { searchSession } from "./search.ts";
import { listSessions } from "./session-list.ts";
import { deleteSession, getSession, postSession, updateSession } from "./sessions.ts";
import {
  deleteTemplate,
  getTemplate,
  importTemplates,
  listTemplates,
  putTemplate,
} from "./templates.ts";
import { postStreamTicket, ticketOrKey } from "./tickets.ts";
import { getTurn, listTurns, postToolResults, postTurn } from "./turns.ts";
import { getUsage } from "./usage.ts";

const SESSION = "/api/sessions/:id";

/** What can be reached without a key. */
const OPEN: readonly Route[] = [
  { method: "GET", path: "/", scope: null, handler: about },
  { method: "GET", path: "/healthz", scope: null, handler: health },
];

/** What a ticket opens as well as a key. */
const STREAM: Route = {
  method: "GET",
  path: `${SESSION}/events/stream`,
  scope: "read",
  handler: streamSession,
};

/** What needs a key. `limited` routes start a turn, so a key's rate limit counts them. */
const KEYED: readonly Route[] = [
  { method: "GET", path: "/api/models", scope: "read", handler: getModels },
  { method: "GET", path: "/api/usage", scope: "read", handler: getUsage },
  { method: "GET", path: "/api/account", scope: "admin", handler: getAccount },
  {
    method: "PUT",
    path: "/api/account/anthropic-key",
    scope: "admin",
    audit: "anthropic_key.set",
    handler: putAnthropicKey,
  },
  {
    method: "DELETE",
    path: "/api/account/anthropic-key",
    scope: "admin",
    audit: "anthropic_key.remove",
    handler: deleteAnthropicKey,
  },
  {
    method: "GET",
    path: "/api/account/webhook-secret",
    scope: "admin",
    handler: getWebhookSecret,
  },
  { method: "GET", path: "/api/keys", scope: "admin", handler: listKeys },
  { method: "POST", path: "/api/keys", scope: "admin", audit: "key.create", handler: createKey },
  { method: "GET", path: "/api/keys/:key", scope: "admin", handler: getKey },
  {
    method: "PATCH",
    path: "/api/keys/:key",
    scope: "admin",
    audit: "key.update",
    handler: updateKey,
  },
  {
    method: "DELETE",
    path: "/api/keys/:key",
    scope: "admin",
    audit: "key.revoke",
    handler: revokeKey,
  },
  { method: "GET", path: "/api/templates", scope: "read", handler: listTemplates },
  {
    method: "POST",
    path: "/api/templates/import",
    scope: "admin",
    audit: "template.import",
    handler: importTemplates,
  },
  { method: "GET", path: "/api/templates/:template", scope: "read", handler: getTemplate },
  {
    method: "PUT",
    path: "/api/templates/:template",
    scope: "admin",
    audit: "template.put",
    handler: putTemplate,
  },
  {
    method: "DELETE",
    path: "/api/templates/:template",
    scope: "admin",
    audit: "template.remove",
    handler: deleteTemplate,
  },
  { method: "GET", path: "/api/audit", scope: "admin", handler: listAudit },
  { method: "GET", path: "/api/audit/export", scope: "admin", handler: exportAudit },
  { method: "GET", path: "/api/sessions", scope: "read", handler: listSessions },
  { method: "POST", path: "/api/sessions", scope: "run", handler: postSession },
  { method: "GET", path: SESSION, scope: "read", handler: getSession },
  { method: "PATCH", path: SESSION, scope: "run", handler: updateSession },
  { method: "DELETE", path: SESSION, scope: "run", handler: deleteSession },
  { method: "POST", path: `${SESSION}/interrupt`, scope: "run", handler: postInterrupt },
  { method: "POST", path: `${SESSION}/compact`, scope: "run", limited: true, handler: postCompact },
  { method: "GET", path: `${SESSION}/search`, scope: "read", handler: searchSession },
  { method: "GET", path: `${SESSION}/context`, scope: "read", handler: getContext },
  { method: "GET", path: `${SESSION}/events`, scope: "read", handler: getEvents },
  { method: "POST", path: `${SESSION}/turns`, scope: "run", limited: true, handler: postTurn },
  { method: "GET", path: `${SESSION}/turns`, scope: "read", handler: listTurns },
  { method: "GET", path: `${SESSION}/turns/:turn`, scope: "read", handler: getTurn },
  { method: "POST", path: `${SESSION}/tool-results`, scope: "run", handler: postToolResults },
  { method: "GET", path: `${SESSION}/pending`, scope: "read", handler: getPending },
  { method: "POST", path: `${SESSION}/confirmations`, scope: "run", handler: postConfirmations },
  { method: "GET", path: `${SESSION}/queue`, scope: "read", handler: getQueue },
  { method: "DELETE", path: `${SESSION}/queue/:input`, scope: "run", handler: cancelQueued },
  { method: "POST", path: `${SESSION}/stream-ticket`, scope: "read", handler: postStreamTicket },
  { method: "GET", path: `${SESSION}/export`, scope: "read", handler: getExport },
  { method: "GET", path: `${SESSION}/media/:sha256`, scope: "read", handler: getMedia },
  { method: "GET", path: `${SESSION}/files`, scope: "read", handler: listFiles },
  {
    method: "POST",
    path: `${SESSION}/files`,
    scope: "run",
    audit: "file.upload",
    handler: postFiles,
  },
  { method: "GET", path: `${SESSION}/files.zip`, scope: "read", handler: getZip },
  {
    method: "POST",
    path: `${SESSION}/files/zip`,
    scope: "run",
    audit: "file.unzip",
    handler: postZip,
  },
  {
    method: "POST",
    path: `${SESSION}/files/move`,
    scope: "run",
    audit: "file.move",
    handler: moveFile,
  },
  {
    method: "POST",
    path: `${SESSION}/files/directories`,
    scope: "run",
    audit: "file.mkdir",
    handler: makeDirectory,
  },
  {
    method: "POST",
    path: `${SESSION}/files/git`,
    scope: "run",
    audit: "file.clone",
    handler: cloneGit,
  },
  { method: "GET", path: `${SESSION}/files/*`, scope: "read", handler: getFile },
  {
    method: "PUT",
    path: `${SESSION}/files/*`,
    scope: "run",
    audit: "file.upload",
    handler: putFile,
  },
  {
    method: "DELETE",
    path: `${SESSION}/files/*`,
    scope: "run",
    audit: "file.delete",
    handler: deleteFile,
  },
];

/** The whole surface. */
export const ROUTES: readonly Route[] = [...OPEN, STREAM, ...KEYED];

/** Adds the surface to `app`. */
export function addCcRoutes(app: Hono<HttpEnv>): void {
  for (const route of OPEN) app.on(route.method, route.path, guarded(route));
  app.use("/api/*", audited(ROUTES));
  app.on(STREAM.method, STREAM.path, ticketOrKey(), guarded(STREAM));
  app.use("/api/*", authentication());
  for (const route of KEYED) app.on(route.method, route.path, guarded(route));
}
