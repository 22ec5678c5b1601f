/** What an account and its managed keys may spend, and which sessions have leave to. */
import type { Env } from "../env.ts";
import { type AccountBudgets, readConfig } from "../shared/config.ts";
import { keyUlid, NO_BUDGETS } from "../shared/keys.ts";
import { dayOf } from "../shared/ledger.ts";
import type { SessionSummary } from "../shared/summary.ts";
import type { KeyTable } from "./key-table.ts";
import type { HeldLease, LeaseTable } from "./lease-table.ts";
import {
  type Asked,
  type BudgetPosition,
  type OutstandingLease,
  positions,
  type Spent,
  share,
} from "./leases.ts";
import type { UsageLedger } from "./usage.ts";

/** The answer to a session's wish to spend. */
export type Grant =
  | ({ kind: "granted" } & HeldLease)
  | { kind: "refused"; budget: BudgetPosition }
  /** Something newer was said since this was asked. */
  | { kind: "stale" };

const NOTHING_SPENT: Spent = { day: 0, month: 0, total: 0 };

const NOTHING_ALLOWED: AccountBudgets = { day: 0, month: 0, total: 0 };

interface Parts {
  ledger: UsageLedger;
  leases: LeaseTable;
  keys: KeyTable;
  /** What the budgets are is a matter of the Worker's variables. */
  env: () => Env;
}

/** Needs the tables of schema.ts, but for `untouched`. */
export class Budgets {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Lets a session spend, whose report as of now is in the ledger. Asked again, it answers the same.
   *
   * @param newest the newest lease that the session has ever said to know
   */
  lease(
    { session, lease, spent_usd }: SessionSummary,
    asked: Asked,
    newest: () => number,
    now: number,
  ): Grant {
    const { leases } = this.#parts;
    const known = leases.of(session);
    if (known && known.n > lease.n) {
      // Either the answer was lost, or this question comes late and nobody reads the answer.
      const repeated = known.n === lease.n + 1 && now < known.expires_at;
      return repeated ? granted(known) : { kind: "stale" };
    }
    if (!known && newest() > lease.n) return { kind: "stale" };
    const { key } = asked;
    // A session gives back what it has of one key's money before it asks for another's.
    if (known && known.key !== key) return { kind: "stale" };
    const others = leases.outstanding(session);
    const ofKey = key === undefined ? [] : this.#ofKey(key, NOTHING_ALLOWED, others, now);
    const shared = share([...this.#ofAccount(others, now), ...ofKey], asked);
    if (shared.kind === "refused") return shared;
    // Should the answer be lost, the session goes on under the lease that it has.
    const ceiling_usd = Math.max(spent_usd + shared.amount_usd, known?.ceiling_usd ?? 0);
    const given = { ceiling_usd, keep: shared.keep, ...(key === undefined ? {} : { key }) };
    return granted(leases.put(session, given, lease.n + 1, now));
  }

  /** Those of the account, or of one managed key. */
  standing(key: string | undefined, now: number): BudgetPosition[] {
    const all = this.#parts.leases.outstanding(null);
    return key === undefined ? this.#ofAccount(all, now) : this.#ofKey(key, NO_BUDGETS, all, now);
  }

  /** Those of an account that has no tables, since nothing was ever done in it. */
  untouched(now: number): BudgetPosition[] {
    return this.#limits([], NOTHING_SPENT, now);
  }

  #ofAccount(outstanding: readonly OutstandingLease[], now: number): BudgetPosition[] {
    return this.#limits(outstanding, this.#parts.ledger.spent(dayOf(now)), now);
  }

  /** `unknown` are a managed key's limits where it is not kept any more. */
  #ofKey(
    key: string,
    unknown: AccountBudgets,
    outstanding: readonly OutstandingLease[],
    now: number,
  ): BudgetPosition[] {
    const { keys, ledger } = this.#parts;
    const budgets = keys.get(keyUlid(key) ?? "")?.budgets ?? unknown;
    const own = outstanding.filter((lease) => lease.key === key);
    const spent = ledger.spent(dayOf(now), key);
    return positions(budgets, spent, own, now).map((position) => ({ ...position, key }));
  }

  #limits(outstanding: readonly OutstandingLease[], spent: Spent, now: number): BudgetPosition[] {
    const result = readConfig(this.#parts.env());
    // With a wrong configuration nothing is served, so nothing is spent.
    const budgets = result.ok ? result.config.budgets : NOTHING_ALLOWED;
    return positions(budgets, spent, outstanding, now);
  }
}

const granted = (lease: HeldLease): Grant => ({ kind: "granted", ...lease });
