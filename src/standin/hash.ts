/**
 * A fast 53-bit hash. It guards tests against mistakes, not against attackers, and it is synchronous
 * because time to first token is measured against the stand-in.
 */
export interface Digest {
  readonly hash: number;
  /** Length of the text in UTF-8. */
  readonly bytes: number;
}

export function digest(text: string): Digest {
  let low = 0x9e3779b1;
  let high = text.length;
  let wide = 0;
  // Two UTF-16 units at a time: this loop runs over every byte of every transcript.
  for (let i = 0; i < text.length; i += 2) {
    const first = text.charCodeAt(i);
    const second = i + 1 < text.length ? text.charCodeAt(i + 1) : 0;
    const word = first | (second << 16);
    low = Math.imul(low ^ word, 0x9e3779b1);
    low = (low << 13) | (low >>> 19);
    high = Math.imul(high ^ word, 0x5f356495);
    high = (high << 17) | (high >>> 15);
    if ((first | second) > 0x7f) wide += extraBytes(first) + extraBytes(second);
  }
  return { hash: finish(low, high), bytes: text.length + wide };
}

/** Bytes of UTF-8 above one per unit; each half of a surrogate pair has one more. */
function extraBytes(unit: number): number {
  if (unit <= 0x7f) return 0;
  return unit <= 0x7ff || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
}

/** The hash of a chain `before` followed by `next`; the order matters. */
export function mix(before: number, next: number): number {
  // `before` is multiplied first: a plain XOR would make both arguments interchangeable.
  const low = Math.imul(before | 0, 0x9e3779b1) ^ (next | 0);
  const high =
    Math.imul(Math.floor(before / 0x100000000), 0x5f356495) ^ Math.floor(next / 0x100000000);
  return finish(low, high);
}

function finish(low: number, high: number): number {
  let a = low ^ (low >>> 16);
  let b = high ^ (high >>> 13);
  a = Math.imul(a, 0x85ebca6b) ^ Math.imul(b, 0xc2b2ae35);
  b = Math.imul(b ^ (a >>> 15), 0x27d4eb2f);
  return ((b ^ (b >>> 14)) & 0x1fffff) * 0x100000000 + (a >>> 0);
}
