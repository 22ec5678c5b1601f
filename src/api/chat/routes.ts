/** All routes of the Claude CLI server's API, each with the scope that its caller's key needs. */
import type { Hono } from "hono";
import { audited } from "../../http/audit.ts";
import { authentication } from "../../http/auth.ts";
import type { HttpEnv } from "../../http/context.ts";
import { guarded, type Route } from "../../http/routes.ts";
import { postChat, postChatStream } from "./chat.ts";
import { getHealth } from "./health.ts";

const HEALTH: Route = { method: "GET", path: "/v1/health", scope: null, handler: getHealth };

const KEYED: readonly Route[] = [
  { method: "POST", path: "/v1/chat", scope: "run", limited: true, handler: postChat },
  { method: "POST", path: "/v1/chat/stream", scope: "run", limited: true, handler: postChatStream },
];

/** The whole surface. */
export const ROUTES: readonly Route[] = [HEALTH, ...KEYED];

/** Adds the surface to `app`. What else lies below `/v1` is none of it, and unknown to everybody. */
export function addChatRoutes(app: Hono<HttpEnv>): void {
  app.on(HEALTH.method, HEALTH.path, guarded(HEALTH));
  // Also `/v1/chat` itself.
  app.use("/v1/chat/*", audited(ROUTES), authentication());
  for (const route of KEYED) app.on(route.method, route.path, guarded(route));
}
