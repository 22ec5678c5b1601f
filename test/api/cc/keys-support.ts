/** Managed keys, as tests make and use them. */
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { accountOf } from "../../../src/account/client.ts";
import { accountId } from "../../../src/http/auth.ts";
import type { JsonObject } from "../../../src/shared/content.ts";
import { post } from "./server.ts";

export interface MadeKey {
  /** `key_<ulid>` */
  id: string;
  ulid: string;
  /** What its owner sends. */
  text: string;
  headers: { authorization: string };
  /** The answer that showed it. */
  body: JsonObject;
  location: string;
}

let accounts = 0;

/** The name of an account that no other test uses. */
export function newAccount(): string {
  accounts += 1;
  return `keys-${accounts}-${crypto.randomUUID().slice(0, 8)}`;
}

/** A new key, which the owner of this server makes. */
export async function newKey(body: JsonObject = {}): Promise<MadeKey> {
  const response = await post("/api/keys", { name: "test", ...body });
  expect(response.status).toBe(201);
  const made = await response.json<JsonObject>();
  const [id, text] = [String(made.id), String(made.key)];
  const ulid = id.replace("key_", "");
  const location = response.headers.get("location") ?? "";
  return { id, ulid, text, headers: { authorization: `Bearer ${text}` }, body: made, location };
}

/** The object of the account with this name, reached around the Worker that a test talks to. */
export const accountNamed = async (name: string) => accountOf(env, await accountId(name));

/** Counts the calls of accounts that requests under `bindings` make, by the method's name. */
export function counted(): { bindings: { ACCOUNT: unknown }; calls: string[] } {
  const calls: string[] = [];
  const getByName = (name: string) =>
    new Proxy(accountOf(env, name), {
      get(target, method, receiver) {
        calls.push(String(method));
        return Reflect.get(target, method, receiver);
      },
    });
  return { bindings: { ACCOUNT: { getByName } }, calls };
}
