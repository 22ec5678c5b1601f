import fc from "fast-check";
import { expect, test } from "vitest";
import type { Account } from "../../src/account/account.ts";
import type { AccountClient } from "../../src/account/client.ts";
import type { SessionSummary } from "../../src/shared/summary.ts";
import {
  DAY,
  id,
  inside,
  NOW,
  newAccount,
  rowsRead,
  rowsWritten,
  select,
  sessionSummary,
  tables,
} from "../support/accounts.ts";

const summary = (n: number, seq = 1, more: Partial<SessionSummary> = {}) =>
  sessionSummary(n, seq, {
    title: `session ${n}`,
    metadata: { nested: { list: [1, "two", null] } },
    usage: {
      input_tokens: 10,
      output_tokens: 20,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
    },
    cost_usd: 0.25,
    spent_usd: 0.25,
    ...more,
  });

const first = { limit: 20, cursor: null };

const ids = async (client: AccountClient): Promise<string[]> =>
  (await client.list(first)).sessions.map((one) => one.session);

test("reading an account that has nothing creates nothing", async () => {
  const { name, client } = newAccount();
  expect(await client.list(first)).toEqual({ sessions: [], next_cursor: null });
  expect(await tables(name)).toEqual([]);
});

test("a reported session is listed as it was reported", async () => {
  const { client } = newAccount();
  expect(await client.report(summary(1))).toEqual({ kind: "stored" });
  expect(await client.list(first)).toEqual({ sessions: [summary(1)], next_cursor: null });
});

test("a report that is older or equal writes nothing", async () => {
  const { name, client } = newAccount();
  await client.report(summary(1, 5));
  for (const seq of [5, 4]) {
    const rows = await rowsWritten(name, (object) => {
      expect(object.report(summary(1, seq, { title: "late" }))).toEqual({ kind: "stale" });
    });
    expect(rows).toBe(0);
  }
  expect((await client.list(first)).sessions).toEqual([summary(1, 5)]);
});

test("reports in any order, any number of times, come to the newest one", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1 }), async (seqs) => {
      const { client } = newAccount();
      for (const seq of seqs) await client.report(summary(1, seq));
      expect((await client.list(first)).sessions).toEqual([summary(1, Math.max(...seqs))]);
    }),
    { numRuns: 20 },
  );
});

test("a turn's report is one billed row, the first as well as later ones", async () => {
  const { name, client } = newAccount();
  await client.report(summary(1, 1));
  expect(await rowsWritten(name, (object) => object.report(summary(1, 2)))).toBe(1);
  expect(await rowsWritten(name, (object) => object.report(summary(2, 1)))).toBe(1);
});

test("pages go from the newest to the oldest, each session once", async () => {
  const { client } = newAccount();
  for (const n of [3, 1, 7, 5, 2, 6, 4]) await client.report(summary(n));
  const seen: string[] = [];
  let cursor: string | null = null;
  const sizes: number[] = [];
  do {
    const page: Awaited<ReturnType<typeof client.list>> = await client.list({ limit: 3, cursor });
    seen.push(...page.sessions.map((one) => one.session));
    sizes.push(page.sessions.length);
    cursor = page.next_cursor;
  } while (cursor !== null);
  expect(seen).toEqual([7, 6, 5, 4, 3, 2, 1].map(id));
  expect(sizes).toEqual([3, 3, 1]);
});

test("a page that ends with the last session has no next one", async () => {
  const { client } = newAccount();
  for (const n of [1, 2]) await client.report(summary(n));
  expect((await client.list({ limit: 2, cursor: null })).next_cursor).toBeNull();
});

test("with 10,000 sessions, 1,000 keys and 1,000 deleted ones nothing reads more than it shows", async () => {
  const { name, client } = newAccount();
  await client.report(summary(0));
  await inside(name, (_, { storage: { sql } }) => {
    const body = JSON.stringify(summary(1));
    for (let n = 1; n <= 10_000; n += 1) {
      sql.exec("INSERT INTO session (id, seq, summary) VALUES (?, 1, ?)", id(n), body);
    }
    for (let n = 1; n <= 1_000; n += 1) {
      sql.exec("INSERT INTO tombstone VALUES (?, 1, '{}')", id(20_000 + n));
      sql.exec("INSERT INTO key VALUES (?, ?, 'a', ?, ?)", Math.floor(NOW / DAY), n, id(n), NOW);
    }
  });
  const page = { limit: 20, cursor: null };
  const readBy = async (act: (object: Account) => unknown) => (await rowsRead(name, act)).read;
  expect(await readBy((object) => object.list(page))).toBeLessThanOrEqual(22);
  for (const n of [9_000, 5_000, 10, 0]) {
    const read = await readBy((object) => object.list({ ...page, cursor: id(n) }));
    expect(read).toBeLessThanOrEqual(22);
  }
  const calls: ((object: Account) => unknown)[] = [
    (object) => object.report(summary(5_000, 2)),
    (object) => object.report(summary(30_000)),
    (object) => object.reserve("new", "a", id(30_001), NOW),
    (object) => object.reserve("500", "a", id(30_002), NOW),
    (object) => object.remove(id(5_000), "01HD", summary(5_000, 3)),
    (object) => object.remove(id(20_500), "01HD", summary(20_500)),
  ];
  for (const call of calls) expect(await readBy(call)).toBeLessThanOrEqual(6);
});

test("making a session writes one row, and one more for its key", async () => {
  const { name, client } = newAccount();
  await client.report(summary(1));
  const made = await rowsWritten(name, (object) => {
    object.reserve("k", "a", id(2), NOW);
    object.report(summary(2));
  });
  expect(made).toBe(2);
});

test("a removed session is not listed, and no report revives it", async () => {
  const { client } = newAccount();
  await client.report(summary(1, 3));
  await client.report(summary(2, 3));
  expect(await client.remove(id(1), "01HD", summary(1, 9))).toEqual({ kind: "removed" });
  expect(await client.report(summary(1, 10))).toEqual({ kind: "deleted" });
  expect(await client.isDeletedBy(id(1), "01HD")).toBe(true);
  expect(await client.isDeletedBy(id(1), "01HE")).toBe(false);
  expect(await client.isDeletedBy(id(2), "01HD")).toBe(false);
  expect(await ids(client)).toEqual([id(2)]);
});

test("a session can be removed before it was ever reported", async () => {
  const { client } = newAccount();
  await client.remove(id(1), "01HD", summary(1, 2));
  expect(await client.report(summary(1, 1))).toEqual({ kind: "deleted" });
  expect(await ids(client)).toEqual([]);
});

test("a tombstone keeps the final figures and nothing that a user wrote", async () => {
  const { name, client } = newAccount();
  await client.report(summary(1, 3));
  await client.remove(id(1), "01HD", summary(1, 9, { title: "secret", cost_usd: 4.5 }));
  await client.remove(id(1), "01HD", summary(1, 9, { cost_usd: 99 }));
  const rows = await select(name, "SELECT id, figures FROM tombstone");
  expect(rows).toHaveLength(1);
  const figures: unknown = JSON.parse(String(rows[0]?.figures));
  expect(figures).toEqual({
    surface: "cc",
    model: "claude-sonnet-5-5",
    turn_count: 9,
    usage: summary(1).usage,
    cost_usd: 4.5,
    created_at: NOW,
    submission: "01HD",
  });
});

test("a key reserves one session for one body", async () => {
  const { client } = newAccount();
  const reserve = (hash: string, session: number, at = NOW) =>
    client.reserve("POST /api/sessions:k", hash, id(session), at);
  expect(await reserve("a", 1)).toEqual({ kind: "new", session: id(1) });
  expect(await reserve("a", 2)).toEqual({ kind: "same", session: id(1) });
  expect(await reserve("b", 3)).toEqual({ kind: "conflict" });
  expect(await client.reserve("POST /api/sessions:other", "b", id(4), NOW)).toEqual({
    kind: "new",
    session: id(4),
  });
});

test("two requests with one key at once reserve one session", async () => {
  const { client } = newAccount();
  const answers = await Promise.all([1, 2, 3].map((n) => client.reserve("k", "a", id(n), NOW)));
  expect(answers.map((one) => one.kind).sort()).toEqual(["new", "same", "same"]);
  expect(new Set(answers.map((one) => ("session" in one ? one.session : null))).size).toBe(1);
});

test("a key is kept for 24 hours to the millisecond, also over midnight", async () => {
  for (const at of [NOW, Math.floor(NOW / DAY) * DAY, Math.floor(NOW / DAY) * DAY + DAY - 1]) {
    const { client } = newAccount();
    await client.reserve("k", "a", id(1), at);
    expect(await client.reserve("k", "a", id(2), at + DAY - 1)).toMatchObject({ kind: "same" });
    expect(await client.reserve("k", "b", id(3), at + DAY)).toEqual({
      kind: "new",
      session: id(3),
    });
  }
});

test("expired keys are taken out, a few with each new one", async () => {
  const { name, client } = newAccount();
  for (let n = 0; n < 20; n += 1) await client.reserve(`old ${n}`, "a", id(n), NOW);
  const keys = () => select(name, "SELECT session FROM key");
  const later = NOW + 3 * DAY;
  const rows = await rowsWritten(name, (object) => object.reserve("new", "a", id(50), later));
  expect(rows).toBeLessThanOrEqual(5);
  expect(await keys()).toHaveLength(17);
  for (let n = 0; n < 10; n += 1) await client.reserve(`new ${n}`, "a", id(60 + n), later);
  expect(await keys()).toHaveLength(11);
});
