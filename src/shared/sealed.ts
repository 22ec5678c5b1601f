/**
 * Texts that rest encrypted: AES-256-GCM under a key of the configuration. A sealed text is bound to
 * its owner and its purpose, so one that is copied to another place does not open there.
 *
 * `v1.<key id>.<nonce, ciphertext and tag as base64url>`
 */

const VERSION = "v1";
const NONCE_BYTES = 12;

/** Raw keys of 32 bytes. What is sealed now is sealed under `current`; `old` are for opening only. */
export interface Keyring {
  current: Uint8Array<ArrayBuffer>;
  old: readonly Uint8Array<ArrayBuffer>[];
}

/** What a sealed text belongs to. */
export interface SealContext {
  /** Name of the object that keeps it. */
  owner: string;
  purpose: string;
}

export type Opened =
  /** `stale`: it was sealed under an old key, and is to be sealed anew. */
  | { ok: true; text: string; stale: boolean }
  /** The key is not there, or the text is not what was sealed here. */
  | { ok: false };

/** A key ready for use. */
export interface SealingKey {
  /** Tells keys apart in a sealed text; says nothing of the key. */
  id: string;
  key: CryptoKey;
}

/** Values and no promises: one of those belongs to the object that made it. */
const known = new WeakMap<Uint8Array, SealingKey>();

export async function sealingKey(raw: Uint8Array<ArrayBuffer>): Promise<SealingKey> {
  const before = known.get(raw);
  if (before) return before;
  const digest = await crypto.subtle.digest("SHA-256", bytesOf("ledge key id", raw));
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
  const made = { id: new Uint8Array(digest).toHex().slice(0, 8), key };
  known.set(raw, made);
  return made;
}

/** `nonce` must never be used twice under one key. */
export async function sealUnder(
  { id, key }: SealingKey,
  context: SealContext,
  text: string,
  nonce: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const how = { name: "AES-GCM", iv: nonce, additionalData: boundTo(id, context) };
  const sealed = new Uint8Array(await crypto.subtle.encrypt(how, key, encoder.encode(text)));
  const whole = new Uint8Array(NONCE_BYTES + sealed.length);
  whole.set(nonce);
  whole.set(sealed, NONCE_BYTES);
  return `${VERSION}.${id}.${whole.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

/** Seals a text under the current key. */
export async function seal(keyring: Keyring, context: SealContext, text: string): Promise<string> {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  return sealUnder(await sealingKey(keyring.current), context, text, nonce);
}

/** Opens what was sealed in the same context under any of the keys. */
export async function open(
  keyring: Keyring,
  context: SealContext,
  sealed: string,
): Promise<Opened> {
  const [, named, data] = /^v1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/.exec(sealed) ?? [];
  if (named === undefined || data === undefined) return { ok: false };
  for (const raw of [keyring.current, ...keyring.old]) {
    const { id, key } = await sealingKey(raw);
    if (id !== named) continue;
    const text = await decrypted(key, boundTo(id, context), data);
    return text === null ? { ok: false } : { ok: true, text, stale: raw !== keyring.current };
  }
  return { ok: false };
}

/**
 * What stands for a secret where a request is compared with an earlier one: without the key nobody
 * can try what it was made of.
 */
export async function fingerprint({ current }: Keyring, text: string): Promise<string> {
  const how = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", current, how, false, ["sign"]);
  const signed = await crypto.subtle.sign("HMAC", key, encoder.encode(`ledge fingerprint ${text}`));
  return new Uint8Array(signed).toHex();
}

const encoder = new TextEncoder();

async function decrypted(
  key: CryptoKey,
  additionalData: Uint8Array<ArrayBuffer>,
  data: string,
): Promise<string | null> {
  try {
    const whole = Uint8Array.fromBase64(data, { alphabet: "base64url" });
    // Another spelling of the same bytes is not what was sealed.
    if (whole.toBase64({ alphabet: "base64url", omitPadding: true }) !== data) return null;
    const how = { name: "AES-GCM", iv: whole.subarray(0, NONCE_BYTES), additionalData };
    const text = await crypto.subtle.decrypt(how, key, whole.subarray(NONCE_BYTES));
    return new TextDecoder().decode(text);
  } catch {
    return null;
  }
}

/** JSON, so that no two contexts have one form. */
const boundTo = (id: string, { owner, purpose }: SealContext): Uint8Array<ArrayBuffer> =>
  new Uint8Array(encoder.encode(JSON.stringify([VERSION, id, owner, purpose])));

function bytesOf(label: string, raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = encoder.encode(label);
  const all = new Uint8Array(start.length + raw.length);
  all.set(start);
  all.set(raw, start.length);
  return all;
}
