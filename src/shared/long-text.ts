/**
 * A long string that is never whole in memory: it is held as UTF-8, which takes half of what a string
 * with one wide character does, or is read from where it is stored; its characters come in pieces.
 * It stands in a value where a string would, and those that only pass the value on or write it as
 * JSON need not know.
 */

/** Where a `LongText` may stand for a string, it does so above this many UTF-16 units. */
export const LONG_UNITS = 8_192;
/** A piece has no more. */
export const PIECE_UNITS = 65_536;

const encoder = new TextEncoder();
/** What looks like a byte order mark is a character like any other here. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

interface LongTextOptions {
  plain?: boolean;
  drain?: () => Iterable<string>;
}

export class LongText {
  /** UTF-16 units. */
  readonly length: number;
  /** JSON escapes none of it, and it is ASCII, so `length` counts the bytes of its JSON as well. */
  readonly plain: boolean;
  /** Gives all characters, each time it is called. No piece ends inside a surrogate pair. */
  readonly pieces: () => Iterable<string>;
  /** Gives them for the last time, and forgets each piece. */
  readonly drain: () => Iterable<string>;

  constructor(length: number, pieces: () => Iterable<string>, more: LongTextOptions = {}) {
    this.length = length;
    this.plain = more.plain ?? false;
    this.pieces = pieces;
    this.drain = more.drain ?? pieces;
  }

  toString(): string {
    return [...this.pieces()].join("");
  }

  /** For `JSON.stringify`; `jsonPieces` writes it without making it whole. */
  toJSON(): string {
    return this.toString();
  }

  /** As of a string; for less than a piece. */
  startsWith(text: string): boolean {
    for (const piece of this.pieces()) return piece.startsWith(text);
    return text === "";
  }

  /** As of a string; for less than a piece. */
  includes(text: string): boolean {
    let before = "";
    for (const piece of this.pieces()) {
      const window = before + piece;
      if (window.includes(text)) return true;
      before = window.slice(-text.length);
    }
    return false;
  }

  /** As of a string, from less than a piece to the end. */
  slice(from: number): LongText {
    const { pieces, drain } = this;
    return new LongText(this.length - from, () => behind(pieces(), from), {
      drain: () => behind(drain(), from),
    });
  }
}

function* behind(pieces: Iterable<string>, from: number): Generator<string> {
  let skipped = from;
  for (const piece of pieces) {
    yield piece.slice(skipped);
    skipped = 0;
  }
}

/** The pieces of a text that may be a `LongText`, whatever its type says. */
export const piecesOf = (text: string): Iterable<string> => longOf(text)?.pieces() ?? [text];

/** The same for the last time. */
export const drained = (text: string): Iterable<string> => longOf(text)?.drain() ?? [text];

/** The compiler takes it for a string, and so for no object. */
const longOf = (text: unknown): LongText | null => (text instanceof LongText ? text : null);

/** Puts a string together from parts that may be cut anywhere. */
export class TextBuilder {
  readonly #mayBeLong: boolean;
  #length = 0;
  /** What is not in `#pieces`. */
  #parts: string[] = [];
  #waiting = 0;
  /** Of a long one, in UTF-8. */
  readonly #pieces: Uint8Array[] = [];

  /** `mayBeLong`: above `LONG_UNITS` it becomes a `LongText`, with lone surrogates replaced. */
  constructor(mayBeLong: boolean) {
    this.#mayBeLong = mayBeLong;
  }

  /** UTF-16 units so far. */
  get length(): number {
    return this.#length;
  }

  add(part: string): void {
    this.#length += part.length;
    this.#waiting += part.length;
    this.#parts.push(part);
    if (!this.#mayBeLong || this.#waiting <= PIECE_UNITS) return;
    const text = this.#parts.join("");
    let from = 0;
    while (text.length - from > PIECE_UNITS) {
      const to = from + cutAt(text, PIECE_UNITS, from);
      this.#pieces.push(encoder.encode(text.slice(from, to)));
      from = to;
    }
    this.#parts = [text.slice(from)];
    this.#waiting = text.length - from;
  }

  finish(): string | LongText {
    const [only = ""] = this.#parts;
    const rest = this.#parts.length > 1 ? this.#parts.join("") : only;
    if (!this.#mayBeLong || this.#length <= LONG_UNITS) return rest;
    const pieces = this.#pieces;
    pieces.push(encoder.encode(rest));
    return new LongText(
      this.#length,
      function* () {
        for (const piece of pieces) yield decoder.decode(piece);
      },
      {
        drain: function* () {
          for (let piece = pieces.shift(); piece; piece = pieces.shift()) {
            yield decoder.decode(piece);
          }
        },
      },
    );
  }
}

/** How many units from `from` on are at most `units` and do not end inside a surrogate pair. */
export function cutAt(text: string, units: number, from = 0): number {
  const length = Math.min(units, text.length - from);
  const last = text.charCodeAt(from + length - 1);
  const isCut = from + length < text.length && last >= 0xd800 && last <= 0xdbff;
  return isCut ? length - 1 : length;
}
