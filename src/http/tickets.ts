/**
 * Stream tickets: what an `EventSource`, which can set no header, sends as `?ticket=` instead of a
 * key. A ticket opens one session for reading until it expires.
 *
 * Form: `<account>.<session>.<expiry>.<mac>`; the expiry in seconds since the epoch, the mac
 * HMAC-SHA-256 over the rest under the session's secret, in hex. Its claims are readable
 * because the session's object, which holds the secret, is found by them.
 */

export const TICKET_LIFETIME_MS = 12 * 60 * 60 * 1000;

export interface TicketClaims {
  account: string;
  session: string;
  /** Milliseconds since the epoch, whole seconds. */
  expires_at: number;
}

export type TicketReading =
  | { kind: "valid"; claims: TicketClaims }
  | { kind: "expired"; claims: TicketClaims }
  | { kind: "invalid" };

const TICKET = /^([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{1,64})\.([1-9][0-9]{0,10})\.([0-9a-f]{64})$/;

/** What a ticket claims, unverified: good for finding the session whose secret verifies it. */
export function ticketClaims(ticket: string): TicketClaims | null {
  const [, account, session, seconds] = TICKET.exec(ticket) ?? [];
  if (!account || !session || !seconds) return null;
  return { account, session, expires_at: Number(seconds) * 1000 };
}

/** A ticket for `session`, valid for 12 hours from `now`. `secret` is the session's, in hex. */
export async function makeTicket(
  secret: string,
  account: string,
  session: string,
  now: number,
): Promise<{ ticket: string; expires_at: number }> {
  const seconds = Math.floor((now + TICKET_LIFETIME_MS) / 1000);
  const claims = `${account}.${session}.${seconds}`;
  const mac = await crypto.subtle.sign("HMAC", await keyOf(secret), bytesOf(claims));
  return { ticket: `${claims}.${new Uint8Array(mac).toHex()}`, expires_at: seconds * 1000 };
}

/**
 * Whether `ticket` was made under `secret`, and whether it still holds at `now`. The caller found
 * `secret` by the ticket's own claims, so a ticket cannot be used for another session.
 */
export async function readTicket(
  secret: string,
  ticket: string,
  now: number,
): Promise<TicketReading> {
  const claims = ticketClaims(ticket);
  if (!claims) return { kind: "invalid" };
  const dot = ticket.lastIndexOf(".");
  const mac = Uint8Array.fromHex(ticket.slice(dot + 1));
  // `verify` compares in constant time.
  const genuine = await crypto.subtle.verify(
    "HMAC",
    await keyOf(secret),
    mac,
    bytesOf(ticket.slice(0, dot)),
  );
  if (!genuine) return { kind: "invalid" };
  return { kind: now < claims.expires_at ? "valid" : "expired", claims };
}

/** The label keeps a mac of this kind from being one of another kind under the same secret. */
const bytesOf = (claims: string): Uint8Array => new TextEncoder().encode(`stream-ticket.${claims}`);

const keyOf = (secret: string): Promise<CryptoKey> =>
  crypto.subtle.importKey(
    "raw",
    Uint8Array.fromHex(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign", "verify"],
  );
