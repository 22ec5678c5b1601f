/**
 * Tells the account's audit what no session's log says: what a route did that has an `audit`, and
 * to whom a route was refused.
 */
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { ulid } from "ulid";
import { accountOf } from "../account/client.ts";
import type { AuditEntry } from "../shared/audit.ts";
import { clock } from "../shared/clock.ts";
import { sessionUlid } from "../shared/ids.ts";
import { callerName, keyUlid } from "../shared/keys.ts";
import { writeLine } from "../shared/log-line.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import type { Route } from "./routes.ts";
import { repeatedly } from "./submit.ts";

/** Codes of problems that say no to somebody whose key is, or was, good. */
const REFUSALS: ReadonlySet<string> = new Set([
  "missing_scope",
  "foreign_account",
  "key_revoked",
  "key_expired",
  "rate_limit_exceeded",
  "blocked",
]);

/** A refusal that repeats itself is told once in this time, so that nobody can fill the audit. */
const REPEATED_MS = 60_000;
/** Refusals that a Worker remembers. */
const MOST = 1_000;

/** When each was last told, oldest first. */
const refusals = new Map<string, number>();

/**
 * Must stand before the authentication of the routes that it looks after.
 *
 * @example app.use("/api/*", audited(ROUTES));
 */
export function audited(routes: readonly Route[]): MiddlewareHandler<HttpEnv> {
  const table = new Map(routes.map((route) => [`${route.method} ${route.path}`, route]));
  return async function audited(c, next) {
    await next();
    const route = matchedRoutes(c)
      .map(({ method, path }) => table.get(`${method} ${path}`))
      .find((one) => one !== undefined);
    if (!route) return;
    noteUnknownKey(c, route);
    const act = c.get("config").auditMs === 0 ? null : (refusalOf(c, route) ?? deedOf(c, route));
    if (act) c.executionCtx.waitUntil(tell(c, route, act));
  };
}

type Act = Pick<AuditEntry, "action" | "outcome" | "detail" | "target">;

function refusalOf(c: HttpContext, { method, path }: Route): Act | null {
  const code = c.get("problem");
  if (code === undefined || !REFUSALS.has(code) || !c.get("caller")) return null;
  const detail = `${method} ${path}`;
  const { account, key } = c.get("caller");
  const same = `${account} ${callerName(key)} ${code} ${detail}`;
  const now = clock.now();
  const told = refusals.get(same) ?? Number.NEGATIVE_INFINITY;
  if (now >= told && now - told < REPEATED_MS) return null;
  refusals.delete(same);
  for (const oldest of refusals.keys()) {
    if (refusals.size < MOST) break;
    refusals.delete(oldest);
  }
  refusals.set(same, now);
  return { action: "access.refused", outcome: code, detail, target: null };
}

function deedOf(c: HttpContext, { audit, path }: Route): Act | null {
  // What was done before is not done again.
  const done = c.res.ok && !c.res.headers.has("idempotency-replayed");
  if (!audit || !done) return null;
  const made = c.res.headers.get("location");
  const url = new URL(made ?? c.req.url, c.req.url);
  // Anything may stand in another address, such as that of a file.
  const key = made === null ? segment(path, c.req.path, ":key") : url.pathname.split("/").at(-1);
  const keyTarget = key && keyUlid(key) !== null ? key : null;
  // Only a good name of an account or of a template has come so far.
  const detail = keyTarget === null ? null : url.searchParams.get("account");
  const target = keyTarget ?? segment(path, c.req.path, ":template") ?? null;
  return { action: audit, outcome: "ok", detail, target };
}

/** What of an address stands where its route has the parameter. */
function segment(route: string, path: string, name: string): string | undefined {
  const at = route.split("/").indexOf(name);
  return at < 0 ? undefined : path.split("/")[at];
}

/** Best effort, after the answer: an account that cannot be reached lacks the entry. */
async function tell(c: HttpContext, { path }: Route, act: Act): Promise<void> {
  const { account, key } = c.get("caller");
  const now = clock.now();
  const entry: AuditEntry = {
    at: now,
    source: ulid(now),
    n: 0,
    ...act,
    session: c.get("session") ?? sessionUlid(segment(path, c.req.path, ":id") ?? ""),
    key: callerName(key),
    request_id: c.get("requestId"),
  };
  try {
    await repeatedly(() => accountOf(c.env, account).noteAudit([entry]));
  } catch {
    // `repeatedly` has written a line about it.
  }
}

/** Nobody's account can be told of a key that is in none, so the operator is. */
function noteUnknownKey(c: HttpContext, { method, path }: Route): void {
  const { headers } = c.req.raw;
  const presented = headers.has("authorization") || headers.has("x-api-key");
  if (c.get("problem") !== "unauthorized" || !presented) return;
  writeLine({
    event: "refused",
    code: "unknown_key",
    request_id: c.get("requestId"),
    method,
    route: path,
  });
}
