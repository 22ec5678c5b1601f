/** All routes of `/api/v1`, the surface of claude-code-api, each with the scope that its caller's key needs. */
import type { Hono } from "hono";
import { audited } from "../../http/audit.ts";
import { authentication } from "../../http/auth.ts";
import type { HttpContext, HttpEnv } from "../../http/context.ts";
import { guarded, type Route } from "../../http/routes.ts";
import { getAudit } from "./audit.ts";
import { goesOn, postChat, streamChat } from "./chat.ts";
import { getFile, listFiles, postFile } from "./files.ts";
import { health } from "./health.ts";
import { getHistory } from "./history.ts";
import { cancelJob, getJob, listJobs, postJob, redeliverJob } from "./jobs.ts";
import { postRepo } from "./repo.ts";
import { deleteSession, getSession, listSessions, postSession } from "./sessions.ts";
import { anyRequestId, callerIfAny, timed, withoutSlash } from "./surface.ts";
import { getTemplate, listTemplates, reloadTemplates } from "./templates.ts";
import { countTokens } from "./tokens.ts";
import { getUsage } from "./usage.ts";

const ALL = "/api/v1/*";
const SESSIONS = "/api/v1/sessions";
const SESSION = `${SESSIONS}/:name`;
const JOB = `${SESSION}/jobs/:job`;
const TEMPLATES = "/api/v1/templates";

/** What can be reached without a key. */
const OPEN: readonly Route[] = [
  { method: "GET", path: "/api/v1/health", scope: null, handler: health },
];

/** The same, but what is answered depends on whose key comes. */
const HALF_OPEN: readonly Route[] = [
  { method: "GET", path: TEMPLATES, scope: null, handler: listTemplates },
  { method: "GET", path: `${TEMPLATES}/:template`, scope: null, handler: getTemplate },
];

/** The rest of a response that was lost starts no turn. */
const startsTurn = (c: HttpContext): boolean => !goesOn(c);

/** What needs a key. The rate limit counts the routes that it counts in the original. */
const KEYED: readonly Route[] = [
  { method: "POST", path: `${TEMPLATES}/reload`, scope: "read", handler: reloadTemplates },
  { method: "POST", path: SESSIONS, scope: "run", limited: true, handler: postSession },
  { method: "GET", path: SESSIONS, scope: "read", handler: listSessions },
  { method: "GET", path: SESSION, scope: "read", handler: getSession },
  { method: "DELETE", path: SESSION, scope: "run", handler: deleteSession },
  { method: "POST", path: `${SESSION}/repo`, scope: "run", handler: postRepo },
  { method: "POST", path: `${SESSION}/chat`, scope: "run", limited: true, handler: postChat },
  {
    method: "POST",
    path: `${SESSION}/chat/stream`,
    scope: "run",
    limited: startsTurn,
    handler: streamChat,
  },
  { method: "GET", path: `${SESSION}/history`, scope: "read", handler: getHistory },
  { method: "POST", path: `${SESSION}/jobs`, scope: "run", limited: true, handler: postJob },
  { method: "GET", path: `${SESSION}/jobs`, scope: "read", handler: listJobs },
  { method: "GET", path: JOB, scope: "read", handler: getJob },
  { method: "POST", path: `${JOB}/cancel`, scope: "run", handler: cancelJob },
  { method: "POST", path: `${JOB}/redeliver`, scope: "run", handler: redeliverJob },
  {
    method: "POST",
    path: `${SESSION}/files`,
    scope: "run",
    audit: "file.upload",
    handler: postFile,
  },
  { method: "GET", path: `${SESSION}/files`, scope: "read", handler: listFiles },
  { method: "GET", path: `${SESSION}/files/*`, scope: "read", handler: getFile },
  { method: "POST", path: "/api/v1/tokens/count", scope: "read", handler: countTokens },
  { method: "GET", path: "/api/v1/usage", scope: "read", handler: getUsage },
  { method: "GET", path: "/api/v1/audit", scope: "read", handler: getAudit },
];

/** Each of them says where its caller's key stands. */
const TELLING: readonly Route[] = KEYED.map((route): Route => ({ ...route, tells: true }));

/** The whole surface. */
export const ROUTES: readonly Route[] = [...OPEN, ...HALF_OPEN, ...TELLING];

/** Adds the surface to `app`, which must not yet have other routes below `/api`. */
export function addCodeRoutes(app: Hono<HttpEnv>): void {
  app.use(ALL, timed(), anyRequestId());
  const paths = new Set(ROUTES.map(({ path }) => path).filter((path) => !path.includes("*")));
  for (const path of paths) app.all(`${path}/`, withoutSlash);
  app.use(ALL, audited(ROUTES));
  for (const route of OPEN) app.on(route.method, route.path, guarded(route));
  for (const route of HALF_OPEN) {
    app.on(route.method, route.path, callerIfAny("read"), guarded(route));
  }
  app.use(ALL, authentication());
  for (const route of TELLING) app.on(route.method, route.path, guarded(route));
}
