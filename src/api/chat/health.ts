/** `GET /v1/health`, which needs no key. */
import { version } from "../../../package.json";
import type { HttpContext } from "../../http/context.ts";
import { respond } from "../../http/problems.ts";
import { unready } from "../common/health.ts";

/** Where the Claude CLI server has the version of the program that it runs. */
const CLAUDE_VERSION = `${version} (Ledge)`;

export function getHealth(c: HttpContext): Response {
  const problem = unready(c.get("config"));
  return problem ? respond(c, problem) : c.json({ claude_version: CLAUDE_VERSION, status: "ok" });
}
