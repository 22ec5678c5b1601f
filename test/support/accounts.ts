/** Accounts that no other test uses, as their objects keep them. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import type { Account } from "../../src/account/account.ts";
import { type AccountClient, accountOf } from "../../src/account/client.ts";
import type { SessionSummary } from "../../src/shared/summary.ts";
import { countBilled, watchCursors } from "./billed.ts";

export const DAY = 24 * 60 * 60 * 1000;
export const NOW = Date.UTC(2026, 10, 20, 9);

export interface TestAccount {
  name: string;
  client: AccountClient;
}

/** The name of an account that no other test uses. */
export const newAccountName = (): string => `acct_${ulid()}`;

/** An account of which nobody has heard: not even its object is there. */
export function newAccount(): TestAccount {
  const name = newAccountName();
  return { name, client: accountOf(env, name) };
}

/** An account for which these variables differ from the Worker's. */
export async function accountWith(variables: Record<string, string>): Promise<TestAccount> {
  const account = newAccount();
  await configure(account.name, variables);
  return account;
}

/** Sets variables for the account's object, for as long as that lives. */
export const configure = (name: string, variables: Record<string, string>): Promise<void> =>
  inside(name, (object) => {
    Object.defineProperty(object, "env", { configurable: true, value: { ...env, ...variables } });
  });

/** Runs `act` inside the account's object. */
export const inside = <T>(
  name: string,
  act: (object: Account, state: DurableObjectState) => T,
): Promise<T> => runInDurableObject(env.ACCOUNT.getByName(name), act);

/** Kills the account's object; the next call finds another one. */
export const crash = (name: string): Promise<void> =>
  inside(name, (_, state) => state.abort("Instance disposed by a test")).catch(() => {});

/** What a query finds in the account's tables. */
export const select = (name: string, query: string): Promise<Record<string, SqlStorageValue>[]> =>
  inside(name, (_, { storage }) => storage.sql.exec(query).toArray());

/** The tables that the account has, without the platform's own. */
export const tables = (name: string): Promise<Record<string, SqlStorageValue>[]> =>
  select(name, "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'");

/** What `act` is billed for as written. */
export const rowsWritten = (name: string, act: (object: Account) => unknown): Promise<number> =>
  inside(name, (object, state) => {
    const written = countBilled(state);
    act(object);
    return written();
  });

/** How many rows `act` steps over, with what it returns. */
export const rowsRead = <T>(
  name: string,
  act: (object: Account) => T,
): Promise<{ answer: T; read: number }> =>
  inside(name, (object, { storage }) => {
    const cursors = watchCursors(storage.sql);
    const answer = act(object);
    return { answer, read: cursors.reduce((sum, { rowsRead }) => sum + rowsRead, 0) };
  });

/** Ids that sort in the order of `n`, as ULIDs sort by time. */
export const id = (n: number): string => `01J${String(n).padStart(23, "0")}`;

/** What session `n` reports to its account. */
export const sessionSummary = (
  n: number,
  seq = 1,
  more: Partial<SessionSummary> = {},
): SessionSummary => ({
  session: id(n),
  seq,
  surface: "cc",
  title: null,
  model: "claude-sonnet-5-5",
  metadata: {},
  status: "idle",
  turn_count: seq,
  usage: {
    input_tokens: 0,
    output_tokens: 0,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  },
  cost_usd: 0,
  max_budget_usd: null,
  spent_usd: 0,
  lease: { n: 0, held: false },
  created_at: NOW,
  updated_at: NOW + seq,
  ...more,
});
