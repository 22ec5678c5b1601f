import type { MiddlewareHandler } from "hono";
import { every } from "hono/combine";
import { requestId as honoRequestId } from "hono/request-id";
import { ulid } from "ulid";

/**
 * Gives each request an id: the client's own `X-Request-Id` where it is up to 128 letters,
 * digits, `_`, `-` or `=`, else `req_<ulid>`. It stands in the response's header, in problems and
 * in the log.
 */
export const requestId = (): MiddlewareHandler =>
  every(echo, honoRequestId({ limitLength: 128, generator: () => `req_${ulid()}` }));

/** Hono's own sets the header beforehand, which a route that returns a plain `Response` loses. */
const echo: MiddlewareHandler = async function echo(c, next) {
  await next();
  c.header("x-request-id", c.get("requestId"));
};
