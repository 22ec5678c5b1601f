/** The leases that are out, as the account's object keeps them. */
import { LEASE_MS, type OutstandingLease } from "./leases.ts";

/** A lease as its session knows it. */
export interface HeldLease {
  n: number;
  ceiling_usd: number;
  expires_at: number;
  keep: boolean;
  /** On behalf of which managed key; absent: of the account alone. */
  key?: string;
}

/** Clocks of two objects differ by less. */
const CLOCK_MS = 60_000;

/** Needs the tables of schema.ts. */
export class LeaseTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  of(session: string): HeldLease | null {
    type Stored = Record<"n" | "ceiling" | "expires_at" | "keep", number> & { key: string | null };
    const query = `SELECT n, ceiling, expires_at, keep, lease_key.key
      FROM lease LEFT JOIN lease_key USING (session) WHERE lease.session = ?`;
    const [row] = this.#sql.exec<Stored>(query, session).toArray();
    if (!row) return null;
    const { n, ceiling, expires_at, keep, key } = row;
    return { n, ceiling_usd: ceiling, expires_at, keep: keep === 1, ...of(key) };
  }

  /** Gives the session its lease `n`, in place of the one before it, which was of the same key. */
  put(
    session: string,
    { ceiling_usd, keep, key }: Pick<HeldLease, "ceiling_usd" | "keep" | "key">,
    n: number,
    now: number,
  ): HeldLease {
    const expires_at = now + LEASE_MS;
    this.#sql.exec(
      `INSERT INTO lease (session, n, ceiling, expires_at, keep) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET n = excluded.n, ceiling = excluded.ceiling,
         expires_at = excluded.expires_at, keep = excluded.keep`,
      session,
      n,
      ceiling_usd,
      expires_at,
      keep ? 1 : 0,
    );
    if (key !== undefined) {
      const query = "INSERT INTO lease_key (session, key) VALUES (?, ?) ON CONFLICT DO NOTHING";
      this.#sql.exec(query, session, key);
    }
    return { n, ceiling_usd, expires_at, keep, ...of(key) };
  }

  /**
   * A session has said which lease it knows last, and whether it holds that. One that it has given
   * back ends, and so does one that it has never heard of and cannot take any more.
   */
  told(session: string, { n, held }: { n: number; held: boolean }, now: number): void {
    const known = this.of(session);
    if (!known) return;
    const returned = n >= known.n && !held;
    const missed = n < known.n && now > known.expires_at + CLOCK_MS;
    if (returned || missed) this.remove(session);
  }

  remove(session: string): void {
    this.#sql.exec("DELETE FROM lease WHERE session = ?", session);
    this.#sql.exec("DELETE FROM lease_key WHERE session = ?", session);
  }

  /** All that are out but that of one session, each with what its session has spent. */
  outstanding(but: string | null): OutstandingLease[] {
    type Stored = { ceiling: number; spent: number | null; expires_at: number; key: string | null };
    const query = `
      SELECT lease.ceiling, lease.expires_at, json_extract(session.summary, '$.spent_usd') AS spent,
        lease_key.key
      FROM lease LEFT JOIN session ON session.id = lease.session
        LEFT JOIN lease_key ON lease_key.session = lease.session
      WHERE lease.session IS NOT ?`;
    return this.#sql
      .exec<Stored>(query, but)
      .toArray()
      .map(({ ceiling, expires_at, spent, key }) => ({
        key,
        ceiling_usd: ceiling,
        spent_usd: spent ?? 0,
        expires_at,
      }));
  }
}

const of = (key: string | null | undefined) => (key ? { key } : {});
