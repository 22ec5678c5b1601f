/**
 * Alarms come at least once, and when they like: twice, early, hours late, beside anything else. The
 * model sees each call once, no attempt comes before its time, and an idle session is left alone.
 */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { httpError, text, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { accepted, held, reached, TestSession, toolset, useSessions } from "../support/sessions.ts";
import { message, submissionOf } from "./commands.ts";

const sessions = useSessions();
const HOUR = 60 * 60 * 1000;
const A = toolset("a");
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

const alarmAt = (session: TestSession): Promise<number | null> =>
  session.inside((state) => state.storage.getAlarm());

/** Has the alarm come, whether one is set or not; resolves when its work is done. */
const fire = (session: TestSession, times = 1): Promise<unknown> =>
  session.inside((_, object) => Promise.all(Array.from({ length: times }, () => object.alarm())));

/** Moves the clock without running timers, as a machine that slept does. */
const sleep = (ms: number): void => clock.jump(clock.now + ms);

test("while a turn runs, at each place of it", async () => {
  const session = await sessions.create();
  const first = held("request", [toolUse("nothing", {})]);
  const second = held({ block: 0, delta: 1 }, [text("Hello there")]);
  sessions.script(first.reply, second.reply);
  const alarms = [fire(session, 2)];
  const sent = await session.send("hi");
  alarms.push(fire(session, 2));
  await reached(first.gate);
  alarms.push(fire(session, 2));
  await session.open(first.gate);
  await reached(second.gate);
  alarms.push(fire(session, 2));
  expect(sessions.requests).toHaveLength(2);
  await session.open(second.gate);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  alarms.push(fire(session, 2));
  await Promise.all(alarms);
  expect(sessions.requests).toHaveLength(2);
});

test("together with the message that starts a turn, in one step of the object", async () => {
  const session = await sessions.create();
  sessions.script(text("one"), text("two"));
  const [, sent] = await session.inside((_, object) =>
    Promise.all([object.alarm(), object.submit(submissionOf(message("one"))), object.alarm()]),
  );
  expect(await session.outcome(accepted(sent))).toMatchObject({ outcome: "completed" });
  await session.turn("two");
  expect(sessions.requests).toHaveLength(2);
});

test("while nothing runs, and while results are awaited", async () => {
  const session = await sessions.create();
  await fire(session, 3);
  expect(await alarmAt(session)).toBeNull();
  sessions.script(toolUse("a", {}), text("done"));
  await session.turn("go", { tools: A });
  const before = await session.rows();
  await fire(session, 3);
  sleep(100 * HOUR);
  await fire(session, 3);
  expect(await session.rows()).toEqual(before);
  expect(sessions.requests).toHaveLength(1);
  await session.outcome(await session.results({ call_3_0: "x" }));
  await fire(session, 3);
  expect(sessions.requests).toHaveLength(2);
});

describe("during backoff", () => {
  const RETRY_AFTER = 20;

  async function waiting(): Promise<{ session: TestSession; input: number; due: number }> {
    const session = await sessions.create();
    sessions.script(httpError(429, { retryAfter: RETRY_AFTER }), text("ok"));
    const { input } = await session.send("hi");
    const failure = await session.reader.row("failure");
    return { session, input: input ?? 0, due: failure.body.retry?.at ?? 0 };
  }

  test("early alarms make no attempt, and the one in time makes one", async () => {
    const { session, input, due } = await waiting();
    for (const early of [0, 1, 15_000, 19_998]) {
      clock.jump(due - RETRY_AFTER * 1000 + early);
      await fire(session, 2);
      expect(sessions.requests).toHaveLength(1);
      expect(await alarmAt(session)).toBeLessThanOrEqual(due);
    }
    clock.jump(due);
    await fire(session, 3);
    expect(await session.outcome({ input })).toMatchObject({ outcome: "completed" });
    expect(sessions.requests).toHaveLength(2);
  });

  test("also after a crash, and with a message that wakes the session early", async () => {
    const { session, input, due } = await waiting();
    sessions.script(text("two"));
    await session.reader.detach();
    await session.crash();
    session.reader.attach();
    await fire(session, 2);
    const second = await session.send("two");
    await fire(session, 2);
    expect(sessions.requests).toHaveLength(1);
    clock.jump(due);
    await fire(session, 2);
    expect(await session.outcome({ input })).toMatchObject({ outcome: "completed" });
    expect(await session.outcome(second)).toMatchObject({ outcome: "completed" });
    const attempt = await session.reader.row("call.started", ({ body }) => body.attempt === 2);
    expect(attempt.at).toBe(due);
  });

  test("hours late the attempt is made all the same", async () => {
    const { session, input } = await waiting();
    await session.reader.detach();
    sleep(9 * HOUR);
    await fire(session, 2);
    session.reader.attach();
    expect(await session.outcome({ input })).toMatchObject({ outcome: "completed" });
    expect(sessions.requests).toHaveLength(2);
  });

  test("after an interrupt they make none", async () => {
    const { session, input, due } = await waiting();
    await session.interrupt();
    expect(await session.outcome({ input })).toMatchObject({ outcome: "interrupted" });
    clock.jump(due + HOUR);
    await fire(session, 2);
    expect(sessions.requests).toHaveLength(1);
    await session.turn("next");
  });
});

test("hours late, after a crash that nobody noticed, the turn goes on once", async () => {
  const session = await sessions.create();
  const { reply } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply, text("one"), text("two"));
  const first = await session.send("one");
  const second = await session.send("two");
  await session.reader.until(() => session.reader.previewed === "o");
  await session.reader.detach();
  await session.crash();
  sleep(9 * HOUR);
  await fire(session, 3);
  session.reader.attach();
  expect(await session.outcome(first)).toMatchObject({ outcome: "completed" });
  expect(await session.outcome(second)).toMatchObject({ outcome: "completed" });
  expect(sessions.requests).toHaveLength(3);
});

test("one that is held does not keep an interrupt, a message or a deletion waiting", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  const second = held({ block: 0, delta: 1 }, [text("two", { deltas: ["t", "wo"] })]);
  sessions.script(first.reply, second.reply);
  const sent = await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  const alarms = fire(session, 2);
  await session.interrupt();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "interrupted" });
  const next = await session.send("two");
  await session.reader.until(() => session.reader.previewed === "t");
  const [, , removed] = await session.inside((_, object) =>
    Promise.all([object.alarm(), object.alarm(), object.remove("01HD")]),
  );
  expect(removed).toBe(true);
  expect(await session.outcome(next)).toMatchObject({ outcome: "interrupted" });
  await alarms;
  expect(await alarmAt(session), "the one that erases").not.toBeNull();
  await expect(runDurableObjectAlarm(session.object)).rejects.toThrow("deleted");
});

describe("during a deletion", () => {
  const config = {
    model: "claude-sonnet-5-5",
    title: null,
    system_prompt: null,
    metadata: {},
    toolset: { tools: {} },
  };

  const listed = async ({ account, id }: TestSession): Promise<boolean> =>
    (await accountOf(env, account).list({ limit: 100, cursor: null })).sessions.some(
      ({ session }) => session === id,
    );

  /** A session whose account cannot be reached until `mend`. */
  async function unreachable(): Promise<{ session: TestSession; mend: () => Promise<void> }> {
    const session = new TestSession({ account: "acct_deletions" });
    await session.stub.create("01HC", config);
    const use = (ACCOUNT: object) =>
      session.inside((_, object) => {
        Object.defineProperty(object, "env", { configurable: true, value: { ...env, ACCOUNT } });
      });
    await use({
      getByName() {
        throw new Error("the account cannot be reached");
      },
    });
    return { session, mend: () => use(env.ACCOUNT) };
  }

  test("each that comes tries again, and the first that succeeds is the last", async () => {
    const { session, mend } = await unreachable();
    expect(await session.stub.remove("01HD")).toBe(true);
    for (let fired = 0; fired < 3; fired++) {
      await fire(session, 2);
      expect(await alarmAt(session)).toBe(clock.now + 15_000);
      sleep(HOUR);
    }
    expect(await listed(session)).toBe(true);
    await mend();
    await expect(fire(session, 3)).rejects.toThrow("deleted");
    expect(await listed(session)).toBe(false);
    expect(await alarmAt(session)).toBeNull();
    await fire(session, 2);
    expect(await alarmAt(session)).toBeNull();
    expect(await session.stub.describe()).toBeNull();
  });

  test("also when the object dies each time", async () => {
    const { session } = await unreachable();
    await session.stub.remove("01HD");
    await session.crash();
    await session
      .inside((state, object) => {
        void object.alarm().catch(() => {});
        state.abort("crash");
      })
      .catch(() => {});
    expect(await alarmAt(session)).not.toBeNull();
    await expect(runDurableObjectAlarm(session.object)).rejects.toThrow("deleted");
    expect(await listed(session)).toBe(false);
  });
});

test("an object without a session is left as it is", async () => {
  const session = new TestSession({});
  await fire(session, 2);
  expect(await alarmAt(session)).toBeNull();
  expect(
    await session.inside(({ storage }) =>
      storage.sql
        .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'")
        .toArray(),
    ),
  ).toEqual([]);
});
