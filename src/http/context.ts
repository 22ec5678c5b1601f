import type { Context } from "hono";
import type { RequestIdVariables } from "hono/request-id";
import type { Env } from "../env.ts";
import type { Config } from "../shared/config.ts";
import type { Caller } from "../shared/keys.ts";
import type { Credential } from "./caller.ts";
import type { ErrorForm } from "./problems.ts";

/** What a route finds in its context: `env`, and in `var` what the middlewares put there. */
export interface HttpEnv {
  Bindings: Env;
  Variables: RequestIdVariables & {
    config: Config;
    /** Id of the account, `acct_…`; only behind `authentication()`. */
    account: string;
    /** Whose request it is, and what its key may do; only behind `authentication()`. */
    caller: Caller;
    /** What this edge needs to know of the caller's key besides; only behind `authentication()`. */
    credential: Credential;
    /** ULID of the session that the request is about, where its path does not hold that. */
    session: string | undefined;
    /** The code of the problem that the request was answered with, if it was. */
    problem: string | undefined;
    /** How the surface of the request's path says problems; undefined: as `problemResponse`. */
    errorForm: ErrorForm | undefined;
  };
}

export type HttpContext = Context<HttpEnv>;
