import type { Context } from "hono";
import type { RequestIdVariables } from "hono/request-id";
import type { Env } from "../env.ts";
import type { Config } from "../shared/config.ts";

/** What a route finds in its context: `env`, and in `var` what the middlewares put there. */
export interface HttpEnv {
  Bindings: Env;
  Variables: RequestIdVariables & {
    config: Config;
    /** Id of the account, `acct_…`; only behind `authentication()`. */
    account: string;
  };
}

export type HttpContext = Context<HttpEnv>;
