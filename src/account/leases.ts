/**
 * The arithmetic of budgets and leases. A lease says up to which sum a session may spend in all its
 * life, so reports and grants can be repeated: what is still out is the ceiling less what the session
 * has reported, whichever of its reports came last. Until the session gives it back it counts as
 * spent, also when it has expired.
 */
import type { AccountBudgets } from "../shared/config.ts";
import { dayOf, monthOf, startOfDay } from "../shared/ledger.ts";

/** How long a lease holds, in milliseconds. */
export const LEASE_MS = 10 * 60_000;
/** A call that began under a lease may run so much longer. */
const LONGEST_CALL_MS = 2 * 60 * 60_000;
/** One lease gets no more than this part of what there is, so that others have some as well. */
const SHARE = 1 / 4;
/** It outlives its turn where it is no more than this part. */
const KEPT_SHARE = 1 / 16;

export type BudgetName = keyof AccountBudgets;

export const BUDGET_NAMES: readonly BudgetName[] = ["day", "month", "total"];

/** A lease that was not given back. */
export interface OutstandingLease {
  /** The managed key on whose behalf it was given; null: the account alone. Absent: null. */
  key?: string | null;
  ceiling_usd: number;
  /** What its session has cost in all, as it was last reported. */
  spent_usd: number;
  expires_at: number;
}

/** What was spent in the day, the month and in all. */
export type Spent = Record<BudgetName, number>;

export interface BudgetPosition {
  /** `key_<ulid>` of the managed key whose budget it is; absent: the account's. */
  key?: string;
  name: BudgetName;
  limit_usd: number | null;
  spent_usd: number;
  /** Promised to sessions that have not spent it yet, or have not said so. */
  leased_usd: number;
  /** Null without a limit. */
  remaining_usd: number | null;
  /** When it begins anew, in milliseconds since the epoch; null for a budget that does not. */
  renews_at: number | null;
}

/** What of a lease may still be spent, or was and is not reported. */
export const outstanding = ({ ceiling_usd, spent_usd }: OutstandingLease): number =>
  Math.max(0, ceiling_usd - spent_usd);

/** Where each budget stands at the time `now`. */
export function positions(
  budgets: AccountBudgets,
  spent: Spent,
  leases: readonly OutstandingLease[],
  now: number,
): BudgetPosition[] {
  const today = dayOf(now);
  const month = monthOf(today);
  const windows: Record<BudgetName, { from: number; renews_at: number | null }> = {
    day: { from: startOfDay(today), renews_at: startOfDay(today + 1) },
    month: { from: startOfDay(month.first), renews_at: startOfDay(month.next) },
    total: { from: 0, renews_at: null },
  };
  return BUDGET_NAMES.map((name) => {
    const { from, renews_at } = windows[name];
    // What expired long before was spent before, if at all.
    const leased_usd = leases
      .filter(({ expires_at }) => expires_at + LONGEST_CALL_MS >= from)
      .reduce((sum, lease) => sum + outstanding(lease), 0);
    const limit_usd = budgets[name];
    const left = limit_usd === null ? null : limit_usd - spent[name] - leased_usd;
    return {
      name,
      limit_usd,
      spent_usd: spent[name],
      leased_usd,
      remaining_usd: left === null ? null : Math.max(0, left),
      renews_at,
    };
  });
}

export interface Asked {
  /** Less than this is of no use. */
  least_usd: number;
  want_usd: number;
  /** `key_<ulid>` of the managed key that pays and has budgets; absent: the account alone pays. */
  key?: string;
}

export type Share =
  | { kind: "granted"; amount_usd: number; keep: boolean }
  /** The budget that has the least left. */
  | { kind: "refused"; budget: BudgetPosition };

/** What a session gets of what the budgets have left, its own earlier lease not counted. */
export function share(budgets: readonly BudgetPosition[], { least_usd, want_usd }: Asked): Share {
  const limited = budgets.flatMap((budget) =>
    budget.remaining_usd === null ? [] : [{ budget, left: budget.remaining_usd }],
  );
  const [tightest] = limited.sort((a, b) => a.left - b.left);
  if (!tightest) return { kind: "granted", amount_usd: want_usd, keep: true };
  const { budget, left } = tightest;
  if (left < least_usd || left <= 0) return { kind: "refused", budget };
  const amount_usd = Math.min(left, want_usd, Math.max(left * SHARE, least_usd));
  return { kind: "granted", amount_usd, keep: amount_usd <= left * KEPT_SHARE };
}
