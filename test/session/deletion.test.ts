/** Deleting: everything open is settled, everybody is told, and then nothing is left. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { sessionStub } from "../../src/session/calls.ts";
import { text } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { held, refusalOf, runAlarm, TestSession, useSessions } from "../support/sessions.ts";

const sessions = useSessions();

let clock: FakeClock;

// In real time the alarm that erases the data fires at once.
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

const tables = (session: TestSession): Promise<string[]> =>
  session.inside((state) =>
    state.storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'",
      )
      .toArray()
      .map(({ name }) => name),
  );

const listed = async ({ account, id }: TestSession): Promise<boolean> =>
  (await accountOf(env, account).list({ limit: 100, cursor: null })).sessions.some(
    ({ session }) => session === id,
  );

/** The last step: the object ends itself, and with it the call that fired the alarm. */
const erase = (session: TestSession): Promise<void> =>
  expect(runDurableObjectAlarm(session.object)).rejects.toThrow("deleted");

/** Everything that can be called on a session, with what it answers where there is none. */
async function checkNotFound(session: TestSession): Promise<void> {
  const { stub } = session;
  const found = async (path: string, init?: RequestInit): Promise<number> =>
    (await stub.fetch(new URL(`https://session${path}`), init)).status;
  expect(await stub.describe()).toBeNull();
  expect(await stub.page(0, 10)).toBeNull();
  expect(await stub.turn(2)).toBeNull();
  expect(await stub.turns(9, 9)).toBeNull();
  expect(await stub.waiting()).toBeNull();
  expect(await stub.secret()).toBeNull();
  await stub.putMedia("a", 0, new ArrayBuffer(1));
  await stub.stage("01HS", 0, "{}");
  expect(refusalOf(await stub.submitStaged("01HS", 1))).toBe("not_found");
  expect(refusalOf(await session.trySend("hi"))).toBe("not_found");
  expect(refusalOf(await session.tryResults({ call_3_0: "x" }))).toBe("not_found");
  const interrupt = { kind: "interrupt" as const, cancel_queued: true, sent_at: Date.now() };
  expect(refusalOf(await session.submit(interrupt))).toBe("not_found");
  expect(refusalOf(await session.submit({ kind: "cancel", input: 2 }))).toBe("not_found");
  expect(await stub.remove("01HR")).toBe(false);
  expect(await found("/follow", { headers: { upgrade: "websocket" } })).toBe(404);
  expect(await found("/media/abc")).toBe(404);
}

test("a running turn and the queue are settled before the end, and followers are told", async () => {
  const session = await sessions.create();
  const { reply } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply);
  await session.send("one");
  const second = await session.send("two");
  await session.reader.until(() => session.reader.previewed === "o");
  expect(await session.stub.remove("01HD")).toBe(true);
  expect(await session.reader.ended).toEqual({ kind: "deleted" });
  expect(session.reader.rows.slice(3).map(({ type }) => type)).toEqual([
    "input",
    "block.text",
    "call.ended",
    "outcome",
    "input.cancelled",
    "session.deleted",
  ]);
  expect(session.reader.rows.at(-2)?.body).toEqual({ input: second.input, reason: "deleted" });
  expect(session.reader.view).toMatchObject({ status: "deleted", queue: [] });
  expect(await sessions.settled(0)).toMatchObject({ state: "aborted" });
  expect(await listed(session)).toBe(false);
});

test("once deleted, every call says not found, and a probe creates nothing", async () => {
  const session = await sessions.create();
  sessions.script(text("one"));
  await session.turn("one");
  expect(await session.stub.remove("01HD")).toBe(true);
  await checkNotFound(session);
  await erase(session);
  await checkNotFound(session);
  expect(await tables(session)).toEqual([]);
  expect(await session.inside((state) => state.storage.getAlarm())).toBeNull();
  expect(await listed(session)).toBe(false);
});

test("the alarm repeats a deletion that the account has not acknowledged", async () => {
  const session = await sessions.create();
  await session.inside((_, object) => {
    const getByName = () => {
      throw new Error("the account cannot be reached");
    };
    Object.defineProperty(object, "env", { value: { ...env, ACCOUNT: { getByName } } });
  });
  expect(await session.stub.remove("01HD")).toBe(true);
  expect(await listed(session)).toBe(true);
  await checkNotFound(session);
  await runAlarm(session);
  expect(await tables(session)).toContain("log");
  await session.crash();
  await erase(session);
  expect(await listed(session)).toBe(false);
  expect(await tables(session)).toEqual([]);
});

test("a crash in the middle of a deletion does not bring the session back", async () => {
  const session = await sessions.create();
  const { reply } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply);
  await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  await session.stub.remove("01HD");
  await session.crash();
  await checkNotFound(session);
  await erase(session);
  expect(await tables(session)).toEqual([]);
});

test("no object is created by reading", async () => {
  const session = new TestSession({});
  await checkNotFound(session);
  expect(await tables(session)).toEqual([]);
  expect(await session.inside((state) => state.storage.getAlarm())).toBeNull();
});

test("another account's session id leads to an empty object", async () => {
  const session = await sessions.create();
  const other = new TestSession({ account: "acct_other" });
  Object.defineProperty(other, "id", { value: session.id });
  Object.defineProperty(other, "stub", { value: sessionStub(env, "acct_other", session.id) });
  await checkNotFound(other);
  expect(await tables(other)).toEqual([]);
});
