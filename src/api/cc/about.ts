/** `GET /` and `GET /healthz`, which need no key. */
import { version } from "../../../package.json";
import type { HttpContext } from "../../http/context.ts";
import { respond } from "../../http/problems.ts";
import { unready } from "../common/health.ts";

/** `GET /`: what this server is. */
export const about = (c: HttpContext): Response =>
  c.json({
    name: "ledge",
    version,
    apis: [
      { name: "cc-api", path: "/api/sessions" },
      { name: "claude-code-api", path: "/api/v1/sessions" },
      { name: "claude-cli-server", path: "/v1/chat" },
    ],
    docs: c.get("config").docs ? "/docs" : "docs/wire.md",
  });

/** `GET /healthz`. A wrong configuration never comes here: it is a 503 on every path. */
export function health(c: HttpContext): Response {
  const problem = unready(c.get("config"));
  return problem ? respond(c, problem) : c.json({ status: "ok" });
}
