/**
 * Names of sessions, each of which belongs to one living session of the account. A session that is
 * being made gets its name with its first report. One that is to be named anew claims the name first:
 * its report makes the claim good, and a claim without one lapses, so that a session that died in
 * between holds no name for ever.
 */

/** How long a name is kept for a session that has claimed it, in milliseconds. */
const CLAIM_MS = 10 * 60_000;

/** Of the claims, so many are looked at with each new one, and those that have lapsed removed. */
const LOOKED_AT = 8;

/** Needs the tables of schema.ts. */
export class NameTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The session of this name, or null. */
  sessionOf(name: string): string | null {
    const query = "SELECT session FROM name WHERE name = ?";
    return this.#sql.exec<{ session: string }>(query, name).toArray()[0]?.session ?? null;
  }

  /** Another session than this one has the name, or has claimed it. */
  isTaken(name: string, session: string, now: number): boolean {
    const holder = this.sessionOf(name);
    if (holder !== null) return holder !== session;
    const query = "SELECT 1 FROM claim WHERE name = ? AND session <> ? AND until > ?";
    return this.#sql.exec(query, name, session, now).toArray().length > 0;
  }

  /** Keeps the name for a session that is about to take it; false when another one has it. */
  claim(name: string, session: string, now: number): boolean {
    if (this.isTaken(name, session, now)) return false;
    this.#sql.exec(
      `DELETE FROM claim WHERE name IN (
        SELECT name FROM (SELECT name, until FROM claim ORDER BY name LIMIT ?) WHERE until <= ?
      )`,
      LOOKED_AT,
      now,
    );
    if (this.sessionOf(name) === session) return true;
    this.#sql.exec(
      "INSERT OR REPLACE INTO claim (name, session, until) VALUES (?, ?, ?)",
      name,
      session,
      now + CLAIM_MS,
    );
    return true;
  }

  /**
   * The session says that its name is `name` now and was `before` when it last said so. False when
   * another one has that name: then the session has none.
   */
  told(
    session: string,
    { name, before }: { name: string | null; before: string | null },
    now: number,
  ): boolean {
    if (before !== null && before !== name) this.#free(before, session);
    if (name === null) return true;
    if (this.isTaken(name, session, now)) return false;
    if (name === before) return true;
    this.#sql.exec("DELETE FROM claim WHERE name = ?", name);
    this.#sql.exec("INSERT OR REPLACE INTO name (name, session) VALUES (?, ?)", name, session);
    return true;
  }

  /** The session is no more. `name` is the one that it last said to have. */
  remove(session: string, name: string | null): void {
    if (name !== null) this.#free(name, session);
    this.#sql.exec("DELETE FROM claim WHERE session = ?", session);
  }

  #free(name: string, session: string): void {
    this.#sql.exec("DELETE FROM name WHERE name = ? AND session = ?", name, session);
  }
}
