/** Keys that clients send: what one may do, and how much. */
import type { AccountBudgets } from "./config.ts";
import { ULID } from "./ids.ts";

/**
 * `read` sees sessions and usage; `run` makes, changes and deletes sessions and runs turns; `admin`
 * manages keys and limits and reads the audit.
 */
export const SCOPES = ["read", "run", "admin"] as const;

export type Scope = (typeof SCOPES)[number];

/** At most `requests` turns in any `window_seconds` in a row. */
export interface RateLimit {
  requests: number;
  window_seconds: number;
}

/** A request writes the whole list of those that count, so it may not be longer. */
export const MAX_RATE_REQUESTS = 10_000;
/** A day, in seconds. */
export const MAX_RATE_WINDOW = 86_400;

/** Each null: no limit. */
export const NO_BUDGETS: AccountBudgets = { day: null, month: null, total: null };

/** The key of a request. */
export interface CallerKey {
  /**
   * `configured`: from the variables; `managed`: made through the API, kept by its account;
   * `anonymous`: none, on this machine only.
   */
  kind: "configured" | "managed" | "anonymous";
  /** `key_<ulid>` of a managed key; else null. */
  id: string | null;
  /** What the audit calls it. */
  name: string;
  scopes: readonly Scope[];
  /** What holds for it: its own limit, or that of the configuration. Null: none. */
  rate_limit: RateLimit | null;
  /** What turns under this key may cost; each null: no limit. */
  budgets: AccountBudgets;
}

/** Whose request it is. */
export interface Caller {
  /** Id of the account, `acct_…`. */
  account: string;
  key: CallerKey;
}

/** What may be changed of a managed key. */
export interface KeySettings {
  name: string;
  scopes: readonly Scope[];
  /** Of its own; null leaves it to the configuration. */
  rate_limit: RateLimit | null;
  budgets: AccountBudgets;
  /** Milliseconds since the epoch; null: never. */
  expires_at: number | null;
}

/** What is absent stays, also inside `budgets`. */
export type KeyChanges = Partial<Omit<KeySettings, "budgets">> & {
  budgets?: Partial<AccountBudgets>;
};

/** A managed key, as its account keeps it: never the key itself. */
export interface ManagedKey extends KeySettings {
  /** ULID. */
  id: string;
  /** Name of the account that it opens. */
  account: string;
  /** SHA-256 of the key's text, in hex. */
  digest: string;
  /** The last characters of the key's text, by which a person knows it again. */
  last_four: string;
  created_at: number;
  revoked_at: number | null;
}

export type KeyStatus = "active" | "revoked" | "expired";

export function keyStatus(key: ManagedKey, now: number): KeyStatus {
  if (key.revoked_at !== null) return "revoked";
  return key.expires_at !== null && now >= key.expires_at ? "expired" : "active";
}

/** How rows and the audit name a key: by its id, or where it has none by its name. */
export const callerName = ({ id, name }: CallerKey): string => id ?? name;

export const hasBudget = ({ budgets }: Pick<KeySettings, "budgets">): boolean =>
  Object.values(budgets).some((limit) => limit !== null);

export const publicKeyId = (ulid: string): string => `key_${ulid}`;

/** The public id of a managed key, with its ULID. */
export const KEY_ID = new RegExp(`^key_(${ULID})$`);

/** The ULID in a managed key's public id, or null when it is not one. */
export const keyUlid = (id: string): string | null => KEY_ID.exec(id)?.[1] ?? null;
