/** Leases: the arithmetic, and that no order of questions, answers and reports breaks it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  BUDGET_NAMES,
  LEASE_MS,
  type OutstandingLease,
  outstanding,
  positions,
  share,
} from "../../src/account/leases.ts";
import { DAY, NOW } from "../support/accounts.ts";

const NONE = { day: null, month: null, total: null };

const usd = fc.integer({ min: 0, max: 1_000_000 }).map((micros) => micros / 1_000);
const limit = fc.option(usd, { nil: null });
const lease = fc.record({
  ceiling_usd: usd,
  spent_usd: usd,
  expires_at: fc.integer({ min: NOW - 60 * DAY, max: NOW + LEASE_MS }),
});
const spent = fc.tuple(usd, usd, usd).map(([day, more, most]) => ({
  day,
  month: day + more,
  total: day + more + most,
}));

describe("a share", () => {
  test("never leads beyond a budget, whatever is out and whatever is asked", () => {
    fc.assert(
      fc.property(
        fc.record({ day: limit, month: limit, total: limit }),
        spent,
        fc.array(lease, { maxLength: 8 }),
        fc.record({ least_usd: usd, want_usd: usd }),
        (budgets, used, leases, asked) => {
          const before = positions(budgets, used, leases, NOW);
          const wish = { ...asked, want_usd: Math.max(asked.least_usd, asked.want_usd) };
          const shared = share(before, wish);
          if (shared.kind === "refused") {
            // There was too little, and the budget that is named has the least.
            const { remaining_usd } = shared.budget;
            expect(remaining_usd === 0 || Number(remaining_usd) < wish.least_usd).toBe(true);
            for (const one of before) {
              expect(one.remaining_usd ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(
                remaining_usd ?? 0,
              );
            }
            return;
          }
          expect(shared.amount_usd).toBeGreaterThanOrEqual(wish.least_usd);
          expect(shared.amount_usd).toBeLessThanOrEqual(wish.want_usd);
          const given: OutstandingLease = {
            ceiling_usd: shared.amount_usd,
            spent_usd: 0,
            expires_at: NOW + LEASE_MS,
          };
          for (const one of positions(budgets, used, [...leases, given], NOW)) {
            if (one.limit_usd === null) continue;
            const counted = one.spent_usd + one.leased_usd;
            expect(counted).toBeLessThanOrEqual(one.limit_usd + 1e-9);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test("of no limit is what was wanted", () => {
    const budgets = positions(NONE, { day: 9, month: 9, total: 9 }, [], NOW);
    expect(share(budgets, { least_usd: 1, want_usd: 50 })).toEqual({
      kind: "granted",
      amount_usd: 50,
      keep: true,
    });
  });

  test("of a limit of nothing is refused, also where nothing is needed", () => {
    const budgets = positions({ ...NONE, month: 0 }, { day: 0, month: 0, total: 0 }, [], NOW);
    expect(share(budgets, { least_usd: 0, want_usd: 0 })).toMatchObject({
      kind: "refused",
      budget: { name: "month", renews_at: Date.UTC(2026, 11, 1) },
    });
  });
});

describe("what is out", () => {
  const out: OutstandingLease = { ceiling_usd: 5, spent_usd: 2, expires_at: NOW };

  test("is the ceiling less what is reported, and never less than nothing", () => {
    expect(outstanding(out)).toBe(3);
    expect(outstanding({ ...out, spent_usd: 7 })).toBe(0);
  });

  test("counts as spent when it has expired, in the day and month in which it may have been", () => {
    const standing = (now: number) =>
      positions({ day: 9, month: 9, total: 9 }, { day: 0, month: 0, total: 0 }, [out], now).map(
        ({ leased_usd }) => leased_usd,
      );
    expect(BUDGET_NAMES).toEqual(["day", "month", "total"]);
    expect(standing(NOW - 1)).toEqual([3, 3, 3]);
    expect(standing(NOW + 1)).toEqual([3, 3, 3]);
    expect(standing(NOW + DAY)).toEqual([0, 3, 3]);
    expect(standing(NOW + 40 * DAY)).toEqual([0, 0, 3]);
  });
});

describe("the days", () => {
  test("begin and end at midnight UTC, months with them", () => {
    const at = (now: number) =>
      positions(NONE, { day: 0, month: 0, total: 0 }, [], now).map(({ renews_at }) => renews_at);
    const lastOfYear = Date.UTC(2026, 11, 31, 23, 59, 59, 999);
    expect(at(lastOfYear)).toEqual([lastOfYear + 1, lastOfYear + 1, null]);
    expect(at(lastOfYear + 1)).toEqual([Date.UTC(2027, 0, 2), Date.UTC(2027, 1, 1), null]);
  });
});
