/** The secret that the webhooks of an account's jobs are signed with. */
import { expect, test } from "vitest";
import { accountId } from "../../../src/http/auth.ts";
import { webhookSecret } from "../../../src/shared/webhook-signature.ts";
import { serverWith } from "./server.ts";

/** What `openssl rand -base64 32` might have made. */
const FIRST = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SECOND = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

const PATH = "/api/account/webhook-secret";

async function shown(server: ReturnType<typeof serverWith>, key?: string): Promise<string> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const response = await server("GET", PATH, undefined, headers);
  expect(response.status).toBe(200);
  const { object, secret } = await response.json<{ object: string; secret: string }>();
  expect(object).toBe("webhook_secret");
  return secret;
}

test("each account has its own, derived from the key of the server", async () => {
  const keys = { API_KEYS: "ann:key-of-ann-0001,ben:key-of-ben-0001" };
  const server = serverWith({ ...keys, ENCRYPTION_KEY: FIRST });
  const ann = await shown(server, "key-of-ann-0001");
  expect(ann).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(await shown(server, "key-of-ann-0001")).toBe(ann);
  expect(await shown(server, "key-of-ben-0001")).not.toBe(ann);
  const keyring = { current: Uint8Array.fromBase64(FIRST), old: [] };
  expect(ann).toBe(await webhookSecret(keyring, await accountId("ann")));
  const changed = serverWith({ ...keys, ENCRYPTION_KEY: SECOND, ENCRYPTION_KEYS_OLD: FIRST });
  expect(await shown(changed, "key-of-ann-0001")).not.toBe(ann);
});

test("a vector", async () => {
  // printf 'webhook\0acct_37a8eec1ce19687d' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f -binary | base64
  const keyring = { current: Uint8Array.fromBase64(FIRST), old: [] };
  expect(await webhookSecret(keyring, "acct_37a8eec1ce19687d")).toBe(
    "whsec_n507lYHAmNXwotGtobo+862PhEvePPD67ANTfgxAR3c=",
  );
});

test("without a key of the server there is none, and the answer says how to set one", async () => {
  const response = await serverWith({})("GET", PATH);
  expect(response.status).toBe(409);
  const problem = await response.json<{ detail: string; error: { code: string } }>();
  expect(problem.error.code).toBe("no_encryption_key");
  expect(problem.detail).toContain("openssl rand -base64 32");
});

test("it is for admins", async () => {
  const server = serverWith({ API_KEYS: "ann:key-of-ann-0001", ENCRYPTION_KEY: FIRST });
  const auth = { authorization: "Bearer key-of-ann-0001" };
  const made = await server("POST", "/api/keys", { name: "run", scopes: ["read", "run"] }, auth);
  const { key } = await made.json<{ key: string }>();
  const response = await server("GET", PATH, undefined, { authorization: `Bearer ${key}` });
  expect(response.status).toBe(403);
});

test("a key for webhooks alone goes before the one for secrets", async () => {
  const both = serverWith({ ENCRYPTION_KEY: FIRST, WEBHOOK_KEY: SECOND });
  expect(await shown(both)).toBe(await shown(serverWith({ WEBHOOK_KEY: SECOND })));
  expect(await shown(both)).not.toBe(await shown(serverWith({ ENCRYPTION_KEY: FIRST })));
});
