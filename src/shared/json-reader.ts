/**
 * Reads JSON that comes in pieces. Its text never exists as a whole, so a large value costs little
 * more than itself. It is stricter than `JSON.parse` where that protects memory and stack, and says
 * where the text is wrong (messages of `JSON.parse` quote the text instead).
 */

import type { Json, JsonObject } from "./content.ts";
import { LONG_UNITS, type LongText, TextBuilder } from "./long-text.ts";

/** Why a text is refused. `offset` is in UTF-16 units from its start. */
export interface JsonFault {
  /**
   * `syntax`: not JSON (RFC 8259); `deep`: arrays and objects nest too deep; `many`: too many values,
   * each of which costs memory however short it is; `long_number`, `long_name`: a number or the name
   * of a member of too many characters.
   */
  kind: "syntax" | "deep" | "many" | "long_number" | "long_name";
  offset: number;
}

export interface JsonOptions {
  /** Arrays and objects in one another, at most. */
  depth?: number;
  /** Values of all kinds, in all places, at most. */
  values?: number;
  /**
   * Names of the members whose long strings are given as `LongText`, whatever their type says; `all`
   * for every string. Such a text has its lone surrogates replaced.
   */
  long?: ReadonlySet<string> | "all";
}

export type JsonResult = { ok: true; value: Json } | { ok: false; fault: JsonFault };

/** Characters of a number. A double has 17 digits that matter; a longer literal is of no use. */
export const MAX_NUMBER = 1_000;
/** Units of a member's name, of which several copies are made. */
export const MAX_NAME = 65_536;

const NONE: ReadonlySet<string> = new Set();

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const SPACE = /[ \t\n\r]*/y;
/** The characters of numbers, `true`, `false` and `null`. */
const WORD = /[-+.\w]*/y;
const SCALAR = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON wants them escaped.
const CONTROL = /[\u0000-\u001f]/;
/** A whole escape, or a character that may not stand in a string as it is. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON wants them escaped.
const ESCAPE_OR_WRONG = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|[\u0000-\u001f\\]/g;

/** An array or object that is open; `name` is that of the member whose value is read. */
type Frame =
  | { kind: "array"; items: Json[] }
  | { kind: "object"; members: JsonObject; name: string };

/** What has to come next; `first` is a value or name, or the end of what was opened just now. */
type Expected = "value" | "first" | "name" | "colon" | "next" | "end";

/**
 * @example
 * const reader = new JsonReader();
 * for (const piece of pieces) reader.push(piece);
 * const result = reader.end();
 */
export class JsonReader {
  readonly #depth: number;
  readonly #most: number;
  readonly #long: ReadonlySet<string> | "all";
  /** What is left of the pieces: the rest of a token that may go on. */
  #text = "";
  #at = 0;
  /** Units before `#text`. */
  #before = 0;
  #expected: Expected = "value";
  #open: Frame[] = [];
  #inString = false;
  /** What there is of the string, when it is long or goes on in the next piece. */
  #string: TextBuilder | null = null;
  /** The next backslash in `#text`, or infinity; known for places up to it. */
  #backslash = -1;
  #values = 0;
  #value: Json = null;
  #fault: JsonFault | null = null;

  constructor({ depth = Infinity, values = Infinity, long = NONE }: JsonOptions = {}) {
    this.#depth = depth;
    this.#most = values;
    this.#long = long;
  }

  /** Takes the next piece. A piece may end anywhere. After a fault nothing is taken any more. */
  push(piece: string): void {
    if (this.#fault) return;
    this.#before += this.#at;
    this.#text = this.#at < this.#text.length ? this.#text.slice(this.#at) + piece : piece;
    this.#at = 0;
    this.#backslash = -1;
    this.#read(false);
  }

  /** The value, once the last piece was taken. */
  end(): JsonResult {
    this.#backslash = -1;
    if (!this.#fault) this.#read(true);
    if (!this.#fault && this.#expected !== "end") this.#fail("syntax", this.#at);
    return this.#fault ? { ok: false, fault: this.#fault } : { ok: true, value: this.#value };
  }

  /** Reads tokens until the text is used up, or what is left of it may be only part of a token. */
  #read(last: boolean): void {
    while (!this.#fault) {
      if (this.#inString) {
        if (!this.#readString(last)) return;
        continue;
      }
      // Most texts have no white space, and a search for it takes longer than the rest of a token.
      if (this.#text.charCodeAt(this.#at) <= 0x20) {
        SPACE.lastIndex = this.#at;
        SPACE.test(this.#text);
        this.#at = SPACE.lastIndex;
      }
      if (this.#at === this.#text.length || !this.#readToken(last)) return;
    }
  }

  /** False when the token may go on in the next piece, or is wrong. */
  #readToken(last: boolean): boolean {
    const unit = this.#text.charCodeAt(this.#at);
    const frame = this.#open.at(-1);
    switch (this.#expected) {
      case "first":
        if (frame && unit === closing(frame)) return this.#close(frame);
        return frame?.kind === "object" ? this.#beginName(unit) : this.#beginValue(unit, last);
      case "value":
        return this.#beginValue(unit, last);
      case "name":
        return this.#beginName(unit);
      case "colon":
        if (unit !== COLON) return this.#fail("syntax", this.#at);
        this.#at += 1;
        this.#expected = "value";
        return true;
      case "next":
        if (frame && unit === closing(frame)) return this.#close(frame);
        if (unit !== COMMA) return this.#fail("syntax", this.#at);
        this.#at += 1;
        this.#expected = frame?.kind === "object" ? "name" : "value";
        return true;
      case "end":
        return this.#fail("syntax", this.#at);
    }
  }

  #beginName(unit: number): boolean {
    if (unit !== QUOTE) return this.#fail("syntax", this.#at);
    this.#expected = "name";
    this.#beginString();
    return true;
  }

  #beginValue(unit: number, last: boolean): boolean {
    if (this.#values >= this.#most) return this.#fail("many", this.#at);
    if (unit === QUOTE) {
      this.#expected = "value";
      this.#beginString();
    } else if (unit === OPEN_ARRAY || unit === OPEN_OBJECT) {
      if (this.#open.length === this.#depth) return this.#fail("deep", this.#at);
      this.#at += 1;
      this.#expected = "first";
      this.#open.push(
        unit === OPEN_ARRAY
          ? { kind: "array", items: [] }
          : { kind: "object", members: {}, name: "" },
      );
    } else {
      return this.#readScalar(last);
    }
    return true;
  }

  #readScalar(last: boolean): boolean {
    WORD.lastIndex = this.#at;
    WORD.test(this.#text);
    const goesOn = WORD.lastIndex === this.#text.length && !last;
    if (goesOn && WORD.lastIndex - this.#at <= MAX_NUMBER) return false;
    SCALAR.lastIndex = this.#at;
    if (!SCALAR.test(this.#text)) return this.#fail("syntax", this.#at);
    const end = SCALAR.lastIndex;
    if (end - this.#at > MAX_NUMBER) return this.#fail("long_number", this.#at);
    const scalar: Json = JSON.parse(this.#text.slice(this.#at, end));
    this.#at = end;
    this.#take(scalar);
    return true;
  }

  #beginString(): void {
    this.#at += 1;
    this.#inString = true;
  }

  /** Reads on in a string. False when its end is not in the text, or it is wrong. */
  #readString(last: boolean): boolean {
    const text = this.#text;
    const from = this.#at;
    let quote = text.indexOf('"', from);
    const first = this.#nextBackslash(from);
    let backslash = first;
    for (let next = first; next < text.length && (quote < 0 || next < quote); ) {
      backslash = next;
      next = this.#nextBackslash(next + 2);
      // A quote behind a backslash ends nothing.
      if (quote === backslash + 1) quote = text.indexOf('"', quote + 1);
    }
    // An escape that is cut off waits for the rest of it.
    const cut = quote < 0 && backslash < text.length && isCut(text, backslash);
    const end = quote >= 0 ? quote : cut ? backslash : text.length;
    const decoded = this.#decode(text.slice(from, end), first < end, from);
    if (decoded === null) return false;
    this.#at = end;
    if (quote < 0 || this.#string || decoded.length > LONG_UNITS) {
      this.#string ??= new TextBuilder(this.#mayBeLong());
      this.#string.add(decoded);
      const tooLong = this.#expected === "name" && this.#string.length > MAX_NAME;
      if (tooLong) return this.#fail("long_name", end);
    }
    if (quote < 0) return last ? this.#fail("syntax", end) : false;
    const whole = this.#string?.finish() ?? decoded;
    this.#at += 1;
    this.#inString = false;
    this.#string = null;
    this.#endString(whole);
    return true;
  }

  #mayBeLong(): boolean {
    const frame = this.#open.at(-1);
    if (this.#expected === "name") return false;
    return this.#long === "all" || (frame?.kind === "object" && this.#long.has(frame.name));
  }

  #nextBackslash(from: number): number {
    if (this.#backslash < from) {
      const found = this.#text.indexOf("\\", from);
      this.#backslash = found < 0 ? Number.POSITIVE_INFINITY : found;
    }
    return this.#backslash;
  }

  /** The characters of a stretch of a string that begins at `from`; null when they are wrong. */
  #decode(raw: string, escaped: boolean, from: number): string | null {
    if (!escaped && !CONTROL.test(raw)) return raw;
    try {
      return JSON.parse(`"${raw}"`);
    } catch {
      this.#fail("syntax", from + wrongAt(raw));
      return null;
    }
  }

  #endString(value: string | LongText): void {
    const frame = this.#open.at(-1);
    if (this.#expected === "name" && frame?.kind === "object") {
      frame.name = String(value);
      this.#expected = "colon";
    } else {
      // Asked for by `long`.
      this.#take(value as string);
    }
  }

  #close(frame: Frame): true {
    this.#at += 1;
    this.#open.pop();
    this.#take(frame.kind === "array" ? frame.items : frame.members);
    return true;
  }

  /** A value has been read whole: it goes where it belongs. */
  #take(value: Json): void {
    this.#values += 1;
    const frame = this.#open.at(-1);
    this.#expected = frame ? "next" : "end";
    if (!frame) this.#value = value;
    else if (frame.kind === "array") frame.items.push(value);
    else if (frame.name !== "__proto__") frame.members[frame.name] = value;
    else setMember(frame.members, value);
  }

  #fail(kind: JsonFault["kind"], at: number): false {
    this.#fault = { kind, offset: this.#before + at };
    this.#text = "";
    this.#open = [];
    this.#string = null;
    return false;
  }
}

/** Up to so many units the text of a value is cheap, and the platform's own parser much faster. */
const SHORT_UNITS = 2_000_000;

/**
 * The value of a JSON text of our own, which is right. `long`: long strings may be `LongText`,
 * whatever their type says.
 */
export function parsePieces(pieces: Iterable<string>, long = false): Json {
  let text = "";
  let reader: JsonReader | null = null;
  for (const piece of pieces) {
    text += piece;
    if (!reader && text.length <= SHORT_UNITS) continue;
    reader ??= new JsonReader(long ? { long: "all" } : {});
    reader.push(text);
    text = "";
  }
  if (!reader) return JSON.parse(text);
  reader.push(text);
  const result = reader.end();
  if (!result.ok) throw new Error(`not JSON at ${result.fault.offset}`);
  return result.value;
}

const closing = (frame: Frame): number => (frame.kind === "array" ? CLOSE_ARRAY : CLOSE_OBJECT);

/** Where a stretch of a string that is wrong is so. */
function wrongAt(raw: string): number {
  for (const { 0: found, index } of raw.matchAll(ESCAPE_OR_WRONG)) {
    if (found.length === 1) return index;
  }
  return 0;
}

/** Whether the escape at `at` goes on behind the end of `text`. */
const isCut = (text: string, at: number): boolean =>
  at + (text.charCodeAt(at + 1) === 0x75 ? 6 : 2) > text.length;

/** An assignment to this name would set the prototype instead. */
function setMember(members: JsonObject, value: Json): void {
  Object.defineProperty(members, "__proto__", {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}
