/**
 * What travels between a session object and the Workers that follow it. A Worker may be newer than
 * the object it meets, so each message says its version and a reader skips what it does not know.
 */
import type { Preview } from "../shared/events.ts";
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
  /** `head` is the seq of the last row when they were sent. */
  | { v: 1; type: "previews"; head: number; previews: Preview[] };

/** Rows in order behind a cursor, and the view before the first of them. */
export interface RowPage {
  head: number;
  view: View;
  rows: Row[];
  more: boolean;
}

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
