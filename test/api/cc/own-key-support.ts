/** Accounts and sessions that pay with Anthropic keys of their own, and the API that gets these. */
import { createExecutionContext, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect } from "vitest";
import { accountId } from "../../../src/http/auth.ts";
import worker from "../../../src/worker.ts";
import { FAR_FUTURE, FakeClock } from "../../support/fake-clock.ts";
import { standin, withStandin } from "./server.ts";

/** What `openssl rand -base64 32` might have made. */
export const ENCRYPTION = {
  first: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
  second: "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
} as const;

type Objects = Awaited<ReturnType<typeof accountObject | typeof sessionObject>>;

/** Variables of the Worker from now on, and of objects that have not woken yet. */
export function configure(variables: Record<string, string | null>): void {
  for (const [name, value] of Object.entries(variables)) {
    if (value === null) Reflect.deleteProperty(env, name);
    else Object.assign(env, { [name]: value });
  }
}

/** Gives an object other variables, until it dies: it reads them anew where they are another object. */
export async function reconfigure(
  object: Objects,
  variables: Record<string, unknown>,
): Promise<void> {
  const changed: Record<string, unknown> = { ...env, ...variables };
  for (const [name, value] of Object.entries(variables)) if (value === null) delete changed[name];
  await runInDurableObject(object as DurableObjectStub, (instance) => {
    Object.assign(instance, { env: changed });
  });
}

/** The binding of accounts as it is when none can be reached. */
export const NOBODY = {
  getByName(): never {
    throw new Error("gone");
  },
};

/** Calls that left this server, which are those with an own key: all others go to the stand-in. */
export const sent: { url: string; key: string | null }[] = [];

/** The keys of the calls so far, which are forgotten then. */
export const keysSent = (): (string | null)[] => sent.splice(0).map(({ key }) => key);

/** Keys that the API does not know. */
export const refused = new Set<string>();

let time: FakeClock | null = null;

export function advance(ms: number): void {
  time?.advance(ms);
}

/**
 * In place of the Anthropic API, which the stand-in then answers for. With a fake clock nothing that
 * waits goes on by itself, as a call that is repeated.
 */
export function withOwnKeys(clocked: "fake" | "real"): void {
  withStandin();
  const real = globalThis.fetch;
  beforeEach(() => {
    sent.length = 0;
    refused.clear();
    configure({ ENCRYPTION_KEY: ENCRYPTION.first });
    time = clocked === "fake" ? new FakeClock(FAR_FUTURE) : null;
    globalThis.fetch = (input, init) => {
      const key = new Headers(init?.headers).get("authorization")?.replace("Bearer ", "") ?? null;
      sent.push({ url: String(input), key });
      if (key !== null && refused.has(key)) return Promise.resolve(unauthorized(key));
      return standin.fetch(input, init);
    };
  });
  afterEach(() => {
    globalThis.fetch = real;
    time?.restore();
    configure({ ENCRYPTION_KEY: null, ENCRYPTION_KEYS_OLD: null });
  });
}

/** As a gateway might say it that repeats what it was sent. */
const unauthorized = (key: string): Response =>
  Response.json(
    { type: "error", error: { type: "authentication_error", message: `invalid x-api-key ${key}` } },
    { status: 401 },
  );

export type Send = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Response>;

/** A client of the account with this name, which nobody else uses. */
export function clientOf(name: string): Send {
  return async (method, path, body, headers = {}) => {
    const asked = new Request(`http://localhost${path}`, {
      method,
      headers: {
        "x-api-key": `client-key-of-${name}`,
        "content-type": "application/json",
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const variables = { ...env, API_KEYS: `${name}:client-key-of-${name}` };
    return worker.fetch(asked, variables, createExecutionContext());
  };
}

export const accountObject = async (name: string) => env.ACCOUNT.getByName(await accountId(name));

export const sessionObject = async (name: string, path: string) =>
  env.SESSION.getByName(`${await accountId(name)}/${path.replace("/api/sessions/sess_", "")}`);

/** Everything that an object has stored, as text. */
export async function stored(object: Objects): Promise<string> {
  return runInDurableObject(object as DurableObjectStub, (_, { storage: { sql } }) => {
    const tables = sql.exec<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table'",
    );
    const names = tables.toArray().filter(({ name }) => !name.startsWith("_cf"));
    return names
      .map(
        ({ name }) => `${name}: ${JSON.stringify(sql.exec(`SELECT * FROM "${name}"`).toArray())}`,
      )
      .join("\n");
  });
}

/** The path of a new session. */
export async function newSessionOf(send: Send, body: object = {}): Promise<string> {
  const response = await send("POST", "/api/sessions", { tools: [], ...body });
  expect(response.status).toBe(201);
  return `/api/sessions/${(await response.json<{ id: string }>()).id}`;
}
