/** Ledge with one more route, which tells the instance of a session's object that answers. */
import { accountId } from "../../src/http/auth.ts";
import { Session as LedgeSession } from "../../src/session/session.ts";
import { DEFAULT_ACCOUNT } from "../../src/shared/config.ts";
import ledge, { Account } from "../../src/worker.ts";

export { Account };

export class Session extends LedgeSession {
  readonly #instance = crypto.randomUUID();

  async instance(): Promise<string> {
    return this.#instance;
  }
}

interface TestEnv {
  SESSION: DurableObjectNamespace<Session>;
}

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const [, session] = /^\/test\/instance\/sess_(\w+)$/.exec(new URL(request.url).pathname) ?? [];
    if (session === undefined) return ledge.fetch(request, env, ctx);
    const stub = env.SESSION.getByName(`${await accountId(DEFAULT_ACCOUNT)}/${session}`);
    return new Response(await stub.instance());
  },
} satisfies ExportedHandler<TestEnv & Cloudflare.Env>;
