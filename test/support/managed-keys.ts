import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import type { AccountBudgets } from "../../src/shared/config.ts";
import { type ManagedKey, NO_BUDGETS, publicKeyId } from "../../src/shared/keys.ts";

export const keyUlid = (n: number): string => `01K${String(n).padStart(23, "0")}`;

export const keyId = (n: number): string => publicKeyId(keyUlid(n));

/** A managed key of the account, as its owner would have made it. */
export async function makeKey(
  account: string,
  n: number,
  budgets: Partial<AccountBudgets> = {},
): Promise<ManagedKey> {
  const key: ManagedKey = {
    id: keyUlid(n),
    account: "test",
    digest: `digest ${n}`,
    last_four: "0000",
    name: `key ${n}`,
    scopes: ["read", "run"],
    rate_limit: null,
    budgets: { ...NO_BUDGETS, ...budgets },
    created_at: n,
    expires_at: null,
    revoked_at: null,
  };
  expect(await accountOf(env, account).createKey(key, null)).toMatchObject({ kind: "created" });
  return key;
}

/** Changes what the key may cost. */
export const setBudgets = (
  account: string,
  n: number,
  budgets: Partial<AccountBudgets>,
): Promise<unknown> =>
  accountOf(env, account).updateKey(
    keyUlid(n),
    { budgets: { ...NO_BUDGETS, ...budgets } },
    null,
    keyUlid(n),
  );
