import type { Account } from "./account/account.ts";
import type { Session } from "./session/session.ts";
import type { Variables } from "./shared/config.ts";

/** What the platform hands to the Worker and to the objects: bindings and variables. */
export interface Env extends Variables {
  readonly SESSION: DurableObjectNamespace<Session>;
  readonly ACCOUNT: DurableObjectNamespace<Account>;
  /** The files below `assets/`. */
  readonly ASSETS: Fetcher;
}

type Bindings = Env;

declare global {
  namespace Cloudflare {
    /** The type of `env` from `cloudflare:workers`. */
    interface Env extends Bindings {}
  }
}
