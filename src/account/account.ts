import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import { clock } from "../shared/clock.ts";
import { readConfig } from "../shared/config.ts";
import { dayOf, type LedgerEntry } from "../shared/ledger.ts";
import type { SessionSummary } from "../shared/summary.ts";
import { type HeldLease, LeaseTable } from "./lease-table.ts";
import {
  type Asked,
  type BudgetPosition,
  type OutstandingLease,
  positions,
  type Spent,
  share,
} from "./leases.ts";
import { hasSchema, makeSchema } from "./schema.ts";
import { NOTHING_USED, UsageLedger, type UsagePage, type UsageQuery } from "./usage.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** Expired keys that one new key takes out: more than come in, and few enough to cost nothing. */
const PURGE = 4;

/** What a session says that was written before there were leases. */
const NO_LEASE = { n: 0, held: false };

const NOTHING_SPENT: Spent = { day: 0, month: 0, total: 0 };

const NO_USAGE: UsagePage = { rows: [], more: false, totals: NOTHING_USED };

/** Sorts behind every ULID. */
const AFTER_ALL = "~";

/** `session` is the ULID to create the session under: the caller's own, or that of the first try. */
export type Reservation =
  | { kind: "new" | "same" | "deleted"; session: string }
  | { kind: "conflict" };

/** `deleted`: the session has a tombstone, which nothing revives. */
export type ReportResult = { kind: "stored" } | { kind: "stale" } | { kind: "deleted" };

/** The answer to a session's wish to spend. */
export type Grant =
  | { kind: "granted"; n: number; ceiling_usd: number; expires_at: number; keep: boolean }
  | { kind: "refused"; budget: BudgetPosition }
  /** Something newer was said since this was asked. */
  | { kind: "stale" };

export interface AccountUsage extends UsagePage {
  budgets: BudgetPosition[];
}

export interface SessionPage {
  /** Newest first. */
  sessions: SessionSummary[];
  /** Where the next page begins; null on the last. */
  next_cursor: string | null;
}

/** What is kept of a deleted session. */
type FinalFigures = Pick<
  SessionSummary,
  "surface" | "model" | "turn_count" | "usage" | "cost_usd" | "created_at"
> & {
  /** The one that deleted it. */
  submission: string;
};

/**
 * One account: the index of its sessions and the keys that make creating one idempotent. Its name
 * is the account's id. No method throws for what a caller may send.
 */
export class Account extends DurableObject<Env> {
  readonly #sql: SqlStorage;
  readonly #ledger: UsageLedger;
  readonly #leases: LeaseTable;
  #ready: boolean;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#ledger = new UsageLedger(this.#sql);
    this.#leases = new LeaseTable(this.#sql);
    this.#ready = hasSchema(this.#sql);
    // An account of an older version lacks some tables.
    if (this.#ready) makeSchema(this.#sql);
  }

  /**
   * Binds an idempotency key to the session that is about to be created.
   *
   * @param keyId route and key
   * @param hash SHA-256 of the request's body
   * @param newSession ULID for the session if the key is new
   * @param at milliseconds since the epoch
   */
  reserve(keyId: string, hash: string, newSession: string, at: number): Reservation {
    this.#prepare();
    const today = Math.floor(at / DAY_MS);
    const known = this.#sql
      .exec<{ hash: string; session: string }>(
        "SELECT hash, session FROM key WHERE day IN (?, ?) AND key = ? AND at > ?",
        today,
        today - 1,
        keyId,
        at - DAY_MS,
      )
      .toArray()[0];
    if (known) {
      if (known.hash !== hash) return { kind: "conflict" };
      const { session } = known;
      return { kind: this.#isDeleted(session) ? "deleted" : "same", session };
    }
    this.#sql.exec(
      "DELETE FROM key WHERE (day, key) IN (SELECT day, key FROM key WHERE day < ? LIMIT ?)",
      today - 1,
      PURGE,
    );
    this.#sql.exec(
      "INSERT INTO key (day, key, hash, session, at) VALUES (?, ?, ?, ?, ?)",
      today,
      keyId,
      hash,
      newSession,
      at,
    );
    return { kind: "new", session: newSession };
  }

  /**
   * Takes what a session says of itself, unless something newer is known. Writes one row, and one for
   * each of the entries that is news.
   */
  report(summary: SessionSummary, entries: readonly LedgerEntry[] = []): ReportResult {
    this.#prepare();
    const { session, seq } = summary;
    this.#ledger.put(session, entries, dayOf(clock.now()));
    if (this.#isDeleted(session)) return { kind: "deleted" };
    this.#leases.told(session, summary.lease ?? NO_LEASE, clock.now());
    const known = this.#sql
      .exec<{ seq: number }>("SELECT seq FROM session WHERE id = ?", session)
      .toArray()[0];
    if (known && known.seq >= seq) return { kind: "stale" };
    this.#sql.exec(
      `INSERT INTO session (id, seq, summary) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET seq = excluded.seq, summary = excluded.summary`,
      session,
      seq,
      JSON.stringify(summary),
    );
    return { kind: "stored" };
  }

  /** One page of the sessions that exist. `cursor` is the `next_cursor` of the page before. */
  list({ limit, cursor }: { limit: number; cursor: string | null }): SessionPage {
    if (!this.#ready) return { sessions: [], next_cursor: null };
    const rows = this.#sql
      .exec<{ id: string; summary: string }>(
        "SELECT id, summary FROM session WHERE id < ? ORDER BY id DESC LIMIT ?",
        cursor ?? AFTER_ALL,
        limit + 1,
      )
      .toArray();
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      // What `report` has written.
      sessions: page.map((row) => JSON.parse(row.summary) as SessionSummary),
      next_cursor: rows.length > limit && last ? last.id : null,
    };
  }

  /**
   * Lets a session spend. `summary` and `entries` are its report as of now: what it has spent is
   * counted before it gets more. Asked again, it answers the same.
   */
  lease(summary: SessionSummary, entries: readonly LedgerEntry[], asked: Asked): Grant {
    const now = clock.now();
    const { session, lease, spent_usd } = summary;
    if (this.report(summary, entries).kind === "deleted") return { kind: "stale" };
    const known = this.#leases.of(session);
    if (known && known.n > lease.n) {
      // Either the answer was lost, or this question comes late and nobody reads the answer.
      const repeated = known.n === lease.n + 1 && now < known.expires_at;
      return repeated ? granted(known) : { kind: "stale" };
    }
    if (!known && this.#newestLease(session) > lease.n) return { kind: "stale" };
    const others = this.#leases.outstanding(session);
    const budgets = this.#positions(others, now);
    const shared = share(budgets, asked);
    if (shared.kind === "refused") return shared;
    // Should the answer be lost, the session goes on under the lease that it has.
    const ceiling_usd = Math.max(spent_usd + shared.amount_usd, known?.ceiling_usd ?? 0);
    return granted(this.#leases.put(session, { ceiling_usd, keep: shared.keep }, lease.n + 1, now));
  }

  /** What was used in a period, and where the budgets stand. */
  usage(query: UsageQuery): AccountUsage {
    const now = clock.now();
    if (!this.#ready) return { ...NO_USAGE, budgets: this.#limits([], NOTHING_SPENT, now) };
    const page = this.#ledger.page(query);
    return { ...page, budgets: this.#positions(this.#leases.outstanding(null), now) };
  }

  /** Takes a session that `submission` deleted out of the list for good and keeps its final figures. */
  remove(
    session: string,
    submission: string,
    final: SessionSummary,
    entries: readonly LedgerEntry[] = [],
  ): { kind: "removed" } {
    this.#prepare();
    this.#ledger.put(session, entries, dayOf(clock.now()));
    if (this.#isDeleted(session)) return { kind: "removed" };
    this.#leases.remove(session);
    const { surface, model, turn_count, usage, cost_usd, created_at } = final;
    const figures: FinalFigures = {
      surface,
      model,
      turn_count,
      usage,
      cost_usd,
      created_at,
      submission,
    };
    this.#sql.exec("DELETE FROM session WHERE id = ?", session);
    this.#sql.exec(
      "INSERT INTO tombstone (id, deleted_at, figures) VALUES (?, ?, ?)",
      session,
      clock.now(),
      JSON.stringify(figures),
    );
    return { kind: "removed" };
  }

  /** The session was deleted by this very submission. */
  isDeletedBy(session: string, submission: string): boolean {
    const query = "SELECT 1 FROM tombstone WHERE id = ? AND figures ->> 'submission' = ?";
    return this.#ready && this.#sql.exec(query, session, submission).toArray().length > 0;
  }

  #positions(outstanding: readonly OutstandingLease[], now: number): BudgetPosition[] {
    return this.#limits(outstanding, this.#ledger.spent(dayOf(now)), now);
  }

  #limits(outstanding: readonly OutstandingLease[], spent: Spent, now: number): BudgetPosition[] {
    const result = readConfig(this.env);
    // With a wrong configuration nothing is served, so nothing is spent.
    const budgets = result.ok ? result.config.budgets : { day: 0, month: 0, total: 0 };
    return positions(budgets, spent, outstanding, now);
  }

  /** Number of the newest lease that the session has said to know. */
  #newestLease(session: string): number {
    const query = "SELECT json_extract(summary, '$.lease.n') AS n FROM session WHERE id = ?";
    return this.#sql.exec<{ n: number | null }>(query, session).toArray()[0]?.n ?? 0;
  }

  #prepare(): void {
    if (this.#ready) return;
    makeSchema(this.#sql);
    this.#ready = true;
  }

  #isDeleted(session: string): boolean {
    return this.#sql.exec("SELECT 1 FROM tombstone WHERE id = ?", session).toArray().length > 0;
  }
}

const granted = (lease: HeldLease): Grant => ({ kind: "granted", ...lease });
