/** Many turns of one account at once: what they cost together, whoever dies in between. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { repeatedly } from "../../src/http/submit.ts";
import { type FaultPoint, onFaultPoint } from "../../src/session/fault-points.ts";
import { dayOf } from "../../src/shared/ledger.ts";
import { text } from "../../src/standin/replies.ts";
import { home } from "../support/home.ts";
import { checkLog } from "../support/laws.ts";
import { TestSession, useSessions } from "../support/sessions.ts";

const sessions = useSessions();

const BUDGET_USD = 0.1;
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

const standing = async (account: string) => {
  const today = dayOf(Date.now());
  const query = { group: "session", from: 0, to: today + 1, limit: 100, cursor: null } as const;
  const usage = await repeatedly(() => accountOf(env, account).usage(query));
  const [day] = usage.budgets;
  if (!day) throw new Error("no budget");
  return { ...usage, day };
};

const create = (account: string): Promise<TestSession[]> =>
  Promise.all(Array.from({ length: SESSIONS }, () => sessions.create({ account })));

/** About 700 tokens, $0.007. */
const ANSWER = "word ".repeat(560);

async function race(account: string, all: readonly TestSession[]) {
  const outcomes = await Promise.all(
    all.map(async (session) => {
      // The Worker sends again what an object died over.
      const sent = { submission: ulid(), hash: ulid() };
      const accepted = await repeatedly(() => session.send("Say many words.", sent));
      const { outcome, code } = await session.outcome(accepted);
      const { day } = await standing(account);
      // What is counted, spent or promised, never passes the budget.
      expect(day.spent_usd + day.leased_usd).toBeLessThanOrEqual(BUDGET_USD + 1e-9);
      return outcome === "budget_reached" ? code : outcome;
    }),
  );
  return outcomes;
}

/** Once every session has told what it spent, the ledger has exactly that, and no lease is out. */
async function settled(account: string, all: readonly TestSession[]) {
  for (;;) {
    const { day } = await standing(account);
    if (day.leased_usd === 0) break;
    await home();
  }
  const infos = await Promise.all(all.map((session) => session.stub.describe()));
  const spent = infos.reduce((sum, info) => sum + (info?.session.spent_usd ?? 0), 0);
  const { day, totals } = await standing(account);
  expect(day.spent_usd).toBeCloseTo(spent, 9);
  expect(totals.cost).toBeCloseTo(spent, 9);
  expect(spent).toBeLessThanOrEqual(BUDGET_USD);
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

test("nor when sessions and the account's object die in between", { timeout: 60_000 }, async () => {
  const account = "acct_race_crash";
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
  const outcomes = await race(account, all);
  racing = false;
  await deaths;
  onFaultPoint(null);
  expect(crashed).toEqual(new Set(POINTS));
  // Who died over a report is woken by its alarm, and tells it then.
  await Promise.all(
    all.map((session) => repeatedly(() => session.inside((_, object) => object.alarm()))),
  );
  const { spent } = await settled(account, all);
  expect(spent).toBeGreaterThan(0);
  expect(new Set(outcomes)).toEqual(new Set(["completed", "account_day_budget"]));
  for (const session of all) await checkLog(session);
});

const killAccount = (account: string): Promise<unknown> =>
  runInDurableObject(env.ACCOUNT.getByName(account), (_, state) => state.abort(REASON)).catch(
    () => {},
  );
