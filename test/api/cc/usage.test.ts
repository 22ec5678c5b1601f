/** `GET /api/usage`, and budgets as clients set and see them. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { type AccountClient, accountOf } from "../../../src/account/client.ts";
import { accountId } from "../../../src/http/auth.ts";
import { DEFAULT_ACCOUNT } from "../../../src/shared/config-readers.ts";
import type { JsonObject } from "../../../src/shared/content.ts";
import { NO_USAGE } from "../../../src/shared/usage.ts";
import { text } from "../../../src/standin/replies.ts";
import { get, idOf, newSession, post, send, serverWith, standin, withStandin } from "./server.ts";

withStandin();

const json = async (response: Promise<Response>): Promise<JsonObject> => (await response).json();

const today = (): string => new Date().toISOString().slice(0, 10);

/** The usage once the account has heard of so many calls. */
async function usageOf(query: string, calls: number): Promise<JsonObject> {
  for (;;) {
    const usage = await json(get(`/api/usage${query}`));
    // As the API shows it.
    const totals = usage.totals as { calls: number };
    if (totals.calls >= calls) return usage;
  }
}

test("usage by day, by model and by session, with what it cost", async () => {
  const path = await newSession();
  standin.script(text("Hello."), text("Again."));
  const first = await json(post(`${path}/turns`, { input: "hi" }));
  const second = await json(post(`${path}/turns`, { input: "again" }));
  const cost = Number(first.cost_usd) + Number(second.cost_usd);
  const byDay = await usageOf("", 2);
  expect(byDay).toMatchObject({ group: "day", to: today(), has_more: false, next_cursor: null });
  const figures = {
    turns: 2,
    calls: 2,
    tokens: { output: expect.any(Number), cache_write_5m: expect.any(Number) },
    searches: 0,
    cost_usd: expect.closeTo(cost, 8),
    estimated_usd: 0,
    unpriced: false,
    unpriced_calls: 0,
  };
  expect(byDay.data).toMatchObject([{ day: today(), ...figures }]);
  expect(byDay.totals).toMatchObject(figures);
  expect(byDay.budgets).toEqual({
    day: expect.objectContaining({ limit_usd: null, remaining_usd: null, leased_usd: 0 }),
    month: expect.objectContaining({ limit_usd: null }),
    total: expect.objectContaining({ limit_usd: null, renews_at: null }),
  });
  const byModel = await json(get("/api/usage?group=model"));
  expect(byModel.data).toMatchObject([{ model: "claude-sonnet-5-5", ...figures }]);
  const bySession = await json(get("/api/usage?group=session"));
  expect(bySession.data).toMatchObject([
    { session_id: path.replace("/api/sessions/", ""), ...figures },
  ]);
  // Deleting refunds nothing.
  await send("DELETE", path);
  expect((await json(get("/api/usage?group=session"))).data).toMatchObject([figures]);
});

test("a model without a price is counted in tokens, and never free", async () => {
  const usage = { ...NO_USAGE, input_tokens: 5, output_tokens: 7 };
  const day = Math.floor(Date.now() / 86_400_000);
  const figures = { day, seq: 2, calls: 1, turns: 1, usage, estimated_usd: 0 };
  const account = accountOf(env, await accountId(DEFAULT_ACCOUNT));
  const path = await newSession();
  await account.remove(idOf(path).replace("sess_", ""), "01HD", await listed(account), [
    { ...figures, model: "priced-and-not", cost_usd: 0.5, unpriced_calls: 0 },
    { ...figures, model: "unheard-of", cost_usd: 0, unpriced_calls: 1 },
  ]);
  const { data, totals } = await usageOf("?group=model", 4);
  expect(data).toMatchObject([
    { model: "claude-sonnet-5-5", unpriced: false },
    { model: "priced-and-not", cost_usd: 0.5, unpriced: false },
    {
      model: "unheard-of",
      cost_usd: null,
      unpriced: true,
      unpriced_calls: 1,
      tokens: { fresh: 5 },
    },
  ]);
  // What is known of the cost, and that it is not all.
  expect(totals).toMatchObject({ cost_usd: expect.any(Number), unpriced: true });
});

/** What the account has of the newest session. */
async function listed(account: AccountClient) {
  const { sessions } = await account.list({ limit: 1, cursor: null });
  const [newest] = sessions;
  if (!newest) throw new Error("there is no session");
  return newest;
}

test.each([
  ["?group=week", "query -> group"],
  ["?from=yesterday", "query -> from"],
  ["?to=2026-02-30", "query -> to"],
  ["?from=2026-02-02&to=2026-02-01", "query -> from"],
  ["?group=day&cursor=sess_1", "query -> cursor"],
  ["?limit=0", "query -> limit"],
])("%s is refused, and %s named", async (query, field) => {
  const response = await get(`/api/usage${query}`);
  expect(response.status).toBe(422);
  expect((await response.json<{ errors: { field: string }[] }>()).errors[0]?.field).toBe(field);
});

test("a session's budget is set, shown, reached, raised and taken away", async () => {
  const path = await newSession({ max_budget_usd: 0 });
  expect(await json(get(path))).toMatchObject({ max_budget_usd: 0, spent_usd: 0 });
  const turn = await json(post(`${path}/turns`, { input: "hi" }));
  expect(turn).toMatchObject({
    outcome: "budget_reached",
    finish_reason: "stop",
    code: "session_budget",
    message: expect.stringContaining("PATCH"),
    cost_usd: 0,
    output_text: "",
  });
  expect(await json(send("PATCH", path, { max_budget_usd: 2 }))).toMatchObject({
    max_budget_usd: 2,
  });
  standin.script(text("Hello."), text("Hello again."));
  const again = await json(post(`${path}/turns`, { input: "hi" }));
  expect(again).toMatchObject({ outcome: "completed" });
  expect(again).not.toHaveProperty("code");
  expect(await json(get(path))).toMatchObject({ spent_usd: again.cost_usd });
  expect(await json(send("PATCH", path, { max_budget_usd: null }))).toMatchObject({
    max_budget_usd: null,
  });
  expect(await json(post(`${path}/turns`, { input: "more" }))).toMatchObject({
    outcome: "completed",
  });
});

test("a turn's budget is its own, or else the configured one", async () => {
  const path = await newSession();
  const limited = serverWith({ CLAUDE_MAX_COST_PER_REQUEST: "0" });
  const turn = (body: JsonObject) => json(limited("POST", `${path}/turns`, body));
  expect(await turn({ input: "one" })).toMatchObject({
    outcome: "budget_reached",
    code: "turn_budget",
  });
  standin.script(text("Hello."));
  expect(await turn({ input: "two", max_budget_usd: 1 })).toMatchObject({ outcome: "completed" });
});

test.each([[-1], ["5"], [Number.MAX_VALUE]])(
  "a budget of %j is refused",
  async (max_budget_usd) => {
    const path = await newSession();
    for (const response of [
      await post("/api/sessions", { max_budget_usd }),
      await send("PATCH", path, { max_budget_usd }),
      await post(`${path}/turns`, { input: "hi", max_budget_usd }),
    ]) {
      expect(response.status).toBe(422);
      expect(await response.text()).toContain("max_budget_usd");
    }
  },
);
