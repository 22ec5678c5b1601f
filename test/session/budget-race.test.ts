/** Many turns of one account at once: what they cost together, whoever dies in between. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { repeatedly } from "../../src/http/submit.ts";
import { type FaultPoint, onFaultPoint } from "../../src/session/fault-points.ts";
import { dayOf } from "../../src/shared/ledger.ts";
import { text } from "../../src/standin/replies.ts";
import { home } from "../support/home.ts";
import { checkLog } from "../support/laws.ts";
import { keyId, makeKey } from "../support/managed-keys.ts";
import { TestSession, useSessions } from "../support/sessions.ts";

const sessions = useSessions();

const BUDGET_USD = 0.1;
/** Two keys stay below the account's budget. */
const KEY_USD = 0.045;
const SESSIONS = 50;
/** The test plugin would print any other reason as an error of the runtime. */
const REASON = "Instance disposed by a test";

beforeEach(() => {
  Object.assign(env, { BUDGET_DAY_USD: String(BUDGET_USD) });
});
afterEach(() => {
  onFaultPoint(null);
  Reflect.deleteProperty(env, "BUDGET_DAY_USD");
});

/** Of the account, or of its managed key. */
const standing = async (account: string, key?: string) => {
  const today = dayOf(Date.now());
  const period = { from: 0, to: today + 1, limit: 100, cursor: null };
  const query = { group: "session" as const, ...period, ...(key === undefined ? {} : { key }) };
  const usage = await repeatedly(() => accountOf(env, account).usage(query));
  const [day] = usage.budgets;
  if (!day) throw new Error("no budget");
  return { ...usage, day };
};

const create = (account: string): Promise<TestSession[]> =>
  Promise.all(Array.from({ length: SESSIONS }, () => sessions.create({ account })));

/** About 700 tokens, $0.007. */
const ANSWER = "word ".repeat(560);

/** `key`: number of the managed key that sends, if it is one. */
async function race(account: string, all: readonly TestSession[], key?: number) {
  const id = key === undefined ? undefined : keyId(key);
  const outcomes = await Promise.all(
    all.map(async (session) => {
      // The Worker sends again what an object died over.
      const by = id === undefined ? {} : { caller: id, key_budget: true as const };
      const sent = { submission: ulid(), hash: ulid(), ...by };
      const accepted = await repeatedly(() => session.send("Say many words.", sent));
      const { outcome, code } = await session.outcome(accepted);
      const { day } = await standing(account, id);
      // What is counted, spent or promised, never passes the budget.
      expect(day.spent_usd + day.leased_usd).toBeLessThanOrEqual(Number(day.limit_usd) + 1e-9);
      return outcome === "budget_reached" ? code : outcome;
    }),
  );
  return outcomes;
}

/** Once every session has told what it spent, the ledger has exactly that, and no lease is out. */
async function settled(account: string, all: readonly TestSession[], key?: number) {
  const id = key === undefined ? undefined : keyId(key);
  for (;;) {
    const { day } = await standing(account, id);
    if (day.leased_usd === 0) break;
    await home();
  }
  const infos = await Promise.all(all.map((session) => session.stub.describe()));
  const spent = infos.reduce((sum, info) => sum + (info?.session.spent_usd ?? 0), 0);
  const { day, totals } = await standing(account, id);
  expect(day.spent_usd).toBeCloseTo(spent, 9);
  expect(totals.cost).toBeCloseTo(spent, 9);
  expect(spent).toBeLessThanOrEqual(Number(day.limit_usd));
  return { spent, totals };
}

test("fifty turns at once never cost more than the account's budget", {
  timeout: 60_000,
}, async () => {
  const account = "acct_race";
  sessions.answer(() => text(ANSWER));
  const all = await create(account);
  const outcomes = await race(account, all);
  const { spent, totals } = await settled(account, all);
  const kinds = new Set(outcomes);
  expect([...kinds].toSorted()).toEqual(["account_day_budget", "completed"]);
  // Most of it was used, and nobody got an answer for nothing.
  expect(spent).toBeGreaterThan(BUDGET_USD / 2);
  expect(totals.turns).toBe(SESSIONS);
  expect(sessions.requests.length).toBe(totals.calls);
});

/** Where sessions are ended: around the question, the call and the report. */
const POINTS: FaultPoint[] = [
  "lease",
  "leased",
  "committed",
  "request",
  "event",
  "end",
  "report",
  "reported",
];

test("nor when sessions and the account's object die in between", { timeout: 60_000 }, () =>
  raceOfDeaths("acct_race_crash"),
);

/** Sessions and the account die around what is asked, done and told. */
async function raceOfDeaths(account: string, key?: number): Promise<void> {
  sessions.answer(() => text(ANSWER));
  // Answers that are lost with an object are asked for again, which the law of prefixes cannot know.
  const all = Array.from({ length: SESSIONS }, () => new TestSession({ account }));
  await Promise.all(all.map((session) => session.create()));
  const died = new Map<string, number>();
  const crashed = new Set<FaultPoint>();
  let asked = 0;
  onFaultPoint((object, point) => {
    const name = object.id.name ?? "";
    const i = all.findIndex(({ id }) => name.endsWith(id));
    if (i < 0) return;
    if (point === "lease") asked += 1;
    // Each session is ended at a place of its own, some of them twice or three times.
    const times = died.get(name) ?? 0;
    if (times > i % 3 || point !== POINTS[(i + times) % POINTS.length]) return;
    died.set(name, times + 1);
    crashed.add(point);
    object.abort(REASON);
  });
  let racing = true;
  const deaths = (async () => {
    // The account dies while every few questions are under way.
    for (let n = 1; racing; await home()) {
      if (asked < 7 * n) continue;
      n += 1;
      await killAccount(account);
    }
  })();
  const outcomes = await race(account, all, key);
  racing = false;
  await deaths;
  onFaultPoint(null);
  expect(crashed).toEqual(new Set(POINTS));
  // Who died over a report is woken by its alarm, and tells it then.
  await Promise.all(
    all.map((session) => repeatedly(() => session.inside((_, object) => object.alarm()))),
  );
  const { spent } = await settled(account, all, key);
  expect(spent).toBeGreaterThan(0);
  expect(new Set(outcomes)).toEqual(
    new Set(["completed", `${key === undefined ? "account" : "key"}_day_budget`]),
  );
  for (const session of all) await checkLog(session);
}

describe("a managed key", () => {
  test("never costs more than its budget, with fifty turns at once in as many sessions", {
    timeout: 60_000,
  }, async () => {
    const account = "acct_race_key";
    await makeKey(account, 1, { day: KEY_USD });
    sessions.answer(() => text(ANSWER));
    const all = await create(account);
    const outcomes = await race(account, all, 1);
    const { spent, totals } = await settled(account, all, 1);
    expect([...new Set(outcomes)].toSorted()).toEqual(["completed", "key_day_budget"]);
    expect(spent).toBeGreaterThan(KEY_USD / 2);
    expect(totals.turns).toBe(SESSIONS);
    expect(sessions.requests.length).toBe(totals.calls);
  });

  test("nor with another key's turns between its own in the same sessions", {
    timeout: 60_000,
  }, async () => {
    const account = "acct_race_keys";
    await makeKey(account, 1, { day: KEY_USD });
    await makeKey(account, 2, { day: KEY_USD });
    sessions.answer(() => text(ANSWER));
    const all = await create(account);
    const [ones, twos] = await Promise.all([race(account, all, 1), race(account, all, 2)]);
    for (const outcomes of [ones, twos]) expect(new Set(outcomes)).toContain("key_day_budget");
    expect(new Set([...ones, ...twos])).toEqual(new Set(["completed", "key_day_budget"]));
    for (const key of [1, 2]) {
      const { day, totals } = await standing(account, keyId(key));
      expect(totals.cost).toBeLessThanOrEqual(KEY_USD);
      expect(totals.cost).toBeGreaterThan(KEY_USD / 3);
      expect(day.leased_usd).toBeLessThanOrEqual(KEY_USD);
    }
  });

  test("nor when sessions and the account's object die in between", {
    timeout: 60_000,
  }, async () => {
    await makeKey("acct_race_key_crash", 1, { day: KEY_USD });
    await raceOfDeaths("acct_race_key_crash", 1);
  });
});

const killAccount = (account: string): Promise<unknown> =>
  runInDurableObject(env.ACCOUNT.getByName(account), (_, state) => state.abort(REASON)).catch(
    () => {},
  );
