/** The account's audit: each entry once, for as many days as the configuration says. */
import type {
  AuditAsked,
  AuditEntry,
  AuditFilter,
  AuditPage,
  AuditPlace,
} from "../shared/audit.ts";

export const AUDIT_TABLE = `
CREATE TABLE IF NOT EXISTS audit (
  -- When it happened, in milliseconds since the epoch. The time leads, so that a page, a period and
  -- what is too old are ranges of the key.
  at INTEGER NOT NULL,
  -- ULID of the session whose log says it, with the row; or of the entry, with 0. So an entry that
  -- is told again meets itself.
  source TEXT NOT NULL,
  n INTEGER NOT NULL,
  -- The rest of AuditEntry as JSON: it is written and read as a whole.
  body TEXT NOT NULL,
  PRIMARY KEY (at, source, n)
) WITHOUT ROWID, STRICT;
`;

/** With each call that tells of something so many more than are new are removed. */
const REMOVED = 2;

/** One request looks at so many entries, however few of them are what it asks for. */
const LOOKED_AT = 5_000;

type Stored = { at: number; source: string; n: number; body: string };

/** Needs the table above. */
export class AuditTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * Takes what is news, and removes some of what is too old. Writes one row for each.
   *
   * @param since what happened before is neither kept nor shown, in milliseconds since the epoch
   */
  put(entries: readonly AuditEntry[], since: number): void {
    for (const { at, source, n, ...rest } of entries) {
      if (at < since) continue;
      this.#sql.exec(
        "INSERT INTO audit (at, source, n, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        at,
        source,
        n,
        JSON.stringify(rest),
      );
    }
    this.#sql.exec(
      `DELETE FROM audit WHERE (at, source, n) IN (
        SELECT at, source, n FROM audit WHERE at < ? ORDER BY at, source, n LIMIT ?
      )`,
      since,
      REMOVED + entries.length,
    );
  }

  page(asked: AuditAsked, since: number): AuditPage {
    const matches = matcherOf(asked);
    const entries: AuditEntry[] = [];
    let last: AuditPlace | null = null;
    let seen = 0;
    for (const { at, source, n, body } of this.#read(asked, since)) {
      // There is one more, so this page is not the last.
      if (entries.length === asked.limit || seen === LOOKED_AT) return { entries, next: last };
      seen += 1;
      last = { at, source, n };
      // What `put` has written.
      const entry = { ...last, ...JSON.parse(body) } as AuditEntry;
      if (matches(entry)) entries.push(entry);
    }
    return { entries, next: null };
  }

  #read({ order, cursor, after, before }: AuditAsked, since: number): Iterable<Stored> {
    const first = Math.max(since, (after ?? -1) + 1);
    const end = before ?? Number.MAX_SAFE_INTEGER;
    const [compared, direction] = order === "newest" ? ["<", "DESC"] : [">", "ASC"];
    const from = cursor ?? (order === "newest" ? { at: end, source: "", n: 0 } : BEFORE_ALL);
    return this.#sql.exec<Stored>(
      `SELECT at, source, n, body FROM audit
       WHERE at >= ? AND at < ? AND (at, source, n) ${compared} (?, ?, ?)
       ORDER BY at ${direction}, source ${direction}, n ${direction}`,
      first,
      end,
      from.at,
      from.source,
      from.n,
    );
  }
}

const BEFORE_ALL: AuditPlace = { at: -1, source: "", n: 0 };

const matcherOf =
  ({ action, session, key }: AuditFilter) =>
  (entry: AuditEntry): boolean =>
    (action === undefined || entry.action === action) &&
    (session === undefined || entry.session === session) &&
    (key === undefined || entry.key === key);
