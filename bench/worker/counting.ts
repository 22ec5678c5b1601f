/**
 * The Worker with counters: what is deployed, plus what it costs. Objects, storage and `fetch` are
 * wrapped from outside, so the code that is counted is the code that runs.
 *
 * Routes below `/bench` read the counters, forget an object's memory, and fill a session or an account.
 */
import { Account as DeployedAccount } from "../../src/account/account.ts";
import type { Env } from "../../src/env.ts";
import { Session as DeployedSession } from "../../src/session/session.ts";
import app from "../../src/worker.ts";
import { calls, counted, countStorage, rows, traced } from "./counters.ts";
import { fill } from "./fill.ts";
import { fillAccount } from "./fill-account.ts";
import type { AccountFilling, Filling } from "./filling.ts";

export class Session extends DeployedSession {
  readonly #ctx: DurableObjectState;

  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, { ...env, ACCOUNT: counted(env.ACCOUNT, "session → account") });
    this.#ctx = ctx;
  }

  /** Writes turns behind this object's back; the next call meets a new object that reads them. */
  fill(filling: Filling): number {
    return fill(this.#ctx.storage.sql, filling);
  }

  forget(): void {
    this.#ctx.abort("forgotten by a benchmark");
  }
}

export class Account extends DeployedAccount {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, env);
    this.#sql = ctx.storage.sql;
  }

  /** Adds sessions to the index, without any object behind them. */
  fill(filling: AccountFilling): number {
    return fillAccount(this.#sql, filling);
  }
}

globalThis.fetch = traced("object → model", globalThis.fetch);

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const url = new URL(request.url);
    if (!url.pathname.startsWith("/bench/")) {
      return app.fetch(request, { ...env, SESSION: counted(env.SESSION, "Worker → session") }, ctx);
    }
    switch (url.pathname) {
      case "/bench/counters":
        return Response.json({ rows: rows(), calls: calls.splice(0) });
      case "/bench/fill":
        return Response.json(await object(env, url).fill(await request.json<Filling>()));
      case "/bench/fill-account":
        return Response.json(await account(env, url).fill(await request.json<AccountFilling>()));
      case "/bench/forget":
        // The call ends with the object.
        await object(env, url)
          .forget()
          .catch(() => {});
        return Response.json("forgotten");
      default:
        return new Response(null, { status: 404 });
    }
  },
};

interface Benched {
  fill(filling: Filling): Promise<number>;
  forget(): Promise<void>;
}

/** The object of `?name=<account>`. */
const account = (env: Env, url: URL): { fill(filling: AccountFilling): Promise<number> } =>
  // The stub of the class above; its type does not know the method added here.
  env.ACCOUNT.getByName(url.searchParams.get("name") ?? "") as unknown as ReturnType<
    typeof account
  >;

/** The object of `?name=<account>/<session>`. */
const object = (env: Env, url: URL): Benched =>
  // The stub of the class above; its type does not know the methods added here.
  env.SESSION.getByName(url.searchParams.get("name") ?? "") as unknown as Benched;
