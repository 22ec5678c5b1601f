/** The account's audit, as its object keeps it. */
import { expect, test } from "vitest";
import type { Account } from "../../src/account/account.ts";
import type { AccountClient } from "../../src/account/client.ts";
import type { AuditAsked, AuditEntry, AuditPlace } from "../../src/shared/audit.ts";
import {
  accountWith,
  configure,
  DAY,
  id,
  NOW,
  newAccount,
  rowsWritten,
  select,
  sessionSummary,
  type TestAccount,
  tables,
} from "../support/accounts.ts";
import { useFakeClock } from "../support/fake-clock.ts";

const clock = useFakeClock(NOW);

const entry = (n: number, more: Partial<AuditEntry> = {}): AuditEntry => ({
  at: NOW + n,
  source: id(1),
  n,
  action: "turn.create",
  session: id(1),
  target: null,
  key: "default",
  outcome: "ok",
  detail: null,
  request_id: null,
  ...more,
});

const ask = (more: Partial<AuditAsked> = {}): AuditAsked => ({
  order: "newest",
  limit: 100,
  cursor: null,
  ...more,
});

const counted = async ({ client }: TestAccount, more: Partial<AuditAsked> = {}) =>
  (await client.auditPage(ask(more))).entries.map(({ n }) => n);

/** All pages, and how many there were. */
async function pages({ client }: TestAccount, more: Partial<AuditAsked>) {
  const found: number[] = [];
  let [asked, cursor]: [number, AuditPlace | null] = [0, null];
  do {
    const page: Awaited<ReturnType<AccountClient["auditPage"]>> = await client.auditPage(
      ask({ ...more, cursor }),
    );
    found.push(...page.entries.map(({ n }) => n));
    cursor = page.next;
    asked += 1;
  } while (cursor);
  return { found, asked };
}

const stored = async ({ name }: TestAccount) =>
  (await select(name, "SELECT n FROM audit ORDER BY at, source, n")).map(({ n }) => n);

const summary = (seq: number) => sessionSummary(1, seq);

test("reading an audit that has nothing creates nothing", async () => {
  const one = newAccount();
  expect(await one.client.auditPage(ask())).toEqual({ entries: [], next: null });
  expect(await tables(one.name)).toEqual([]);
});

test("what is told twice, in any order, is there once and as it was told", async () => {
  const one = newAccount();
  const told = [entry(1), entry(2, { key: null, detail: "now", target: "turn_2" })];
  await one.client.noteAudit(told);
  await one.client.noteAudit(told.toReversed());
  await one.client.report(summary(3), [], told);
  await one.client.remove(id(1), "01HD", summary(4), [], [...told, entry(4)]);
  // Also behind its tombstone a session is heard.
  await one.client.remove(id(1), "01HD", summary(4), [], [...told, entry(4)]);
  await one.client.report(summary(3), [], [...told, entry(3)]);
  expect((await one.client.auditPage(ask())).entries).toEqual(
    [told[0], told[1], entry(3), entry(4)].toReversed(),
  );
});

test("a report with an entry is one billed row more, and repeated it is none", async () => {
  const one = newAccount();
  await one.client.report(summary(1), [], [entry(1)]);
  const report = (object: Account) => object.report(summary(2), [], [entry(2)]);
  expect(await rowsWritten(one.name, report)).toBe(2);
  expect(await rowsWritten(one.name, report)).toBe(0);
});

test("pages go on where the last one ended, also among entries of one moment", async () => {
  const one = newAccount();
  const all = Array.from({ length: 25 }, (_, n) => entry(n, { at: NOW + Math.floor(n / 10) }));
  await one.client.noteAudit(all);
  const oldest = await pages(one, { order: "oldest", limit: 4 });
  expect(oldest).toEqual({ found: all.map(({ n }) => n), asked: 7 });
  const newest = await pages(one, { limit: 4 });
  expect(newest.found).toEqual(oldest.found.toReversed());
  // The last page says so also when it is full.
  expect(await pages(one, { limit: 5 })).toMatchObject({ asked: 5 });
});

test("filters hold together, and times are no part of what is found", async () => {
  const one = newAccount();
  await one.client.noteAudit([
    entry(1, { source: id(1), session: id(1) }),
    entry(2, { source: id(2), session: id(2) }),
    entry(3, { source: id(2), session: id(2), action: "turn.interrupt" }),
    entry(4, { source: id(3), session: null, action: "key.create", key: `key_${id(9)}` }),
  ]);
  expect(await counted(one, { session: id(2) })).toEqual([3, 2]);
  expect(await counted(one, { session: id(2), action: "turn.create" })).toEqual([2]);
  expect(await counted(one, { key: `key_${id(9)}` })).toEqual([4]);
  expect(await counted(one, { after: NOW + 1, before: NOW + 4 })).toEqual([3, 2]);
  expect(await counted(one, { after: NOW + 1, order: "oldest" })).toEqual([2, 3, 4]);
  expect(await counted(one, { key: "none" })).toEqual([]);
});

test("one page looks at a bounded number of entries, and the next goes on", async () => {
  const one = newAccount();
  await one.client.noteAudit(Array.from({ length: 5_001 }, (_, n) => entry(n)));
  const rare = { order: "oldest" as const, key: "rare" };
  await one.client.noteAudit([entry(6_000, { key: "rare" })]);
  const first = await one.client.auditPage(ask(rare));
  expect(first).toMatchObject({ entries: [], next: { n: 4_999 } });
  expect(await counted(one, { ...rare, cursor: first.next })).toEqual([6_000]);
});

test("what is too old is not shown, not taken, and removed a little at a time", async () => {
  const one = await accountWith({ AUDIT_DAYS: "2" });
  await one.client.noteAudit(Array.from({ length: 10 }, (_, n) => entry(n)));
  clock.advance(2 * DAY + 5);
  expect(await counted(one)).toEqual([9, 8, 7, 6, 5]);
  expect(await stored(one)).toHaveLength(10);
  // Too late to be told.
  await one.client.noteAudit([entry(3, { source: id(7) })]);
  expect(await stored(one)).toEqual([3, 4, 5, 6, 7, 8, 9]);
  await one.client.report(summary(1));
  expect(await stored(one)).toEqual([5, 6, 7, 8, 9]);
  clock.advance(DAY);
  await one.client.report(summary(2));
  expect(await stored(one)).toEqual([7, 8, 9]);
  // Many new ones remove more than they are.
  const at = NOW + 3 * DAY;
  await one.client.noteAudit([entry(20, { at }), entry(21, { at })]);
  expect(await stored(one)).toEqual([20, 21]);
});

test("with no days nothing is kept, and what there was is not shown", async () => {
  const one = newAccount();
  await one.client.noteAudit([entry(1), entry(2), entry(3)]);
  await configure(one.name, { AUDIT_DAYS: "0" });
  expect(await counted(one)).toEqual([]);
  await one.client.noteAudit([entry(4)]);
  expect(await stored(one)).toEqual([]);
});
