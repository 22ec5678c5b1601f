/** What a session costs, and that an idle one is left alone. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { sessionStub } from "../../src/session/calls.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, insertAt, PING, reply, text, thinking } from "../../src/standin/replies.ts";
import { countBilled } from "../support/billed.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { home } from "../support/home.ts";
import { held, reached, runAlarm, type TestSession, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
/** As long as an alarm is held while work goes on. */
const HELD_MS = 10 * 60_000;

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

const alarm = (session: TestSession): Promise<number | null> =>
  session.inside((state) => state.storage.getAlarm());

const known = async ({ account, id }: TestSession) =>
  (await accountOf(env, account).list({ limit: 100, cursor: null })).sessions.find(
    ({ session }) => session === id,
  );

/** Lets alarms come until none is set; more than a few would be a chain without an end. */
async function rest(session: TestSession): Promise<number> {
  for (let fired = 0; fired < 5; fired++) {
    if ((await alarm(session)) === null) return fired;
    clock.advance(15_000);
    await runAlarm(session);
  }
  throw new Error("the alarms do not end");
}

test("a plain turn with thinking is billed for at most ten rows, its alarm included", async () => {
  const session = await sessions.create();
  const billed = await session.inside((state) => countBilled(state));
  const long = "word ".repeat(2_000);
  sessions.script([thinking("hmm".repeat(500)), text(long)]);
  await session.turn("hi");
  await session.reader.detach();
  await rest(session);
  expect(await session.inside(() => billed())).toBeLessThanOrEqual(10);
});

test("an alarm is held while a long turn goes on, so that the turn costs no more of them", async () => {
  const session = await sessions.create();
  const billed = await session.inside((state) => countBilled(state));
  const pauses = Array.from({ length: 8 }, () => createGate());
  const acts = pauses.flatMap((gate) => [holdAt(2, gate), insertAt(2, PING)]);
  sessions.script(reply({ blocks: [text("at last")], acts }));
  const sent = await session.send("take your time");
  await session.reader.detach();
  const holds = clock.nextTimer(HELD_MS);
  const fired = runAlarm(session);
  await holds;
  await home();
  for (const gate of pauses) {
    await reached(gate);
    expect(await alarm(session), "an alarm besides the one that is held").toBeNull();
    // Eight times just below the silence that counts as a stall: more than ten minutes.
    await session.inside(() => clock.advance(80_000));
    if (gate !== pauses.at(-1)) await session.open(gate);
  }
  await fired;
  expect(await alarm(session), "the next one, once this was held long enough").not.toBeNull();
  await session.open(pauses[7] ?? createGate());
  session.reader.attach();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  await session.reader.detach();
  await rest(session);
  expect(await session.inside(() => billed())).toBeLessThanOrEqual(10);
});

test("an alarm that is repeated sets another, as one is not repeated for ever", async () => {
  const session = await sessions.create();
  const { reply: answer, gate } = held({ block: 0, delta: 1 }, [text("Hello there")]);
  sessions.script(answer);
  const sent = await session.send("hi");
  await reached(gate);
  clock.advance(1_000);
  const again = { isRetry: true, retryCount: 1, scheduledTime: clock.now };
  const fired = session.inside((_, object) => object.alarm(again));
  await session.open(gate);
  await fired;
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(await alarm(session)).toBe(clock.now + 15_000);
});

test("an idle session sets no alarm again, also when it sleeps in between", async () => {
  const session = await sessions.create();
  sessions.script(text("one"));
  await session.turn("one");
  await session.reader.detach();
  for (let fired = 0; (await alarm(session)) !== null; fired++) {
    expect(fired, "alarms of an idle session").toBeLessThan(3);
    await evictDurableObject(session.object);
    await runAlarm(session);
  }
});

test("a new session that was never used sets no alarm", async () => {
  const session = await sessions.create();
  expect(await alarm(session)).toBeNull();
  expect(await known(session)).toMatchObject({ status: "idle", turn_count: 0 });
});

test("the account knows how a turn ended, and again after the account's object was restarted", async () => {
  const session = await sessions.create({ account: "acct_restarted" });
  sessions.script(text("one"), text("two"));
  await session.turn("one");
  await rest(session);
  expect(await known(session)).toMatchObject({ status: "idle", turn_count: 1 });
  const account = env.ACCOUNT.getByName(session.account);
  await runInDurableObject(account, (_, state) => state.abort("restart")).catch(() => {});
  await session.turn("two");
  await rest(session);
  expect(await known(session)).toMatchObject({ status: "idle", turn_count: 2 });
});

test("what the account did not hear before a crash it hears from the alarm", async () => {
  const session = await sessions.create({ account: "acct_deaf" });
  sessions.script(text("one"));
  await session.inside((_, object) => {
    const getByName = () => {
      throw new Error("the account cannot be reached");
    };
    Object.defineProperty(object, "env", { value: { ...env, ACCOUNT: { getByName } } });
  });
  await session.turn("one");
  await session.reader.detach();
  expect(await known(session)).toMatchObject({ turn_count: 0 });
  await session.crash();
  await rest(session);
  expect(await known(session)).toMatchObject({ turn_count: 1 });
});

test("a session whose creation was cut off is listed once the creation is repeated", async () => {
  const account = "acct_cut";
  const ulid = "01J0000000000000000000CVT0";
  const object = env.SESSION.getByName(`${account}/${ulid}`);
  await runInDurableObject(object, (session) => {
    const getByName = () => {
      throw new Error("the account cannot be reached");
    };
    Object.defineProperty(session, "env", { value: { ...env, ACCOUNT: { getByName } } });
  });
  const stub = sessionStub(env, account, ulid);
  const config = {
    model: "claude-sonnet-5-5",
    title: null,
    system_prompt: null,
    metadata: {},
    toolset: { tools: {} },
  };
  const listed = async () =>
    (await accountOf(env, account).list({ limit: 1, cursor: null })).sessions;
  await stub.create("01HX", config);
  expect(await listed()).toEqual([]);
  await runInDurableObject(object, (_, state) => state.abort("crash")).catch(() => {});
  expect(await stub.create("01HX", config)).toMatchObject({ ok: true });
  expect(await listed()).toMatchObject([{ session: ulid }]);
});
