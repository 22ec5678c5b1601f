import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import { clock } from "../shared/clock.ts";
import type { SessionSummary } from "../shared/summary.ts";
import { hasSchema, makeSchema } from "./schema.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** Expired keys that one new key takes out: more than come in, and few enough to cost nothing. */
const PURGE = 4;

/** Sorts behind every ULID. */
const AFTER_ALL = "~";

/** `session` is the ULID to create the session under: the caller's own, or that of the first try. */
export type Reservation =
  | { kind: "new" | "same" | "deleted"; session: string }
  | { kind: "conflict" };

/** `deleted`: the session has a tombstone, which nothing revives. */
export type ReportResult = { kind: "stored" } | { kind: "stale" } | { kind: "deleted" };

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
>;

/**
 * One account: the index of its sessions and the keys that make creating one idempotent. Its name
 * is the account's id. No method throws for what a caller may send.
 */
export class Account extends DurableObject<Env> {
  readonly #sql: SqlStorage;
  #ready: boolean;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#ready = hasSchema(this.#sql);
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

  /** Takes what a session says of itself, unless something newer is known. Writes one row. */
  report(summary: SessionSummary): ReportResult {
    this.#prepare();
    const { session, seq } = summary;
    if (this.#isDeleted(session)) return { kind: "deleted" };
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

  /** Takes a session out of the list for good and keeps its final figures. */
  remove(session: string, final: SessionSummary): { kind: "removed" } {
    this.#prepare();
    if (this.#isDeleted(session)) return { kind: "removed" };
    const { surface, model, turn_count, usage, cost_usd, created_at } = final;
    const figures: FinalFigures = { surface, model, turn_count, usage, cost_usd, created_at };
    this.#sql.exec("DELETE FROM session WHERE id = ?", session);
    this.#sql.exec(
      "INSERT INTO tombstone (id, deleted_at, figures) VALUES (?, ?, ?)",
      session,
      clock.now(),
      JSON.stringify(figures),
    );
    return { kind: "removed" };
  }

  /** The session was deleted, and its figures are kept. */
  isDeleted(session: string): boolean {
    return this.#ready && this.#isDeleted(session);
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
