/** Names of sessions: unique under the native API, taken over under claude-code-api, and those of older accounts. */
import { expect, test } from "vitest";
import type { AccountClient } from "../../src/account/client.ts";
import type { SessionSummary } from "../../src/shared/summary.ts";
import {
  crash,
  id,
  inside,
  newAccount,
  rowsRead,
  rowsWritten,
  select,
  sessionSummary,
} from "../support/accounts.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";

const native = (n: number, name: string | null, seq = 1) => sessionSummary(n, seq, { name });

const code = (n: number, name: string | null, seq = 1) =>
  sessionSummary(n, seq, { name, surface: "code", user_id: "ann" });

const admitted = { kind: "admitted" };
const taken = { kind: "refused", code: "name_taken" };

/** The numbers of the sessions with this name, over all pages. */
async function listed(client: AccountClient, name: string): Promise<number[]> {
  const all: number[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<AccountClient["list"]>> = await client.list({
      name,
      limit: 1,
      cursor,
    });
    all.push(...page.sessions.map(({ session }) => Number(session.slice(3))));
    if (all.length > 100) throw new Error("the pages do not end");
    cursor = page.next_cursor;
  } while (cursor !== null);
  return all;
}

const remove = (client: AccountClient, one: SessionSummary) =>
  client.remove(one.session, "01HD", one);

test("an account that has nothing knows no name, and is not made by the question", async () => {
  const { name, client } = newAccount();
  expect(await client.sessionNamed("home")).toBeNull();
  expect(await select(name, "SELECT name FROM sqlite_master WHERE name = 'session'")).toEqual([]);
});

test("a session of claude-code-api takes over a name, and the older one has it again when it is gone", async () => {
  const { client } = newAccount();
  for (const n of [1, 3, 2]) expect(await client.admitSession(code(n, "work"))).toEqual(admitted);
  // Asked again, it is answered the same, and nothing changes.
  expect(await client.admitSession(code(1, "work"))).toEqual(admitted);
  expect(await client.sessionNamed("work")).toBe(id(3));
  expect(await listed(client, "work")).toEqual([3, 2, 1]);
  // An older one goes on to report, and keeps its name.
  expect(await client.report(code(1, "work", 2))).toEqual({ kind: "stored" });
  expect(await client.sessionNamed("work")).toBe(id(3));
  await remove(client, code(3, "work"));
  expect(await client.sessionNamed("work")).toBe(id(2));
  await remove(client, code(1, "work"));
  expect(await client.sessionNamed("work")).toBe(id(2));
  await remove(client, code(2, "work"));
  expect(await client.sessionNamed("work")).toBeNull();
  expect(await listed(client, "work")).toEqual([]);
});

test("a native session's name stays unique, whoever has the name first", async () => {
  const { client } = newAccount();
  expect(await client.admitSession(code(1, "work"))).toEqual(admitted);
  expect(await client.admitSession(native(2, "work"))).toEqual(taken);
  expect(await client.admitSession(native(3, "home"))).toEqual(admitted);
  expect(await client.admitSession(code(4, "home"))).toEqual(admitted);
  expect(await client.sessionNamed("home")).toBe(id(4));
  // The native one keeps it all the same.
  expect(await client.report(native(3, "home", 2))).toEqual({ kind: "stored" });
  expect(await listed(client, "home")).toEqual([4, 3]);
  expect(await client.admitSession(native(5, "home"))).toEqual(taken);
  await remove(client, code(4, "home"));
  expect(await client.sessionNamed("home")).toBe(id(3));
});

test("a session that is named anew leaves the name to the others that have it", async () => {
  const { client } = newAccount();
  for (const n of [1, 2]) await client.admitSession(code(n, "work"));
  expect(await client.claimName(id(2), "play")).toEqual({ kind: "claimed" });
  expect(await client.report(code(2, "play", 2))).toEqual({ kind: "stored" });
  expect([await client.sessionNamed("work"), await client.sessionNamed("play")]).toEqual([
    id(1),
    id(2),
  ]);
  // It is named by a request as any session is: what another one has is not to be had.
  expect(await client.claimName(id(2), "work")).toEqual({ kind: "taken" });
  expect(await client.claimName(id(1), "work")).toEqual({ kind: "claimed" });
});

test("a claim outlives that another session takes the name over", async () => {
  const time = new FakeClock(FAR_FUTURE);
  try {
    const { client } = newAccount();
    await client.report(native(1, null));
    expect(await client.claimName(id(1), "work")).toEqual({ kind: "claimed" });
    expect(await client.admitSession(native(2, "work"))).toEqual(taken);
    expect(await client.admitSession(code(3, "work"))).toEqual(admitted);
    // Its request was answered, so its name is good.
    expect(await client.report(native(1, "work", 2))).toEqual({ kind: "stored" });
    expect(await listed(client, "work")).toEqual([3, 1]);
  } finally {
    time.restore();
  }
});

test("a report of a session with a name is one billed row, and a look-up reads one", async () => {
  const { name, client } = newAccount();
  for (let n = 1; n <= 50; n += 1) await client.admitSession(code(n, "work"));
  expect(await rowsWritten(name, (object) => object.report(code(7, "work", 2)))).toBe(1);
  const found = await rowsRead(name, (object) => object.sessionNamed("work"));
  expect(found).toEqual({ answer: id(50), read: 1 });
});

/** The two tables as versions before had them. */
const BEFORE = `
DROP TABLE name;
CREATE TABLE IF NOT EXISTS name (
  -- The name of a session: unique among those that live. Text as the client sent it.
  name TEXT PRIMARY KEY,
  -- The session's ULID.
  session TEXT NOT NULL
) WITHOUT ROWID, STRICT;
DROP TABLE template;
`;

test("an account of an older version keeps its names, and can have them taken over", async () => {
  const { name, client } = newAccount();
  await client.admitSession(native(1, "home"));
  await client.admitSession(native(2, "wörk ☃"));
  await client.report(native(3, null));
  await client.claimName(id(3), "claimed");
  await inside(name, async (_, { storage }) => {
    storage.sql.exec(BEFORE);
    storage.sql.exec("INSERT INTO name VALUES ('home', ?), ('wörk ☃', ?)", id(1), id(2));
    await storage.sync();
  });
  await crash(name);
  expect(await client.sessionNamed("home")).toBe(id(1));
  expect(await client.sessionNamed("wörk ☃")).toBe(id(2));
  expect(await client.admitSession(native(4, "home"))).toEqual(taken);
  expect(await client.admitSession(native(4, "claimed"))).toEqual(taken);
  expect(await client.admitSession(code(5, "home"))).toEqual(admitted);
  expect(await listed(client, "home")).toEqual([5, 1]);
  expect(await client.report(native(1, "home", 2))).toEqual({ kind: "stored" });
  expect((await client.templates()).length).toBe(12);
  // The next time there is nothing to do.
  await crash(name);
  expect(await select(name, "SELECT name, session FROM name ORDER BY name, session")).toEqual([
    { name: "home", session: id(1) },
    { name: "home", session: id(5) },
    { name: "wörk ☃", session: id(2) },
  ]);
  const tables = await select(name, "SELECT name FROM sqlite_master WHERE name LIKE 'name%'");
  expect(tables).toEqual([{ name: "name" }]);
});
