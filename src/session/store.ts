/**
 * A session's storage and its state in memory, kept as one: `commit` writes a draft's rows and the
 * working tables in one synchronous step and moves the state along.
 */
import { ANTHROPIC_KEY, SecretTable } from "../account/secret-table.ts";
import { PRICES } from "../model/prices.ts";
import { clock } from "../shared/clock.ts";
import { dayOf } from "../shared/ledger.ts";
import type { PriceTable } from "../shared/price.ts";
import type { Row, RowOf } from "../shared/rows.ts";
import { AuditTrail } from "./audit.ts";
import { Draft } from "./draft.ts";
import { begin, fold } from "./fold.ts";
import { JobTable } from "./job-table.ts";
import { Log } from "./log.ts";
import { ADDED_TABLES, FORMAT_VERSION, SCHEMA } from "./schema.ts";
import type { State } from "./state.ts";
import { Views } from "./view-at.ts";

const KEY_KEPT_MS = 24 * 60 * 60 * 1000;
/** Old keys are removed a few at a time: each deletion is a billed row. */
const KEYS_PURGED = 2;
/**
 * Old keys are looked for among so many at the front, where they are if keys grow, and so many
 * behind the new one, where they are if keys are random. A look at all of them would cost each
 * request what a day's requests have left.
 */
const KEYS_SEEN = 8;

/** Waking reads the rows behind the head, so it follows after so many, also without an outcome. */
const HEAD_EVERY = 500;

/** What is kept beside the state. */
type Head = { secret: string; seq: number; reported: number };

export interface StoredKey {
  hash: string;
  seq: number;
}

export class Store {
  readonly log: Log;
  readonly views: Views;
  readonly trail: AuditTrail;
  readonly secrets: SecretTable;
  readonly jobs: JobTable;
  readonly #sql: SqlStorage;
  #state: State;
  /** The last row in the state on disk. */
  #headSeq: number;
  /** The last row that the account has acknowledged. */
  #reported: number;
  #reportedDay: number;
  readonly secret: string;
  /** The prices of this moment. */
  prices: () => PriceTable = () => PRICES;

  private constructor(sql: SqlStorage, state: State, { secret, seq, reported }: Head) {
    this.#sql = sql;
    this.log = new Log(sql);
    this.trail = new AuditTrail(this.log);
    this.secrets = new SecretTable(sql);
    this.jobs = new JobTable(sql);
    this.views = new Views(this.log, state);
    this.#state = state;
    this.secret = secret;
    this.#headSeq = seq;
    this.#reported = reported;
    this.#reportedDay = dayOf(this.log.at(reported) ?? state.created_at);
  }

  /** The session on this storage, or null when there is none. Writes nothing. */
  static open(sql: SqlStorage): Store | null {
    const table = "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = 'head'";
    if (sql.exec<{ n: number }>(table).one().n === 0) return null;
    type Stored = Head & { version: number; state: string };
    const [head] = sql.exec<Stored>("SELECT version, secret, state, seq, reported FROM head");
    if (!head) return null;
    if (head.version > FORMAT_VERSION) {
      throw new Error(`This session was written by a newer version (format ${head.version}).`);
    }
    if (head.version < FORMAT_VERSION) return Store.#upgrade(sql, head);
    // Written by `#writeHead` below.
    let state = JSON.parse(head.state) as State;
    const rows = new Log(sql).each(head.seq + 1, Number.MAX_SAFE_INTEGER);
    for (const row of rows) state = fold(state, row);
    return new Store(sql, state, head);
  }

  /** A session of an older version: its rows mean the same, and its state is computed again. */
  static #upgrade(sql: SqlStorage, head: Head): Store {
    sql.exec(ADDED_TABLES);
    let state: State | null = null;
    for (const row of new Log(sql).each(1, Number.MAX_SAFE_INTEGER)) {
      if (row.type === "session.created") state = begin(row);
      else if (state) state = fold(state, row);
    }
    if (!state) throw new Error("The log of this session does not begin with its creation.");
    // What an older version has reported may lack what the account keeps now.
    const store = new Store(sql, state, { ...head, reported: 0 });
    store.#writeHead(state);
    return store;
  }

  /** Makes the tables and the first row. `ownKey` is the session's Anthropic key, sealed. */
  static create(
    sql: SqlStorage,
    fact: Pick<RowOf<"session.created">, "type" | "body">,
    ownKey: string | null = null,
  ): Store {
    sql.exec(SCHEMA);
    const row: RowOf<"session.created"> = { seq: 1, at: clock.now(), ...fact };
    const secret = hex(crypto.getRandomValues(new Uint8Array(32)));
    const store = new Store(sql, begin(row), { secret, seq: row.seq, reported: 0 });
    store.log.append([row]);
    if (ownKey !== null) store.#keepSecret(ANTHROPIC_KEY, ownKey);
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

  /** The day of that row. */
  get reportedDay(): number {
    return this.#reportedDay;
  }

  /**
   * Kept in memory and written with the next head: a report that is repeated after a restart says
   * the same again, and the account writes nothing for it.
   */
  acknowledge(seq: number, day: number): void {
    if (seq <= this.#reported) return;
    this.#reported = seq;
    this.#reportedDay = day;
  }

  draft(): Draft {
    return new Draft(this.#state, clock.now(), this.prices);
  }

  /**
   * Writes a draft that was begun on the current state. Synchronous; the caller makes it one
   * transaction, so that a write that fails leaves neither rows nor a state of them.
   */
  commit({ rows, state, secrets }: Draft): readonly Row[] {
    if (rows.length === 0) return [];
    this.log.append(rows);
    for (const row of rows) {
      this.#writeTurn(row);
      this.#writeSeen(row);
      if (state.jobs.total > 0) this.jobs.note(row);
    }
    for (const [name, sealed] of secrets) this.#keepSecret(name, sealed);
    // The data go later, when the account knows of it; a secret does not wait for that.
    if (state.deleted) this.secrets.clear();
    const long = state.seq - this.#headSeq >= HEAD_EVERY;
    if (long || rows.some((row) => row.type === "outcome")) this.#writeHead(state);
    this.#state = state;
    this.views.add(rows);
    this.trail.add(rows, this.#reported);
    return rows;
  }

  /**
   * SHA-256 of a file as the model knows it from the present context; null when nothing in that
   * shows its content.
   */
  seen(path: string): string | null {
    const query = "SELECT sha FROM seen WHERE path = ? AND seq >= ?";
    const [found] = this.#sql.exec<{ sha: string }>(query, path, this.#state.context.start);
    return found?.sha ?? null;
  }

  /** Where the turn `n` started, or null. */
  turnStart(n: number): number | null {
    const [found] = this.#sql.exec<{ seq: number }>("SELECT seq FROM turn WHERE n = ?", n);
    return found?.seq ?? null;
  }

  /** Where the first turn of a higher number than `n` started that started behind the row `after`. */
  nextStart(n: number, after: number): number | null {
    const query = "SELECT seq FROM turn WHERE n > ? AND seq > ? ORDER BY n LIMIT 1";
    const [found] = this.#sql.exec<{ seq: number }>(query, n, after);
    return found?.seq ?? null;
  }

  /** Turns before `before`, newest first. */
  turnsBefore(before: number, limit: number): { n: number; seq: number }[] {
    const query = "SELECT n, seq FROM turn WHERE n < ? ORDER BY n DESC LIMIT ?";
    return this.#sql.exec<{ n: number; seq: number }>(query, before, limit).toArray();
  }

  /** Turns in the order in which they began, from an offset on. */
  turnsFrom(offset: number, limit: number): { n: number; seq: number }[] {
    const query = "SELECT n, seq FROM turn ORDER BY seq LIMIT ? OFFSET ?";
    return this.#sql.exec<{ n: number; seq: number }>(query, limit, offset).toArray();
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
      `DELETE FROM key WHERE key IN (
        SELECT key FROM (
          SELECT * FROM (SELECT key, at FROM key ORDER BY key LIMIT ?1)
          UNION ALL SELECT * FROM (SELECT key, at FROM key WHERE key > ?2 ORDER BY key LIMIT ?1)
        ) WHERE at <= ?3 LIMIT ?4
      )`,
      KEYS_SEEN,
      id,
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

  #keepSecret(name: string, sealed: string | null): void {
    if (sealed === null) this.secrets.remove(name);
    else this.secrets.put(name, { sealed, hint: "", at: clock.now() });
  }

  #writeSeen(row: Row): void {
    if (row.type !== "tool.ended" || !row.body.seen) return;
    for (const [path, sha] of Object.entries(row.body.seen)) {
      this.#sql.exec(
        "INSERT OR REPLACE INTO seen (path, sha, seq) VALUES (?, ?, ?)",
        path,
        sha,
        row.seq,
      );
    }
  }

  #writeTurn(row: Row): void {
    const starts =
      (row.type === "input" && row.body.start === "now") ||
      (row.type === "input.taken" && row.body.as === "start");
    if (!starts) return;
    this.#sql.exec("INSERT INTO turn (n, seq) VALUES (?, ?)", row.body.turn, row.seq);
  }

  #writeHead(state: State): void {
    this.#sql.exec(
      "UPDATE head SET version = ?, seq = ?, state = ?, reported = ? WHERE id = 1",
      FORMAT_VERSION,
      state.seq,
      JSON.stringify(state),
      this.#reported,
    );
    this.#headSeq = state.seq;
  }
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
