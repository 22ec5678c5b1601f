/**
 * A session's storage and its state in memory, kept as one: `commit` writes a draft's rows and the
 * working tables in one synchronous step and moves the state along.
 */
import { clock } from "../shared/clock.ts";
import type { Row, RowOf } from "../shared/rows.ts";
import { Draft } from "./draft.ts";
import { begin, fold } from "./fold.ts";
import { Log } from "./log.ts";
import { FORMAT_VERSION, SCHEMA } from "./schema.ts";
import type { State } from "./state.ts";

const KEY_KEPT_MS = 24 * 60 * 60 * 1000;
/** Old keys are removed a few at a time: each deletion is a billed row. */
const KEYS_PURGED = 2;

export interface StoredKey {
  hash: string;
  seq: number;
}

export class Store {
  readonly log: Log;
  readonly #sql: SqlStorage;
  #state: State;
  /** The last row that the account has acknowledged. */
  #reported: number;
  readonly secret: string;

  private constructor(sql: SqlStorage, state: State, secret: string, reported: number) {
    this.#sql = sql;
    this.log = new Log(sql);
    this.#state = state;
    this.secret = secret;
    this.#reported = reported;
  }

  /** The session on this storage, or null when there is none. Writes nothing. */
  static open(sql: SqlStorage): Store | null {
    const table = "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = 'head'";
    if (sql.exec<{ n: number }>(table).one().n === 0) return null;
    type Head = { version: number; secret: string; state: string; seq: number; reported: number };
    const [head] = sql.exec<Head>("SELECT version, secret, state, seq, reported FROM head");
    if (!head) return null;
    if (head.version > FORMAT_VERSION) {
      throw new Error(`This session was written by a newer version (format ${head.version}).`);
    }
    // Written by `#writeHead` below.
    const state = JSON.parse(head.state) as State;
    const store = new Store(sql, state, head.secret, head.reported);
    for (const row of store.log.range(head.seq + 1, Number.MAX_SAFE_INTEGER)) {
      store.#state = fold(store.#state, row);
    }
    return store;
  }

  /** Makes the tables and the first row. */
  static create(sql: SqlStorage, fact: Pick<RowOf<"session.created">, "type" | "body">): Store {
    sql.exec(SCHEMA);
    const row: RowOf<"session.created"> = { seq: 1, at: clock.now(), ...fact };
    const secret = hex(crypto.getRandomValues(new Uint8Array(32)));
    const store = new Store(sql, begin(row), secret, 0);
    store.log.append([row]);
    sql.exec(
      "INSERT INTO head (id, version, secret, seq, state, reported) VALUES (1, ?, ?, ?, ?, 0)",
      FORMAT_VERSION,
      secret,
      row.seq,
      JSON.stringify(store.#state),
    );
    return store;
  }

  get state(): State {
    return this.#state;
  }

  get reported(): number {
    return this.#reported;
  }

  /**
   * Kept in memory and written with the next head: a report that is repeated after a restart says
   * the same again, and the account writes nothing for it.
   */
  acknowledge(seq: number): void {
    this.#reported = Math.max(this.#reported, seq);
  }

  draft(): Draft {
    return new Draft(this.#state, clock.now());
  }

  /** Writes a draft that was begun on the current state. Synchronous: all of it, or nothing. */
  commit(draft: Draft): readonly Row[] {
    if (draft.rows.length === 0) return [];
    this.log.append(draft.rows);
    for (const row of draft.rows) this.#writeTurn(row);
    this.#state = draft.state;
    if (draft.rows.some((row) => row.type === "outcome")) this.#writeHead();
    return draft.rows;
  }

  /** Where the turn `n` started, or null. */
  turnStart(n: number): number | null {
    const [found] = this.#sql.exec<{ seq: number }>("SELECT seq FROM turn WHERE n = ?", n);
    return found?.seq ?? null;
  }

  /** Turns before `before`, newest first. */
  turnsBefore(before: number, limit: number): { n: number; seq: number }[] {
    const query = "SELECT n, seq FROM turn WHERE n < ? ORDER BY n DESC LIMIT ?";
    return this.#sql.exec<{ n: number; seq: number }>(query, before, limit).toArray();
  }

  /** The submission that was sent under an idempotency key within the last 24 hours. */
  key(id: string): StoredKey | null {
    const since = clock.now() - KEY_KEPT_MS;
    const query = "SELECT hash, seq FROM key WHERE key = ? AND at > ?";
    const [found] = this.#sql.exec<{ hash: string; seq: number }>(query, id, since);
    return found ?? null;
  }

  /** Remembers a key with the row of its submission. */
  keepKey(id: string, hash: string, seq: number): void {
    const at = clock.now();
    this.#sql.exec(
      "DELETE FROM key WHERE key IN (SELECT key FROM key WHERE at <= ? LIMIT ?)",
      at - KEY_KEPT_MS,
      KEYS_PURGED,
    );
    this.#sql.exec(
      "INSERT OR REPLACE INTO key (key, hash, seq, at) VALUES (?, ?, ?, ?)",
      id,
      hash,
      seq,
      at,
    );
  }

  #writeTurn(row: Row): void {
    const starts =
      (row.type === "input" && row.body.start === "now") ||
      (row.type === "input.taken" && row.body.as === "start");
    if (!starts) return;
    this.#sql.exec("INSERT INTO turn (n, seq) VALUES (?, ?)", row.body.turn, row.seq);
  }

  #writeHead(): void {
    this.#sql.exec(
      "UPDATE head SET seq = ?, state = ?, reported = ? WHERE id = 1",
      this.#state.seq,
      JSON.stringify(this.#state),
      this.#reported,
    );
  }
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
