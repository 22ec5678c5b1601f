import { expect, test, vi } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { accountId, authentication } from "../../src/http/auth.ts";

function whoApp() {
  const app = createApp();
  app.use("/api/*", authentication());
  app.all("/api/who", (c) => c.text(c.get("account")));
  return app;
}

interface Asked {
  url?: string;
  method?: string;
  headers?: Record<string, string>;
  env: Record<string, string>;
}

async function who({
  url = "http://localhost:8787/api/who",
  method = "GET",
  headers = {},
  env,
}: Asked) {
  const response = await whoApp().request(url, { method, headers }, env);
  const text = await response.text();
  return { status: response.status, text, headers: response.headers };
}

const KEYS = { API_KEYS: "alice:a-key,bob:b-key,alice:a-key-2,bare-key", CC_API_KEY: "cc-key" };

test("an account's id is the hash of its name", async () => {
  expect(await accountId("default")).toBe("acct_37a8eec1ce19687d");
});

test.each([
  ["a-key", "alice"],
  ["a-key-2", "alice"],
  ["b-key", "bob"],
  ["bare-key", "default"],
  ["cc-key", "default"],
])("the key %s opens the account %s, in either header", async (key, name) => {
  const id = await accountId(name);
  for (const headers of [
    { authorization: `Bearer ${key}` },
    { authorization: `bearer  ${key}` },
    { "x-api-key": key },
  ]) {
    expect(await who({ headers, env: KEYS })).toMatchObject({ status: 200, text: id });
  }
});

test.each<[string, Record<string, string>]>([
  ["no credentials", {}],
  ["a wrong key", { authorization: "Bearer wrong" }],
  ["a key that begins like a right one", { authorization: "Bearer a-ke" }],
  ["a right key with more behind it", { authorization: "Bearer a-key-22" }],
  ["a name in place of a key", { "x-api-key": "alice" }],
  ["a name with its key", { "x-api-key": "alice:a-key" }],
  ["an empty key", { "x-api-key": "" }],
  ["an empty bearer", { authorization: "Bearer " }],
  ["another scheme", { authorization: "Basic a-key" }],
  ["another case", { authorization: "Bearer A-KEY" }],
])("%s is refused with 401", async (_, headers) => {
  const answer = await who({ headers, env: KEYS });
  expect(answer.status).toBe(401);
  expect(answer.headers.get("www-authenticate")).toBe("Bearer");
  expect(JSON.parse(answer.text)).toMatchObject({
    title: "Unauthorized",
    detail: "Invalid or missing API key",
    error: { code: "unauthorized" },
  });
});

test("the API key header counts beside an Authorization header that holds no key of ours", async () => {
  const headers = { authorization: "Bearer other", "x-api-key": "b-key" };
  expect(await who({ headers, env: KEYS })).toMatchObject({ text: await accountId("bob") });
});

test("every configured key is compared, whichever matches", async () => {
  const compare = vi.spyOn(crypto.subtle, "timingSafeEqual");
  try {
    for (const key of ["a-key", "cc-key", "wrong"]) {
      compare.mockClear();
      await who({ headers: { "x-api-key": key }, env: KEYS });
      expect(compare).toHaveBeenCalledTimes(5);
    }
  } finally {
    compare.mockRestore();
  }
});

test("with a key configured nobody is anonymous, not even at localhost", async () => {
  const answer = await who({ env: { ...KEYS, ALLOW_ANONYMOUS: "true" } });
  expect(answer.status).toBe(401);
});

test("without any key and without ALLOW_ANONYMOUS the answer is 503 and says how to set a key", async () => {
  for (const env of [{}, { ALLOW_ANONYMOUS: "false" }]) {
    const answer = await who({ env, headers: { "x-api-key": "anything" } });
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toMatchObject({
      detail: expect.stringContaining("wrangler secret put CC_API_KEY"),
      error: { code: "no_api_key" },
    });
  }
});

const LOCAL = { ALLOW_ANONYMOUS: "true" };

test.each<[string, Record<string, string>]>([
  ["http://localhost/api/who", {}],
  ["http://localhost:8787/api/who", { host: "localhost:8787" }],
  ["http://127.0.0.1:8787/api/who", { host: "127.0.0.1:8787" }],
  ["http://127.8.9.10/api/who", {}],
  ["http://[::1]:8787/api/who", { host: "[::1]:8787" }],
  ["http://ledge.localhost/api/who", { host: "LEDGE.localhost" }],
  ["http://localhost/api/who", { origin: "http://localhost:5173", "sec-fetch-site": "same-site" }],
  ["http://localhost/api/who", { origin: "http://127.0.0.1:3000" }],
  ["http://localhost/api/who", { "sec-fetch-site": "none" }],
  ["http://localhost/api/who", { "sec-fetch-site": "same-origin" }],
  ["http://localhost/api/who", { authorization: "Bearer whatever" }],
])("anonymous at %s with %j is the default account", async (url, headers) => {
  const answer = await who({ url, headers, env: LOCAL });
  expect(answer).toMatchObject({ status: 200, text: await accountId("default") });
});

test.each<[string, Record<string, string>]>([
  ["https://ledge.example.workers.dev/api/who", {}],
  ["http://192.168.1.5:8787/api/who", {}],
  ["http://0.0.0.0:8787/api/who", {}],
  ["http://localhost.evil.example/api/who", {}],
  ["http://127.0.0.1.evil.example/api/who", {}],
  // A name that an attacker's DNS points at this machine.
  ["http://localhost/api/who", { host: "evil.example" }],
  ["http://evil.example/api/who", { host: "localhost" }],
  ["http://localhost/api/who", { host: "" }],
])("anonymous at %s with %j is refused", async (url, headers) => {
  const answer = await who({ url, headers, env: LOCAL });
  expect(answer.status).toBe(503);
  expect(JSON.parse(answer.text)).toMatchObject({ error: { code: "no_api_key" } });
});

test.each<[string, Record<string, string>]>([
  // What a browser sends of itself for a cross-origin POST without preflight.
  ["POST", { origin: "https://evil.example", "content-type": "text/plain" }],
  ["POST", { origin: "https://evil.example", "sec-fetch-site": "cross-site" }],
  ["POST", { origin: "null", "content-type": "text/plain" }],
  ["POST", { origin: "http://localhost.evil.example" }],
  ["POST", { origin: "http://192.168.1.5" }],
  ["GET", { origin: "https://evil.example" }],
  // An image or a script of a foreign page.
  ["GET", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }],
])("a page of another site is refused: %s with %j", async (method, headers) => {
  const answer = await who({ method, headers, env: LOCAL });
  expect(answer.status).toBe(503);
  expect(JSON.parse(answer.text).detail).toContain("other sites' pages");
});

test("no answer repeats a key", async () => {
  const wrong = await who({ headers: { "x-api-key": "leaky-key" }, env: KEYS });
  const right = await who({ headers: { "x-api-key": "a-key" }, env: KEYS });
  for (const { text, headers } of [wrong, right]) {
    const all = text + JSON.stringify([...headers]);
    for (const secret of ["leaky-key", "a-key", "b-key", "cc-key"])
      expect(all).not.toContain(secret);
  }
});
