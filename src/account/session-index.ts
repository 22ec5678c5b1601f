/**
 * What an account knows of its sessions: the list, their names, and which were deleted. All of it is
 * an index that the sessions' reports fill.
 */
import type { SessionSummary } from "../shared/summary.ts";
import { NameTable } from "./name-table.ts";
import type { ListAsked, SessionPage } from "./session-filter.ts";
import { SessionTable } from "./session-table.ts";
import { TombstoneTable } from "./tombstone-table.ts";

export type ReportResult =
  /** `unnamed`: another session has the name that this one says to have, so it has none. */
  | { kind: "stored"; unnamed?: true }
  | { kind: "stale" }
  /** The session has a tombstone, which nothing revives. */
  | { kind: "deleted" };

/** Whether a session that is being created may be there. */
export type Admission =
  | { kind: "admitted" }
  | { kind: "deleted" }
  | { kind: "refused"; code: "name_taken" | "session_limit" };

/** `unknown`: the account has not heard of the session yet. */
export type Claim = { kind: "claimed" | "taken" | "unknown" };

/** Such a session has its name whoever else has it: that is what clients of this API expect. */
const sharesNames = ({ surface }: SessionSummary): boolean => surface === "code";

/** Needs the tables of schema.ts. */
export class SessionIndex {
  readonly #sessions: SessionTable;
  readonly #names: NameTable;
  readonly #tombstones: TombstoneTable;

  constructor(sql: SqlStorage) {
    this.#sessions = new SessionTable(sql);
    this.#names = new NameTable(sql);
    this.#tombstones = new TombstoneTable(sql);
  }

  isDeleted(session: string): boolean {
    return this.#tombstones.has(session);
  }

  isDeletedBy(session: string, submission: string): boolean {
    return this.#tombstones.isOf(session, submission);
  }

  newestLease(session: string): number {
    return this.#sessions.newestLease(session);
  }

  /** The session of this name, of several the newest; or null. */
  named(name: string): string | null {
    return this.#names.sessionOf(name);
  }

  /** Takes what a session says of itself, unless something newer is known. */
  report(summary: SessionSummary, now: number): ReportResult {
    const { session, seq, name = null } = summary;
    const known = this.#sessions.seqOf(session);
    if (known !== null && known >= seq) return { kind: "stale" };
    const before = known === null ? null : this.#sessions.nameOf(session);
    const told = { name, before, shared: sharesNames(summary) };
    const named = this.#names.told(session, told, now);
    this.#sessions.put(named ? summary : { ...summary, name: null }, known === null);
    return named ? { kind: "stored" } : { kind: "stored", unnamed: true };
  }

  /**
   * The first report of a session, by which it is decided whether it may be there at all. Asked
   * again, it answers the same.
   *
   * @param most how many sessions there may be; null: any number
   */
  admit(summary: SessionSummary, most: number | null, now: number): Admission {
    const { session, name = null } = summary;
    if (this.isDeleted(session)) return { kind: "deleted" };
    if (this.#sessions.seqOf(session) === null) {
      const isFree = name === null || sharesNames(summary);
      if (!isFree && this.#names.isTaken(name, session, now)) {
        return { kind: "refused", code: "name_taken" };
      }
      if (most !== null && this.#sessions.reaches(most)) {
        return { kind: "refused", code: "session_limit" };
      }
    }
    this.report(summary, now);
    return { kind: "admitted" };
  }

  claim(session: string, name: string, now: number): Claim {
    if (this.#sessions.seqOf(session) === null) return { kind: "unknown" };
    return { kind: this.#names.claim(name, session, now) ? "claimed" : "taken" };
  }

  /** One page of the sessions that exist. */
  list(asked: ListAsked): SessionPage {
    return this.#sessions.list(asked);
  }

  /** Takes a deleted session out for good and keeps its final figures. */
  remove(session: string, submission: string, final: SessionSummary, now: number): void {
    if (this.isDeleted(session)) return;
    this.#names.remove(session, this.#sessions.nameOf(session));
    this.#sessions.remove(session);
    this.#tombstones.put(session, submission, final, now);
  }
}
