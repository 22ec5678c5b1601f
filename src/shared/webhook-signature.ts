/**
 * Signatures of webhooks, as Standard Webhooks 1.0 has them. The secret of an account is derived from a
 * key of the configuration, so that it is kept nowhere.
 */
import type { Keyring } from "./sealed.ts";

const encoder = new TextEncoder();

/** The secret of an account under the key that is current: `whsec_` and 32 bytes as base64. */
export async function webhookSecret({ current }: Keyring, account: string): Promise<string> {
  return `whsec_${(await secretBytes(current, account)).toBase64()}`;
}

export interface SignedHeaders {
  "webhook-id": string;
  "webhook-timestamp": string;
  "webhook-signature"?: string;
}

/**
 * What goes with a message. One signature for each key, so that a receiver goes on while the key is
 * replaced; none where there is no key.
 *
 * @param now milliseconds since the epoch
 */
export async function signedHeaders(
  keyring: Keyring | null,
  account: string,
  message: { id: string; now: number; body: Uint8Array },
): Promise<SignedHeaders> {
  const timestamp = String(Math.floor(message.now / 1000));
  const headers = { "webhook-id": message.id, "webhook-timestamp": timestamp };
  if (!keyring) return headers;
  const before = encoder.encode(`${message.id}.${timestamp}.`);
  const signed = new Uint8Array(before.length + message.body.length);
  signed.set(before);
  signed.set(message.body, before.length);
  const signatures: string[] = [];
  for (const raw of [keyring.current, ...keyring.old]) {
    const signature = await hmac(await secretBytes(raw, account), signed);
    signatures.push(`v1,${signature.toBase64()}`);
  }
  return { ...headers, "webhook-signature": signatures.join(" ") };
}

const secretBytes = (
  raw: Uint8Array<ArrayBuffer>,
  account: string,
): Promise<Uint8Array<ArrayBuffer>> => hmac(raw, encoder.encode(`webhook\0${account}`));

async function hmac(
  raw: Uint8Array<ArrayBuffer>,
  data: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const how = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", raw, how, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, new Uint8Array(data)));
}
