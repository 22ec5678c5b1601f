import type { MiddlewareHandler } from "hono";
import { every } from "hono/combine";
import { secureHeaders } from "hono/secure-headers";

/**
 * Headers that keep a browser from doing more with a response than reading it. A route that
 * serves a page sets its own `Content-Security-Policy`, which is kept; a response that may be
 * stored sets its own `Cache-Control`.
 */
export const securityHeaders = (): MiddlewareHandler => every(noStore, browserHeaders);

const browserHeaders = secureHeaders({
  overwrite: false,
  contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  xFrameOptions: "DENY",
  // Without includeSubDomains: the owner's other hosts are none of this server's business.
  strictTransportSecurity: "max-age=15552000",
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
});

/** RFC 9111 section 3.5 keeps shared caches from `Authorization` only, not from `X-API-Key`. */
const noStore: MiddlewareHandler = async function noStore(c, next) {
  await next();
  if (!c.res.headers.has("cache-control")) c.header("cache-control", "no-store");
};
