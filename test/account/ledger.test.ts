/** The account's ledger and its leases, as its object keeps them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Account } from "../../src/account/account.ts";
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
  tables,
} from "../support/accounts.ts";
import { useFakeClock } from "../support/fake-clock.ts";
import { entry, MODEL, query, summary, TODAY } from "./ledger-support.ts";

const clock = useFakeClock(NOW);

test("an account that has nothing used nothing, and reading it creates nothing", async () => {
  const { name, client } = await accountWith({ BUDGET_DAY_USD: "2" });
  const usage = await client.usage(query("day"));
  expect(usage.rows).toEqual([]);
  expect(usage.totals).toMatchObject({ calls: 0, cost: 0 });
  expect(usage.budgets[0]).toMatchObject({ limit_usd: 2, spent_usd: 0, remaining_usd: 2 });
  expect(await tables(name)).toEqual([]);
});

test("reports in any order, any number of times, lost or late, count each call once", async () => {
  const reports = fc.array(
    fc.record({ n: fc.integer({ min: 1, max: 3 }), calls: fc.integer({ min: 1, max: 6 }) }),
    { minLength: 1, maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(reports, async (told) => {
      const { client } = newAccount();
      const known = new Map<number, number>();
      for (const { n, calls } of told) {
        await client.report(summary(n, calls), [entry(calls)]);
        known.set(n, Math.max(calls, known.get(n) ?? 0));
      }
      const calls = [...known.values()].reduce((sum, one) => sum + one, 0);
      const { totals, rows } = await client.usage(query("session"));
      expect(totals).toMatchObject({ calls, turns: calls, cost: 0.25 * calls, read: 5 * calls });
      expect(totals).toMatchObject({ write_5m: 5 * calls, write_1h: 3 * calls, searches: calls });
      expect(rows.map(({ key }) => key)).toEqual(
        [...known.keys()].toSorted((a, b) => b - a).map(id),
      );
    }),
    { numRuns: 20 },
  );
});

test("a turn's report is two billed rows, and a repeated one none", async () => {
  const { name, client } = newAccount();
  await client.report(summary(1, 1), [entry(1)]);
  const report = (object: Account) => object.report(summary(1, 2), [entry(2)]);
  expect(await rowsWritten(name, report)).toBe(2);
  expect(await rowsWritten(name, report)).toBe(0);
});

test("days that are over are added up once, and what is reported of them late is added", async () => {
  const { name, client } = newAccount();
  await client.report(summary(1, 1), [entry(1)]);
  await client.report(summary(2, 2), [entry(2)]);
  clock.advance(5 * DAY);
  await client.report(summary(3, 1), [entry(1, { day: TODAY + 5 })]);
  const closed = () => select(name, "SELECT day, calls, cost FROM closed");
  expect(await closed()).toEqual([{ day: TODAY, calls: 3, cost: 0.75 }]);
  // Late, and again.
  await client.report(summary(1, 3), [entry(3)]);
  await client.report(summary(1, 3), [entry(3)]);
  await client.report(summary(4, 1), [entry(1)]);
  expect(await closed()).toEqual([{ day: TODAY, calls: 6, cost: 1.5 }]);
  const { rows, totals } = await client.usage(query("day", { to: TODAY + 5 }));
  expect(rows.map(({ key, calls }) => [key, calls])).toEqual([
    [TODAY + 5, 1],
    [TODAY, 6],
  ]);
  expect(totals.calls).toBe(7);
  const sessions = await client.usage(query("session", { to: TODAY + 5 }));
  expect(sessions.rows.map(({ calls }) => calls)).toEqual([1, 1, 2, 3]);
});

test("deleting a session refunds nothing, and its last figures are counted", async () => {
  const { client } = await accountWith({ CLAUDE_MAX_COST_PER_USER: "5" });
  await client.report(summary(1, 1), [entry(1)]);
  await client.remove(id(1), "01HD", summary(1, 3), [entry(3)]);
  await client.remove(id(1), "01HD", summary(1, 3), [entry(3)]);
  await client.report(summary(1, 2), [entry(2)]);
  const { rows, budgets } = await client.usage(query("session"));
  expect(rows).toMatchObject([{ key: id(1), calls: 3, cost: 0.75 }]);
  expect(budgets.find(({ name }) => name === "total")).toMatchObject({
    spent_usd: 0.75,
    remaining_usd: 4.25,
  });
});

test("groups are paged, and their totals are those of the period", async () => {
  const { client } = newAccount();
  for (const n of [1, 2, 3]) {
    const day = TODAY - n;
    await client.report(summary(n, 1), [
      entry(1, { day }),
      entry(1, { day, model: `model-${n}`, unpriced_calls: 1, cost_usd: 0 }),
    ]);
  }
  for (const [group, keys] of [
    ["day", [TODAY - 1, TODAY - 2, TODAY - 3]],
    ["model", [MODEL, "model-1", "model-2", "model-3"]],
    ["session", [id(3), id(2), id(1)]],
  ] as const) {
    const seen: (string | number)[] = [];
    let cursor: string | number | null = null;
    for (let more = true; more; ) {
      const page: Awaited<ReturnType<typeof client.usage>> = await client.usage(
        query(group, { limit: 2, cursor }),
      );
      expect(page.totals).toMatchObject({ calls: 6, unpriced: 3 });
      seen.push(...page.rows.map(({ key }) => key));
      cursor = page.rows.at(-1)?.key ?? null;
      more = page.more;
    }
    expect(seen, group).toEqual(keys);
  }
  const one = await client.usage(query("day", { from: TODAY - 2, to: TODAY - 2 }));
  expect(one).toMatchObject({ rows: [{ key: TODAY - 2, calls: 2 }], totals: { calls: 2 } });
});

const ASKED = { least_usd: 0.1, want_usd: 1 };

test("a question that is asked again gets the same lease, and a late one gets none", async () => {
  const { client } = await accountWith({ BUDGET_DAY_USD: "10" });
  const first = summary(1, 1);
  const lease = await client.lease(first, [entry(1)], ASKED);
  expect(lease).toMatchObject({ kind: "granted", n: 1, ceiling_usd: 1.25 });
  expect(await client.lease(first, [entry(1)], ASKED)).toEqual(lease);
  const second = summary(1, 2, { lease: { n: 1, held: true } });
  const next = await client.lease(second, [entry(2)], ASKED);
  expect(next).toMatchObject({ kind: "granted", n: 2, ceiling_usd: 1.5 });
  // It comes a third time, while its session holds a newer one, and when it has given that back.
  expect(await client.lease(first, [entry(1)], ASKED)).toEqual({ kind: "stale" });
  expect(await client.lease(second, [entry(2)], ASKED)).toEqual(next);
  await client.report(summary(1, 3, { lease: { n: 2, held: false } }), [entry(3)]);
  expect(await client.lease(first, [entry(1)], ASKED)).toEqual({ kind: "stale" });
  expect(await client.lease(second, [entry(2)], ASKED)).toEqual({ kind: "stale" });
  const { budgets } = await client.usage(query("day"));
  expect(budgets[0]).toMatchObject({ spent_usd: 0.75, leased_usd: 0 });
});

test("what a session gives back is free again, and a late word of that frees nothing newer", async () => {
  const { client } = await accountWith({ BUDGET_DAY_USD: "4" });
  const leased = async () => (await client.usage(query("day"))).budgets[0]?.leased_usd;
  await client.lease(summary(1, 1), [entry(1)], ASKED);
  expect(await leased()).toBeCloseTo(0.9375, 9);
  const back = summary(1, 2, { lease: { n: 1, held: false } });
  await client.report(back, [entry(2)]);
  expect(await leased()).toBe(0);
  await client.lease(back, [entry(2)], ASKED);
  const held = await leased();
  expect(held).toBeGreaterThan(0);
  await client.report(back, [entry(2)]);
  expect(await leased()).toBe(held);
});

test("a session that died with a lease counts as having spent it, until it says otherwise", async () => {
  const { client } = await accountWith({ BUDGET_DAY_USD: "4", CLAUDE_MAX_COST_PER_USER: "4" });
  const standing = async (name: string) =>
    (await client.usage(query("day", { to: TODAY + 9 }))).budgets.find((one) => one.name === name);
  const granted = await client.lease(summary(1, 0), [], { least_usd: 4, want_usd: 4 });
  expect(granted).toMatchObject({ kind: "granted", ceiling_usd: 4 });
  clock.advance(3 * DAY);
  expect(await standing("total")).toMatchObject({ leased_usd: 4, remaining_usd: 0 });
  expect(await standing("day")).toMatchObject({ leased_usd: 0, remaining_usd: 4 });
  expect(await client.lease(summary(2, 0), [], ASKED)).toMatchObject({ kind: "refused" });
  // It comes back: it had spent a quarter, and never heard of the lease or lost it.
  await client.report(summary(1, 1), [entry(1)]);
  expect(await standing("total")).toMatchObject({ leased_usd: 0, spent_usd: 0.25 });
  expect(await client.lease(summary(2, 0), [], ASKED)).toMatchObject({ kind: "granted" });
});

test("a deleted session holds no lease, and gets none", async () => {
  const { client } = await accountWith({ BUDGET_DAY_USD: "4" });
  await client.lease(summary(1, 1), [entry(1)], ASKED);
  await client.remove(id(1), "01HD", summary(1, 2), [entry(2)]);
  expect((await client.usage(query("day"))).budgets[0]).toMatchObject({
    spent_usd: 0.5,
    leased_usd: 0,
  });
  expect(await client.lease(summary(1, 1), [entry(1)], ASKED)).toEqual({ kind: "stale" });
});

test("an account of an older version gets the tables that it lacks", async () => {
  const { name, client } = newAccount();
  await client.report(summary(1, 1), [entry(1)]);
  await inside(name, (_, { storage }) => {
    for (const table of ["usage", "closed", "lease"]) {
      storage.sql.exec(`DROP TABLE ${table}`);
    }
  });
  await crash(name);
  expect((await client.usage(query("day"))).rows).toEqual([]);
  await client.report(summary(1, 1), [entry(1)]);
  expect((await client.usage(query("day"))).totals.calls).toBe(1);
});
