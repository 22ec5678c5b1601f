/**
 * Secrets that an object keeps for its user, sealed (`sealed.ts`). They stand beside the log and are
 * never a part of it, so no export, page or event can hold one.
 */

export const SECRET_TABLE = `
CREATE TABLE IF NOT EXISTS secret (
  name   TEXT PRIMARY KEY,
  sealed TEXT NOT NULL,
  -- The last four characters, where a client may see them; else empty.
  hint   TEXT NOT NULL,
  -- When it was set, in milliseconds since the epoch.
  at     INTEGER NOT NULL
) WITHOUT ROWID;
`;

/** The name, and the purpose under which it is sealed, of an Anthropic key of one's own. */
export const ANTHROPIC_KEY = "anthropic-key";

export type KeptSecret = { sealed: string; hint: string; at: number };

export class SecretTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get(name: string): KeptSecret | null {
    const query = "SELECT sealed, hint, at FROM secret WHERE name = ?";
    return this.#sql.exec<KeptSecret>(query, name).toArray()[0] ?? null;
  }

  put(name: string, { sealed, hint, at }: KeptSecret): void {
    const query = "INSERT OR REPLACE INTO secret (name, sealed, hint, at) VALUES (?, ?, ?, ?)";
    this.#sql.exec(query, name, sealed, hint, at);
  }

  /** Keeps the same secret sealed anew, unless another was set meanwhile. */
  reseal(name: string, before: string, sealed: string): void {
    const query = "UPDATE secret SET sealed = ? WHERE name = ? AND sealed = ?";
    this.#sql.exec(query, sealed, name, before);
  }

  remove(name: string): void {
    this.#sql.exec("DELETE FROM secret WHERE name = ?", name);
  }

  clear(): void {
    this.#sql.exec("DELETE FROM secret");
  }
}
