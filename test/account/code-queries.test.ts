/** What claude-code-api's routes ask of an account: pages with totals, usage by label, and who wrote when. */
import { expect, test } from "vitest";
import type { AuditEntry } from "../../src/shared/audit.ts";
import type { SessionSummary } from "../../src/shared/summary.ts";
import {
  accountWith,
  crash,
  DAY,
  id,
  NOW,
  newAccount,
  sessionSummary,
  tables,
} from "../support/accounts.ts";
import { useFakeClock } from "../support/fake-clock.ts";
import { entry as ledgerEntry, TODAY } from "./ledger-support.ts";

const clock = useFakeClock(NOW);

const code = (n: number, more: Partial<SessionSummary> = {}) =>
  sessionSummary(n, 1, { surface: "code", user_id: "ann", name: `s${n}`, ...more });

const NOBODY = {
  sessions: 0,
  cost: 0,
  turns: 0,
  messages: 0,
  jobs: { total: 0, completed: 0, running: 0, failed: 0 },
};

test("an account that has nothing answers with nothing, and is not made by it", async () => {
  const { name, client } = newAccount();
  const page = { page: 1, limit: 20 };
  expect(await client.codeSessions(page)).toEqual({ sessions: [], total: 0 });
  expect(await client.turnAudit(page)).toEqual({ turns: [], total: 0 });
  expect(await client.codeUsage({})).toEqual(NOBODY);
  expect(await client.oldestIdle()).toBeNull();
  expect(await tables(name)).toEqual([]);
});

test("sessions come by the time of their last change, in pages, with a total, of one label or all", async () => {
  const { client } = newAccount();
  const at = (n: number, minutes: number, more: Partial<SessionSummary> = {}) =>
    client.report(code(n, { updated_at: NOW + minutes * 60_000, ...more }));
  await at(1, 50);
  // Numbers, and not texts: 9 minutes come before 50.
  await at(2, 9);
  await at(3, 30, { user_id: "ben" });
  await at(4, 30);
  await client.report(sessionSummary(5, 1, { updated_at: NOW + 40 * 60_000 }));
  const ask = async (page: number, limit: number, user_id?: string) => {
    const { sessions, total } = await client.codeSessions({ page, limit, user_id });
    return [sessions.map(({ session }) => Number(session.slice(3))), total];
  };
  expect(await ask(1, 20)).toEqual([[1, 5, 4, 3, 2], 5]);
  expect(await ask(1, 2)).toEqual([[1, 5], 5]);
  expect(await ask(2, 2)).toEqual([[4, 3], 5]);
  expect(await ask(3, 2)).toEqual([[2], 5]);
  expect(await ask(4, 2)).toEqual([[], 5]);
  expect(await ask(1_000_000_000, 1_000_000_000)).toEqual([[], 5]);
  expect(await ask(1, 20, "ann")).toEqual([[1, 4, 2], 3]);
  expect(await ask(2, 2, "ann")).toEqual([[2], 3]);
  expect(await ask(1, 20, "ben")).toEqual([[3], 1]);
  expect(await ask(1, 20, "' OR 1=1 --")).toEqual([[], 0]);
  const [first] = (await client.codeSessions({ page: 1, limit: 1 })).sessions;
  expect(first).toEqual(code(1, { updated_at: NOW + 50 * 60_000 }));
});

test("room is made by the idle session of claude-code-api that rested longest, and by no other", async () => {
  const { client } = newAccount();
  await client.report(sessionSummary(1, 1, { updated_at: NOW }));
  await client.report(sessionSummary(2, 1, { surface: "chat", updated_at: NOW }));
  await client.report(code(3, { status: "running", updated_at: NOW + 1 }));
  await client.report(code(4, { status: "awaiting_confirmation", updated_at: NOW + 2 }));
  expect(await client.oldestIdle()).toBeNull();
  await client.report(code(5, { updated_at: NOW + 60_000 }));
  await client.report(code(6, { updated_at: NOW + 9_000 }));
  expect(await client.oldestIdle()).toBe(id(6));
  await client.report({ ...code(6, { updated_at: NOW + 70_000 }), seq: 2 });
  expect(await client.oldestIdle()).toBe(id(5));
  await client.remove(id(5), "01HD", code(5));
  expect(await client.oldestIdle()).toBe(id(6));
});

test("usage counts what lived and died, once, by label or in all, over closed days and open ones", async () => {
  const { name, client } = newAccount();
  const jobs = { total: 5, done: 2, failed: 1, running: 1 };
  await client.report(code(1, { jobs }), [
    ledgerEntry(3, { day: TODAY - 40 }),
    ledgerEntry(2, { model: "claude-opus-4-6" }),
  ]);
  await client.report(code(2), [ledgerEntry(1, { key: "key_01J00000000000000000000001" })]);
  await client.report(code(3, { user_id: "ben", jobs: { ...jobs, total: 4 } }), [ledgerEntry(4)]);
  await client.report(sessionSummary(4), [ledgerEntry(7)]);
  const ann = { sessions: 2, cost: 1.5, turns: 6, messages: 12 };
  const of = { ...NOBODY.jobs, total: 5, completed: 2, running: 1, failed: 1 };
  expect(await client.codeUsage({ user_id: "ann" })).toEqual({ ...ann, jobs: of });
  const all = { sessions: 4, cost: 4.25, turns: 17, messages: 34 };
  const two = { total: 9, completed: 4, running: 2, failed: 2 };
  expect(await client.codeUsage({})).toEqual({ ...all, jobs: two });
  // Deleted, with a job that was cancelled by it: money stays counted, and so do the jobs.
  const last = code(1, { jobs: { ...jobs, running: 0 } });
  await client.remove(id(1), "01HD", last, [ledgerEntry(3, { day: TODAY - 40 })]);
  await crash(name);
  const dead = { ...of, running: 0 };
  expect(await client.codeUsage({ user_id: "ann" })).toEqual({ ...ann, sessions: 1, jobs: dead });
  expect(await client.codeUsage({})).toEqual({
    ...all,
    sessions: 3,
    jobs: { ...two, running: 1 },
  });
  expect(await client.codeUsage({ user_id: "nobody" })).toEqual(NOBODY);
});

const said = (n: number, session: number, more: Partial<AuditEntry> = {}): AuditEntry => ({
  at: NOW + n,
  source: id(session),
  n,
  action: "turn.create",
  session: id(session),
  target: `turn_${n}`,
  key: "default",
  outcome: "ok",
  detail: "now",
  request_id: null,
  ...more,
});

test("the audit of turns has the messages that began one, in sessions that live, newest first", async () => {
  const { client } = await accountWith({ AUDIT_DAYS: "7" });
  await client.report(code(1), [], [said(2, 1), said(9, 1, { detail: "queued" })]);
  await client.report(code(2, { user_id: "ben" }), [], [said(5, 2)]);
  const others = [
    said(3, 1, { detail: "steer" }),
    said(4, 1, { action: "turn.results" }),
    said(6, 1, { action: "session.update" }),
    said(7, 1, { action: "turn.interrupt" }),
  ];
  await client.report(code(1, { seq: 2 }), [], others);
  const { name: _, ...old } = sessionSummary(3);
  await client.report(old, [], [said(8, 3)]);
  const ask = async (page: number, limit: number, user_id?: string) => {
    const { turns, total } = await client.turnAudit({ page, limit, user_id });
    return [turns.map(({ n, name, user_id }) => [n, name, user_id]), total];
  };
  const [a9, c8, b5, a2] = [
    [9, "s1", "ann"],
    [8, null, null],
    [5, "s2", "ben"],
    [2, "s1", "ann"],
  ];
  expect(await ask(1, 50)).toEqual([[a9, c8, b5, a2], 4]);
  expect(await ask(2, 3)).toEqual([[a2], 4]);
  expect(await ask(9, 3)).toEqual([[], 4]);
  expect(await ask(1, 50, "ann")).toEqual([[a9, a2], 2]);
  expect(await ask(1, 50, "nobody")).toEqual([[], 0]);
  const [first] = (await client.turnAudit({ page: 1, limit: 1 })).turns;
  expect(first).toEqual({ ...said(9, 1, { detail: "queued" }), name: "s1", user_id: "ann" });
  // A deleted session has taken its texts with it; the account's own audit still has these.
  await client.remove(id(1), "01HD", code(1));
  expect(await ask(1, 50)).toEqual([[c8, b5], 2]);
  clock.advance(7 * DAY + 6);
  expect(await ask(1, 50)).toEqual([[c8], 1]);
});
