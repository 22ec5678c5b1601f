/**
 * Names of sessions. A name leads to the newest of the living sessions that have it. Where a name is
 * unique, as under the native API, a second session of that name is refused; claude-code-api's
 * clients expect that it takes the name over, and that the older one has it again when the newer is gone.
 *
 * A session that is being made gets its name with its first report. One that is to be named anew
 * claims the name first: its report makes the claim good, and a claim without one lapses, so that a
 * session that died in between holds no name for ever.
 */

const NAME_TABLE = `
CREATE TABLE IF NOT EXISTS name (
  -- The name of a session that lives. Text as the client sent it.
  name TEXT NOT NULL,
  -- The session's ULID: of several with one name the greatest is the newest.
  session TEXT NOT NULL,
  PRIMARY KEY (name, session)
) WITHOUT ROWID, STRICT;
`;

const CLAIM_TABLE = `
CREATE TABLE IF NOT EXISTS claim (
  -- A name that a session is about to take, until its report says that it has. Few rows, so it is
  -- read as a whole where it must be.
  name TEXT PRIMARY KEY,
  session TEXT NOT NULL,
  -- From here on the claim is void, in milliseconds since the epoch.
  until INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
`;

/** How long a name is kept for a session that has claimed it, in milliseconds. */
const CLAIM_MS = 10 * 60_000;

/** Of the claims, so many are looked at with each new one, and those that have lapsed removed. */
const LOOKED_AT = 8;

/** Makes the two tables, or gives that of an older version its present key. */
export function makeNameTables(sql: SqlStorage): void {
  // SQLite cannot change a primary key. These statements are one commit, as nothing is awaited.
  if (hasOneSessionPerName(sql)) {
    sql.exec("ALTER TABLE name RENAME TO name_before");
    sql.exec(NAME_TABLE);
    sql.exec("INSERT INTO name (name, session) SELECT name, session FROM name_before");
    sql.exec("DROP TABLE name_before");
  }
  sql.exec(NAME_TABLE);
  sql.exec(CLAIM_TABLE);
}

/** The table is one of an older version, whose key was the name alone. */
function hasOneSessionPerName(sql: SqlStorage): boolean {
  const query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'name'";
  const [table] = sql.exec<{ sql: string }>(query).toArray();
  return table?.sql.includes("name TEXT PRIMARY KEY") ?? false;
}

/** What a session says of its name. */
interface NameTold {
  name: string | null;
  /** What it was when the session last said so. */
  before: string | null;
  /** It has the name whoever else has it. */
  shared: boolean;
}

/** Needs the tables above. */
export class NameTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The session of this name, of several the newest; or null. */
  sessionOf(name: string): string | null {
    const query = "SELECT max(session) AS session FROM name WHERE name = ?";
    return this.#sql.exec<{ session: string | null }>(query, name).one().session;
  }

  /** Another session than this one has the name or has claimed it, and this one has done neither. */
  isTaken(name: string, session: string, now: number): boolean {
    if (this.#has(name, session)) return false;
    const query = "SELECT session FROM claim WHERE name = ? AND until > ?";
    const [claim] = this.#sql.exec<{ session: string }>(query, name, now).toArray();
    // A session that shares names may have taken it since: what was promised holds.
    return claim ? claim.session !== session : this.sessionOf(name) !== null;
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
    if (this.#has(name, session)) return true;
    this.#sql.exec(
      "INSERT OR REPLACE INTO claim (name, session, until) VALUES (?, ?, ?)",
      name,
      session,
      now + CLAIM_MS,
    );
    return true;
  }

  /** Takes what a session says of its name. False when another one has it: then the session has none. */
  told(session: string, { name, before, shared }: NameTold, now: number): boolean {
    if (before !== null && before !== name) this.#free(before, session);
    if (name === null || this.#has(name, session)) return true;
    if (!shared && this.isTaken(name, session, now)) return false;
    this.#sql.exec(
      "DELETE FROM claim WHERE name = ? AND (session = ? OR until <= ?)",
      name,
      session,
      now,
    );
    this.#sql.exec("INSERT INTO name (name, session) VALUES (?, ?)", name, session);
    return true;
  }

  /** The session is no more. `name` is the one that it last said to have. */
  remove(session: string, name: string | null): void {
    if (name !== null) this.#free(name, session);
    this.#sql.exec("DELETE FROM claim WHERE session = ?", session);
  }

  #has(name: string, session: string): boolean {
    const query = "SELECT 1 FROM name WHERE name = ? AND session = ?";
    return this.#sql.exec(query, name, session).toArray().length > 0;
  }

  #free(name: string, session: string): void {
    this.#sql.exec("DELETE FROM name WHERE name = ? AND session = ?", name, session);
  }
}
