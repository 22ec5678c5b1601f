/**
 * The log on disk: rows are appended and read, never changed. All calls are synchronous, so what is
 * written between two returns to the event loop is one transaction of the object's storage.
 */
import type { Row, RowBodies, RowType } from "../shared/rows.ts";

/**
 * Production refuses a value of 2 MB and local workerd does not, so the limit is kept here. In
 * UTF-8 bytes; a piece is cut by units, each of which takes at most three.
 */
const MAX_BODY_BYTES = 1_900_000;
const PART_UNITS = Math.floor(MAX_BODY_BYTES / 3);

type Stored = { seq: number; at: number; type: string; body: string };

export interface Page {
  rows: Row[];
  /** Rows remain behind the last one. */
  more: boolean;
}

export class Log {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Appends rows; each `seq` must follow the last one, or SQLite refuses it. */
  append(rows: readonly Row[]): void {
    for (const { seq, at, type, body } of rows) {
      const text = JSON.stringify(body);
      const pieces = split(text);
      this.#sql.exec(
        "INSERT INTO log (seq, at, type, body) VALUES (?, ?, ?, ?)",
        seq,
        at,
        type,
        pieces.length === 1 ? text : "",
      );
      if (pieces.length === 1) continue;
      pieces.forEach((piece, n) => {
        this.#sql.exec("INSERT INTO part (seq, n, data) VALUES (?, ?, ?)", seq, n, piece);
      });
    }
  }

  /** The row `seq`, or null. */
  row(seq: number): Row | null {
    const [row] = this.#read("SELECT seq, at, type, body FROM log WHERE seq = ?", seq);
    return row ?? null;
  }

  /** The row `seq` if it is of the given type. */
  rowOf<T extends RowType>(type: T, seq: number): (Row & { type: T; body: RowBodies[T] }) | null {
    const row = this.row(seq);
    // Equal types mean equal bodies: the union is discriminated by `type`.
    return row?.type === type ? (row as Row & { type: T; body: RowBodies[T] }) : null;
  }

  /** Rows with `from <= seq <= to`, in order. */
  range(from: number, to: number): Row[] {
    return [
      ...this.#read(
        "SELECT seq, at, type, body FROM log WHERE seq BETWEEN ? AND ? ORDER BY seq",
        from,
        to,
      ),
    ];
  }

  /** Rows behind `after`, up to `to`: at least one if there is one, then until `bytes` or `limit`. */
  page(
    after: number,
    to: number,
    bytes: number,
    limit: number,
    types: string[] | null = null,
  ): Page {
    const rows: Row[] = [];
    let size = 0;
    const only = types ? ` AND type IN (${types.map(() => "?").join(", ")})` : "";
    const query = `SELECT seq, at, type, body FROM log WHERE seq > ? AND seq <= ?${only} ORDER BY seq`;
    for (const row of this.#read(query, after, to, ...(types ?? []))) {
      if (rows.length >= limit || (rows.length > 0 && size >= bytes)) return { rows, more: true };
      rows.push(row);
      size += this.#lastSize;
    }
    return { rows, more: false };
  }

  /** Stored characters of the rows behind `after`; stops counting at `enough`. */
  sizeAfter(after: number, enough: number): number {
    let size = 0;
    const query = "SELECT seq, length(body) AS size FROM log WHERE seq > ? ORDER BY seq";
    for (const { seq, size: one } of this.#sql.exec<{ seq: number; size: number }>(query, after)) {
      size += one > 0 ? one : this.#partsSize(seq);
      if (size >= enough) return size;
    }
    return size;
  }

  /** Seq of the last row of this type at or before `seq`, or null. Reads no bodies. */
  lastOf(type: RowType, seq: number): number | null {
    const query = "SELECT seq FROM log WHERE seq <= ? AND type = ? ORDER BY seq DESC LIMIT 1";
    const [found] = this.#sql.exec<{ seq: number }>(query, seq, type);
    return found?.seq ?? null;
  }

  /** Rows of these types behind `after`, read one by one as they are asked for. */
  typed(types: readonly RowType[], after: number): Generator<Row> {
    const marks = types.map(() => "?").join(", ");
    const query = `SELECT seq, at, type, body FROM log WHERE seq > ? AND type IN (${marks}) ORDER BY seq`;
    return this.#read(query, after, ...types);
  }

  #lastSize = 0;

  *#read(query: string, ...values: SqlStorageValue[]): Generator<Row> {
    for (const { seq, at, type, body } of this.#sql.exec<Stored>(query, ...values)) {
      const text = body === "" ? this.#parts(seq) : body;
      this.#lastSize = text.length;
      // Rows are written by `append` only, from rows of this type.
      yield { seq, at, type, body: JSON.parse(text) } as Row;
    }
  }

  #parts(seq: number): string {
    const query = "SELECT data FROM part WHERE seq = ? ORDER BY n";
    let text = "";
    for (const { data } of this.#sql.exec<{ data: string }>(query, seq)) text += data;
    return text;
  }

  #partsSize(seq: number): number {
    const query = "SELECT coalesce(sum(length(data)), 0) AS size FROM part WHERE seq = ?";
    return this.#sql.exec<{ size: number }>(query, seq).one().size;
  }
}

/** Pieces that fit a row, never cut inside a surrogate pair. */
function split(text: string): string[] {
  // A unit takes at most three bytes of UTF-8, so short texts need no counting.
  if (text.length <= PART_UNITS || byteLength(text) <= MAX_BODY_BYTES) return [text];
  const pieces: string[] = [];
  for (let from = 0; from < text.length; ) {
    let to = Math.min(from + PART_UNITS, text.length);
    const unit = text.charCodeAt(to - 1);
    if (to < text.length && unit >= 0xd800 && unit <= 0xdbff) to -= 1;
    pieces.push(text.slice(from, to));
    from = to;
  }
  return pieces;
}

const encoder = new TextEncoder();
const byteLength = (text: string): number => encoder.encode(text).length;
