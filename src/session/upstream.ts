/** Where this session's model calls go: the API with the owner's key, or the stand-in. */
import type { Upstream } from "../model/api-client.ts";
import { CallFailed } from "../model/retry.ts";
import { readConfig, type Variables } from "../shared/config.ts";

/** Kept once it is there: every further load would be another place at which the object can die. */
let standin: typeof import("../standin/local.ts") | null = null;

/** @throws CallFailed `unsent` when the configuration names no model API */
export async function upstreamOf(env: Variables): Promise<Upstream> {
  const result = readConfig(env);
  if (!result.ok) throw new CallFailed({ kind: "unsent" });
  const { upstream } = result.config;
  switch (upstream.kind) {
    case "anthropic":
      return {
        apiKey: upstream.apiKey,
        ...(upstream.baseUrl === null ? {} : { baseURL: upstream.baseUrl }),
      };
    case "standin": {
      // Loaded on first use: with a key it is never needed.
      standin ??= await import("../standin/local.ts");
      return { apiKey: "stand-in", fetch: standin.localStandin(upstream.paceMs).fetch };
    }
    case "none":
      throw new CallFailed({ kind: "unsent" });
  }
}
