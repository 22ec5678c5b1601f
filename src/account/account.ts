import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import type { AuditAsked, AuditEntry, AuditPage } from "../shared/audit.ts";
import { clock } from "../shared/clock.ts";
import { type AccountBudgets, readConfig } from "../shared/config.ts";
import {
  type KeyChanges,
  keyUlid,
  type ManagedKey,
  NO_BUDGETS,
  publicKeyId,
  type RateLimit,
} from "../shared/keys.ts";
import { dayOf, type LedgerEntry } from "../shared/ledger.ts";
import type { SessionSummary } from "../shared/summary.ts";
import { AuditTable } from "./audit-table.ts";
import { type KeyCreation, type KeyPage, KeyTable } from "./key-table.ts";
import { type HeldLease, LeaseTable } from "./lease-table.ts";
import {
  type Asked,
  type BudgetPosition,
  type OutstandingLease,
  positions,
  type Spent,
  share,
} from "./leases.ts";
import { AccountKey, type KeyInfo } from "./own-key.ts";
import { type RateAnswer, RateTable } from "./rate-table.ts";
import { ReservationTable } from "./reservation-table.ts";
import { hasSchema, makeSchema } from "./schema.ts";
import type { KeptSecret } from "./secret-table.ts";
import type { ListAsked, SessionPage } from "./session-filter.ts";
import { type Admission, type Claim, type ReportResult, SessionIndex } from "./session-index.ts";
import { NOTHING_USED, UsageLedger, type UsagePage, type UsageQuery } from "./usage.ts";

/** What a session says that was written before there were leases. */
const NO_LEASE = { n: 0, held: false };

const NOTHING_SPENT: Spent = { day: 0, month: 0, total: 0 };

const NOTHING_ALLOWED: AccountBudgets = { day: 0, month: 0, total: 0 };

const NO_USAGE: UsagePage = { rows: [], more: false, totals: NOTHING_USED };

/** `session` is the ULID to create the session under: the caller's own, or that of the first try. */
export type Reservation =
  | { kind: "new" | "same" | "deleted"; session: string }
  | { kind: "conflict" };

/** The answer to a session's wish to spend. */
export type Grant =
  | ({ kind: "granted" } & HeldLease)
  | { kind: "refused"; budget: BudgetPosition }
  /** Something newer was said since this was asked. */
  | { kind: "stale" };

/** The `Idempotency-Key` of a request, with its route, and the hash of its body. */
export interface SentKey {
  id: string;
  hash: string;
}

export interface AccountUsage extends UsagePage {
  budgets: BudgetPosition[];
}

/**
 * One account: the index of its sessions, its ledger, budgets and leases, its keys and their rate
 * limits, its audit, and its own Anthropic key. Its name is the account's id. No method throws for
 * what a caller may send.
 */
export class Account extends DurableObject<Env> {
  readonly #sql: SqlStorage;
  readonly #audit: AuditTable;
  readonly #ledger: UsageLedger;
  readonly #leases: LeaseTable;
  readonly #sessions: SessionIndex;
  readonly #reservations: ReservationTable;
  readonly #anthropicKey: AccountKey;
  readonly #keys: KeyTable;
  readonly #rates: RateTable;
  #ready: boolean;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#audit = new AuditTable(this.#sql);
    this.#ledger = new UsageLedger(this.#sql);
    this.#leases = new LeaseTable(this.#sql);
    this.#sessions = new SessionIndex(this.#sql);
    this.#reservations = new ReservationTable(this.#sql);
    this.#anthropicKey = new AccountKey(this.#sql, ctx.id.name ?? "");
    this.#keys = new KeyTable(this.#sql);
    this.#rates = new RateTable(this.#sql);
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
    const known = this.#reservations.find(keyId, at);
    if (known) {
      const { session } = known;
      if (known.hash !== hash) return { kind: "conflict" };
      return { kind: this.#sessions.isDeleted(session) ? "deleted" : "same", session };
    }
    this.#reservations.put(keyId, { hash, session: newSession }, at);
    return { kind: "new", session: newSession };
  }

  /**
   * Takes what a session says of itself, unless something newer is known. Writes one row, and one for
   * each entry of ledger and audit that is news.
   */
  report(
    summary: SessionSummary,
    entries: readonly LedgerEntry[] = [],
    audit: readonly AuditEntry[] = [],
  ): ReportResult {
    this.noteAudit(audit);
    const { session } = summary;
    const now = clock.now();
    this.#ledger.put(session, entries, dayOf(now));
    if (this.#sessions.isDeleted(session)) return { kind: "deleted" };
    this.#leases.told(session, summary.lease ?? NO_LEASE, now);
    return this.#sessions.report(summary, now);
  }

  /**
   * The first report of a session that has a name, or whose account has a limit on them: it is only
   * there when this lets it in. Asked again, it answers the same.
   */
  admitSession(summary: SessionSummary, audit: readonly AuditEntry[] = []): Admission {
    this.#prepare();
    const result = readConfig(this.env);
    const most = result.ok ? result.config.maxSessions : null;
    const admission = this.#sessions.admit(summary, most, clock.now());
    if (admission.kind === "admitted") this.noteAudit(audit);
    return admission;
  }

  /** Takes entries of the audit, each of them once. */
  noteAudit(entries: readonly AuditEntry[]): void {
    this.#prepare();
    this.#audit.put(entries, this.#auditSince());
  }

  /** One page of the audit. */
  auditPage(asked: AuditAsked): AuditPage {
    return this.#ready ? this.#audit.page(asked, this.#auditSince()) : { entries: [], next: null };
  }

  /** Keeps a name for a session that is about to take it; its next report makes that good. */
  claimName(session: string, name: string): Claim {
    if (!this.#ready) return { kind: "unknown" };
    return this.#sessions.claim(session, name, clock.now());
  }

  /** One page of the sessions that exist. */
  list(asked: ListAsked): SessionPage {
    return this.#ready ? this.#sessions.list(asked) : { sessions: [], next_cursor: null };
  }

  /**
   * Lets a session spend. `summary` and `entries` are its report as of now: what it has spent is
   * counted before it gets more. Asked again, it answers the same.
   */
  lease(
    summary: SessionSummary,
    entries: readonly LedgerEntry[],
    asked: Asked,
    audit: readonly AuditEntry[] = [],
  ): Grant {
    const now = clock.now();
    const { session, lease, spent_usd } = summary;
    if (this.report(summary, entries, audit).kind === "deleted") return { kind: "stale" };
    const known = this.#leases.of(session);
    if (known && known.n > lease.n) {
      // Either the answer was lost, or this question comes late and nobody reads the answer.
      const repeated = known.n === lease.n + 1 && now < known.expires_at;
      return repeated ? granted(known) : { kind: "stale" };
    }
    if (!known && this.#sessions.newestLease(session) > lease.n) return { kind: "stale" };
    const { key } = asked;
    // A session gives back what it has of one key's money before it asks for another's.
    if (known && known.key !== key) return { kind: "stale" };
    const others = this.#leases.outstanding(session);
    const ofKey = key === undefined ? [] : this.#keyPositions(key, NOTHING_ALLOWED, others, now);
    const budgets = [...this.#positions(others, now), ...ofKey];
    const shared = share(budgets, asked);
    if (shared.kind === "refused") return shared;
    // Should the answer be lost, the session goes on under the lease that it has.
    const ceiling_usd = Math.max(spent_usd + shared.amount_usd, known?.ceiling_usd ?? 0);
    const given = { ceiling_usd, keep: shared.keep, ...(key === undefined ? {} : { key }) };
    return granted(this.#leases.put(session, given, lease.n + 1, now));
  }

  /** What was used in a period, and where the budgets stand: those of the key that is asked about. */
  usage(query: UsageQuery): AccountUsage {
    const now = clock.now();
    if (!this.#ready) return { ...NO_USAGE, budgets: this.#limits([], NOTHING_SPENT, now) };
    const page = this.#ledger.page(query);
    const all = this.#leases.outstanding(null);
    const { key } = query;
    if (key === undefined) return { ...page, budgets: this.#positions(all, now) };
    return { ...page, budgets: this.#keyPositions(key, NO_BUDGETS, all, now) };
  }

  /** Takes a session that `submission` deleted out of the list for good and keeps its final figures. */
  remove(
    session: string,
    submission: string,
    final: SessionSummary,
    entries: readonly LedgerEntry[] = [],
    audit: readonly AuditEntry[] = [],
  ): { kind: "removed" } {
    this.noteAudit(audit);
    const now = clock.now();
    this.#ledger.put(session, entries, dayOf(now));
    if (this.#sessions.isDeleted(session)) return { kind: "removed" };
    this.#leases.remove(session);
    this.#sessions.remove(session, submission, final, now);
    return { kind: "removed" };
  }

  /** The session was deleted by this very submission. */
  isDeletedBy(session: string, submission: string): boolean {
    return this.#ready && this.#sessions.isDeletedBy(session, submission);
  }

  /** Makes a managed key, once for each `Idempotency-Key`. Its ULID names the call. */
  createKey(key: ManagedKey, sent: SentKey | null): KeyCreation | { kind: "conflict" } {
    this.#prepare();
    const now = clock.now();
    const before = sent && this.#reservations.find(sent.id, now);
    if (sent && before) {
      if (before.hash !== sent.hash) return { kind: "conflict" };
      const known = before.session === key.id ? null : this.#keys.get(before.session);
      if (known) return { kind: "exists", key: known };
    }
    const made = this.#keys.create(key);
    // For a key that found no room nothing is kept, or none that is made later would be known again.
    if (sent && !before && made.kind === "created") {
      this.#reservations.put(sent.id, { hash: sent.hash, session: key.id }, now);
    }
    return made;
  }

  /** One page of the managed keys. */
  listKeys(page: { limit: number; cursor: string | null }): KeyPage {
    return this.#ready ? this.#keys.list(page) : { keys: [], more: false, accounts: [] };
  }

  /** Remembers another account for which a key is about to be made; false when there are too many. */
  rememberAccount(name: string): boolean {
    this.#prepare();
    return this.#keys.remember(name);
  }

  /** The managed key with this ULID. */
  managedKey(id: string): ManagedKey | null {
    return this.#ready ? this.#keys.get(id) : null;
  }

  /** The same, and where its budgets stand. */
  keyStanding(id: string): { key: ManagedKey; budgets: BudgetPosition[] } | null {
    const key = this.managedKey(id);
    if (!key) return null;
    const all = this.#leases.outstanding(null);
    return { key, budgets: this.#keyPositions(publicKeyId(id), NO_BUDGETS, all, clock.now()) };
  }

  /** Null when there is no such key. `call` is a ULID that names the call, should it come twice. */
  updateKey(
    id: string,
    changes: KeyChanges,
    sent: SentKey | null,
    call: string,
  ): { kind: "updated"; key: ManagedKey; replayed: boolean } | { kind: "conflict" } | null {
    const known = this.managedKey(id);
    if (!known) return null;
    if (sent) {
      const reserved = this.reserve(sent.id, sent.hash, call, clock.now());
      if (reserved.kind === "conflict") return { kind: "conflict" };
      // Others may have changed it since: what was done once is not done again.
      if (reserved.session !== call) return { kind: "updated", key: known, replayed: true };
    }
    return { kind: "updated", key: this.#keys.update(id, changes) ?? known, replayed: false };
  }

  /** Revokes a managed key for good; null when there is no such key. */
  revokeKey(id: string): ManagedKey | null {
    return this.#ready ? this.#keys.revoke(id) : null;
  }

  /** Lets a request of a key with a rate limit through, or does not. */
  admit(bucket: string, limit: RateLimit): RateAnswer {
    this.#prepare();
    return this.#rates.admit(bucket, limit);
  }

  /** Keeps the account's own Anthropic key, or takes it away. */
  setOwnKey(kept: KeptSecret | null): KeyInfo | null {
    if (kept) {
      this.#prepare();
      this.#anthropicKey.put(kept);
    } else if (this.#ready) this.#anthropicKey.remove();
    return this.ownKey();
  }

  /** What may be shown of it; null when there is none. */
  ownKey(): KeyInfo | null {
    return this.#ready ? this.#anthropicKey.info() : null;
  }

  /** The same, sealed, for a session that is about to call the model. */
  async anthropicKey(): Promise<string | null> {
    if (!this.#ready) return null;
    const result = readConfig(this.env);
    return this.#anthropicKey.sealed(result.ok ? result.config.encryption : null);
  }

  #positions(outstanding: readonly OutstandingLease[], now: number): BudgetPosition[] {
    return this.#limits(outstanding, this.#ledger.spent(dayOf(now)), now);
  }

  /** Those of a managed key; `unknown` are its limits where it is not kept any more. */
  #keyPositions(
    key: string,
    unknown: AccountBudgets,
    outstanding: readonly OutstandingLease[],
    now: number,
  ): BudgetPosition[] {
    const budgets = this.#keys.get(keyUlid(key) ?? "")?.budgets ?? unknown;
    const own = outstanding.filter((lease) => lease.key === key);
    const spent = this.#ledger.spent(dayOf(now), key);
    return positions(budgets, spent, own, now).map((position) => ({ ...position, key }));
  }

  #limits(outstanding: readonly OutstandingLease[], spent: Spent, now: number): BudgetPosition[] {
    const result = readConfig(this.env);
    // With a wrong configuration nothing is served, so nothing is spent.
    const budgets = result.ok ? result.config.budgets : NOTHING_ALLOWED;
    return positions(budgets, spent, outstanding, now);
  }

  /** What happened before is not in the audit. */
  #auditSince(): number {
    const result = readConfig(this.env);
    // With a wrong configuration nobody has said that anything is too old.
    if (!result.ok) return 0;
    const { auditMs } = result.config;
    return auditMs === 0 ? Number.MAX_SAFE_INTEGER : clock.now() - auditMs;
  }

  #prepare(): void {
    if (this.#ready) return;
    makeSchema(this.#sql);
    this.#ready = true;
  }
}

const granted = (lease: HeldLease): Grant => ({ kind: "granted", ...lease });
