/** A session that nobody uses for a while is compacted while its conversation is still cached. */
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { afterEach, beforeEach, expect, test } from "vitest";
import { onFaultPoint } from "../../src/session/fault-points.ts";
import { Log } from "../../src/session/log.ts";
import { owedEntries } from "../../src/session/outbox.ts";
import { Store } from "../../src/session/store.ts";
import { dayOf, type LedgerEntry } from "../../src/shared/ledger.ts";
import type { Row } from "../../src/shared/rows.ts";
import {
  compaction,
  httpError,
  reply,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { API, conversation, ended, large, PLAIN } from "../support/compactions.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  held,
  reached,
  runAlarm,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const MINUTES = 4;
const MS = MINUTES * 60_000;
/** The test plugin would print any other reason as an error of the runtime. */
const REASON = "Instance disposed by a test";

let clock: FakeClock;
beforeEach(() => {
  Object.assign(env, { COMPACT_IDLE_MINUTES: String(MINUTES) });
  clock = new FakeClock(FAR_FUTURE);
});
const sessions = useSessions();
afterEach(() => {
  onFaultPoint(null);
  clock.restore();
  Reflect.deleteProperty(env, "COMPACT_IDLE_MINUTES");
});
const { talk, last, said } = conversation(sessions);

const alarm = (session: TestSession): Promise<number | null> =>
  session.inside((state) => state.storage.getAlarm());

/** Lets the alarm come that the last turn has set, and gives the next one. Nobody follows meanwhile. */
async function quiet(session: TestSession): Promise<number | null> {
  await session.reader.detach();
  clock.advance(15_000);
  await runAlarm(session);
  return alarm(session);
}

const asked = async (session: TestSession): Promise<Row[]> =>
  (await session.rows()).filter(({ type }) => type === "compaction.requested");

/** How the compaction ended that was asked for last; a client comes back to see it. */
async function ending(session: TestSession) {
  const row = (await asked(session)).at(-1);
  if (!row) throw new Error("nothing was asked for");
  session.reader.attach();
  return ended(session, row.seq);
}

/** Lets the session be idle for long enough, and gives how that ended. */
async function compacted(session: TestSession) {
  await quiet(session);
  clock.advance(MS);
  await runAlarm(session);
  return ending(session);
}

test("a large conversation is, at a read's price, and the next turn goes on behind the summary", async () => {
  const session = await sessions.create({ model: API, system: "Long. ".repeat(2_000) });
  sessions.script(large("one", 60_000));
  await session.turn("one");
  const since = clock.now;
  expect(await quiet(session)).toBe(since + MS);
  // One that comes early finds nothing to do yet.
  await runAlarm(session);
  expect(await asked(session)).toEqual([]);
  expect(await alarm(session)).toBe(since + MS);
  clock.advance(MS);
  sessions.script(compaction("One."));
  await runAlarm(session);
  expect(await asked(session)).toMatchObject([
    { body: { turn: null, trigger: "idle", idle_minutes: MINUTES } },
  ]);
  expect((await ending(session)).type).toBe("context.compacted");
  const call = session.reader.rows.findLast((one) => one.type === "call.ended");
  expect(call?.body).toMatchObject({
    purpose: "compact",
    usage: { cache_read_input_tokens: expect.any(Number), cache_creation_input_tokens: 0 },
  });
  if (call?.type !== "call.ended") throw new Error("no call");
  expect(call.body.usage?.cache_read_input_tokens).toBeGreaterThan(1_000);
  const told = session.reader.frames.find(({ event }) => event === "session.compacted");
  expect(JSON.parse(told?.data ?? "{}")).toMatchObject({ turn_id: null });
  await talk(session, "two");
  expect(last()).toMatchObject([{ role: "assistant" }, { role: "user" }]);
});

test("once in each idle time, and again only when it has grown", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one", 60_000), compaction("One."));
  await session.turn("one");
  expect((await compacted(session)).type).toBe("context.compacted");
  expect(await alarm(session)).toBeNull();
  session.reader.attach();
  sessions.script(large("two", 40_000));
  await session.turn("two");
  expect(await quiet(session)).toBeNull();
  session.reader.attach();
  sessions.script(large("three", 60_000), compaction("All three."));
  await session.turn("three");
  expect((await compacted(session)).type).toBe("context.compacted");
  expect(await asked(session)).toHaveLength(2);
});

test("what a compaction has left does not count as grown", async () => {
  // What stays is nearly all of it: the system prompt.
  const session = await sessions.create({ model: API, system: "Long. ".repeat(2_000) });
  const usage = { input_tokens: 60_000 };
  sessions.script(large("one", 60_000), reply({ blocks: [compaction("One.")], usage }));
  await session.turn("one");
  expect((await compacted(session)).body).toMatchObject({ tokens_after: expect.any(Number) });
  sessions.script(large("two", 70_000));
  await session.turn("two");
  expect(await quiet(session)).toBeNull();
});

test("one that fails is not made again before the next turn", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one", 60_000), httpError(401));
  await session.turn("one");
  expect((await compacted(session)).body).toMatchObject({ code: "authentication" });
  expect(await alarm(session)).toBeNull();
  session.reader.attach();
  sessions.script(large("two", 60_000), compaction("Both."));
  await session.turn("two");
  expect((await compacted(session)).type).toBe("context.compacted");
});

test("one that the client asks for takes its place", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one", 60_000), httpError(401));
  await session.turn("one");
  const answer = await session.submit({ kind: "compact", keep: null, instructions: null });
  if (!answer.ok) throw new Error("refused");
  await ended(session, answer.accepted.s);
  expect(await quiet(session)).toBeNull();
});

test.each([
  [
    "a small conversation",
    async (session: TestSession) => {
      sessions.script(large("one", 49_999));
      await session.turn("one");
    },
  ],
  ["a session that was never used", async () => {}],
  [
    "one whose turn failed, so that it can be sent again",
    async (session: TestSession) => {
      sessions.script(large("one", 60_000), httpError(401));
      await session.turn("one");
      expect(await session.turn("two")).toMatchObject({ outcome: "failed" });
    },
  ],
  [
    "one whose calls wait for the client",
    async (session: TestSession) => {
      sessions.script(large("one", 60_000), [thinking("which"), toolUse("a", {})]);
      await session.turn("one");
      await session.turn("two", { tools: toolset("a") });
    },
  ],
  [
    "one of a server that does not do it",
    async (session: TestSession) => {
      await session.inside((_, object) =>
        Object.defineProperty(object, "env", { value: { ...env, COMPACT_IDLE_MINUTES: "0" } }),
      );
      sessions.script(large("one", 60_000));
      await session.turn("one");
    },
  ],
])("%s is left alone, without an alarm", async (_, use) => {
  const session = await sessions.create({ model: API });
  await use(session);
  await session.reader.detach();
  for (let fired = 0; (await alarm(session)) !== null; fired++) {
    expect(fired, "alarms of an idle session").toBeLessThan(3);
    clock.advance(15_000);
    await runAlarm(session);
  }
  clock.advance(MS);
  expect((await session.stub.describe())?.session.status).not.toBe("running");
  expect(await asked(session)).toEqual([]);
});

test("a message that comes meanwhile waits for it, and stands behind the summary", async () => {
  const session = await sessions.create({ model: API });
  const { reply: summary, gate } = held(2, [compaction("One.")]);
  sessions.script(large("one", 60_000), summary, [thinking("hm"), text("two")]);
  await session.turn("one");
  await quiet(session);
  clock.advance(MS);
  const fired = runAlarm(session);
  await reached(gate);
  const second = await session.send("two");
  session.reader.attach();
  await session.open(gate);
  await fired;
  expect(await session.outcome(second)).toMatchObject({ outcome: "completed" });
  expect(last()).toMatchObject([
    { role: "assistant" },
    { role: "user", content: [{ text: "two" }] },
  ]);
});

test("it goes by the session's budget", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one", 60_000));
  await session.turn("one");
  await session.update({ max_budget_usd: 0 });
  expect((await compacted(session)).body).toMatchObject({ code: "session_budget", cost_usd: 0 });
  expect(await alarm(session)).toBeNull();
});

test("a session that somebody opens later is not compacted in front of him", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one", 60_000));
  await session.turn("one");
  await quiet(session);
  await session.crash();
  clock.advance(MS + 6 * 60_000);
  await session.stub.describe();
  session.reader.attach();
  await talk(session, "two");
  expect(said()).toContain("hm one");
  expect(await asked(session)).toEqual([]);
});

test.each([API, PLAIN])("on %s an alarm that comes twice asks for one", async (model) => {
  const session = await sessions.create({ model });
  const { reply: summary, gate } = held(model === API ? 2 : { block: 0, delta: 0 }, [
    model === API ? compaction("One.") : text("One."),
  ]);
  sessions.script(large("one", 60_000), summary);
  await session.turn("one");
  await quiet(session);
  clock.advance(MS);
  const fired = session.inside((_, object) => Promise.all([object.alarm(), object.alarm()]));
  await reached(gate);
  await session.open(gate);
  await fired;
  expect(await asked(session)).toHaveLength(1);
  expect((await ending(session)).type).toBe("context.compacted");
});

test.each(["compaction.requested", "call.started", "context.compacted"] as const)(
  "an object that dies with the row %s has one all the same, and one end",
  async (type) => {
    const session = await sessions.create({ model: API });
    sessions.script(large("one", 60_000), compaction("One."));
    if (type === "context.compacted") sessions.script(compaction("One."));
    await session.turn("one");
    await quiet(session);
    clock.advance(MS);
    let died = false;
    onFaultPoint((object, point) => {
      if (died || point !== "commit") return;
      const rows = new Log(object.storage.sql).range(1, Number.MAX_SAFE_INTEGER);
      if (rows.at(-1)?.type !== type) return;
      died = true;
      object.abort(REASON);
    });
    const again = { isRetry: true, retryCount: 1, scheduledTime: clock.now };
    await session.inside((_, object) => object.alarm()).catch(() => {});
    expect(died).toBe(true);
    // The platform repeats an alarm whose object died.
    await session.inside((_, object) => object.alarm(again));
    expect((await ending(session)).type).toBe("context.compacted");
    expect(await asked(session)).toHaveLength(1);
    await talk(session, "two");
  },
);

test("the key whose message comes before its call does not pay for it, whatever the account is told from", async () => {
  const session = await sessions.create({ model: API, account: "acct_idle_key" });
  await session.inside((_, object) => {
    const getByName = () => {
      throw new Error("the account cannot be reached");
    };
    const value = { ...env, ACCOUNT: { getByName } };
    Object.defineProperty(object, "env", { configurable: true, value });
  });
  sessions.script(large("one", 60_000), httpError(529), compaction("One."), text("two"));
  await session.turn("one");
  await quiet(session);
  clock.advance(MS);
  await runAlarm(session);
  session.reader.attach();
  const failed = await session.reader.row("failure");
  const key = `key_${ulid()}`;
  const sent = await session.send("two", { caller: key });
  clock.advance(Math.max(0, (failed.body.retry?.at ?? 0) - clock.now));
  await runAlarm(session);
  await session.outcome(sent);
  const today = dayOf(clock.now);
  const owed = (): Promise<LedgerEntry[]> =>
    session.inside((state) => {
      const store = Store.open(state.storage.sql);
      if (!store) throw new Error("no session");
      const entries = owedEntries(store).entries.filter(({ day }) => day === today);
      return entries.toSorted((a, b) => a.seq - b.seq);
    });
  const kept = await owed();
  expect(kept.find((one) => one.key === key)).toMatchObject({ calls: 1, turns: 1 });
  // The state has two days; what is older is told from the log.
  for (const word of ["three", "four"]) {
    await session.reader.detach();
    clock.jump(clock.now + 24 * 60 * 60_000);
    session.reader.attach();
    sessions.script(text(word));
    await session.turn(word);
  }
  expect(await owed()).toEqual(kept);
});
