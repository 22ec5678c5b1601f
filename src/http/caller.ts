/** Callers: who a key makes its sender, and for how long a Worker believes it. */
import { accountOf } from "../account/client.ts";
import type { Env } from "../env.ts";
import { clock } from "../shared/clock.ts";
import type { Config } from "../shared/config.ts";
import { ULID } from "../shared/ids.ts";
import {
  type Caller,
  type CallerKey,
  keyStatus,
  type ManagedKey,
  NO_BUDGETS,
  publicKeyId,
  SCOPES,
} from "../shared/keys.ts";
import { type Problem, unauthorized } from "./problems.ts";
import { repeatedly } from "./submit.ts";

/** Why a key that was good is not any more. */
export type KeyEnd = "key_revoked" | "key_expired";

/** What the edge needs to know of a caller's key besides what it may do. */
export interface Credential {
  /** Name of the caller's account. */
  account: string;
  /** Under which the account counts its requests. It says nothing of the key. */
  bucket: string;
  /** What a ticket is bound to that is made with the key. */
  holder: TicketHolder;
  /**
   * Whether it has ended since; null while it has not, or while nobody can say. There is none for a key that
   * only another configuration ends, since that comes with another Worker.
   */
  ended: (() => Promise<KeyEnd | null>) | null;
}

/** `key` stands in the ticket; `proof` only goes into its mac. */
export interface TicketHolder {
  /** ULID of a managed key; else null. */
  key: string | null;
  /** Of a key from the configuration its digest; the mac reveals nothing of it. */
  proof: string;
}

export interface Identity {
  caller: Caller;
  credential: Credential;
}

/** The caller whose key stands in the configuration, as number `place` of its account's keys. */
export const configuredIdentity = (
  config: Config,
  account: { id: string; name: string },
  place: number,
  digest: string,
): Identity => ({
  caller: { account: account.id, key: unlimited(config, "configured", account.name) },
  credential: {
    account: account.name,
    bucket: `configured:${place}`,
    holder: { key: null, proof: digest },
    ended: null,
  },
});

/** The caller without a key, on a machine where that is allowed. */
export const anonymousIdentity = (
  config: Config,
  account: { id: string; name: string },
): Identity => ({
  caller: { account: account.id, key: unlimited(config, "anonymous", "anonymous") },
  credential: {
    account: account.name,
    bucket: "anonymous",
    holder: { key: null, proof: "anonymous" },
    ended: null,
  },
});

const unlimited = (config: Config, kind: "configured" | "anonymous", name: string): CallerKey => ({
  kind,
  id: null,
  name,
  scopes: SCOPES,
  rate_limit: config.rateLimit,
  budgets: NO_BUDGETS,
});

/** Where a managed key is kept. */
export interface KeyPlace {
  /** Id of the account. */
  account: string;
  /** ULID of the key. */
  id: string;
}

/** `lk_<account>_<ULID of the key><160 random bits>`: it leads to its account without an index. */
const KEY_TEXT = new RegExp(`^lk_([0-9a-f]{16})_(${ULID})[0-9a-f]{40}$`);
const SECRET_BYTES = 20;

/** It claims to be a managed key. */
export const isManagedForm = (text: string): boolean => /^lk_/i.test(text);

function placeOf(text: string): KeyPlace | null {
  const [, account, id] = KEY_TEXT.exec(text) ?? [];
  return account && id ? { account: `acct_${account}`, id } : null;
}

/** The text of a new key. Only its owner ever has it. */
export function newKeyText({ account, id }: KeyPlace): string {
  const secret = crypto.getRandomValues(new Uint8Array(SECRET_BYTES)).toHex();
  return `lk_${account.replace(/^acct_/, "")}_${id}${secret}`;
}

export const digestOf = async (text: string): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));

/** Whether it is the same digest, in a time that does not depend on where they differ. */
export const sameDigest = (one: Uint8Array, other: Uint8Array): boolean =>
  one.byteLength === other.byteLength && crypto.subtle.timingSafeEqual(one, other);

export type Standing =
  | { kind: "good"; identity: Identity }
  /** The identity is for the record. */
  | { kind: "ended"; end: KeyEnd; identity: Identity }
  | { kind: "unknown" };

type Keys = Pick<Env, "ACCOUNT">;

/** Whose managed key `text` is. Nobody is asked about a text of the wrong form. */
export async function managedIdentity(env: Keys, config: Config, text: string): Promise<Standing> {
  const place = placeOf(text);
  if (!place) return { kind: "unknown" };
  const key = await lookUp(env, place);
  const known = key && sameDigest(Uint8Array.fromHex(key.digest), await digestOf(text));
  return known ? standingOf(env, config, place, key) : { kind: "unknown" };
}

/** The same for who does not bring the key itself, but a ticket that was made with it. */
export async function ticketIdentity(
  env: Keys,
  config: Config,
  place: KeyPlace,
): Promise<Standing> {
  const key = await lookUp(env, place);
  return key ? standingOf(env, config, place, key) : { kind: "unknown" };
}

function standingOf(env: Keys, config: Config, place: KeyPlace, key: ManagedKey): Standing {
  const { name, scopes, budgets } = key;
  const rate_limit = key.rate_limit ?? config.rateLimit;
  const id = publicKeyId(place.id);
  const identity: Identity = {
    caller: {
      account: place.account,
      key: { kind: "managed", id, name, scopes, rate_limit, budgets },
    },
    credential: {
      account: key.account,
      bucket: id,
      holder: { key: place.id, proof: "" },
      ended: () => endSince(env, place),
    },
  };
  const end = endOf(key);
  return end ? { kind: "ended", end, identity } : { kind: "good", identity };
}

function endOf(key: ManagedKey): KeyEnd | null {
  const status = keyStatus(key, clock.now());
  return status === "active" ? null : `key_${status}`;
}

async function endSince(env: Keys, place: KeyPlace): Promise<KeyEnd | null> {
  try {
    const key = await lookUp(env, place);
    // One that is not kept any more was revoked or had expired before.
    return key ? endOf(key) : "key_revoked";
  } catch {
    // The account cannot be reached: what is open goes on, and what is new is refused.
    return null;
  }
}

const ENDS: Readonly<Record<KeyEnd, string>> = {
  key_revoked: "This key was revoked.",
  key_expired: "This key has expired.",
};

export const endMessage = (end: KeyEnd): string => ENDS[end];

export const keyEnded = (end: KeyEnd): Problem => ({ ...unauthorized(ENDS[end]), code: end });

/** For so long a Worker believes what an account said of a key, in milliseconds. */
export const BELIEVED_MS = 30_000;
/** Keys that a Worker remembers, and as many that it remembers not to be there. */
const MOST = 1_000;

interface Remembered {
  key: ManagedKey | null;
  at: number;
}

/** Two maps, oldest first: who makes keys up cannot drive out those that are there. */
const memory = { known: new Map<string, Remembered>(), unknown: new Map<string, Remembered>() };

const nameOf = ({ account, id }: KeyPlace): string => `${account} ${id}`;

/** What the account says of the key, or has said lately. */
async function lookUp(env: Keys, place: KeyPlace): Promise<ManagedKey | null> {
  const name = nameOf(place);
  const before = memory.known.get(name) ?? memory.unknown.get(name);
  const age = before ? clock.now() - before.at : BELIEVED_MS;
  if (before && age >= 0 && age < BELIEVED_MS) return before.key;
  const asked = clock.now();
  const key = await repeatedly(() => accountOf(env, place.account).managedKey(place.id));
  forget(place);
  const map = key ? memory.known : memory.unknown;
  for (const oldest of map.keys()) {
    if (map.size < MOST) break;
    map.delete(oldest);
  }
  map.set(name, { key, at: asked });
  return key;
}

/** The key was changed through this Worker, which need not wait to believe it. */
export function forget(place: KeyPlace): void {
  memory.known.delete(nameOf(place));
  memory.unknown.delete(nameOf(place));
}
