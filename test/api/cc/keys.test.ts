/** Managed keys through HTTP: made, listed, read, changed, revoked, and what each opens. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test } from "vitest";
import { accountId } from "../../../src/http/auth.ts";
import { BELIEVED_MS } from "../../../src/http/caller.ts";
import type { JsonObject } from "../../../src/shared/content.ts";
import { FAR_FUTURE, FakeClock } from "../../support/fake-clock.ts";
import { accountNamed, counted, newAccount, newKey } from "./keys-support.ts";
import { get, post, send, serverWith, withStandin } from "./server.ts";

withStandin();

let clock: FakeClock | undefined;
afterEach(() => {
  clock?.restore();
  clock = undefined;
});

const patch = (path: string, body: unknown, headers?: Record<string, string>) =>
  send("PATCH", path, body, headers);

/** Whether a key opens its account. */
const opens = async (headers: Record<string, string>): Promise<number> =>
  (await get("/api/sessions", headers)).status;

const codeOf = async (response: Response): Promise<[number, string]> => {
  const { error } = await response.json<{ error: { code: string } }>();
  return [response.status, error.code];
};

test("a key is shown once, and opens its account and no other", async () => {
  const account = newAccount();
  const { text, headers, body, location } = await newKey({ name: "Ben's phone", account });
  expect(body).toEqual({
    id: expect.stringMatching(/^key_[0-9A-Z]{26}$/),
    object: "api_key",
    key: expect.stringMatching(/^lk_[0-9a-f]{16}_[0-9A-Z]{26}[0-9a-f]{40}$/),
    name: "Ben's phone",
    account,
    scopes: ["read", "run"],
    last_four: text.slice(-4),
    status: "active",
    rate_limit: null,
    budgets: { day_usd: null, month_usd: null, total_usd: null },
    created_at: expect.any(String),
    expires_at: null,
    revoked_at: null,
  });
  const { key: _, ...shown } = body;
  for (const path of [location, `/api/keys?account=${account}`]) {
    const answer = await (await get(path)).text();
    expect(answer).not.toContain(text);
    expect(answer).not.toContain(text.slice(-40));
    const spent = { day_usd: 0, month_usd: 0, total_usd: 0 };
    expect([
      { ...shown, spent },
      { data: [shown], has_more: false, next_cursor: null },
    ]).toContainEqual(JSON.parse(answer));
  }
  const mine = await post("/api/sessions", { title: "Ben's" }, headers);
  const { id: session } = await mine.json<{ id: string }>();
  expect((await get(`/api/sessions/${session}`, { "x-api-key": text })).status).toBe(200);
  expect((await get(`/api/sessions/${session}`)).status).toBe(404);
});

test("only a digest of a key is stored", async () => {
  const account = newAccount();
  const { text } = await newKey({ account });
  const object = env.ACCOUNT.getByName(await accountId(account));
  const stored = await runInDurableObject(object, (_, { storage }) => {
    const names = storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'",
      )
      .toArray();
    return JSON.stringify(
      names.map(({ name }) => storage.sql.exec(`SELECT * FROM "${name}"`).toArray()),
    );
  });
  expect(stored).toContain("digest");
  expect(stored).not.toContain(text.slice(-40, -4));
});

test("what a key is given is what is shown", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const asked = {
    scopes: ["admin", "read", "read"],
    rate_limit: { requests: 30, window_seconds: 60 },
    budgets: { day_usd: 5, total_usd: 0 },
    expires_in_seconds: 3600,
  };
  const { body } = await newKey({ account: newAccount(), ...asked });
  expect(body).toMatchObject({
    scopes: ["read", "admin"],
    rate_limit: { requests: 30, window_seconds: 60 },
    budgets: { day_usd: 5, month_usd: null, total_usd: 0 },
    created_at: "2099-01-01T00:00:00.000Z",
    expires_at: "2099-01-01T01:00:00.000Z",
  });
});

test("a change says what it changes, and null takes away", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const account = newAccount();
  const budgets = { day_usd: 1, month_usd: 2 };
  const rate_limit = { requests: 1, window_seconds: 1 };
  const { id } = await newKey({ account, budgets, rate_limit, expires_at: "2099-06-01T00:00:00Z" });
  const path = `/api/keys/${id}?account=${account}`;
  const changed = async (body: JsonObject) => (await patch(path, body)).json<JsonObject>();
  expect(await changed({ name: "New", budgets: { day_usd: null, total_usd: 9 } })).toMatchObject({
    name: "New",
    budgets: { day_usd: null, month_usd: 2, total_usd: 9 },
    rate_limit,
    expires_at: "2099-06-01T00:00:00.000Z",
  });
  expect(await changed({ scopes: ["read"], rate_limit: null, expires_at: null })).toMatchObject({
    scopes: ["read"],
    rate_limit: null,
    expires_at: null,
    budgets: { month_usd: 2 },
  });
  expect(await changed({ budgets: null, expires_in_seconds: 60 })).toMatchObject({
    budgets: { day_usd: null, month_usd: null, total_usd: null },
    expires_at: "2099-01-01T00:01:00.000Z",
  });
  expect(await (await get(path)).json()).toMatchObject(await changed({}));
});

test.each<[string, unknown, string, string]>([
  ["no body", {}, "body -> name", "missing"],
  ["an empty name", { name: "" }, "body -> name", "string_too_short"],
  ["a long name", { name: "x".repeat(101) }, "body -> name", "string_too_long"],
  ["an unknown scope", { name: "x", scopes: ["write"] }, "body -> scopes -> 0", "literal_error"],
  ["no scope", { name: "x", scopes: [] }, "body -> scopes", "too_short"],
  ["a typing error", { name: "x", expires_in: 60 }, "body -> expires_in", "extra_forbidden"],
  [
    "a limit of nothing",
    { name: "x", rate_limit: { requests: 0, window_seconds: 60 } },
    "body -> rate_limit -> requests",
    "greater_than_equal",
  ],
  [
    "a limit that is too large",
    { name: "x", rate_limit: { requests: 10_001, window_seconds: 60 } },
    "body -> rate_limit -> requests",
    "less_than_equal",
  ],
  [
    "half a limit",
    { name: "x", rate_limit: { requests: 1 } },
    "body -> rate_limit -> window_seconds",
    "missing",
  ],
  [
    "a debt",
    { name: "x", budgets: { day_usd: -1 } },
    "body -> budgets -> day_usd",
    "greater_than_equal",
  ],
  [
    "a wrong budget",
    { name: "x", budgets: { week_usd: 1 } },
    "body -> budgets -> week_usd",
    "extra_forbidden",
  ],
  ["a day", { name: "x", expires_at: "2099-01-01" }, "body -> expires_at", "datetime_parsing"],
  [
    "no such day",
    { name: "x", expires_at: "2099-02-30T00:00:00Z" },
    "body -> expires_at",
    "datetime_parsing",
  ],
  [
    "the past",
    { name: "x", expires_at: "2020-01-01T00:00:00Z" },
    "body -> expires_at",
    "datetime_future",
  ],
  [
    "no time",
    { name: "x", expires_in_seconds: 0 },
    "body -> expires_in_seconds",
    "greater_than_equal",
  ],
  [
    "two times",
    { name: "x", expires_in_seconds: 9, expires_at: "2099-01-01T00:00:00Z" },
    "body -> expires_in_seconds",
    "conflict",
  ],
  [
    "no account's name",
    { name: "x", account: "a b" },
    "body -> account",
    "string_pattern_mismatch",
  ],
])("%s is refused, and nothing is made", async (_, body, field, type) => {
  const before = await (await get("/api/keys?limit=100")).json();
  const response = await post("/api/keys", body);
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ errors: [{ field, type }] });
  expect(await (await get("/api/keys?limit=100")).json()).toEqual(before);
});

test("the list is paged, newest first", async () => {
  const account = newAccount();
  const made = [];
  for (const name of ["one", "two", "three"]) made.push((await newKey({ account, name })).id);
  const page = async (query: string) =>
    (await get(`/api/keys?account=${account}&${query}`)).json<{
      data: { id: string }[];
      has_more: boolean;
      next_cursor: string | null;
    }>();
  const first = await page("limit=2");
  const second = await page(`limit=2&cursor=${first.next_cursor}`);
  expect([...first.data, ...second.data].map(({ id }) => id).toSorted()).toEqual(made.toSorted());
  expect([first.has_more, first.data.length]).toEqual([true, 2]);
  expect([second.has_more, second.next_cursor]).toEqual([false, null]);
  expect((await get(`/api/keys?account=${account}&cursor=x`)).status).toBe(422);
});

test("the key of an account manages that account's keys only; the owner's, all", async () => {
  const [mine, other] = [newAccount(), newAccount()];
  const admin = await newKey({ account: mine, scopes: ["admin"] });
  const foreign = await newKey({ account: other });
  const ask = (method: string, path: string, body?: unknown) =>
    send(method, path, body, admin.headers);
  for (const [method, body] of [["GET"], ["PATCH", { name: "x" }], ["DELETE"]] as const) {
    const hidden = await ask(method, `/api/keys/${foreign.id}`, body);
    expect([method, ...(await codeOf(hidden))]).toEqual([method, 404, "not_found"]);
    const named = await ask(method, `/api/keys/${foreign.id}?account=${other}`, body);
    expect([method, ...(await codeOf(named))]).toEqual([method, 403, "foreign_account"]);
  }
  expect((await ask("GET", `/api/keys?account=${other}`)).status).toBe(403);
  expect((await ask("POST", "/api/keys", { name: "x", account: other })).status).toBe(403);
  const own = await ask("POST", "/api/keys", { name: "x", account: mine });
  expect([own.status, (await own.json<JsonObject>()).account]).toEqual([201, mine]);
  const list = await (await ask("GET", "/api/keys")).json<{ data: JsonObject[] }>();
  expect(list.data.map(({ account }) => account)).toEqual([mine, mine]);
  expect(await opens(foreign.headers)).toBe(200);
  // A managed key of the owner's account is the owner's.
  const owner = await newKey({ scopes: ["admin"] });
  const revoked = await send(
    "DELETE",
    `/api/keys/${foreign.id}?account=${other}`,
    undefined,
    owner.headers,
  );
  expect(revoked.status).toBe(200);
});

test("the owner's list says for which accounts there are keys, and nobody else's does", async () => {
  const account = newAccount();
  const { headers } = await newKey({ account, scopes: ["admin"] });
  const list = await (await get("/api/keys?limit=1")).json<{ accounts: string[] }>();
  expect(list.accounts).toContain(account);
  expect(list.accounts).not.toContain("default");
  expect(await (await get("/api/keys", headers)).json()).not.toHaveProperty("accounts");
});

test("a revoked key stays in the list, opens nothing, and is not changed any more", async () => {
  const account = newAccount();
  const { id, headers } = await newKey({ account });
  expect(await opens(headers)).toBe(200);
  const path = `/api/keys/${id}?account=${account}`;
  const revoked = await (await send("DELETE", path)).json<JsonObject>();
  expect(revoked).toMatchObject({ id, status: "revoked", revoked_at: expect.any(String) });
  expect(await (await send("DELETE", path)).json()).toEqual(revoked);
  expect(await (await get(path)).json()).toMatchObject(revoked);
  expect(await codeOf(await get("/api/sessions", headers))).toEqual([401, "key_revoked"]);
  expect(await codeOf(await patch(path, { expires_at: null }))).toEqual([409, "key_revoked"]);
});

test("a key that is revoked elsewhere stops within half a minute", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const account = newAccount();
  const { ulid, headers } = await newKey({ account });
  expect(await opens(headers)).toBe(200);
  await (await accountNamed(account)).revokeKey(ulid);
  clock.advance(BELIEVED_MS - 1);
  expect(await opens(headers)).toBe(200);
  clock.advance(1);
  expect(await opens(headers)).toBe(401);
  expect(BELIEVED_MS).toBeLessThanOrEqual(30_000);
});

test("an expired key stops at its time, also where it is remembered, and can be extended", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const account = newAccount();
  const { id, headers } = await newKey({ account, expires_in_seconds: 10 });
  clock.advance(9_999);
  expect(await opens(headers)).toBe(200);
  clock.advance(1);
  expect(await codeOf(await get("/api/sessions", headers))).toEqual([401, "key_expired"]);
  const path = `/api/keys/${id}?account=${account}`;
  expect(await (await get(path)).json()).toMatchObject({ status: "expired" });
  expect(await (await patch(path, { expires_in_seconds: 60 })).json()).toMatchObject({
    status: "active",
  });
  expect(await opens(headers)).toBe(200);
});

test("what is remembered of a key costs no call, and a text of the wrong form never does", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const { bindings, calls } = counted();
  const server = serverWith(bindings);
  const { text } = await newKey({ account: newAccount() });
  const ask = async (key: string) =>
    (await server("GET", "/api/models", undefined, { "x-api-key": key })).status;
  const unknown = `${text.slice(0, 20)}01J0000000000000000000000A${text.slice(-40)}`;
  for (const [key, status] of [
    [text, 200],
    // The right key's id with another secret is compared with what is known of that.
    [text.replace(/.$/, (last) => (last === "0" ? "1" : "0")), 401],
    [unknown, 401],
  ] as const) {
    for (let n = 0; n < 3; n++) expect([key, await ask(key)]).toEqual([key, status]);
  }
  expect(calls).toEqual(["managedKey", "managedKey"]);
  for (const key of ["lk_", `${text}0`, text.slice(0, -1), text.toUpperCase(), "other"]) {
    expect([key, await ask(key)]).toEqual([key, key === "other" ? 200 : 401]);
  }
  expect(calls).toHaveLength(2);
  clock.advance(BELIEVED_MS);
  expect([await ask(text), await ask(unknown)]).toEqual([200, 401]);
  expect(calls).toHaveLength(4);
});

test("a key of an account that never was creates nothing", async () => {
  const account = await accountId(newAccount());
  const key = `lk_${account.replace("acct_", "")}_01J0000000000000000000000A${"0".repeat(40)}`;
  expect(await opens({ "x-api-key": key })).toBe(401);
  const tables = await runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage }) =>
    storage.sql
      .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'")
      .toArray(),
  );
  expect(tables).toEqual([]);
});

test("who makes up keys does not make a Worker forget those that are there", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const { bindings, calls } = counted();
  const server = serverWith(bindings);
  const { text } = await newKey({ account: newAccount() });
  const ask = (key: string, asked = server) =>
    asked("GET", "/api/models", undefined, { "x-api-key": key });
  await ask(text);
  const nobody = serverWith({ ACCOUNT: { getByName: () => ({ managedKey: () => null }) } });
  for (let n = 0; n < 1_100; n++) {
    const id = `01J${String(n).padStart(23, "0")}`;
    await ask(`${text.slice(0, 20)}${id}${"0".repeat(40)}`, nobody);
  }
  const before = calls.length;
  expect((await ask(text)).status).toBe(200);
  expect(calls).toHaveLength(before);
});

test("a server without configured keys serves managed ones, from anywhere", async () => {
  const server = serverWith({ ALLOW_ANONYMOUS: "false" });
  const { text } = await newKey({ account: newAccount(), scopes: ["read"] });
  expect((await server("GET", "/api/models")).status).toBe(503);
  expect((await server("GET", "/api/models", undefined, { "x-api-key": text })).status).toBe(200);
  // A bad one is not made up for by the machine that it comes from.
  expect(await opens({ "x-api-key": `${text}0` })).toBe(401);
});

test("a create that is sent again makes no second key, and never shows the first again", async () => {
  const account = newAccount();
  const body = { name: "once", account };
  const key = { "idempotency-key": crypto.randomUUID() };
  const first = await (await post("/api/keys", body, key)).json<{ id: string; key: string }>();
  const again = await post("/api/keys", body, key);
  expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([409, "true"]);
  const told = await again.text();
  expect(JSON.parse(told)).toMatchObject({ id: first.id, error: { code: "key_shown_once" } });
  expect(told).not.toContain(first.key);
  const other = await post("/api/keys", { ...body, name: "other" }, key);
  expect(await codeOf(other)).toEqual([409, "idempotency_key_conflict"]);
  const list = await (await get(`/api/keys?account=${account}`)).json<{ data: JsonObject[] }>();
  expect(list.data.map(({ id }) => id)).toEqual([first.id]);
});

test("a change that is sent again does not undo what came after it", async () => {
  const account = newAccount();
  const { id } = await newKey({ account, name: "one" });
  const path = `/api/keys/${id}?account=${account}`;
  const key = { "idempotency-key": crypto.randomUUID() };
  await patch(path, { name: "two" }, key);
  await patch(path, { name: "three" });
  const again = await patch(path, { name: "two" }, key);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await again.json()).toMatchObject({ name: "three" });
  expect(await codeOf(await patch(path, { name: "four" }, key))).toEqual([
    409,
    "idempotency_key_conflict",
  ]);
});
