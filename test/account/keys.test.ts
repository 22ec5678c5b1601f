/** Managed keys in their account's object, and how many there may be. */
import { expect, test } from "vitest";
import { MAX_ACCOUNTS, MAX_KEYS } from "../../src/account/key-table.ts";
import { type ManagedKey, NO_BUDGETS, publicKeyId } from "../../src/shared/keys.ts";
import { id, inside, newAccount, select, tables } from "../support/accounts.ts";

const key = (n: number, more: Partial<ManagedKey> = {}): ManagedKey => ({
  id: id(n),
  account: "test",
  digest: `digest ${n}`,
  last_four: "0000",
  name: `key ${n}`,
  scopes: ["read"],
  rate_limit: null,
  budgets: NO_BUDGETS,
  created_at: n,
  expires_at: null,
  revoked_at: null,
  ...more,
});

test("a call that comes twice makes one key and is answered the same", async () => {
  const { client: account } = newAccount();
  const sent = { id: "keys k", hash: "h" };
  const first = await account.createKey(key(1), sent);
  expect(first).toEqual({ kind: "created", key: key(1) });
  expect(await account.createKey(key(1), sent)).toEqual(first);
  expect(await account.createKey(key(2), sent)).toEqual({ kind: "exists", key: key(1) });
  expect(await account.createKey(key(1, { digest: "other" }), null)).toMatchObject({
    kind: "exists",
  });
  expect(await account.createKey(key(3), { ...sent, hash: "other" })).toEqual({ kind: "conflict" });
  expect((await account.listKeys({ limit: 10, cursor: null })).keys).toEqual([key(1)]);
});

test("a change that comes twice is made once, and is answered as made", async () => {
  const { client: account } = newAccount();
  await account.createKey(key(1), null);
  const sent = { id: "key 1 k", hash: "h" };
  const change = () => account.updateKey(id(1), { name: "new" }, sent, id(9));
  expect(await change()).toMatchObject({ kind: "updated", replayed: false, key: { name: "new" } });
  expect(await change()).toMatchObject({ kind: "updated", replayed: false, key: { name: "new" } });
  expect(await account.updateKey(id(2), { name: "new" }, null, id(9))).toBeNull();
});

test("two changes of different budgets at the same time both hold", async () => {
  const { client: account } = newAccount();
  await account.createKey(key(1), null);
  await Promise.all([
    account.updateKey(id(1), { budgets: { day: 1 } }, null, id(8)),
    account.updateKey(id(1), { budgets: { month: 2 } }, null, id(9)),
  ]);
  expect((await account.managedKey(id(1)))?.budgets).toEqual({ day: 1, month: 2, total: null });
});

test("accounts for which keys were made are remembered once, up to a limit", async () => {
  const { name, client: account } = newAccount();
  const page = { limit: 1, cursor: null };
  for (const other of ["ben", "ann", "ben"])
    expect(await account.rememberAccount(other)).toBe(true);
  expect((await account.listKeys(page)).accounts).toEqual(["ann", "ben"]);
  await inside(name, (object) => {
    for (let n = 2; n < MAX_ACCOUNTS; n++) object.rememberAccount(`other-${n}`);
  });
  expect(await account.rememberAccount("one more")).toBe(false);
  expect(await account.rememberAccount("ben")).toBe(true);
});

test("reading and revoking in an account that has nothing creates nothing", async () => {
  const { name, client: account } = newAccount();
  expect(await account.managedKey(id(1))).toBeNull();
  expect(await account.revokeKey(id(1))).toBeNull();
  expect(await account.updateKey(id(1), { name: "x" }, { id: "k", hash: "h" }, id(2))).toBeNull();
  expect(await account.listKeys({ limit: 10, cursor: null })).toEqual({
    keys: [],
    more: false,
    accounts: [],
  });
  expect(await tables(name)).toEqual([]);
});

test("of as many keys as there may be the oldest dead one makes room, and one in use never", async () => {
  const { name, client: account } = newAccount();
  await inside(name, (object) => {
    for (let n = 1; n <= MAX_KEYS; n++) object.createKey(key(n), null);
    object.admit(publicKeyId(id(5)), { requests: 1, window_seconds: 1 });
  });
  expect(await account.createKey(key(MAX_KEYS + 1), null)).toEqual({ kind: "full" });
  await account.revokeKey(id(7));
  await account.updateKey(id(5), { expires_at: 1 }, null, id(9));
  expect(await account.createKey(key(MAX_KEYS + 1), null)).toMatchObject({ kind: "created" });
  expect(await account.managedKey(id(5))).toBeNull();
  expect(await account.managedKey(id(7))).not.toBeNull();
  expect(await select(name, "SELECT bucket FROM rate")).toEqual([]);
  expect(await account.createKey(key(MAX_KEYS + 2), null)).toMatchObject({ kind: "created" });
  expect(await account.createKey(key(MAX_KEYS + 3), null)).toEqual({ kind: "full" });
});

test("a call that found no room is made when it comes again, and then once", async () => {
  const { name, client: account } = newAccount();
  await inside(name, (object) => {
    for (let n = 1; n <= MAX_KEYS; n++) object.createKey(key(n), null);
  });
  const sent = { id: "keys k", hash: "h" };
  const call = (n: number) => account.createKey(key(MAX_KEYS + n), sent);
  expect(await call(1)).toEqual({ kind: "full" });
  await account.revokeKey(id(7));
  await account.revokeKey(id(8));
  expect(await call(2)).toMatchObject({ kind: "created" });
  expect(await call(3)).toEqual({ kind: "exists", key: key(MAX_KEYS + 2) });
});
