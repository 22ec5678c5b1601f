/** What managed keys have paid and may still pay, as their account's object keeps it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Account } from "../../src/account/account.ts";
import type { AccountClient } from "../../src/account/client.ts";
import type { UsageGroup } from "../../src/account/usage.ts";
import { dayOf, type LedgerEntry } from "../../src/shared/ledger.ts";
import {
  accountWith,
  crash,
  DAY,
  id,
  inside,
  NOW,
  newAccount,
  rowsWritten,
  select,
} from "../support/accounts.ts";
import { useFakeClock } from "../support/fake-clock.ts";
import { keyId, keyUlid, makeKey, setBudgets } from "../support/managed-keys.ts";
import { entry as anyEntry, query as anyQuery, MODEL, summary, TODAY } from "./ledger-support.ts";

const clock = useFakeClock(NOW);

/** What one key has paid in `calls` calls of a day, $0.25 each. */
const entry = (key: number | null, calls: number, more: Partial<LedgerEntry> = {}): LedgerEntry =>
  anyEntry(calls, { ...(key === null ? {} : { key: keyId(key) }), ...more });

const query = (group: UsageGroup, more = {}) => anyQuery(group, { to: TODAY + 10, ...more });

/** Calls of each key, of other keys under an empty one. */
const byKey = async (client: AccountClient): Promise<Record<string, number>> => {
  const { rows } = await client.usage(query("key"));
  return Object.fromEntries(rows.map(({ key, calls }) => [key, calls]));
};

const spentBy = async (client: AccountClient, key: number) => {
  const standing = await client.keyStanding(keyUlid(key));
  return standing?.budgets.map(({ spent_usd }) => spent_usd);
};

test("reports in any order, any number of times, late or on another day, count once for each key", {
  timeout: 60_000,
}, async () => {
  const reports = fc.array(
    fc.record({
      n: fc.integer({ min: 1, max: 3 }),
      key: fc.option(fc.integer({ min: 1, max: 2 }), { nil: null }),
      calls: fc.integer({ min: 1, max: 6 }),
      ago: fc.integer({ min: 0, max: 3 }),
      later: fc.integer({ min: 0, max: 2 }),
    }),
    { minLength: 1, maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(reports, async (told) => {
      const { name, client } = newAccount();
      await makeKey(name, 1);
      await makeKey(name, 2);
      const known = new Map<string, { key: number | null; day: number; calls: number }>();
      clock.jump(NOW);
      for (const { n, key, calls, ago, later } of told) {
        clock.advance(later * DAY);
        const day = dayOf(clock.now) - ago;
        await client.report(summary(n, calls), [entry(key, calls, { day })]);
        const place = `${n} ${key} ${day}`;
        const before = known.get(place)?.calls ?? 0;
        known.set(place, { key, day, calls: Math.max(calls, before) });
      }
      const sum = (matches: (one: { key: number | null; day: number }) => boolean): number =>
        [...known.values()].filter(matches).reduce((all, one) => all + one.calls, 0);
      const { totals } = await client.usage(query("day", { to: TODAY + 100 }));
      expect(totals.calls).toBe(sum(() => true));
      const { rows } = await client.usage(query("key", { to: TODAY + 100 }));
      const calls = Object.fromEntries(rows.map((row) => [row.key, row.calls]));
      expect(calls[""] ?? 0).toBe(sum(({ key }) => key === null));
      const today = dayOf(clock.now);
      for (const key of [1, 2]) {
        const all = sum((one) => one.key === key);
        expect(calls[keyId(key)] ?? 0).toBe(all);
        const [day = Number.NaN, , total] = (await spentBy(client, key)) ?? [];
        expect(total).toBeCloseTo(0.25 * all, 9);
        expect(day).toBeCloseTo(0.25 * sum((one) => one.key === key && one.day === today), 9);
        const own = await client.usage(query("day", { to: TODAY + 100, key: keyId(key) }));
        expect(own.totals.calls).toBe(all);
        expect(own.rows.reduce((more, row) => more + row.calls, 0)).toBe(all);
      }
    }),
    { numRuns: 15 },
  );
});

test("what a managed key pays is as many billed rows as what any other pays", async () => {
  for (const key of [null, 1]) {
    const { name, client } = newAccount();
    await client.report(summary(1, 1), [entry(key, 1)]);
    const report = (object: Account) => object.report(summary(1, 2), [entry(key, 2)]);
    expect(await rowsWritten(name, report)).toBe(2);
    expect(await rowsWritten(name, report)).toBe(0);
  }
});

test("a lease of an account is one billed row when given and one when it comes back, that of a key two", async () => {
  for (const [key, rows] of [
    [undefined, 2],
    [keyId(1), 3],
  ] as const) {
    const { name, client } = await accountWith({ BUDGET_DAY_USD: "10" });
    await makeKey(name, 1, { day: 10 });
    await client.report(summary(1, 1), [entry(1, 1)]);
    const asked = { least_usd: 0.1, want_usd: 1, ...(key === undefined ? {} : { key }) };
    // With the session's own row in the index.
    const ask = (object: Account) => object.lease(summary(1, 2), [], asked);
    expect(await rowsWritten(name, ask)).toBe(rows);
    const back = summary(1, 3, { lease: { n: 1, held: false } });
    expect(await rowsWritten(name, (object) => object.report(back))).toBe(rows);
  }
});

test("days that are over are summed up for each key, and what comes late is added", async () => {
  const { name, client } = newAccount();
  await makeKey(name, 1);
  await client.report(summary(1, 2), [entry(1, 1), entry(2, 2), entry(null, 3)]);
  clock.advance(5 * DAY);
  await client.report(summary(2, 1), [entry(1, 1, { day: TODAY + 5 })]);
  const closed = (table: string) => select(name, `SELECT day, calls FROM ${table}`);
  expect(await closed("closed")).toEqual([{ day: TODAY, calls: 6 }]);
  expect(await closed("key_closed")).toEqual([
    { day: TODAY, calls: 1 },
    { day: TODAY, calls: 2 },
  ]);
  await client.report(summary(1, 4), [entry(1, 4)]);
  await client.report(summary(1, 4), [entry(1, 4)]);
  expect(await byKey(client)).toEqual({ "": 3, [keyId(1)]: 5, [keyId(2)]: 2 });
  expect(await spentBy(client, 1)).toEqual([0.25, 1.25, 1.25]);
});

test("groups of one key's usage are its own, and keys are paged", async () => {
  const { client } = newAccount();
  const other = { model: "other" };
  await client.report(summary(1, 1), [entry(1, 1), entry(null, 1), entry(2, 2, other)]);
  await client.report(summary(2, 1), [entry(2, 3)]);
  const of = async (group: UsageGroup, key: number) => {
    const { rows, totals } = await client.usage(query(group, { key: keyId(key) }));
    return [rows.map((row) => [row.key, row.calls]), totals.calls];
  };
  expect(await of("day", 2)).toEqual([[[TODAY, 5]], 5]);
  expect(await of("model", 2)).toEqual([
    [
      [MODEL, 3],
      ["other", 2],
    ],
    5,
  ]);
  expect(await of("session", 2)).toEqual([
    [
      [id(2), 3],
      [id(1), 2],
    ],
    5,
  ]);
  expect(await of("session", 1)).toEqual([[[id(1), 1]], 1]);
  expect(await of("key", 1)).toEqual([[[keyId(1), 1]], 1]);
  const seen: (string | number)[] = [];
  let cursor: string | number | null = null;
  for (let more = true; more; ) {
    const page: Awaited<ReturnType<typeof client.usage>> = await client.usage(
      query("key", { limit: 1, cursor }),
    );
    seen.push(...page.rows.map(({ key }) => key));
    cursor = page.rows.at(-1)?.key ?? null;
    more = page.more;
  }
  expect(seen).toEqual(["", keyId(1), keyId(2)]);
  const all = await client.usage(query("session"));
  expect(all.rows.map(({ calls }) => calls)).toEqual([3, 4]);
});

test("deleting a session refunds a key nothing", async () => {
  const { name, client } = newAccount();
  await makeKey(name, 1, { total: 1 });
  await client.report(summary(1, 1), [entry(1, 1)]);
  await client.remove(id(1), "01HD", summary(1, 3), [entry(1, 3)]);
  await client.report(summary(1, 2), [entry(1, 2)]);
  expect(await spentBy(client, 1)).toEqual([0.75, 0.75, 0.75]);
  const asked = { least_usd: 0.5, want_usd: 1, key: keyId(1) };
  expect(await client.lease(summary(2, 0), [], asked)).toMatchObject({
    kind: "refused",
    budget: { key: keyId(1), name: "total", limit_usd: 1, spent_usd: 0.75, remaining_usd: 0.25 },
  });
});

test("a key's budgets count its own spending and leases, and the account's count all", async () => {
  const { name, client } = await accountWith({ BUDGET_DAY_USD: "10" });
  await makeKey(name, 1, { day: 2 });
  await makeKey(name, 2, { month: 8 });
  const ask = (n: number, key: number | null, least_usd: number) =>
    client.lease(summary(n, 0), [], {
      least_usd,
      want_usd: least_usd,
      ...(key === null ? {} : { key: keyId(key) }),
    });
  expect(await ask(1, 1, 1.5)).toMatchObject({ kind: "granted", key: keyId(1) });
  expect(await ask(2, 2, 7)).toMatchObject({ kind: "granted", key: keyId(2) });
  expect(await ask(3, 1, 1)).toMatchObject({
    kind: "refused",
    budget: { key: keyId(1), name: "day", leased_usd: 1.5, remaining_usd: 0.5 },
  });
  // What is promised to keys is promised by the account.
  const refused = await ask(4, null, 2);
  expect(refused).toMatchObject({ kind: "refused", budget: { name: "day", leased_usd: 8.5 } });
  expect(refused).not.toHaveProperty("budget.key");
  expect(await ask(5, null, 1)).toMatchObject({ kind: "granted" });
  // The tightest is named: now the account's.
  expect(await ask(3, 1, 1)).not.toHaveProperty("key");
  await setBudgets(name, 1, { day: 20 });
  expect(await ask(3, 1, 0.5)).toMatchObject({ kind: "granted" });
});

test("a lease that was given for one key is never taken for another's", async () => {
  const { name, client } = newAccount();
  await makeKey(name, 1, { day: 5 });
  await makeKey(name, 2, { day: 5 });
  const asked = { least_usd: 1, want_usd: 1 };
  const first = await client.lease(summary(1, 0), [], { ...asked, key: keyId(1) });
  expect(first).toMatchObject({ kind: "granted", n: 1, key: keyId(1) });
  // The answer was lost, and the next turn is another key's: it is told what it has.
  const repeated = await client.lease(summary(1, 0), [], { ...asked, key: keyId(2) });
  expect(repeated).toEqual(first);
  const held = summary(1, 1, { lease: { n: 1, held: true } });
  expect(await client.lease(held, [], { ...asked, key: keyId(2) })).toEqual({ kind: "stale" });
  const back = summary(1, 2, { lease: { n: 1, held: false } });
  const second = await client.lease(back, [], { ...asked, key: keyId(2) });
  expect(second).toMatchObject({ kind: "granted", n: 2, key: keyId(2) });
  const leased = async (key: number) =>
    (await client.keyStanding(keyUlid(key)))?.budgets[0]?.leased_usd;
  expect([await leased(1), await leased(2)]).toEqual([0, 1]);
});

test("a key that was revoked keeps its budget, and one that is not kept any more has none", async () => {
  const { name, client } = newAccount();
  await makeKey(name, 1, { day: 1 });
  await client.revokeKey(keyUlid(1));
  const asked = { least_usd: 0.5, want_usd: 0.5 };
  const of = (n: number, key: number) =>
    client.lease(summary(n, 0), [], { ...asked, key: keyId(key) });
  expect(await of(1, 1)).toMatchObject({ kind: "granted" });
  expect(await of(2, 7)).toMatchObject({ kind: "refused", budget: { limit_usd: 0 } });
  expect(await client.keyStanding(keyUlid(7))).toBeNull();
});

test("an account of an older version gets the tables that it lacks, and keeps what it has", async () => {
  const { name, client } = await accountWith({ BUDGET_DAY_USD: "10" });
  const asked = { least_usd: 1, want_usd: 1 };
  await client.lease(summary(1, 1), [entry(null, 1)], asked);
  await inside(name, (_, { storage }) => {
    for (const table of ["key_usage", "key_closed", "lease_key"]) {
      storage.sql.exec(`DROP TABLE ${table}`);
    }
  });
  await crash(name);
  const { budgets } = await client.usage(query("day"));
  expect(budgets[0]).toMatchObject({ spent_usd: 0.25, leased_usd: 1 });
  await client.report(summary(1, 2), [entry(null, 1), entry(1, 2)]);
  expect(await byKey(client)).toEqual({ "": 1, [keyId(1)]: 2 });
});
