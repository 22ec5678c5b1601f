/** Ledge with routes that tell of a session's object: which instance answers, and its sockets. */
import { accountId } from "../../src/http/auth.ts";
import { Session as LedgeSession } from "../../src/session/session.ts";
import { DEFAULT_ACCOUNT } from "../../src/shared/config-readers.ts";
import ledge, { Account } from "../../src/worker.ts";

export { Account };

export class Session extends LedgeSession {
  readonly #instance = crypto.randomUUID();

  async instance(): Promise<string> {
    return this.#instance;
  }

  async sockets(): Promise<string> {
    return String(this.ctx.getWebSockets().length);
  }
}

interface TestEnv {
  SESSION: DurableObjectNamespace<Session>;
}

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const path = new URL(request.url).pathname;
    const [, what, session] = /^\/test\/(instance|sockets)\/sess_(\w+)$/.exec(path) ?? [];
    if (session === undefined) return ledge.fetch(request, env, ctx);
    const stub = env.SESSION.getByName(`${await accountId(DEFAULT_ACCOUNT)}/${session}`);
    return new Response(await (what === "instance" ? stub.instance() : stub.sockets()));
  },
} satisfies ExportedHandler<TestEnv & Cloudflare.Env>;
