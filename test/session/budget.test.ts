/** What a turn, a session and an account may cost: before each call, and at the end of each turn. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { clock as shared } from "../../src/shared/clock.ts";
import type { Row } from "../../src/shared/rows.ts";
import { compaction, cutAt, httpError, reply, text, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { home } from "../support/home.ts";
import {
  accepted,
  held,
  reached,
  runAlarm,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();

/** What 1,000 tokens of Sonnet 5.5 cost as an answer, in US dollars. */
const ANSWER_USD = 0.01;
const words = (count: number): string => "word ".repeat(count);

const limits = (max_budget_usd: number) => ({ limits: { plain: 8, tools: 4, max_budget_usd } });

const setBudget = async (session: TestSession, max_budget_usd: number | null): Promise<void> => {
  accepted(await session.submit({ kind: "update", config: { max_budget_usd } }));
};

const maxTokens = (i: number): number =>
  // The stand-in has checked its form.
  Number((sessions.requests[i]?.body as { max_tokens: number } | undefined)?.max_tokens);

const spentBy = async (session: TestSession): Promise<number> =>
  (await session.stub.describe())?.session.spent_usd ?? Number.NaN;

describe("a turn's budget", () => {
  test("buys an answer of so many tokens, and the turn ends where that is cut", async () => {
    const session = await sessions.create();
    sessions.script(text(words(4_000)));
    const outcome = await session.turn("Write a lot.", limits(ANSWER_USD));
    expect(outcome).toMatchObject({ outcome: "budget_reached", code: "turn_budget", pending: [] });
    expect(maxTokens(0)).toBeGreaterThan(900);
    expect(maxTokens(0)).toBeLessThan(1_000);
    expect(outcome.totals.cost_usd).toBeGreaterThan(0.9 * ANSWER_USD);
    expect(outcome.totals.cost_usd).toBeLessThanOrEqual(ANSWER_USD);
    const completed = session.reader.frames.find(({ event }) => event === "turn.completed");
    expect(JSON.parse(completed?.data ?? "").data).toMatchObject({
      outcome: "budget_reached",
      finish_reason: "stop",
      code: "turn_budget",
      message: expect.stringContaining("$0.01"),
      cost_usd: outcome.totals.cost_usd,
      output_text: expect.stringContaining("word word"),
    });
  });

  test("leaves the context as it is, so the next turn goes on", async () => {
    const session = await sessions.create();
    sessions.script(text(words(4_000)), text("And so on."));
    await session.turn("Write a lot.", limits(ANSWER_USD));
    const outcome = await session.turn("Go on.", limits(1));
    expect(outcome).toMatchObject({ outcome: "completed" });
    expect(sessions.messages(1).map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
  });

  test("of nothing spends nothing, and the same message runs when there is more", async () => {
    const session = await sessions.create();
    sessions.script(text("Hello."));
    const hash = "the same";
    const none = await session.turn("Hi", { ...limits(0), hash });
    expect(none).toMatchObject({ outcome: "budget_reached", code: "turn_budget" });
    expect(none.totals).toMatchObject({ calls: 0, cost_usd: 0 });
    expect(sessions.requests).toHaveLength(0);
    expect(await session.turn("Hi", { ...limits(1), hash })).toMatchObject({
      outcome: "completed",
    });
    expect(sessions.messages(0)).toHaveLength(1);
    expect(sessions.asked(0)).toHaveLength(1);
  });

  test("holds over all calls of the turn, and open calls are settled", async () => {
    const session = await sessions.create({ tools: toolset("a") });
    sessions.script([text(words(400)), toolUse("a", {})], [text(words(400)), toolUse("a", {})]);
    await session.turn("go", limits(0.015));
    const [first = ""] = await session.pending();
    // What is absent is as in the turn.
    const again = await session.outcome(await session.results({ [first]: "one" }));
    expect(again.outcome).toBe("requires_action");
    const [second = ""] = await session.pending();

    const end = await session.outcome(await session.results({ [second]: "two" }));
    expect(end).toMatchObject({ outcome: "budget_reached", code: "turn_budget" });
    expect(await spentBy(session)).toBeLessThanOrEqual(0.015);
    expect(maxTokens(1)).toBeLessThan(1_000);
    expect((await session.stub.describe())?.session.status).toBe("idle");
  });

  test("counts an attempt that failed after it had cost something", async () => {
    const clock = new FakeClock(FAR_FUTURE);
    try {
      const session = await sessions.create();
      const broken = reply({
        blocks: [text(words(621), { deltas: [words(620), "word "] })],
        acts: [cutAt({ block: 0, delta: 1 }, "end")],
      });
      sessions.script(broken);
      const sent = await session.send("go", limits(ANSWER_USD));
      const failed = await session.reader.row("failure");
      clock.advance((failed.body.retry?.at ?? 0) - clock.now);
      await runAlarm(session);
      const outcome = await session.outcome(sent);
      expect(outcome).toMatchObject({ outcome: "budget_reached", totals: { estimated: true } });
      expect(outcome.totals.cost_usd).toBeLessThanOrEqual(ANSWER_USD);
    } finally {
      clock.restore();
    }
  });

  test("cannot be kept for a model without a price, so nothing is spent", async () => {
    const session = await sessions.create({ model: "claude-unheard-of" });
    const outcome = await session.turn("hi", limits(5));
    expect(outcome).toMatchObject({ outcome: "budget_reached", code: "unpriced_model" });
    expect(outcome.message).toContain("MODEL_PRICES");
    expect(sessions.requests).toHaveLength(0);
  });
});

describe("a session's budget", () => {
  test("holds over its turns, and is raised and taken away", async () => {
    const session = await sessions.create();
    await setBudget(session, 2 * ANSWER_USD);
    sessions.script(text(words(500)), text(words(4_000)), text("More."), text("Most."));
    expect(await session.turn("one")).toMatchObject({ outcome: "completed" });
    const two = await session.turn("two");
    expect(two).toMatchObject({ outcome: "budget_reached", code: "session_budget" });
    expect(maxTokens(1)).toBeLessThan(1_400);
    expect(await spentBy(session)).toBeLessThanOrEqual(2 * ANSWER_USD);
    const three = await session.turn("three");
    expect(three).toMatchObject({ outcome: "budget_reached", totals: { calls: 0 } });
    expect(three.message).toContain("PATCH");
    await setBudget(session, 1);
    expect(await session.turn("four")).toMatchObject({ outcome: "completed" });
    await setBudget(session, null);
    expect(await session.turn("five")).toMatchObject({ outcome: "completed" });
    expect(maxTokens(3)).toBe(128_000);
  });

  test("raised while an answer runs that it has cut, lets it be continued", async () => {
    const session = await sessions.create();
    await setBudget(session, ANSWER_USD);
    const cut = held(6, [text(words(4_000))]);
    sessions.script(cut.reply, text("the end."));
    const sent = await session.send("Write.");
    await reached(cut.gate);
    await setBudget(session, 1);
    await session.open(cut.gate);
    expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
    expect(maxTokens(1)).toBeGreaterThan(10_000);
  });
});

describe("a compaction", () => {
  const compact = async (session: TestSession) => {
    const { s } = accepted(
      await session.submit({ kind: "compact", keep: null, instructions: null }),
    );
    const isEnd = (row: Row) =>
      (row.type === "context.compacted" || row.type === "compaction.ended") &&
      row.body.request === s;
    await session.reader.until(() => session.reader.rows.some(isEnd));
    return session.reader.rows.find(isEnd);
  };

  test("is not made where the budget has no room for a summary, and the session goes on", async () => {
    const session = await sessions.create();
    sessions.script(text("One."), text("Two."));
    await session.turn("one");
    await setBudget(session, 2 * ANSWER_USD);
    const end = await compact(session);
    expect(end).toMatchObject({ type: "compaction.ended", body: { code: "session_budget" } });
    expect(sessions.requests).toHaveLength(1);
    expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
  });

  test("answers no longer than there is money for, and counts", async () => {
    const session = await sessions.create();
    sessions.script(text("One."), compaction("They counted."));
    await session.turn("one");
    const before = await spentBy(session);
    await setBudget(session, 1);
    expect(await compact(session)).toMatchObject({ type: "context.compacted" });
    expect(maxTokens(1)).toBeLessThan(100_000);
    expect(await spentBy(session)).toBeGreaterThan(before);
  });
});

test("a call is priced by what is configured when it ends, and nothing older changes", async () => {
  const session = await sessions.create();
  sessions.script(text(words(100)), text(words(100)));
  const before = await session.turn("one");
  const price = { input: 0, cache_write_5m: 0, cache_write_1h: 0, cache_read: 0, output: 7 };
  const prices = JSON.stringify({ "claude-sonnet-5-5": price });
  await session.inside((_, object) => setEnv(object, { ...env, MODEL_PRICES: prices }));
  const { totals } = await session.turn("two", limits(1));
  expect(totals.cost_usd).toBeCloseTo((7 * totals.completion_tokens) / 1_000_000, 12);
  const spent = (before.totals.cost_usd ?? 0) + (totals.cost_usd ?? 0);
  expect(await spentBy(session)).toBeCloseTo(spent, 12);
});

test("without any limit nothing is measured, and nobody is asked", async () => {
  const session = await sessions.create();
  sessions.script(text("Hello."));
  await session.turn("hi");
  const started = await session.reader.row("call.started");
  expect(started.body).not.toHaveProperty("size");
  expect(started.body.max_tokens).toBe(128_000);
  expect(session.reader.rows.some(({ type }) => type === "lease")).toBe(false);
});

describe("an account's budget", () => {
  let n = 0;
  let account = "";
  beforeEach(() => {
    n += 1;
    account = `acct_budget_${n}`;
  });
  /** A session of this test's account, which has these budgets. */
  const create = async (budgets: Record<string, string>): Promise<TestSession> => {
    const session = await sessions.create({ account });
    const variables = { ...env, ...budgets };
    await session.inside((_, object) => setEnv(object, variables));
    const object = env.ACCOUNT.getByName(account);
    await runInDurableObject(object, (instance) => setEnv(instance, variables));
    return session;
  };
  const budget = async (name: "day" | "month" | "total") => {
    const query = { group: "day", from: 0, to: 100_000, limit: 1, cursor: null } as const;
    const { budgets } = await accountOf(env, account).usage(query);
    const found = budgets.find((one) => one.name === name);
    if (!found) throw new Error("there is no such budget");
    return found;
  };
  const types = (session: TestSession) => session.reader.rows.map(({ type }) => type);

  test("gives a lease that outlives its turn, so the next turn asks nobody", async () => {
    const session = await create({ BUDGET_DAY_USD: "1000" });
    sessions.script(text("One."), text("Two."));
    await session.turn("one");
    await session.turn("two");
    expect(types(session).filter((type) => type === "lease")).toHaveLength(1);
    const { spent_usd, leased_usd, remaining_usd } = await budget("day");
    expect(leased_usd).toBeGreaterThan(1);
    expect(spent_usd + leased_usd + (remaining_usd ?? 0)).toBeCloseTo(1_000, 6);
  });

  test("takes an idle lease back when it expires", async () => {
    const clock = new FakeClock(FAR_FUTURE);
    try {
      const session = await create({ BUDGET_DAY_USD: "1000" });
      sessions.script(text("One."));
      await session.turn("one");
      const lease = await session.reader.row("lease");
      await session.reader.detach();
      // The guard of the turn comes first.
      await runAlarm(session);
      const alarm = await session.inside((state) => state.storage.getAlarm());
      expect(alarm).toBe(lease.body.expires_at);
      clock.advance(lease.body.expires_at - clock.now);
      await runAlarm(session);
      expect((await session.rows()).at(-1)).toMatchObject({
        type: "lease",
        body: { n: 1, ceiling_usd: null },
      });
      const standing = await budget("day");
      expect(standing.leased_usd).toBe(0);
      expect(standing.spent_usd).toBeCloseTo(await spentBy(session), 9);
      // Once it knows that the account was told, nothing wakes it any more.
      clock.advance(15_000);
      await runAlarm(session);
      expect(await session.inside((state) => state.storage.getAlarm())).toBeNull();
    } finally {
      clock.restore();
    }
  });

  test("that is small is lent for one turn only, and what is left comes back with its report", async () => {
    const session = await create({ BUDGET_MONTH_USD: "0.1" });
    sessions.script(text("One."));
    await session.turn("one");
    expect(types(session).slice(-2)).toEqual(["lease", "outcome"]);
    const reported = await budget("month");
    expect(reported).toMatchObject({ limit_usd: 0.1 });
  });

  test("of nothing ends each turn at once, and says which it is and when it begins anew", async () => {
    const session = await create({ BUDGET_DAY_USD: "0" });
    const outcome = await session.turn("hi");
    expect(outcome).toMatchObject({ outcome: "budget_reached", code: "account_day_budget" });
    expect(outcome.message).toMatch(/BUDGET_DAY_USD/);
    expect(outcome.message).toMatch(/T00:00:00/);
    expect(sessions.requests).toHaveLength(0);
  });

  test("is that of all its sessions, and the tightest one is named", async () => {
    const budgets = { BUDGET_DAY_USD: "5", CLAUDE_MAX_COST_PER_USER: "0.01" };
    sessions.answer(() => text(words(4_000)));
    const first = await create(budgets);
    await first.turn("Write.");
    const second = await create(budgets);
    await second.turn("Write.");
    const third = await create(budgets);
    const outcome = await third.turn("Write.");
    expect(outcome).toMatchObject({ outcome: "budget_reached", code: "account_total_budget" });
    const spent = (await spentBy(first)) + (await spentBy(second)) + (await spentBy(third));
    expect(spent).toBeLessThanOrEqual(0.01);
    expect(spent).toBeGreaterThan(0.006);
  });

  test("that cannot be asked for makes the turn wait, and then fail so that it can be sent again", async () => {
    const clock = new FakeClock(FAR_FUTURE);
    try {
      const session = await create({ BUDGET_DAY_USD: "5" });
      await session.inside((_, object) => breakAccount(object));
      const sent = await session.send("hi");
      for (let attempt = 2; attempt <= 6; attempt++) {
        const row = await session.reader.row(
          "failure",
          ({ body }) => body.retry?.attempt === attempt,
        );
        expect(row.body.code).toBe("budget_unavailable");
        clock.advance(Math.max(0, (row.body.retry?.at ?? 0) - clock.now));
        await runAlarm(session);
      }
      const outcome = await session.outcome(sent);
      expect(outcome).toMatchObject({ outcome: "failed", code: "budget_unavailable" });
      expect(sessions.requests).toHaveLength(0);
      await session.inside((_, object) => mendAccount(object));
      sessions.script(text("Hello."));
      expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
    } finally {
      clock.restore();
    }
  });

  test("lends for a compaction between two turns, and gets back what is left", async () => {
    const session = await create({ BUDGET_DAY_USD: "1" });
    sessions.script(text("One."), compaction("They counted."));
    await session.turn("one");
    const { s } = accepted(
      await session.submit({ kind: "compact", keep: null, instructions: null }),
    );
    const done = await session.reader.row("context.compacted", ({ body }) => body.request === s);
    const leases = session.reader.rows.filter(({ type }) => type === "lease");
    expect(leases.map(({ body }) => body)).toMatchObject([
      { n: 1, ceiling_usd: expect.any(Number) },
      { n: 1, ceiling_usd: null },
      { n: 2, ceiling_usd: expect.any(Number) },
    ]);
    await session.reader.row(
      "lease",
      ({ seq, body }) => seq > done.seq && body.ceiling_usd === null,
    );
  });

  test("gets back at once what comes for a turn that was stopped meanwhile", async () => {
    const session = await create({ BUDGET_DAY_USD: "1" });
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    let questions = 0;
    await session.inside((_, object) => {
      const real = env.ACCOUNT.getByName(account);
      const stub = {
        report: (...values: Parameters<typeof real.report>) => real.report(...values),
        lease: async (...values: Parameters<typeof real.lease>) => {
          questions += 1;
          await asked;
          return real.lease(...values);
        },
      };
      setEnv(object, { ...Reflect.get(object, "env"), ACCOUNT: { getByName: () => stub } });
    });
    const sent = await session.send("hi");
    await session.interrupt();
    expect(await session.outcome(sent)).toMatchObject({ outcome: "interrupted" });
    await session.inside(() => ask());
    await session.reader.row("lease", ({ body }) => body.ceiling_usd === null);
    expect(types(session).slice(-2)).toEqual(["lease", "lease"]);
    expect(questions).toBe(1);
    expect(sessions.requests).toHaveLength(0);
  });

  test("that is not set is not asked for, also where the account cannot be reached", async () => {
    const session = await sessions.create({ account });
    await session.inside((_, object) => breakAccount(object));
    sessions.script(text("Hello."));
    expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
    await session.inside((_, object) => mendAccount(object));
  });

  test("lends again when a call fails, and counts what it cost", async () => {
    const clock = new FakeClock(FAR_FUTURE);
    try {
      const session = await create({ BUDGET_DAY_USD: "1" });
      sessions.script(httpError(529), text("Hello."));
      const sent = await session.send("hi");
      const failed = await session.reader.row("failure");
      clock.advance((failed.body.retry?.at ?? 0) - clock.now);
      await runAlarm(session);
      expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
      expect(types(session).filter((type) => type === "lease")).toHaveLength(2);
    } finally {
      clock.restore();
    }
  });

  test("keeps a lease that a long call outlives, and renews it meanwhile", async () => {
    const clock = new FakeClock(FAR_FUTURE);
    try {
      const session = await create({ BUDGET_DAY_USD: "1000" });
      const long = held("request", [text("At last.")]);
      sessions.script(long.reply);
      const sent = await session.send("Think long.");
      const before = await session.reader.row("lease");
      await reached(long.gate);
      await session.reader.detach();
      // An alarm is held while the call runs, for ten minutes, which come when the test says so.
      const { promise: holds, resolve } = Promise.withResolvers<() => void>();
      const { after } = shared;
      shared.after = (ms, run) => {
        if (ms !== 10 * 60_000) return after(ms, run);
        resolve(run);
        return () => {};
      };
      const fired = runAlarm(session);
      const enough = await holds;
      await home();
      clock.jump(before.body.expires_at - 30_000);
      await session.inside(() => enough());
      await fired;
      session.reader.attach();
      const renewed = await session.reader.row("lease", ({ body }) => body.n === 2);
      expect(renewed.body.expires_at).toBeGreaterThan(before.body.expires_at);
      expect(renewed.body.ceiling_usd).toBeCloseTo(before.body.ceiling_usd ?? 0, 9);
      await session.open(long.gate);
      expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
    } finally {
      clock.restore();
    }
  });
});

/** From now on the object cannot reach its account. */
function breakAccount(object: object): void {
  const getByName = () => {
    throw new Error("the account cannot be reached");
  };
  setEnv(object, { ...Reflect.get(object, "env"), ACCOUNT: { getByName } });
}

const mendAccount = (object: object): void =>
  setEnv(object, { ...Reflect.get(object, "env"), ACCOUNT: env.ACCOUNT });

const setEnv = (object: object, value: object): void => {
  Object.defineProperty(object, "env", { configurable: true, value });
};
