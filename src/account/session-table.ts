/** The index of an account's sessions: what the list shows of each, newest first. */
import type { SessionSummary } from "../shared/summary.ts";
import { type ListAsked, matcherOf, rangeOf, type SessionPage } from "./session-filter.ts";

/** Sorts behind every ULID. */
const AFTER_ALL = "~";

/** Rows that one page with filters looks at, and characters of them: whatever of the two comes first. */
const MOST_ROWS = 5_000;
const MOST_CHARACTERS = 2_000_000;

/** Needs the tables of schema.ts. */
export class SessionTable {
  readonly #sql: SqlStorage;
  /** How many there are, once somebody has asked; counted up to `#counted` only. */
  #count: { known: number; upTo: number } | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The row of the session's log that its summary counts up to; null when it is not known. */
  seqOf(session: string): number | null {
    const query = "SELECT seq FROM session WHERE id = ?";
    const [row] = this.#sql.exec<{ seq: number }>(query, session).toArray();
    return row?.seq ?? null;
  }

  /** The name that the session has, as far as it has said so. */
  nameOf(session: string): string | null {
    const query = "SELECT json_extract(summary, '$.name') AS name FROM session WHERE id = ?";
    return this.#sql.exec<{ name: string | null }>(query, session).toArray()[0]?.name ?? null;
  }

  /** Number of the newest lease that the session has said to know. */
  newestLease(session: string): number {
    const query = "SELECT json_extract(summary, '$.lease.n') AS n FROM session WHERE id = ?";
    return this.#sql.exec<{ n: number | null }>(query, session).toArray()[0]?.n ?? 0;
  }

  /** Adds a session, or replaces what is known of it: one row. */
  put(summary: SessionSummary, isNew: boolean): void {
    this.#sql.exec(
      `INSERT INTO session (id, seq, summary) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET seq = excluded.seq, summary = excluded.summary`,
      summary.session,
      summary.seq,
      JSON.stringify(summary),
    );
    if (isNew && this.#count) this.#count.known += 1;
  }

  remove(session: string): void {
    const { rowsWritten } = this.#sql.exec("DELETE FROM session WHERE id = ?", session);
    // Counted anew when it is next asked for.
    if (rowsWritten > 0) this.#count = null;
  }

  /** There are `limit` or more. Reads so many rows at most, and only once in this object's life. */
  reaches(limit: number): boolean {
    if (!this.#count || this.#count.upTo !== limit) {
      const query = "SELECT count(*) AS n FROM (SELECT 1 FROM session LIMIT ?)";
      const { n } = this.#sql.exec<{ n: number }>(query, limit).one();
      this.#count = { known: n, upTo: limit };
    }
    return this.#count.known >= limit;
  }

  /** One page. With filters it looks at a bounded part of the index, so it may be empty and not the last. */
  list(asked: ListAsked): SessionPage {
    const matches = matcherOf(asked);
    const sessions: SessionSummary[] = [];
    let rows = 0;
    let characters = 0;
    let last: string | null = null;
    for (const { id, summary } of this.#read(asked)) {
      // One row is looked at whatever its size, or a long one could never be passed.
      const enough = rows === MOST_ROWS || characters + summary.length > MOST_CHARACTERS;
      if (sessions.length === asked.limit || (rows > 0 && enough)) {
        return { sessions, next_cursor: last };
      }
      rows += 1;
      characters += summary.length;
      last = id;
      const one = parsedSummary(summary);
      if (matches(one)) sessions.push(one);
    }
    return { sessions, next_cursor: null };
  }

  /** Those of the times asked for, and of the name where there is one, newest first. */
  #read(asked: ListAsked): Iterable<Stored> {
    const { from, to } = rangeOf(asked);
    const end = before(asked.cursor, to);
    if (asked.name === undefined) {
      const query = "SELECT id, summary FROM session WHERE id < ? AND id >= ? ORDER BY id DESC";
      return this.#sql.exec<Stored>(query, end, from);
    }
    return this.#sql.exec<Stored>(
      `SELECT id, summary FROM name CROSS JOIN session ON id = name.session
       WHERE name = ? AND name.session < ? AND name.session >= ? ORDER BY name.session DESC`,
      asked.name,
      end,
      from,
    );
  }
}

type Stored = { id: string; summary: string };

const before = (cursor: string | null, to: string | null): string => {
  const ends = [cursor, to].filter((end) => end !== null).sort();
  return ends[0] ?? AFTER_ALL;
};

// What `put` has written.
export const parsedSummary = (summary: string): SessionSummary =>
  JSON.parse(summary) as SessionSummary;
