/** The account's audit, as its object keeps it. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Account } from "../../src/account/account.ts";
import { type AccountClient, accountOf } from "../../src/account/client.ts";
import type { AuditAsked, AuditEntry, AuditPlace } from "../../src/shared/audit.ts";
import type { SessionSummary } from "../../src/shared/summary.ts";
import { countBilled } from "../support/billed.ts";
import { FakeClock } from "../support/fake-clock.ts";

const DAY = 24 * 60 * 60 * 1000;
const NOW = Date.UTC(2026, 10, 20, 9);

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(NOW);
});
afterEach(() => clock.restore());

let accounts = 0;

interface TestAccount {
  name: string;
  client: AccountClient;
}

/** An account that no other test uses. */
async function account(variables: Record<string, string> = {}): Promise<TestAccount> {
  accounts += 1;
  const name = `acct_audit_${accounts}`;
  await configure(name, variables);
  return { name, client: accountOf(env, name) };
}

const configure = (name: string, variables: Record<string, string>): Promise<void> =>
  inside(name, (object) => {
    Object.defineProperty(object, "env", {
      configurable: true,
      value: { ...env, ...variables },
    });
  });

const inside = <T>(
  name: string,
  act: (object: Account, state: DurableObjectState) => T,
): Promise<T> => runInDurableObject(env.ACCOUNT.getByName(name), act);

const id = (n: number): string => `01J${String(n).padStart(23, "0")}`;

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

const stored = ({ name }: TestAccount): Promise<number[]> =>
  inside(name, (_, { storage }) =>
    storage.sql
      .exec<{ n: number }>("SELECT n FROM audit ORDER BY at, source, n")
      .toArray()
      .map(({ n }) => n),
  );

const summary = (seq: number): SessionSummary => ({
  session: id(1),
  seq,
  surface: "cc",
  title: null,
  model: "claude-sonnet-5-5",
  metadata: {},
  status: "idle",
  turn_count: 1,
  usage: {
    input_tokens: 0,
    output_tokens: 0,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  },
  cost_usd: 0,
  max_budget_usd: null,
  spent_usd: 0,
  lease: { n: 0, held: false },
  created_at: NOW,
  updated_at: NOW + seq,
});

test("reading an audit that has nothing creates nothing", async () => {
  const one = await account();
  expect(await one.client.auditPage(ask())).toEqual({ entries: [], next: null });
  const tables = "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'";
  expect(await inside(one.name, (_, { storage }) => storage.sql.exec(tables).toArray())).toEqual(
    [],
  );
});

test("what is told twice, in any order, is there once and as it was told", async () => {
  const one = await account();
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
  const one = await account();
  const billed = (act: (object: Account) => unknown) =>
    inside(one.name, (object, state) => {
      const rows = countBilled(state);
      act(object);
      return rows();
    });
  await one.client.report(summary(1), [], [entry(1)]);
  const report = (object: Account) => object.report(summary(2), [], [entry(2)]);
  expect(await billed(report)).toBe(2);
  expect(await billed(report)).toBe(0);
});

test("pages go on where the last one ended, also among entries of one moment", async () => {
  const one = await account();
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
  const one = await account();
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
  const one = await account();
  await one.client.noteAudit(Array.from({ length: 5_001 }, (_, n) => entry(n)));
  const rare = { order: "oldest" as const, key: "rare" };
  await one.client.noteAudit([entry(6_000, { key: "rare" })]);
  const first = await one.client.auditPage(ask(rare));
  expect(first).toMatchObject({ entries: [], next: { n: 4_999 } });
  expect(await counted(one, { ...rare, cursor: first.next })).toEqual([6_000]);
});

test("what is too old is not shown, not taken, and removed a little at a time", async () => {
  const one = await account({ AUDIT_DAYS: "2" });
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
  const one = await account();
  await one.client.noteAudit([entry(1), entry(2), entry(3)]);
  await configure(one.name, { AUDIT_DAYS: "0" });
  expect(await counted(one)).toEqual([]);
  await one.client.noteAudit([entry(4)]);
  expect(await stored(one)).toEqual([]);
});
