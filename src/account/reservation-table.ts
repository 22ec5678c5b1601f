/** The idempotency keys of created sessions, each with the session that it stands for. */

const DAY_MS = 24 * 60 * 60 * 1000;

/** Expired keys that one new key takes out: more than come in, and few enough to cost nothing. */
const PURGE = 4;

/** Needs the tables of schema.ts. */
export class ReservationTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** What the key was used for within the last 24 hours, or null. */
  find(key: string, at: number): { hash: string; session: string } | null {
    const today = Math.floor(at / DAY_MS);
    const query = "SELECT hash, session FROM key WHERE day IN (?, ?) AND key = ? AND at > ?";
    type Known = { hash: string; session: string };
    const known = this.#sql.exec<Known>(query, today, today - 1, key, at - DAY_MS).toArray();
    return known[0] ?? null;
  }

  put(key: string, { hash, session }: { hash: string; session: string }, at: number): void {
    const today = Math.floor(at / DAY_MS);
    this.#sql.exec(
      "DELETE FROM key WHERE (day, key) IN (SELECT day, key FROM key WHERE day < ? LIMIT ?)",
      today - 1,
      PURGE,
    );
    this.#sql.exec(
      "INSERT INTO key (day, key, hash, session, at) VALUES (?, ?, ?, ?, ?)",
      today,
      key,
      hash,
      session,
      at,
    );
  }
}
