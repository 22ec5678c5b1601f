/**
 * The log on disk: rows are appended and read, never changed. All calls are synchronous, so what is
 * written between two returns to the event loop is one transaction of the object's storage.
 */
import { parsePieces } from "../shared/json-reader.ts";
import { isLight, jsonTexts } from "../shared/json-text.ts";
import type { Row, RowBodies, RowOf, RowType } from "../shared/rows.ts";
import { isContent } from "./wire.ts";

/**
 * Production refuses a value of 2 MB and local workerd does not, so the limit is kept here. In
 * UTF-8 bytes; a piece is cut by units, each of which takes at most three.
 */
const MAX_BODY_BYTES = 1_900_000;
const PART_UNITS = Math.floor(MAX_BODY_BYTES / 3);

type Stored = { seq: number; at: number; type: string; body: string };

export interface Page {
  /** The JSON text of the list of rows in UTF-8, in pieces. */
  rows: Uint8Array[];
  /** Rows remain behind the last one. */
  more: boolean;
}

/** What is read of a message where its content is not needed. */
export interface MessageOutline {
  seq: number;
  /** Whether it started its turn at once, or had to wait. */
  outline: { starts: boolean };
}

export class Log {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Appends rows; each `seq` must follow the last one, or SQLite refuses it. */
  append(rows: readonly Row[]): void {
    for (const { seq, at, type, body } of rows) {
      const text = wholeText(body);
      this.#sql.exec(
        "INSERT INTO log (seq, at, type, body) VALUES (?, ?, ?, ?)",
        seq,
        at,
        type,
        text ?? "",
      );
      if (text !== null) continue;
      let n = 0;
      for (const piece of jsonTexts(body, PART_UNITS)) {
        this.#sql.exec("INSERT INTO part (seq, n, data) VALUES (?, ?, ?)", seq, n, piece);
        n += 1;
      }
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
    return [...this.each(from, to)];
  }

  /** The same; long strings that clients sent are `LongText`, whatever their type says. */
  contents(from: number, to: number): Row[] {
    const query = "SELECT seq, at, type, body FROM log WHERE seq BETWEEN ? AND ? ORDER BY seq";
    const read = this.#sql.exec<Stored>(query, from, to);
    return Array.from(read, (stored) => this.#parsed(stored, isContent(stored.type)));
  }

  /** The same, read one by one as they are asked for. */
  each(from: number, to: number): Generator<Row> {
    const query = "SELECT seq, at, type, body FROM log WHERE seq BETWEEN ? AND ? ORDER BY seq";
    return this.#read(query, from, to);
  }

  /** The same without the contents of messages, which may be long and which no view has. */
  *outline(from: number, to: number): Generator<Row | MessageOutline> {
    const query = `SELECT seq, at, type,
      CASE type WHEN 'input' THEN NULL ELSE body END AS body,
      CASE type WHEN 'input' THEN EXISTS (
        SELECT 1 FROM turn WHERE turn.n = log.seq AND turn.seq = log.seq
      ) END AS starts
      FROM log WHERE seq BETWEEN ? AND ? ORDER BY seq`;
    type Outlined = Omit<Stored, "body"> & { body: string | null; starts: number | null };
    for (const { body, starts, ...row } of this.#sql.exec<Outlined>(query, from, to)) {
      if (body === null) yield { seq: row.seq, outline: { starts: starts === 1 } };
      else yield this.#parsed({ ...row, body });
    }
  }

  /** Rows behind `after`, up to `to`: at least one if there is one, then until `bytes` or `limit`. */
  page(after: number, to: number, bytes: number, limit: number): Page {
    const rows = new PackedList();
    const query = "SELECT seq, at, type, body FROM log WHERE seq > ? AND seq <= ? ORDER BY seq";
    for (const stored of this.#sql.exec<Stored>(query, after, to)) {
      if (rows.count >= limit || (rows.count > 0 && rows.size >= bytes)) {
        return { rows: rows.finish(), more: true };
      }
      const { seq, at, type, body } = stored;
      rows.begin(`{"seq":${seq},"at":${at},"type":${JSON.stringify(type)},"body":`);
      for (const piece of body === "" ? this.#parts(seq) : [body]) rows.add(piece);
      rows.add("}");
    }
    return { rows: rows.finish(), more: false };
  }

  /**
   * Rows of these types before `before`, newest first, each with its stored bytes; a row is read when
   * it is asked for.
   */
  *backwards(
    types: readonly RowType[],
    before: number,
  ): Generator<{ seq: number; size: number; row: () => Row | null }> {
    const marks = types.map(() => "?").join(", ");
    const query = `SELECT seq, octet_length(body) AS size FROM log
      WHERE seq < ? AND type IN (${marks}) ORDER BY seq DESC`;
    type Sized = { seq: number; size: number };
    for (const { seq, size } of this.#sql.exec<Sized>(query, before, ...types)) {
      yield { seq, size: size > 0 ? size : this.#partsSize(seq), row: () => this.row(seq) };
    }
  }

  /** Stored bytes of the rows behind `after`; stops counting at `enough`. Reads no bodies. */
  sizeAfter(after: number, enough: number): number {
    let size = 0;
    const query = "SELECT seq, octet_length(body) AS size FROM log WHERE seq > ? ORDER BY seq";
    for (const { seq, size: one } of this.#sql.exec<{ seq: number; size: number }>(query, after)) {
      size += one > 0 ? one : this.#partsSize(seq);
      if (size >= enough) return size;
    }
    return size;
  }

  /** When the row `seq` was written, if it is of the given type. Reads no body. */
  timeOf(type: RowType, seq: number): number | null {
    const query = "SELECT at FROM log WHERE seq = ? AND type = ?";
    const [found] = this.#sql.exec<{ at: number }>(query, seq, type);
    return found?.at ?? null;
  }

  /** When the row `seq` was written, or null. Reads no body. */
  at(seq: number): number | null {
    const [found] = this.#sql.exec<{ at: number }>("SELECT at FROM log WHERE seq = ?", seq);
    return found?.at ?? null;
  }

  /** Seq of the last row of this type from `first` to `last`, or null. Reads no bodies. */
  lastOf(type: RowType, last: number, first = 1): number | null {
    const query =
      "SELECT seq FROM log WHERE seq BETWEEN ? AND ? AND type = ? ORDER BY seq DESC LIMIT 1";
    const [found] = this.#sql.exec<{ seq: number }>(query, first, last, type);
    return found?.seq ?? null;
  }

  /** Rows of these types behind `after`, read one by one as they are asked for. */
  typed(types: readonly RowType[], after: number): Generator<Row> {
    return this.#typed(types, after, () => false);
  }

  /** The same; long strings that clients sent are `LongText`, whatever their type says. */
  typedContents(types: readonly RowType[], after: number): Generator<Row> {
    return this.#typed(types, after, isContent);
  }

  /** Rows of these types with `from <= seq <= to`, read one by one as they are asked for. */
  *typedBetween(types: readonly RowType[], from: number, to: number): Generator<Row> {
    const marks = types.map(() => "?").join(", ");
    const query = `SELECT seq, at, type, body FROM log
      WHERE seq BETWEEN ? AND ? AND type IN (${marks}) ORDER BY seq`;
    yield* this.#read(query, from, to, ...types);
  }

  /** Outcomes from the row `from` on, read one by one as they are asked for. */
  *outcomesFrom(from: number): Generator<RowOf<"outcome">> {
    for (const row of this.typedBetween(["outcome"], from, Number.MAX_SAFE_INTEGER)) {
      if (row.type === "outcome") yield row;
    }
  }

  *#typed(
    types: readonly RowType[],
    after: number,
    isLong: (type: string) => boolean,
  ): Generator<Row> {
    const marks = types.map(() => "?").join(", ");
    const query = `SELECT seq, at, type, body FROM log WHERE seq > ? AND type IN (${marks}) ORDER BY seq`;
    for (const stored of this.#sql.exec<Stored>(query, after, ...types)) {
      yield this.#parsed(stored, isLong(stored.type));
    }
  }

  *#read(query: string, ...values: SqlStorageValue[]): Generator<Row> {
    for (const stored of this.#sql.exec<Stored>(query, ...values)) yield this.#parsed(stored);
  }

  #parsed({ seq, at, type, body }: Stored, long = false): Row {
    const parsed = body === "" ? parsePieces(this.#parts(seq), long) : JSON.parse(body);
    // Rows are written by `append` only, from rows of this type.
    return { seq, at, type, body: parsed } as Row;
  }

  *#parts(seq: number): Generator<string> {
    const query = "SELECT data FROM part WHERE seq = ? ORDER BY n";
    for (const { data } of this.#sql.exec<{ data: string }>(query, seq)) yield data;
  }

  #partsSize(seq: number): number {
    const query = "SELECT coalesce(sum(octet_length(data)), 0) AS size FROM part WHERE seq = ?";
    return this.#sql.exec<{ size: number }>(query, seq).one().size;
  }
}

/** Short texts are encoded together, long ones as they come: no copy of a whole body is made. */
const ENCODED_UNITS = 65_536;

/** The JSON text of a list, as it is put together from texts that each end with a whole character. */
class PackedList {
  /** Items so far, and their UTF-16 units. */
  count = 0;
  size = 0;
  readonly #pieces: Uint8Array[] = [];
  #text = "[";

  begin(text: string): void {
    if (this.count > 0) this.#text += ",";
    this.count += 1;
    this.add(text);
  }

  add(text: string): void {
    this.#text += text;
    this.size += text.length;
    if (this.#text.length >= ENCODED_UNITS) this.#encode();
  }

  finish(): Uint8Array[] {
    this.#text += "]";
    this.#encode();
    return this.#pieces;
  }

  #encode(): void {
    this.#pieces.push(encoder.encode(this.#text));
    this.#text = "";
  }
}

/** The JSON text of a body, or null when it does not fit a row. No text above that is made. */
function wholeText(body: unknown): string | null {
  if (!isLight(body, MAX_BODY_BYTES)) return null;
  const text = JSON.stringify(body);
  // A unit takes at most three bytes of UTF-8, so short texts need no counting.
  return text.length <= PART_UNITS || byteLength(text) <= MAX_BODY_BYTES ? text : null;
}

const encoder = new TextEncoder();
const byteLength = (text: string): number => encoder.encode(text).length;
