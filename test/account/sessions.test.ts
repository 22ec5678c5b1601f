/** An account's index of sessions: what is looked for in it, names, and how many there may be. */
import { encodeTime } from "ulid";
import { expect, test } from "vitest";
import type { AccountClient } from "../../src/account/client.ts";
import type { ListAsked } from "../../src/account/session-filter.ts";
import type { SessionSummary } from "../../src/shared/summary.ts";
import {
  accountWith,
  inside,
  NOW,
  newAccount,
  rowsRead,
  select,
  sessionSummary,
} from "../support/accounts.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";

const MINUTE = 60_000;

/** The id of a session that was made at this time. */
const idAt = (at: number, n = 0): string => encodeTime(at) + String(n).padStart(16, "0");

const summary = (n: number, more: Partial<SessionSummary> = {}) =>
  sessionSummary(n, 1, {
    session: idAt(NOW + n, n),
    name: null,
    first_message: null,
    turn_count: 0,
    created_at: NOW + n,
    updated_at: NOW + n,
    ...more,
  });

/** The numbers of all sessions that are found, over all pages. */
async function found(client: AccountClient, asked: Partial<ListAsked>): Promise<number[]> {
  const all: number[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<AccountClient["list"]>> = await client.list({
      limit: 2,
      ...asked,
      cursor,
    });
    all.push(...page.sessions.map(({ session }) => Number(session.slice(10))));
    cursor = page.next_cursor;
  } while (cursor !== null);
  return all;
}

test("a list is filtered by each field, and by all that are given together", async () => {
  const { client } = newAccount();
  await client.report(summary(1, { status: "running", title: "Trip to Łódź" }));
  await client.report(
    summary(2, { model: "claude-opus-4-6", first_message: "plan a TRIP (soon)" }),
  );
  await client.report(summary(3, { status: "running", first_message: "something else" }));
  await client.report(summary(4, { title: "100% a\\b [c]", first_message: "Ärger" }));
  const { name: _, first_message: __, ...old } = summary(5, { title: "Trip of old" });
  await client.report(old);
  expect(await found(client, {})).toEqual([5, 4, 3, 2, 1]);
  expect(await found(client, { status: "running" })).toEqual([3, 1]);
  expect(await found(client, { model: "claude-opus-4-6" })).toEqual([2]);
  expect(await found(client, { text: "trip" })).toEqual([5, 2, 1]);
  expect(await found(client, { text: "TRIP", status: "running" })).toEqual([1]);
  expect(await found(client, { text: "łÓDŹ" })).toEqual([1]);
  expect(await found(client, { text: "ärgER" })).toEqual([4]);
  // Nothing in a text has a meaning of its own.
  for (const text of ["100%", "a\\b", "[c]", "% a"])
    expect(await found(client, { text })).toEqual([4]);
  expect(await found(client, { text: "(soon)" })).toEqual([2]);
  for (const text of [".*", "10_%", "s(", "nothing"])
    expect(await found(client, { text })).toEqual([]);
});

test("times of creation are compared to the millisecond, whatever the ids say", async () => {
  const { client } = newAccount();
  // Made under an id that was reserved before, and by an object whose clock is behind.
  const late = summary(1, { session: idAt(NOW - 23 * 60 * MINUTE, 1), created_at: NOW });
  const early = summary(2, { session: idAt(NOW + 50_000, 2), created_at: NOW + 1 });
  for (const one of [late, early, summary(3)]) await client.report(one);
  const between = (after: number, before: number) =>
    found(client, { created_after: NOW + after, created_before: NOW + before });
  expect(await between(-1, 1)).toEqual([1]);
  expect(await between(0, 2)).toEqual([2]);
  expect(await between(-1, 4)).toEqual([2, 3, 1]);
  expect(await between(0, 3)).toEqual([2]);
  expect(await between(3, 9)).toEqual([]);
  expect(await between(5, 2)).toEqual([]);
  expect(await found(client, { created_after: 0, created_before: 8.64e15 })).toEqual([2, 3, 1]);
  expect(await found(client, { created_after: -8.64e15 })).toEqual([2, 3, 1]);
  expect(await found(client, { created_before: -1 })).toEqual([]);
});

test("one page looks at a bounded part of the index, by rows and by size, and goes on from there", async () => {
  const { name, client } = newAccount();
  await client.report(summary(0, { title: "needle" }));
  const fill = (from: number, to: number, body: string) =>
    inside(name, (_, { storage: { sql } }) => {
      for (let n = from; n <= to; n++) {
        sql.exec("INSERT INTO session (id, seq, summary) VALUES (?, 1, ?)", idAt(NOW + n, n), body);
      }
    });
  await fill(1, 12_000, JSON.stringify({ title: "hay" }));
  const asked = { limit: 20, text: "needle" };
  const pageAt = (cursor: string | null) =>
    rowsRead(name, (object) => object.list({ ...asked, cursor }));
  const pages: [found: number, read: number][] = [];
  let cursor: string | null = null;
  do {
    const { answer, read } = await pageAt(cursor);
    pages.push([answer.sessions.length, read]);
    cursor = answer.next_cursor;
  } while (cursor !== null);
  expect(pages.map(([count]) => count)).toEqual([0, 0, 1]);
  for (const [, read] of pages) expect(read).toBeLessThanOrEqual(5_002);

  await fill(20_000, 20_300, JSON.stringify({ title: "x".repeat(16_000) }));
  const page = await client.list({ ...asked, cursor: null });
  expect(page.sessions).toEqual([]);
  // 125 sessions of 16,000 characters.
  expect(Number(page.next_cursor?.slice(10))).toBeGreaterThan(20_170);
});

test("a name belongs to one session, which is found by it, until that is deleted", async () => {
  const { client } = newAccount();
  expect(await client.admitSession(summary(1, { name: "home" }))).toEqual({ kind: "admitted" });
  const refused = { kind: "refused", code: "name_taken" };
  expect(await client.admitSession(summary(2, { name: "home" }))).toEqual(refused);
  expect(await client.admitSession(summary(3, { name: "Home" }))).toEqual({ kind: "admitted" });
  expect(await found(client, {})).toEqual([3, 1]);
  expect(await found(client, { name: "home" })).toEqual([1]);
  expect(await found(client, { name: "Home", status: "running" })).toEqual([]);
  expect(await found(client, { name: "nobody" })).toEqual([]);
  const last = { limit: 1, name: "home", cursor: summary(1).session };
  expect(await client.list(last)).toEqual({ sessions: [], next_cursor: null });
  await client.remove(summary(1).session, "01HD", summary(1));
  expect(await found(client, { name: "home" })).toEqual([]);
  expect(await client.admitSession(summary(2, { name: "home" }))).toEqual({ kind: "admitted" });
  expect(await found(client, { name: "home" })).toEqual([2]);
});

test("of creations with one name at once one wins, and asked again each is answered the same", async () => {
  const { client } = newAccount();
  const ask = () =>
    Promise.all([1, 2, 3].map((n) => client.admitSession(summary(n, { name: "one" }))));
  const first = await ask();
  expect(first.map(({ kind }) => kind).toSorted()).toEqual(["admitted", "refused", "refused"]);
  expect(await ask()).toEqual(first);
  expect(await found(client, {})).toHaveLength(1);
});

test("a claim keeps a name for ten minutes, unless the session takes it", async () => {
  const time = new FakeClock(FAR_FUTURE);
  try {
    const { client } = newAccount();
    for (const n of [1, 2]) await client.report(summary(n));
    const claim = async (n: number) => (await client.claimName(summary(n).session, "x")).kind;
    expect(await claim(9)).toBe("unknown");
    expect(await claim(1)).toBe("claimed");
    expect(await claim(1)).toBe("claimed");
    expect(await claim(2)).toBe("taken");
    // The session died in between.
    time.advance(10 * MINUTE);
    expect(await claim(2)).toBe("claimed");
    await client.report(summary(2, { seq: 2, name: "x" }));
    time.advance(10 * MINUTE);
    expect(await claim(1)).toBe("taken");
    await client.report(summary(2, { seq: 3, name: null }));
    expect(await claim(1)).toBe("claimed");
    expect(await client.admitSession(summary(3, { name: "x" }))).toMatchObject({ kind: "refused" });
  } finally {
    time.restore();
  }
});

test("a session that takes a name which another one has meanwhile is told that it has none", async () => {
  const { client } = newAccount();
  await client.admitSession(summary(1, { name: "x" }));
  await client.report(summary(2));
  const told = await client.report(summary(2, { seq: 2, name: "x" }));
  expect(told).toEqual({ kind: "stored", unnamed: true });
  const { sessions } = await client.list({ limit: 2, cursor: null });
  expect(sessions.map(({ name }) => name)).toEqual([null, "x"]);
  // An older report says nothing of names either.
  expect(await client.report(summary(1, { seq: 1, name: null }))).toEqual({ kind: "stale" });
  expect(await found(client, { name: "x" })).toEqual([1]);
});

test("lapsed claims are removed by later ones", async () => {
  const time = new FakeClock(FAR_FUTURE);
  try {
    const { name, client } = newAccount();
    await client.report(summary(1));
    for (let n = 0; n < 20; n++) await client.claimName(summary(1).session, `name ${n}`);
    const claims = () => select(name, "SELECT name FROM claim");
    expect(await claims()).toHaveLength(20);
    time.advance(10 * MINUTE);
    for (let n = 0; n < 3; n++) await client.claimName(summary(1).session, `other ${n}`);
    expect(await claims()).toHaveLength(3);
  } finally {
    time.restore();
  }
});

test("an account takes so many sessions and no more, also at once; those it has stay", async () => {
  const { name, client } = await accountWith({ MAX_SESSIONS_PER_USER: "3" });
  await client.report(summary(0));
  const admit = (...ns: number[]) =>
    inside(name, (object) => Promise.all(ns.map(async (n) => object.admitSession(summary(n)))));
  const refused = { kind: "refused", code: "session_limit" };
  const there = { kind: "admitted" };
  expect(await admit(1, 2, 3, 4)).toEqual([there, there, refused, refused]);
  expect(await admit(1, 3, 2)).toEqual([there, refused, there]);
  await client.remove(summary(1).session, "01HD", summary(1));
  expect(await admit(1, 3, 4)).toEqual([{ kind: "deleted" }, there, refused]);
  // Reports of sessions that are there already are no new sessions.
  expect(await client.report(summary(9))).toEqual({ kind: "stored" });
  expect(await found(client, {})).toEqual([9, 3, 2, 0]);
});
