/**
 * A place in a session's stream, as it stands in `id:`, `Last-Event-ID` and `?after=`:
 *
 * - `<seq>`: everything up to and including the row `seq`;
 * - `<seq>:<offset>`: that, and `offset` UTF-16 units of the preview of the call that is open there;
 * - `<seq>+<k>`: that, and the first `k` frames of the row after it.
 *
 * The integer part never falls along a stream.
 */
export type Cursor =
  | { kind: "row"; seq: number }
  | { kind: "preview"; seq: number; offset: number }
  | { kind: "frames"; seq: number; frames: number };

const NUMBER = "(0|[1-9][0-9]{0,14})";
const PATTERN = new RegExp(`^${NUMBER}(?:([:+])${NUMBER})?$`);

/** The cursor in `text`, or null when it is none. */
export function parseCursor(text: string): Cursor | null {
  const match = PATTERN.exec(text);
  if (!match) return null;
  const seq = Number(match[1]);
  const rest = Number(match[3]);
  if (match[2] === ":") return { kind: "preview", seq, offset: rest };
  if (match[2] === "+") return { kind: "frames", seq, frames: rest };
  return { kind: "row", seq };
}

/** The wire form of a cursor. */
export function formatCursor(cursor: Cursor): string {
  switch (cursor.kind) {
    case "row":
      return String(cursor.seq);
    case "preview":
      return `${cursor.seq}:${cursor.offset}`;
    case "frames":
      return `${cursor.seq}+${cursor.frames}`;
  }
}

/** Whether a session whose last row is `head` has never given this cursor to anyone. */
export const isAhead = (cursor: Cursor, head: number): boolean =>
  cursor.seq > head || (cursor.kind === "frames" && cursor.seq === head);

/** The place `at` in a text, or the one before it inside a surrogate pair, where no cursor lies. */
export const wholePlace = (text: string, at: number): number =>
  at > 0 && (text.codePointAt(at - 1) ?? 0) > 0xffff ? at - 1 : at;

/** The cursor after everything up to the row `seq`. */
export const atRow = (seq: number): Cursor => ({ kind: "row", seq });
