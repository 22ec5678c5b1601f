/**
 * The description of the API: as a document, and as pages at which every route can be tried. The pages
 * are files below `assets/`, our own and those of Swagger UI; nothing comes from another site.
 */
import type { Hono } from "hono";
import type { HttpContext, HttpEnv } from "../../http/context.ts";
import { notFound, respond } from "../../http/problems.ts";
import { guarded, type Route } from "../../http/routes.ts";
import { document } from "./document.ts";

/** All of it is there for everybody, or for nobody. */
export const ROUTES: readonly Route[] = [
  { method: "GET", path: "/openapi.json", scope: null, handler: getDocument },
  { method: "GET", path: "/docs", scope: null, handler: (c) => file(c, "/docs/try.html") },
  { method: "GET", path: "/redoc", scope: null, handler: (c) => file(c, "/docs/read.html") },
  { method: "GET", path: "/docs/*", scope: null, handler: (c) => file(c, c.req.path) },
];

/** Adds them to `app`. */
export function addDocsRoutes(app: Hono<HttpEnv>): void {
  for (const route of ROUTES) app.on(route.method, route.path, guarded(route));
}

/** Its text, once somebody has asked for it. */
let text: string | null = null;

async function getDocument(c: HttpContext): Promise<Response> {
  if (!c.get("config").docs) return respond(c, notFound("Path"));
  text ??= JSON.stringify(await document());
  return c.body(text, 200, { "content-type": "application/json" });
}

/**
 * What the pages may do: run our scripts, show our styles, and call this server, at which keys are
 * typed in. Swagger UI's style sheet has its pictures in itself, and images that a route answers are
 * shown from memory.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

async function file(c: HttpContext, path: string): Promise<Response> {
  if (!c.get("config").docs) return respond(c, notFound("Path"));
  const url = new URL(path, c.req.url);
  const { method, headers } = c.req.raw;
  const asset = await c.env.ASSETS.fetch(new Request(url, { method, headers }));
  if (!asset.ok && asset.status !== 304) return respond(c, notFound("Path"));
  const response = new Response(asset.body, asset);
  response.headers.set("content-security-policy", POLICY);
  return response;
}
