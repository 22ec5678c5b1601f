/** What every response of `/api/v1` has, and how its paths may be written. */
import type { MiddlewareHandler } from "hono";
import { admit, identify } from "../../http/auth.ts";
import type { HttpContext, HttpEnv } from "../../http/context.ts";
import { ProblemError } from "../../http/problems.ts";
import { checkScope } from "../../http/routes.ts";
import { clock } from "../../shared/clock.ts";
import type { Scope } from "../../shared/keys.ts";

const MAX_REQUEST_ID = 128;

/** `X-Response-Time`, up to the response's headers. */
export const timed = (): MiddlewareHandler<HttpEnv> =>
  async function timed(c, next) {
    const began = clock.now();
    await next();
    c.header("x-response-time", `${Math.max(0, clock.now() - began)}ms`);
  };

/** The client's own `X-Request-ID` may be any text: it is cleaned and not refused. */
export const anyRequestId = (): MiddlewareHandler<HttpEnv> =>
  async function anyRequestId(c, next) {
    const given = c.req.header("x-request-id") ?? "";
    const text = given
      .replace(/[^\x20-\x7e]/g, "")
      .trim()
      .slice(0, MAX_REQUEST_ID)
      // A header loses white space at its end, which the body would have.
      .trimEnd();
    if (text !== "") c.set("requestId", text);
    return next();
  };

/** A path with a slash at its end leads to the one without it, with the same method and body. */
export function withoutSlash(c: HttpContext): Response {
  const { pathname, search } = new URL(c.req.url);
  return c.body(null, 307, { location: pathname.replace(/\/+$/, "") + search });
}

/** Finds out whose request it is where nobody needs a key: one that is sent must be good for `scope`. */
export const callerIfAny = (scope: Scope): MiddlewareHandler<HttpEnv> =>
  async function callerIfAny(c, next) {
    const { headers } = c.req.raw;
    const presents = headers.has("authorization") || headers.has("x-api-key");
    const known = await identify(c).catch((error: unknown) => {
      if (presents || !(error instanceof ProblemError)) throw error;
      return null;
    });
    if (!known) return next();
    admit(c, known);
    checkScope(c, scope);
    return next();
  };
