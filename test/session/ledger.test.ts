/** What a session tells the account of what it used, whatever it missed. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { owedEntries } from "../../src/session/outbox.ts";
import { Store } from "../../src/session/store.ts";
import { dayOf } from "../../src/shared/ledger.ts";
import { text } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { held, reached, runAlarm, type TestSession, useSessions } from "../support/sessions.ts";

const DAY = 24 * 60 * 60 * 1000;
const TODAY = dayOf(FAR_FUTURE);

const sessions = useSessions();
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

const usage = (session: TestSession, group: "day" | "model" | "session" = "day") =>
  accountOf(env, session.account).usage({ group, from: 0, to: 1e6, limit: 100, cursor: null });

/** Lets alarms come until none is set. */
async function rest(session: TestSession): Promise<void> {
  await session.reader.detach();
  for (;;) {
    const at = await session.inside((state) => state.storage.getAlarm());
    if (at === null) return;
    clock.advance(15_000);
    await runAlarm(session);
  }
}

/** One turn on each of so many days. */
async function days(session: TestSession, count: number): Promise<void> {
  for (let day = 0; day < count; day++) {
    sessions.script(text("Hello."));
    await session.send("hi");
    session.reader.attach();
    await session.reader.until(
      () => session.reader.rows.filter(({ type }) => type === "outcome").length > day,
    );
    await session.reader.detach();
    clock.jump(clock.now + DAY);
  }
}

const breakAccount = (session: TestSession): Promise<void> =>
  session.inside((_, object) => {
    const getByName = () => {
      throw new Error("the account cannot be reached");
    };
    const value = { ...env, ACCOUNT: { getByName } };
    Object.defineProperty(object, "env", { configurable: true, value });
  });

test("a turn over midnight counts each call on its day, and itself on the day of its end", async () => {
  const session = await sessions.create({ account: "acct_midnight" });
  clock.advance(DAY - 1_000);
  const late = held("request", [text("Good night.")]);
  sessions.script(late.reply);
  const sent = await session.send("hi");
  await reached(late.gate);
  clock.advance(2_000);
  await session.open(late.gate);
  await session.outcome(sent);
  await rest(session);
  const { rows } = await usage(session);
  expect(rows).toMatchObject([{ key: TODAY + 1, calls: 1, turns: 1 }]);
});

test("two models in one session are two entries", async () => {
  const session = await sessions.create({ account: "acct_models" });
  sessions.script(text("One."), text("Two."));
  await session.turn("one");
  await session.switchModel("claude-haiku-5-5");
  await session.turn("two");
  await rest(session);
  const { rows, totals } = await usage(session, "model");
  expect(rows.map(({ key, calls, turns }) => [key, calls, turns])).toEqual([
    ["claude-haiku-5-5", 1, 1],
    ["claude-sonnet-5-5", 1, 1],
  ]);
  const spent = (await session.stub.describe())?.session.spent_usd ?? 0;
  expect(totals.cost).toBeCloseTo(spent, 12);
});

test("an account that heard nothing for many days hears all of them, in parts", async () => {
  const session = await sessions.create({ account: "acct_deaf_for_long" });
  await days(session, 2);
  await breakAccount(session);
  await days(session, 33);
  const sizes = await session.inside((state) => {
    const store = Store.open(state.storage.sql);
    if (!store) throw new Error("no session");
    const kept = store.state.money.ledger.length;
    return { kept, all: owedEntries(store).entries.length, part: owedEntries(store, 31) };
  });
  // The state has two days, whatever the account lacks; a report has a month at most.
  expect(sizes.kept).toBe(2);
  expect(sizes.all).toBeGreaterThanOrEqual(33);
  expect(sizes.part.entries).toHaveLength(31);
  await session.crash();
  await rest(session);
  const { totals, rows } = await usage(session);
  expect(totals).toMatchObject({ calls: 35, turns: 35 });
  expect(rows).toHaveLength(35);
  const spent = (await session.stub.describe())?.session.spent_usd ?? 0;
  expect(totals.cost).toBeCloseTo(spent, 12);
});

test("a deleted session leaves all that it used, also what was never reported", async () => {
  const session = await sessions.create({ account: "acct_deleted" });
  await days(session, 2);
  // From now on the account hears of nothing but the deletion.
  await session.inside((_, object) => {
    const account = env.ACCOUNT.getByName(session.account);
    const stub = {
      report: () => Promise.reject(new Error("the account cannot be reached")),
      remove: (...values: Parameters<typeof account.remove>) => account.remove(...values),
    };
    const value = { ...env, ACCOUNT: { getByName: () => stub } };
    Object.defineProperty(object, "env", { configurable: true, value });
  });
  await days(session, 3);
  const { session: info } = (await session.stub.describe()) ?? {};
  expect(await session.stub.remove("a-deletion")).toBe(true);
  const { totals } = await usage(session, "session");
  expect(totals).toMatchObject({ calls: 5, turns: 5 });
  expect(totals.cost).toBeCloseTo(info?.spent_usd ?? 0, 12);
});

test("an estimate is counted as one, and so is a call that was lost with its object", async () => {
  const session = await sessions.create({ account: "acct_estimates" });
  const cut = held({ block: 0, delta: 1 }, [text("Hello there", { deltas: ["Hello", " there"] })]);
  sessions.script(cut.reply);
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed === "Hello");
  await session.interrupt();
  await session.outcome(sent);
  await rest(session);
  const { totals } = await usage(session);
  expect(totals).toMatchObject({ calls: 1, turns: 1 });
  expect(totals.estimated).toBeGreaterThan(0);
  expect(totals.estimated).toBe(totals.cost);
});
