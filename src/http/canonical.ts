/**
 * Canonical JSON, in the order of RFC 8785: members sorted by UTF-16 units, no white space. Two
 * texts that mean the same value have one canonical form, and so one hash.
 */

import type { Json } from "../shared/content.ts";
import { jsonTexts } from "../shared/json-text.ts";

const encoder = new TextEncoder();

/** Characters, or bytes, that are hashed at once: a large value never exists a second time. */
const BATCH = 65_536;

/** The canonical JSON text of `value`. */
export const canonicalJson = (value: Json): string =>
  [...jsonTexts(value, BATCH, "sorted")].join("");

/** SHA-256 of bytes, or of a text's UTF-8, as 64 hex digits. */
export async function sha256Hex(data: string | Uint8Array): Promise<string> {
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  // `digest` copies what it hashes.
  if (bytes.byteLength > BATCH) return hashOf(batches(bytes));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** SHA-256 of `canonicalJson(value)`, as 64 hex digits, without building that text. */
export const hashJson = (value: Json): Promise<string> => hashOf(encoded(value));

function* batches(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += BATCH) yield bytes.subarray(at, at + BATCH);
}

function* encoded(value: Json): Generator<Uint8Array> {
  for (const text of jsonTexts(value, BATCH, "sorted")) yield encoder.encode(text);
}

async function hashOf(pieces: Iterable<Uint8Array>): Promise<string> {
  const digest = new crypto.DigestStream("SHA-256");
  const writer = digest.getWriter();
  for (const piece of pieces) await writer.write(piece);
  await writer.close();
  return new Uint8Array(await digest.digest).toHex();
}
