/**
 * Stream tickets: what an `EventSource`, which can set no header, sends as `?ticket=` instead of a
 * key. A ticket opens one session for reading until it expires.
 *
 * Form: `<account>.<session>.<expiry>.<key>.<mac>`; the expiry in seconds since the epoch; the key
 * under which it was made, `-` for one that has no id; the mac HMAC-SHA-256 under the session's
 * secret, in hex, over the rest and, for a key without an id, a proof of that key. So a ticket dies
 * with its key. Its claims are readable because the session's object, which holds the secret, and
 * the key are found by them.
 */
import type { TicketHolder } from "./caller.ts";

export const TICKET_LIFETIME_MS = 12 * 60 * 60 * 1000;

export interface TicketClaims {
  account: string;
  session: string;
  /** ULID of the managed key; null for a key that has no id. */
  key: string | null;
  /** Milliseconds since the epoch, whole seconds. */
  expires_at: number;
}

export type TicketReading =
  /** `proof` is the one that verified it. */
  | { kind: "valid"; claims: TicketClaims; proof: string }
  | { kind: "expired"; claims: TicketClaims }
  | { kind: "invalid" };

const TICKET =
  /^([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{1,64})\.([1-9][0-9]{0,10})\.(-|[0-9A-Z]{26})\.[0-9a-f]{64}$/;

/** What a ticket claims, unverified: good for finding the session whose secret verifies it. */
export function ticketClaims(ticket: string): TicketClaims | null {
  const [, account, session, seconds, key] = TICKET.exec(ticket) ?? [];
  if (!account || !session || !seconds || !key) return null;
  return { account, session, key: key === "-" ? null : key, expires_at: Number(seconds) * 1000 };
}

/** A ticket for `session`, valid for 12 hours from `now`. `secret` is the session's, in hex. */
export async function makeTicket(
  secret: string,
  { account, session }: Pick<TicketClaims, "account" | "session">,
  holder: TicketHolder,
  now: number,
): Promise<{ ticket: string; expires_at: number }> {
  const seconds = Math.floor((now + TICKET_LIFETIME_MS) / 1000);
  const claims = `${account}.${session}.${seconds}.${holder.key ?? "-"}`;
  const mac = await crypto.subtle.sign("HMAC", await keyOf(secret), bytesOf(claims, holder.proof));
  return { ticket: `${claims}.${new Uint8Array(mac).toHex()}`, expires_at: seconds * 1000 };
}

/**
 * Whether `ticket` was made under `secret` and with one of the proofs, and whether it still holds at
 * `now`. The caller found `secret` by the ticket's own claims, so a ticket cannot be used for
 * another session.
 *
 * @param proofs of all keys that the ticket can have been made with
 */
export async function readTicket(
  secret: string,
  ticket: string,
  proofs: readonly string[],
  now: number,
): Promise<TicketReading> {
  const claims = ticketClaims(ticket);
  if (!claims) return { kind: "invalid" };
  const dot = ticket.lastIndexOf(".");
  const mac = Uint8Array.fromHex(ticket.slice(dot + 1));
  const key = await keyOf(secret);
  for (const proof of proofs) {
    // `verify` compares in constant time.
    const bytes = bytesOf(ticket.slice(0, dot), proof);
    if (!(await crypto.subtle.verify("HMAC", key, mac, bytes))) continue;
    return now < claims.expires_at ? { kind: "valid", claims, proof } : { kind: "expired", claims };
  }
  return { kind: "invalid" };
}

/** The label keeps a mac of this kind from being one of another kind under the same secret. */
const bytesOf = (claims: string, proof: string): Uint8Array =>
  new TextEncoder().encode(`stream-ticket.${claims}.${proof}`);

const keyOf = (secret: string): Promise<CryptoKey> =>
  crypto.subtle.importKey(
    "raw",
    Uint8Array.fromHex(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign", "verify"],
  );
