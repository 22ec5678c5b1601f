/** Whether this server can run turns. */
import { type Problem, unavailable } from "../../http/problems.ts";
import type { Config } from "../../shared/config.ts";

/** Why no turn can run; null when it can. A wrong configuration is refused before. */
export function unready({ upstream, encryption }: Config): Problem | null {
  // With an ENCRYPTION_KEY each account and session may bring a key of its own.
  if (upstream.kind !== "none" || encryption) return null;
  const detail =
    "There is no key for the model API. Set ANTHROPIC_API_KEY, for example with `npx wrangler secret put ANTHROPIC_API_KEY`.";
  return unavailable("no_upstream_key", detail);
}
