/** Idle sessions end after a time, with their files, and nothing that was accepted is lost by it. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import { type FaultPoint, onFaultPoint } from "../../src/session/fault-points.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { countBilled } from "../support/billed.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  held,
  type NewSession,
  reached,
  refusalOf,
  runAlarm,
  TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let clock: FakeClock;
// Objects that are made from then on have it.
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
  Object.assign(env, { SESSION_TIMEOUT_HOURS: "24" });
});
afterEach(() => {
  onFaultPoint(null);
  clock.restore();
  Reflect.deleteProperty(env, "SESSION_TIMEOUT_HOURS");
});

let accounts = 0;
const create = (setup: NewSession = {}): Promise<TestSession> =>
  sessions.create({ account: `acct_expiry_${++accounts}`, ...setup });

const alarm = (session: TestSession): Promise<number | null> =>
  session.inside((state) => state.storage.getAlarm());

const tables = (session: TestSession): Promise<number> =>
  session.inside(
    (state) =>
      state.storage.sql
        .exec("SELECT 1 FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'")
        .toArray().length,
  );

const listed = async ({ account, id }: TestSession): Promise<boolean> =>
  (await accountOf(env, account).list({ limit: 100, cursor: null })).sessions.some(
    ({ session }) => session === id,
  );

/** The alarm ends the session; the next one erases it, and with it the call that fired it. */
async function expire(session: TestSession): Promise<void> {
  await runAlarm(session);
  await expect(runDurableObjectAlarm(session.object)).rejects.toThrow("deleted");
}

/** Gives the object another configuration, until it dies. */
const configure = (session: TestSession, variables: object): Promise<void> =>
  session.inside((_, object) => {
    const value = { ...env, ...variables };
    Object.defineProperty(object, "env", { configurable: true, value });
  });

/** Time passes while nobody looks; then the client is there again. */
async function pass(session: TestSession, ms: number): Promise<void> {
  const { reader } = session;
  await reader.detach();
  clock.advance(ms);
  const attached = () => reader.items.filter(({ kind }) => kind === "caught_up").length;
  const before = attached();
  reader.attach();
  await reader.until(() => attached() > before);
}

/** Lets the guards of work that is done pass; then the alarm is that of the end, and when that is. */
async function settle(session: TestSession): Promise<number> {
  for (let n = 0; n < 4; n++) {
    const at = (await alarm(session)) ?? 0;
    if (at - clock.now > HOUR / 2) return at;
    clock.advance(Math.max(0, at - clock.now));
    await runAlarm(session);
  }
  throw new Error("the alarm stays near");
}

test("a session in which nothing happens ends after its time, not before, and everybody is told", async () => {
  const session = await create();
  sessions.script(text("one"));
  await session.turn("one");
  const last = (await session.rows()).at(-1)?.at ?? 0;
  expect(await settle(session)).toBe(last + DAY);
  await pass(session, last + DAY - 1 - clock.now);
  // Reading is no activity, nor is an alarm that comes early.
  await session.stub.describe();
  await session.stub.page(0, 10);
  await runAlarm(session);
  expect(await alarm(session)).toBe(last + DAY);
  expect(await listed(session)).toBe(true);
  clock.advance(1);
  await expire(session);
  expect(await session.reader.ended).toEqual({ kind: "deleted" });
  const end = session.reader.rows.at(-1);
  expect(end).toMatchObject({ type: "session.deleted", body: { reason: "expired" } });
  expect(session.reader.frames.at(-1)?.data).toContain('"reason":"expired"');
  expect(await session.stub.describe()).toBeNull();
  expect(refusalOf(await session.trySend("hi"))).toBe("not_found");
  expect(await tables(session)).toBe(0);
  expect(await alarm(session)).toBeNull();
  expect(await listed(session)).toBe(false);
  // What it has cost stays.
  const period = { group: "day" as const, from: 0, to: 100_000, limit: 9, cursor: null };
  expect((await accountOf(env, session.account).usage(period)).totals.calls).toBe(1);
});

test("each row puts the end off", async () => {
  const session = await create();
  expect(await settle(session)).toBe(FAR_FUTURE + DAY);
  clock.advance(DAY - MINUTE);
  await session.update({ title: "still here" });
  clock.advance(MINUTE);
  await runAlarm(session);
  expect(await settle(session)).toBe(FAR_FUTURE + 2 * DAY - MINUTE);
  expect(await listed(session)).toBe(true);
});

test("a change of files puts it off too, and costs one row in a minute", async () => {
  const session = await create();
  await settle(session);
  const write = (path: string) => session.stub.files("directory", { path, once: null });
  await write("a");
  clock.advance(DAY - MINUTE);
  const rows = (await session.rows()).length;
  const counted = await session.inside((state) => {
    const { sql } = state.storage;
    const exec = sql.exec.bind(sql);
    let notes = 0;
    Object.defineProperty(sql, "exec", {
      configurable: true,
      value: (query: string, ...values: SqlStorageValue[]) => {
        if (/INTO touched/.test(query)) notes += 1;
        return exec(query, ...values);
      },
    });
    return () => notes;
  });
  for (const content of ["b", "c", "d"]) {
    expect(await write(content)).toMatchObject({ ok: true });
  }
  expect(await session.inside(() => counted())).toBe(1);
  expect((await session.rows()).length, "no row of the log says it").toBe(rows);
  const changed = clock.now;
  await session.reader.detach();
  await session.crash();
  clock.advance(MINUTE);
  await runAlarm(session);
  const end = await settle(session);
  expect(end).toBe(changed + MINUTE + DAY);
  clock.advance(end - clock.now);
  await expire(session);
  expect(await tables(session)).toBe(0);
});

test("without a limit no session has an alarm for it, and an alarm that was set ends nothing", async () => {
  const session = await create();
  expect(await alarm(session)).toBe(FAR_FUTURE + DAY);
  await configure(session, { SESSION_TIMEOUT_HOURS: "0" });
  clock.advance(2 * DAY);
  await runAlarm(session);
  expect(await alarm(session)).toBeNull();
  expect(await session.stub.describe()).not.toBeNull();
  const other = new TestSession({});
  await configure(other, { SESSION_TIMEOUT_HOURS: "0" });
  await other.create();
  expect(await alarm(other)).toBeNull();
});

test("who opens an old session after the limit was set has an hour for it", async () => {
  const session = await create();
  const left = await create();
  clock.advance(3 * DAY);
  for (const one of [session, left]) {
    // As it is when there was no limit.
    await one.inside((state) => state.storage.deleteAlarm());
    await one.reader.detach();
    await one.crash();
    expect(await one.stub.describe()).not.toBeNull();
    expect(await alarm(one)).toBe(clock.now + HOUR);
  }
  sessions.script(text("welcome back"));
  session.reader.attach();
  await session.turn("hello again");
  const last = (await session.rows()).at(-1)?.at ?? 0;
  clock.advance(HOUR);
  await expire(left);
  await runAlarm(session);
  expect(await settle(session)).toBe(last + DAY);
});

test("a turn that runs is never ended, however long it takes", async () => {
  const session = await create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("Hello there")]);
  sessions.script(reply);
  const sent = await session.send("take a week");
  await reached(gate);
  await session.inside(() => clock.jump(clock.now + 7 * DAY));
  const fired = runAlarm(session);
  await session.open(gate);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  await fired;
  expect(await settle(session)).toBe(((await session.rows()).at(-1)?.at ?? 0) + DAY);
});

describe("a turn that waits for the client ends with its session", () => {
  test("for results", async () => {
    const session = await create({ tools: toolset("a") });
    sessions.script(toolUse("a", {}));
    await session.turn("go");
    const end = await settle(session);
    await pass(session, end - clock.now);
    await expire(session);
    await session.reader.ended;
    expect(session.reader.rows.slice(-3).map(({ type }) => type)).toEqual([
      "tool.ended",
      "outcome",
      "session.deleted",
    ]);
  });

  test("for a confirmation", async () => {
    const permissions = { mode: "default" as const, allow: [], ask: [], deny: [] };
    const session = await create({ tools: builtinToolset(), permissions });
    sessions.script(toolUse("Write", { file_path: "a", content: "1" }));
    await session.turn("go");
    expect((await session.stub.describe())?.session.status).toBe("awaiting_confirmation");
    const end = await settle(session);
    await pass(session, end - clock.now);
    await expire(session);
    expect(await session.reader.ended).toEqual({ kind: "deleted" });
  });
});

test("a message that comes with the end is accepted and lives, or finds no session", async () => {
  const session = await create();
  const gone = await create();
  sessions.script(text("just in time"));
  await gone.reader.detach();
  await pass(session, DAY);
  const sent = await session.inside(async (_, object) => {
    const answer = object.submit(message("in time"));
    // The alarm in the same step, behind it.
    await object.alarm();
    return answer;
  });
  expect(refusalOf(sent)).toBeNull();
  if (sent.ok) await session.outcome(sent.accepted);
  expect(await listed(session)).toBe(true);

  const late = await gone
    .inside((_, object) => {
      const ended = object.alarm();
      const answer = object.submit(message("too late"));
      return Promise.all([answer, ended]).then(([answer]) => answer);
    })
    .then(refusalOf);
  expect(late).toBe("not_found");
  await expect(runDurableObjectAlarm(gone.object)).rejects.toThrow("deleted");
  expect(refusalOf(await gone.trySend("too late"))).toBe("not_found");
  expect(await tables(gone)).toBe(0);
  expect(await listed(gone)).toBe(false);
});

const POINTS: FaultPoint[] = [
  "alarm",
  "commit",
  "committed",
  "report",
  "reported",
  "erase",
  "erased",
];

test("a session has its alarm before its account hears of it, so no crash leaves one without", async () => {
  const session = new TestSession({ account: `acct_expiry_${++accounts}` });
  const set: (number | null)[] = [];
  await session.inside((own) => {
    onFaultPoint((object, reached) => {
      if (reached !== "report" || object.id.toString() !== own.id.toString()) return;
      void object.storage.getAlarm().then((at) => set.push(at));
    });
  });
  await session.create();
  expect(set[0]).toBe(clock.now + DAY);
});

test.each(POINTS)("the object dies over its end (%s), which is then made", async (point) => {
  const session = await create();
  clock.advance(DAY);
  await session.reader.detach();
  let dies = true;
  await session.inside((own) => {
    onFaultPoint((object, reached) => {
      if (!dies || reached !== point || object.id.toString() !== own.id.toString()) return;
      dies = false;
      object.abort("crash");
    });
  });
  for (let n = 0; dies && n < 2; n++) await runDurableObjectAlarm(session.object).catch(() => {});
  expect(dies).toBe(false);
  onFaultPoint(null);
  for (let fired = 0; (await tables(session)) > 0; fired++) {
    expect(fired, "alarms of an end").toBeLessThan(3);
    clock.advance(15_000);
    await runDurableObjectAlarm(session.object).catch(() => {});
  }
  expect(await listed(session)).toBe(false);
  expect(await session.stub.describe()).toBeNull();
  expect(await alarm(session)).toBeNull();
});

test("an alarm that comes twice ends a session once, and one whose account is away later", async () => {
  const session = await create();
  await pass(session, DAY);
  const getByName = () => {
    throw new Error("the account cannot be reached");
  };
  await configure(session, { ACCOUNT: { getByName } });
  await session.inside((_, object) => Promise.all([object.alarm(), object.alarm()]));
  expect(await session.reader.ended).toEqual({ kind: "deleted" });
  const ends = (await session.rows()).filter(({ type }) => type === "session.deleted");
  expect(ends).toHaveLength(1);
  expect(await listed(session)).toBe(true);
  await session.crash();
  await expect(runDurableObjectAlarm(session.object)).rejects.toThrow("deleted");
  expect(await listed(session)).toBe(false);
});

test("with a limit a plain turn is billed for one row more, and an idle session for none", async () => {
  const session = await create();
  const billed = await session.inside((state) => countBilled(state));
  sessions.script(text("hi"));
  await session.turn("hi");
  await session.reader.detach();
  await settle(session);
  expect(await session.inside(() => billed())).toBeLessThanOrEqual(11);
});

const message = (content: string) => ({
  v: 1 as const,
  submission: `01H${content}`,
  command: {
    kind: "input" as const,
    content: [{ type: "text" as const, text: content }],
    on_busy: "queue" as const,
    options: { toolset: null, tool_choice: null, parallel_tool_calls: null },
    limits: { plain: 8, tools: 4 },
    replay: false,
    hash: content,
  },
});
