/** `GET /` and `GET /healthz`, which need no key. */
import { version } from "../../../package.json";
import type { HttpContext } from "../../http/context.ts";
import { respond, unavailable } from "../../http/problems.ts";

/** `GET /`: what this server is. */
export const about = (c: HttpContext): Response =>
  c.json({
    name: "ledge",
    version,
    apis: [{ name: "cc-api", path: "/api/sessions" }],
    docs: "docs/wire.md",
  });

/** `GET /healthz`. A wrong configuration never comes here: it is a 503 on every path. */
export function health(c: HttpContext): Response {
  const { upstream, encryption } = c.get("config");
  // With an ENCRYPTION_KEY each account and session may bring a key of its own.
  if (upstream.kind !== "none" || encryption) return c.json({ status: "ok" });
  const detail =
    "There is no key for the model API. Set ANTHROPIC_API_KEY, for example with `npx wrangler secret put ANTHROPIC_API_KEY`.";
  return respond(c, unavailable("no_upstream_key", detail));
}
