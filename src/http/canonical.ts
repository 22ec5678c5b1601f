/**
 * Canonical JSON, in the order of RFC 8785: members sorted by UTF-16 units, no white space. Two
 * texts that mean the same value have one canonical form, and so one hash.
 */
import type { Json } from "../shared/rows.ts";

const encoder = new TextEncoder();

/** Characters that are hashed at once, so that a large value never exists a second time as text. */
const BATCH = 65_536;

function* pieces(value: Json): Generator<string> {
  if (Array.isArray(value)) {
    let before = "[";
    for (const item of value) {
      yield before;
      yield* pieces(item);
      before = ",";
    }
    yield value.length > 0 ? "]" : "[]";
  } else if (typeof value === "object" && value !== null) {
    let before = "{";
    for (const key of Object.keys(value).sort()) {
      const member = value[key];
      if (member === undefined) continue;
      yield `${before}${JSON.stringify(key)}:`;
      yield* pieces(member);
      before = ",";
    }
    yield before === "{" ? "{}" : "}";
  } else if (typeof value === "string" && value.length > BATCH) {
    yield* longText(value);
  } else {
    yield JSON.stringify(value);
  }
}

/** A long string in parts, none of which ends inside a surrogate pair. */
function* longText(value: string): Generator<string> {
  yield '"';
  for (let at = 0; at < value.length; ) {
    const end = value.codePointAt(at + BATCH - 1);
    const next = at + BATCH + (end !== undefined && end > 0xffff ? 1 : 0);
    yield JSON.stringify(value.slice(at, next)).slice(1, -1);
    at = next;
  }
  yield '"';
}

/** The canonical JSON text of `value`. */
export const canonicalJson = (value: Json): string => [...pieces(value)].join("");

/** SHA-256 of bytes, or of a text's UTF-8, as 64 hex digits. */
export async function sha256Hex(data: string | Uint8Array): Promise<string> {
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** SHA-256 of `canonicalJson(value)`, as 64 hex digits, without building that text. */
export async function hashJson(value: Json): Promise<string> {
  const digest = new crypto.DigestStream("SHA-256");
  const writer = digest.getWriter();
  let batch = "";
  for (const piece of pieces(value)) {
    batch += piece;
    if (batch.length < BATCH) continue;
    await writer.write(encoder.encode(batch));
    batch = "";
  }
  await writer.write(encoder.encode(batch));
  await writer.close();
  return new Uint8Array(await digest.digest).toHex();
}
