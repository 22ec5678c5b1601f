/** Budgets of managed keys as clients set, reach, raise and see them. */
import { expect, test } from "vitest";
import type { JsonObject } from "../../../src/shared/content.ts";
import { text } from "../../../src/standin/replies.ts";
import { type MadeKey, newAccount, newKey } from "./keys-support.ts";
import { get, post, send, standin, withStandin } from "./server.ts";

withStandin();

const json = async (response: Promise<Response>): Promise<JsonObject> => (await response).json();

/** The path of a session that the key has made. */
async function sessionOf(key: MadeKey): Promise<string> {
  const { id } = await json(post("/api/sessions", {}, key.headers));
  return `/api/sessions/${id}`;
}

const turn = (key: MadeKey, path: string, input: string): Promise<JsonObject> =>
  json(post(`${path}/turns`, { input }, key.headers));

/** The key once its account has heard of something that it has paid. */
async function paying(key: MadeKey, path: string): Promise<JsonObject> {
  for (;;) {
    const shown = await json(get(path, key.headers));
    // As the API shows it.
    if ((shown.spent as { day_usd: number }).day_usd > 0) return shown;
  }
}

test("a key's budget is reached, shown and raised, and the same message goes on", async () => {
  const account = newAccount();
  const key = await newKey({ account, budgets: { day_usd: 0, total_usd: 7 } });
  const path = await sessionOf(key);
  const ended = await turn(key, path, "hi");
  expect(ended).toMatchObject({
    outcome: "budget_reached",
    finish_reason: "stop",
    code: "key_day_budget",
    message: expect.stringContaining(`PATCH /api/keys/${key.id}`),
    cost_usd: 0,
  });
  const nothing = { day_usd: 0, month_usd: 0, total_usd: 0 };
  expect(await json(get(key.location))).toMatchObject({ spent: nothing });
  const raised = await json(send("PATCH", key.location, { budgets: { day_usd: 5 } }));
  expect(raised.budgets).toEqual({ day_usd: 5, month_usd: null, total_usd: 7 });
  standin.script(text("Hello."));
  const went = await turn(key, path, "hi");
  expect(went).toMatchObject({ outcome: "completed", cost_usd: expect.any(Number) });
  const cost = went.cost_usd;
  const admin = await newKey({ account, scopes: ["read", "admin"] });
  const shown = await paying(admin, `/api/keys/${key.id}`);
  expect(shown.spent).toEqual({ day_usd: cost, month_usd: cost, total_usd: cost });
  // Of another key nothing was spent.
  expect(await json(get(`/api/keys/${admin.id}`, admin.headers))).toMatchObject({ spent: nothing });
});

test("usage by key, of one key, and where its budgets stand", async () => {
  const account = newAccount();
  const one = await newKey({ account, scopes: ["read", "run", "admin"], budgets: { day_usd: 9 } });
  const two = await newKey({ account });
  const path = await sessionOf(one);
  standin.script(text("One."), text("Two."));
  const first = await turn(one, path, "one");
  const second = await turn(two, path, "two");
  await paying(one, `/api/keys/${two.id}`);
  const byKey = await json(get("/api/usage?group=key", one.headers));
  expect(byKey).toMatchObject({ group: "key", has_more: false, totals: { calls: 2, turns: 2 } });
  expect(byKey.data).toMatchObject([
    { key_id: one.id, calls: 1, turns: 1, cost_usd: first.cost_usd },
    { key_id: two.id, calls: 1, turns: 1, cost_usd: second.cost_usd },
  ]);
  const page = await json(get("/api/usage?group=key&limit=1", one.headers));
  expect(page).toMatchObject({ data: [{ key_id: one.id }], next_cursor: one.id, has_more: true });
  const rest = await json(get(`/api/usage?group=key&cursor=${one.id}`, one.headers));
  expect(rest).toMatchObject({ data: [{ key_id: two.id }], has_more: false });
  for (const group of ["day", "model", "session", "key"]) {
    const own = await json(get(`/api/usage?group=${group}&key=${one.id}`, one.headers));
    expect(own).toMatchObject({ data: [{ calls: 1, cost_usd: first.cost_usd }] });
    expect(own.totals).toMatchObject({ calls: 1, cost_usd: first.cost_usd });
    expect(own.budgets).toMatchObject({
      day: { limit_usd: 9, spent_usd: first.cost_usd },
      month: { limit_usd: null, spent_usd: first.cost_usd },
    });
  }
});

test("what keys of the configuration have used is one row without an id", async () => {
  const { id } = await json(post("/api/sessions", {}));
  standin.script(text("One."));
  await json(post(`/api/sessions/${id}/turns`, { input: "one" }));
  for (;;) {
    const usage = await json(get("/api/usage?group=key&limit=1"));
    const [row] = usage.data as JsonObject[];
    if (!row) continue;
    expect(row).toMatchObject({ key_id: null });
    break;
  }
  const behind = await json(get("/api/usage?group=key&cursor=none"));
  expect(behind).toMatchObject({ data: [], has_more: false });
});

test.each([
  ["?key=me", "query -> key"],
  ["?key=key_1", "query -> key"],
  ["?group=key&cursor=01K", "query -> cursor"],
])("%s is refused, and %s named", async (query, field) => {
  const response = await get(`/api/usage${query}`);
  expect(response.status).toBe(422);
  expect((await response.json<{ errors: { field: string }[] }>()).errors[0]?.field).toBe(field);
});

test("of a foreign key nobody learns anything", async () => {
  const key = await newKey({ account: newAccount() });
  const stranger = await newKey({ account: newAccount(), scopes: ["read", "admin"] });
  expect((await get(`/api/keys/${key.id}`, stranger.headers)).status).toBe(404);
  const usage = await json(get(`/api/usage?key=${key.id}`, stranger.headers));
  expect(usage).toMatchObject({
    data: [],
    totals: { calls: 0 },
    budgets: { day: { limit_usd: null } },
  });
});
