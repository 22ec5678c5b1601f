/**
 * A look over a JSON text before it is parsed. It says what `JSON.parse` does not: where the text
 * is wrong (its messages quote the text instead), and how deep it nests (a value that nests
 * without end would overflow the stack of everything that walks it later).
 */

export type Scan =
  | { kind: "ok" }
  /** `offset` is in UTF-16 units from the start of the text. */
  | { kind: "syntax"; offset: number }
  | { kind: "deep"; offset: number };

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const SCALAR = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\n\r]*/y;
const HEX4 = /[0-9a-fA-F]{4}/y;

/** Whether `text` is JSON (RFC 8259) with at most `maxDepth` arrays and objects in one another. */
export function scanJson(text: string, maxDepth: number): Scan {
  let at = 0;
  /** The closing character of each array and object that is open. */
  const open: number[] = [];

  const wrong = (offset: number): Scan => ({ kind: "syntax", offset });
  const skipSpace = (): void => {
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
  };
  /** Moves behind the string that starts here, or to the place where it is wrong. */
  const skipString = (): boolean => {
    if (text.charCodeAt(at) !== QUOTE) return false;
    for (at += 1; at < text.length; at += 1) {
      const unit = text.charCodeAt(at);
      if (unit === QUOTE) {
        at += 1;
        return true;
      }
      if (unit < 0x20) return false;
      if (unit === BACKSLASH && !skipEscape()) return false;
    }
    return false;
  };
  /** Moves from the backslash to the last character of its escape. */
  const skipEscape = (): boolean => {
    const kind = text.charAt(at + 1);
    if (kind === "u") {
      HEX4.lastIndex = at + 2;
      if (!HEX4.test(text)) return false;
      at += 5;
      return true;
    }
    if (kind === "" || !'"\\/bfnrt'.includes(kind)) return false;
    at += 1;
    return true;
  };
  /** Moves behind the name of a member and its colon. */
  const skipName = (): boolean => {
    skipSpace();
    if (!skipString()) return false;
    skipSpace();
    if (text.charCodeAt(at) !== COLON) return false;
    at += 1;
    return true;
  };

  for (;;) {
    // A value begins here.
    skipSpace();
    const unit = text.charCodeAt(at);
    if (unit === OPEN_ARRAY || unit === OPEN_OBJECT) {
      if (open.length === maxDepth) return { kind: "deep", offset: at };
      const close = unit === OPEN_ARRAY ? CLOSE_ARRAY : CLOSE_OBJECT;
      at += 1;
      skipSpace();
      if (text.charCodeAt(at) !== close) {
        open.push(close);
        if (close === CLOSE_OBJECT && !skipName()) return wrong(at);
        continue;
      }
      at += 1;
    } else if (unit === QUOTE) {
      if (!skipString()) return wrong(at);
    } else {
      SCALAR.lastIndex = at;
      if (!SCALAR.test(text)) return wrong(at);
      at = SCALAR.lastIndex;
    }
    // A value has ended here: close what it closes, then go on behind a comma.
    for (;;) {
      skipSpace();
      const close = open.at(-1);
      if (close === undefined) return at === text.length ? { kind: "ok" } : wrong(at);
      const unit = text.charCodeAt(at);
      if (unit !== close && unit !== COMMA) return wrong(at);
      at += 1;
      if (unit === close) {
        open.pop();
        continue;
      }
      if (close === CLOSE_OBJECT && !skipName()) return wrong(at);
      break;
    }
  }
}
