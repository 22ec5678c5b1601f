/** Managed keys, as the account's object keeps them: what each may do, and never the key itself. */
import { clock } from "../shared/clock.ts";
import { type KeyChanges, keyStatus, type ManagedKey, publicKeyId } from "../shared/keys.ts";

export const KEY_TABLE = `
CREATE TABLE IF NOT EXISTS api_key (
  -- The key's ULID, which stands in its text: so a key is found without an index on its digest, and
  -- the list is in order of creation.
  id TEXT PRIMARY KEY,
  -- ManagedKey as JSON, with the SHA-256 of the key's text. It is written and read as a whole.
  body TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS key_account (
  -- Name of another account for which this one has made keys: nothing else says where they are.
  name TEXT PRIMARY KEY
) WITHOUT ROWID, STRICT;
`;

/** So many keys are kept. When there are more, revoked and expired ones make room, oldest first. */
export const MAX_KEYS = 1_000;

/** So many accounts may have keys that one account has made. */
export const MAX_ACCOUNTS = 1_000;

export type KeyCreation =
  /** `key` is the one that this very call, or an earlier delivery of it, has made. */
  | { kind: "created"; key: ManagedKey }
  /** Another request has made the key of this id. */
  | { kind: "exists"; key: ManagedKey }
  | { kind: "full" };

export interface KeyPage {
  /** Newest first. */
  keys: ManagedKey[];
  /** There are more behind the last one. */
  more: boolean;
  /** Names of other accounts for which keys were made here, in order. */
  accounts: string[];
}

/** Sorts behind every ULID. */
const AFTER_ALL = "~";

/** Needs the table above, and that of rate-table.ts. */
export class KeyTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The key with this ULID. */
  get(id: string): ManagedKey | null {
    const query = "SELECT body FROM api_key WHERE id = ?";
    const [row] = this.#sql.exec<{ body: string }>(query, id).toArray();
    return row ? parsed(row.body) : null;
  }

  create(key: ManagedKey): KeyCreation {
    const known = this.get(key.id);
    if (known) return { kind: known.digest === key.digest ? "created" : "exists", key: known };
    if (!this.#makeRoom()) return { kind: "full" };
    this.#put(key);
    return { kind: "created", key };
  }

  list({ limit, cursor }: { limit: number; cursor: string | null }): KeyPage {
    const query = "SELECT body FROM api_key WHERE id < ? ORDER BY id DESC LIMIT ?";
    const rows = this.#sql.exec<{ body: string }>(query, cursor ?? AFTER_ALL, limit + 1).toArray();
    return {
      keys: rows.slice(0, limit).map(({ body }) => parsed(body)),
      more: rows.length > limit,
      accounts: this.#accounts(),
    };
  }

  /** Remembers an account for which a key is about to be made; false when there are too many. */
  remember(account: string): boolean {
    const known = this.#accounts();
    if (known.includes(account)) return true;
    if (known.length >= MAX_ACCOUNTS) return false;
    this.#sql.exec("INSERT INTO key_account (name) VALUES (?)", account);
    return true;
  }

  #accounts(): string[] {
    const query = "SELECT name FROM key_account ORDER BY name";
    const rows = this.#sql.exec<{ name: string }>(query).toArray();
    return rows.map(({ name }) => name);
  }

  update(id: string, changes: KeyChanges): ManagedKey | null {
    const known = this.get(id);
    if (!known) return null;
    const budgets = { ...known.budgets, ...changes.budgets };
    const key = { ...known, ...changes, budgets };
    if (Object.keys(changes).length > 0) this.#put(key);
    return key;
  }

  /** Revokes the key for good. It stays in the list. */
  revoke(id: string): ManagedKey | null {
    const known = this.get(id);
    if (!known || known.revoked_at !== null) return known;
    const key = { ...known, revoked_at: clock.now() };
    this.#put(key);
    return key;
  }

  #put(key: ManagedKey): void {
    this.#sql.exec(
      "INSERT INTO api_key (id, body) VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
      key.id,
      JSON.stringify(key),
    );
  }

  #makeRoom(): boolean {
    const count = "SELECT count(*) AS keys FROM api_key";
    if (this.#sql.exec<{ keys: number }>(count).one().keys < MAX_KEYS) return true;
    const { keys } = this.list({ limit: MAX_KEYS, cursor: null });
    const dead = keys.findLast((key) => keyStatus(key, clock.now()) !== "active");
    if (!dead) return false;
    this.#sql.exec("DELETE FROM api_key WHERE id = ?", dead.id);
    this.#sql.exec("DELETE FROM rate WHERE bucket = ?", publicKeyId(dead.id));
    return true;
  }
}

/** What `#put` has written. */
const parsed = (body: string): ManagedKey => JSON.parse(body) as ManagedKey;
