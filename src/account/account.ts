import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import type { AuditAsked, AuditEntry, AuditPage } from "../shared/audit.ts";
import { clock } from "../shared/clock.ts";
import { readConfig } from "../shared/config.ts";
import { type KeyChanges, type ManagedKey, publicKeyId, type RateLimit } from "../shared/keys.ts";
import { dayOf, type LedgerEntry } from "../shared/ledger.ts";
import type { SessionSummary } from "../shared/summary.ts";
import type { Template, TemplateFields } from "../shared/template.ts";
import { AuditTable } from "./audit-table.ts";
import { Budgets, type Grant } from "./budgets.ts";
import {
  CodeQueries,
  NO_LIFE,
  NO_SESSIONS,
  NO_TURNS,
  type PageOf,
  type SessionsOf,
  type TurnsOf,
  type UsageOf,
} from "./code-queries.ts";
import { type KeyCreation, type KeyPage, KeyTable } from "./key-table.ts";
import { LeaseTable } from "./lease-table.ts";
import type { Asked, BudgetPosition } from "./leases.ts";
import { AccountKey, type KeyInfo } from "./own-key.ts";
import { type RateAnswer, type RateStanding, RateTable } from "./rate-table.ts";
import { ReservationTable } from "./reservation-table.ts";
import { hasSchema, makeSchema } from "./schema.ts";
import type { KeptSecret } from "./secret-table.ts";
import type { ListAsked, SessionPage } from "./session-filter.ts";
import { type Admission, type Claim, type ReportResult, SessionIndex } from "./session-index.ts";
import {
  builtinTemplate,
  type NamedFields,
  type TemplateChange,
  TemplateTable,
  withBuiltin,
} from "./template-table.ts";
import { NOTHING_USED, UsageLedger, type UsagePage, type UsageQuery } from "./usage.ts";

/** What a session says that was written before there were leases. */
const NO_LEASE = { n: 0, held: false };

const NO_USAGE: UsagePage = { rows: [], more: false, totals: NOTHING_USED };

/** `session` is the ULID to create the session under: the caller's own, or that of the first try. */
export type Reservation =
  | { kind: "new" | "same" | "deleted"; session: string }
  | { kind: "conflict" };

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
 * limits, its audit, its templates, and its own Anthropic key. Its name is the account's id. No
 * method throws for what a caller may send.
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
  readonly #templates: TemplateTable;
  readonly #budgets: Budgets;
  readonly #code: CodeQueries;
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
    this.#templates = new TemplateTable(this.#sql);
    this.#budgets = new Budgets({
      ledger: this.#ledger,
      leases: this.#leases,
      keys: this.#keys,
      env: () => this.env,
    });
    this.#code = new CodeQueries(this.#sql, this.#ledger);
    this.#ready = hasSchema(this.#sql);
    // An account of an older version lacks some tables, or has one in an older form.
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
    if (this.report(summary, entries, audit).kind === "deleted") return { kind: "stale" };
    const newest = () => this.#sessions.newestLease(summary.session);
    return this.#budgets.lease(summary, asked, newest, clock.now());
  }

  /** What was used in a period, and where the budgets stand: those of the key that is asked about. */
  usage(query: UsageQuery): AccountUsage {
    const now = clock.now();
    if (!this.#ready) return { ...NO_USAGE, budgets: this.#budgets.untouched(now) };
    return { ...this.#ledger.page(query), budgets: this.#budgets.standing(query.key, now) };
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
    return key && { key, budgets: this.#budgets.standing(publicKeyId(id), clock.now()) };
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

  /** Where such a key stands; nothing is counted, and nothing written. */
  rateStanding(bucket: string, limit: RateLimit): RateStanding {
    if (!this.#ready) return { remaining: limit.requests, reset_ms: 0 };
    return this.#rates.standing(bucket, limit);
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

  /** Built-in ones in their own order, then the account's by name; one of its own hides a built-in. */
  templates(): Template[] {
    return withBuiltin(this.#ready ? this.#templates.all() : []);
  }

  /** Null when there is none of this name. */
  template(name: string): Template | null {
    return (this.#ready ? this.#templates.get(name) : null) ?? builtinTemplate(name);
  }

  /** Keeps a template of the account's own. */
  putTemplate(name: string, fields: TemplateFields): TemplateChange {
    this.#prepare();
    return this.#templates.put({ ...fields, name });
  }

  /** Removes one of the account's own; false when there was none. A built-in of that name shows again. */
  removeTemplate(name: string): boolean {
    return this.#ready && this.#templates.remove(name);
  }

  /** Makes these all that the account has of its own. */
  replaceTemplates(templates: readonly NamedFields[]): TemplateChange {
    this.#prepare();
    return this.#templates.replace(templates);
  }

  /** The session of this name, of several the newest; null when there is none. */
  sessionNamed(name: string): string | null {
    return this.#ready ? this.#sessions.named(name) : null;
  }

  /** One page of the sessions that live, of all surfaces. */
  codeSessions(asked: PageOf): SessionsOf {
    return this.#ready ? this.#code.sessions(asked) : NO_SESSIONS;
  }

  /**
   * The idle session of claude-code-api in which nothing happened for longest: the one that makes
   * room for another. Null when there is none besides `taken`.
   */
  oldestIdle(taken: readonly string[] = []): string | null {
    return this.#ready ? this.#code.oldestIdle(taken) : null;
  }

  /** What the account used in all its life, or the sessions with a label. */
  codeUsage({ user_id = null }: { user_id?: string | null | undefined }): UsageOf {
    return this.#ready ? this.#code.usage(user_id) : NO_LIFE;
  }

  /** One page of the messages of which the audit knows. Their texts are in the sessions. */
  turnAudit(asked: PageOf): TurnsOf {
    return this.#ready ? this.#code.turns(asked, this.#auditSince()) : NO_TURNS;
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
