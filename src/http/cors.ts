import type { MiddlewareHandler } from "hono";
import { cors as honoCors } from "hono/cors";
import type { HttpEnv } from "./context.ts";

const REQUEST_HEADERS = [
  "authorization",
  "x-api-key",
  "content-type",
  "last-event-id",
  "idempotency-key",
  "prefer",
  "if-match",
  "if-none-match",
  "if-range",
  "range",
  "x-request-id",
];

const RESPONSE_HEADERS = [
  "accept-ranges",
  "allow",
  "content-disposition",
  "content-range",
  "etag",
  "idempotency-replayed",
  "last-modified",
  "location",
  "preference-applied",
  "retry-after",
  "www-authenticate",
  "x-ratelimit-limit",
  "x-ratelimit-remaining",
  "x-ratelimit-reset",
  "x-request-id",
  "x-response-time",
];

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/**
 * CORS for the origins in `CORS_ORIGINS`; nothing without any. Never with credentials: keys come
 * in headers that the page sets itself.
 */
export const cors = (): MiddlewareHandler<HttpEnv> =>
  async function cors(c, next) {
    const origins = c.get("config").corsOrigins;
    if (origins.length === 0) return next();
    const answer = honoCors({
      origin: origins.includes("*") ? "*" : [...origins],
      allowMethods: METHODS,
      allowHeaders: REQUEST_HEADERS,
      exposeHeaders: RESPONSE_HEADERS,
      maxAge: 600,
    });
    return answer(c, next);
  };
