/**
 * What travels between a session object and the Workers that follow it. A Worker may be newer than
 * the object it meets, so each message says its version and a reader skips what it does not know.
 */

import type { Json } from "../shared/content.ts";
import type { Preview, ToolOutput } from "../shared/events.ts";
import { parsePieces } from "../shared/json-reader.ts";
import { isLight, jsonTexts } from "../shared/json-text.ts";
import { LONG_UNITS, PIECE_UNITS } from "../shared/long-text.ts";
import type { Row } from "../shared/rows.ts";
import type { View } from "../shared/view.ts";

/** The first message on a follower's socket. */
export interface Hello {
  v: 1;
  type: "hello";
  /** The head: rows up to here are on disk. */
  head: number;
  /** The rest is too long to be sent at once: read pages first, then dial again. */
  behind: boolean;
  /** The view at the follower's cursor, before `rows`. */
  view: View;
  rows: Row[];
  /** What of the open call's preview the follower lacks. */
  previews: Preview[];
}

export type Pushed =
  | Hello
  | { v: 1; type: "rows"; rows: Row[] }
  /** There are rows up to `head` that are too long to be pushed: read them as pages. */
  | { v: 1; type: "behind"; head: number }
  | ({ v: 1; type: "output" } & ToolOutput)
  /** `head` is the seq of the last row when they were sent. */
  | { v: 1; type: "previews"; head: number; previews: Preview[] };

/** Rows in order behind a cursor. */
export interface Rows {
  head: number;
  rows: Row[];
  more: boolean;
}

/** The same, and the view before the first of them. */
export interface RowPage extends Rows {
  view: View;
}

/**
 * Rows as they leave the object: the JSON text of their list in UTF-8, cut anywhere. A call between
 * objects may carry 32 MiB, and as values a text of 16 MB would pass that: one wide character makes
 * every other one in it take two bytes.
 */
export interface PackedRows extends Omit<Rows, "rows"> {
  rows: Uint8Array[];
}

export interface PackedPage extends PackedRows {
  view: View;
}

/**
 * Rows that bring what clients sent. It is passed on and nothing else, so that long strings in it may
 * be `LongText`.
 */
export const isContent = (type: string): boolean =>
  type === "input" ||
  type === "tool.ended" ||
  type === "session.created" ||
  type === "session.updated";

/** The JSON text of a value in UTF-8, in pieces, as it crosses to another object. */
export const packJson = (value: unknown): Uint8Array[] =>
  Array.from(jsonTexts(value, PIECE_UNITS), (text) => encoder.encode(text));

/**
 * Consumes the pieces: each is dropped once it is read. With `long`, long strings may be `LongText`,
 * whatever their type says.
 */
export function unpackJson(pieces: Uint8Array[], long = true): Json {
  const decoder = new TextDecoder();
  const texts = function* () {
    for (let piece = pieces.shift(); piece; piece = pieces.shift()) {
      yield decoder.decode(piece, { stream: true });
    }
  };
  return parsePieces(texts(), long);
}

/** The same for rows; only strings that clients sent may be `LongText`. */
export function unpackRows(pieces: Uint8Array[]): Row[] {
  // Written by the log, from rows.
  const rows = unpackJson(pieces) as unknown as Row[];
  return rows.map((row) => {
    const plain = isContent(row.type) || isLight(row, LONG_UNITS);
    return plain ? row : JSON.parse(JSON.stringify(row));
  });
}

const encoder = new TextEncoder();

/** Frames of a socket that are answered without waking the object. */
export const PING = "ping";
export const PONG = "pong";

/** Bytes of rows in one page. */
export const PAGE_BYTES = 1_000_000;
/**
 * More than this is not pushed, for every socket would hold a copy of it: a follower that lacks more
 * reads pages before it attaches, and rows that are longer are read as pages by those attached.
 */
export const ATTACH_BYTES = 256_000;
