/**
 * What requests were answered that have changed the files, kept for a day under their keys: no row of
 * the log could say it. An answer is stored in the transaction of its change, so that a request which
 * comes again, also behind a crash, is answered like the first one and changes nothing.
 */

import { clock } from "../shared/clock.ts";
import { FileRefused, type Once } from "./file-calls.ts";

const KEPT_MS = 24 * 60 * 60 * 1000;
/** Old rows are removed a few at a time: each deletion is a billed row. They are the first ones. */
const PURGED = 2;
/** Bytes of an answer in one row, below the platform's limit of 2 MB. */
const PIECE_BYTES = 1_800_000;

/** Made with the first answer, so that a session without one has no table for them. */
const SCHEMA = `
CREATE TABLE IF NOT EXISTS file_answer (
  id   INTEGER PRIMARY KEY,
  key  TEXT NOT NULL,
  n    INTEGER NOT NULL,
  hash TEXT NOT NULL,
  at   INTEGER NOT NULL,
  data BLOB NOT NULL,
  UNIQUE (key, n)
)`;

export interface Answered {
  value: unknown;
  /** It is the answer of an earlier request. */
  replayed: boolean;
}

export class FileAnswers {
  readonly #sql: SqlStorage;
  /** Requests that are being answered, by their keys. */
  readonly #running = new Map<string, { hash: string; value: Promise<unknown> }>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * Does what is asked, unless it was done before or is being done: then its answer is given again.
   *
   * @throws FileRefused `key_conflict` when the key was used for another request
   */
  async once(once: Once | null, act: () => unknown): Promise<Answered> {
    if (once === null) return { value: await act(), replayed: false };
    const running = this.#running.get(once.key);
    if (running) {
      checkSame(running.hash, once.hash);
      return { value: await running.value, replayed: true };
    }
    const known = this.#find(once);
    if (known) return { value: known.value, replayed: true };
    const value = (async () => await act())();
    this.#running.set(once.key, { hash: once.hash, value });
    try {
      return { value: await value, replayed: false };
    } finally {
      this.#running.delete(once.key);
    }
  }

  /** Stores what `once` will be answered again; only in the transaction of the change. */
  keep({ key, hash }: Once, value: object): void {
    const at = clock.now();
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    this.#sql.exec(SCHEMA);
    this.#sql.exec(
      `DELETE FROM file_answer WHERE id IN (
        SELECT id FROM (SELECT id, at FROM file_answer ORDER BY id LIMIT ?) WHERE at <= ?
      )`,
      PURGED,
      at - KEPT_MS,
    );
    this.#sql.exec("DELETE FROM file_answer WHERE key = ?", key);
    for (let n = 0; n * PIECE_BYTES < bytes.byteLength; n++) {
      const insert = "INSERT INTO file_answer (key, n, hash, at, data) VALUES (?, ?, ?, ?, ?)";
      const data = bytes.slice(n * PIECE_BYTES, (n + 1) * PIECE_BYTES);
      this.#sql.exec(insert, key, n, hash, at, data);
    }
  }

  #find({ key, hash }: Once): { value: unknown } | null {
    if (!this.#exists()) return null;
    const query = "SELECT hash, data FROM file_answer WHERE key = ? AND at > ? ORDER BY n";
    const since = clock.now() - KEPT_MS;
    const pieces = this.#sql.exec<{ hash: string; data: ArrayBuffer }>(query, key, since).toArray();
    const [first] = pieces;
    if (!first) return null;
    checkSame(first.hash, hash);
    const decoder = new TextDecoder();
    const text = pieces.map(({ data }) => decoder.decode(data, { stream: true })).join("");
    return { value: JSON.parse(text) };
  }

  #exists(): boolean {
    const query = "SELECT count(*) AS n FROM sqlite_master WHERE name = 'file_answer'";
    return this.#sql.exec<{ n: number }>(query).one().n > 0;
  }
}

function checkSame(known: string, hash: string): void {
  if (known === hash) return;
  throw new FileRefused("key_conflict", "This Idempotency-Key was used with another body.");
}
