/**
 * A deletion against everything else: wherever the session is, each input has its one end, followers
 * are told, the model is hung up on, and in the end nothing is left, neither here nor in the account.
 */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountOf } from "../../src/account/client.ts";
import type { Submission, SubmitAnswer } from "../../src/session/commands.ts";
import { type FaultPoint, onFaultPoint } from "../../src/session/fault-points.ts";
import type { Session } from "../../src/session/session.ts";
import type { Row } from "../../src/shared/rows.ts";
import { type At, httpError, text, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { Reader, seqOf } from "../support/reader.ts";
import {
  held,
  reached,
  refusalOf,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";
import { cancel, interrupt, message, results, submissionOf } from "./commands.ts";

const sessions = useSessions();
const A = toolset("a");
let clock: FakeClock;
// In real time the alarm that erases the data fires at once.
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => {
  onFaultPoint(null);
  clock.restore();
});

const listed = async ({ account, id }: TestSession): Promise<boolean> =>
  (await accountOf(env, account).list({ limit: 100, cursor: null })).sessions.some(
    ({ session }) => session === id,
  );

/** Inputs and results in the log, and what names their ends. */
function ends(rows: readonly Row[]) {
  const first = new Map<string, number>();
  const named: number[] = [];
  for (const { seq, type, body } of rows) {
    if (type === "input" || (type === "tool.ended" && body.by === "client")) {
      const submission = body.submission ?? "";
      if (!first.has(submission)) first.set(submission, seq);
    } else if (type === "outcome") named.push(...body.inputs);
    else if (type === "input.cancelled") named.push(body.input);
  }
  return { accepted: [...first.values()], named: named.toSorted((a, b) => a - b) };
}

/** The log has ended, and everything in it; then the alarm leaves nothing. */
async function checkDeleted(session: TestSession): Promise<void> {
  const rows = await session.rows();
  expect(rows.at(-1)?.type).toBe("session.deleted");
  const { accepted, named } = ends(rows);
  expect(named, "each submission has one end").toEqual(accepted);
  await erase(session);
}

/** Lets alarms come until nothing is left. */
async function erase(session: TestSession): Promise<void> {
  for (let fired = 0; (await tables(session)).length > 0; fired++) {
    expect(fired, "alarms of a deletion").toBeLessThan(3);
    await runDurableObjectAlarm(session.object).catch(() => {});
  }
  expect(await session.inside((state) => state.storage.getAlarm())).toBeNull();
  expect(await listed(session)).toBe(false);
}

const tables = (session: TestSession): Promise<string[]> =>
  session.inside(({ storage }) => {
    const query = "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'";
    return storage.sql
      .exec<{ name: string }>(query)
      .toArray()
      .map(({ name }) => name);
  });

const PLACES: [name: string, at: At][] = [
  ["before the response", "request"],
  ["before the first byte", "headers"],
  ["before message_start", 0],
  ["in mid-text", 3],
  ["before message_stop", 6],
];

const words = [text("one two", { deltas: ["one", " two"] })];

describe("with a running call", () => {
  test.each(PLACES)("%s", async (_, at) => {
    const session = await sessions.create();
    const { reply, gate } = held(at, words);
    sessions.script(reply);
    await session.send("one");
    await session.send("two");
    await session.send("three", { on_busy: "steer" });
    await reached(gate);
    expect(await session.stub.remove("01HD")).toBe(true);
    expect(await session.reader.ended).toEqual({ kind: "deleted" });
    expect(await sessions.settled(0)).toMatchObject({ state: "aborted" });
    expect(await listed(session)).toBe(false);
    await checkDeleted(session);
    expect(sessions.requests).toHaveLength(1);
  });

  test("before the call, in the step of the message", async () => {
    const session = await sessions.create();
    await session.inside((_, object) =>
      Promise.all([object.submit(submissionOf(message("one"))), object.remove("01HD")]),
    );
    await checkDeleted(session);
    expect(sessions.requests).toHaveLength(0);
  });

  test("during backoff, and the time of the attempt passes", async () => {
    const session = await sessions.create();
    sessions.script(httpError(529, { retryAfter: 5 }));
    await session.send("one");
    await session.reader.row("failure");
    await session.stub.remove("01HD");
    clock.jump(clock.now + 60_000);
    await checkDeleted(session);
    expect(sessions.requests).toHaveLength(1);
  });

  test("while an alarm is held for the turn", async () => {
    const session = await sessions.create();
    const { reply, gate } = held(3, words);
    sessions.script(reply);
    await session.send("one");
    await reached(gate);
    await session.inside((_, object) => Promise.all([object.alarm(), object.remove("01HD")]));
    await checkDeleted(session);
  });

  test("while results are awaited", async () => {
    const session = await sessions.create();
    sessions.script([toolUse("a", {}), toolUse("a", {})]);
    await session.turn("go", { tools: A });
    await session.outcome(await session.results({ call_3_0: "one" }));
    await session.stub.remove("01HD");
    await checkDeleted(session);
  });
});

/** A session with a turn that runs and a message that waits: `2` and `4`. */
async function busy(): Promise<TestSession> {
  const session = await sessions.create();
  const { reply, gate } = held(3, words);
  sessions.script(reply);
  await session.send("one");
  await session.send("two");
  await reached(gate);
  return session;
}

async function awaiting(): Promise<TestSession> {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}));
  await session.turn("go", { tools: A });
  return session;
}

const COMMANDS: [name: string, ready: () => Promise<TestSession>, sent: () => Submission][] = [
  ["a message", () => sessions.create(), () => submissionOf(message("hi"))],
  ["a message that waits", busy, () => submissionOf(message("hi"))],
  ["a steer", busy, () => submissionOf(message("hi", "steer"))],
  ["a message that interrupts", busy, () => submissionOf(message("hi", "interrupt"))],
  ["an interrupt", busy, () => submissionOf(interrupt(false, FAR_FUTURE))],
  ["an interrupt with the queue", busy, () => submissionOf(interrupt(true, FAR_FUTURE))],
  ["an interrupt of open calls", awaiting, () => submissionOf(interrupt(true, FAR_FUTURE))],
  ["a cancellation", busy, () => submissionOf(cancel(4))],
  ["results", awaiting, () => submissionOf(results({ call_3_0: "x" }))],
  ["a change", busy, () => submissionOf({ kind: "update", config: { title: "new" } })],
];

/** Both in one step of the object; resolves with the answer to the submission. */
const race = (
  session: TestSession,
  ...acts: ((object: Session) => Promise<unknown>)[]
): Promise<unknown[]> => session.inside((_, object) => Promise.all(acts.map((act) => act(object))));

describe.each(COMMANDS)("with %s", (_, ready, sent) => {
  const remove = (object: Session) => object.remove("01HD");

  test("which comes first", async () => {
    const session = await ready();
    const submission = sent();
    const [answer, removed] = await race(session, (object) => object.submit(submission), remove);
    // It is what `submit` answers.
    expect(refusalOf(answer as SubmitAnswer)).toBeNull();
    expect(removed).toBe(true);
    expect(refusalOf(await session.stub.submit(submission)), "again").toBe("not_found");
    await checkDeleted(session);
    expect(refusalOf(await session.stub.submit(submission)), "and later").toBe("not_found");
    expect(await tables(session)).toEqual([]);
  });

  test("which comes second", async () => {
    const session = await ready();
    const submission = sent();
    const [removed, answer] = await race(session, remove, (object) => object.submit(submission));
    expect(refusalOf(answer as SubmitAnswer)).toBe("not_found");
    expect(removed).toBe(true);
    await checkDeleted(session);
  });

  test("at once, from two Workers", async () => {
    const session = await ready();
    // What the model is asked in between is answered, or broken off.
    sessions.answer(() => text("later"));
    const [answer, removed] = await Promise.all([
      session.stub.submit(sent()),
      session.stub.remove("01HD"),
    ]);
    expect([null, "not_found"]).toContain(refusalOf(answer));
    expect(removed).toBe(true);
    await checkDeleted(session);
  });
});

describe("with followers", () => {
  test("at every place they see the end, and their streams end", async () => {
    const session = await busy();
    const readers = ["0", "1", "2", "3", "3:2", "4"].map((cursor) =>
      new Reader(session.stub, cursor).attach(),
    );
    await Promise.all(readers.map((reader) => reader.until(() => seqOf(reader.cursor) === 4)));
    await session.stub.remove("01HD");
    for (const reader of [session.reader, ...readers]) {
      expect(await reader.ended).toEqual({ kind: "deleted" });
      expect(reader.rows.at(-1)?.type).toBe("session.deleted");
      expect(reader.view).toMatchObject({ status: "deleted", pending: [], queue: [] });
    }
    await checkDeleted(session);
  });

  test("who comes later, or comes back, finds no session", async () => {
    const session = await busy();
    const away = new Reader(session.stub, "2").attach(1);
    await away.ended;
    await session.stub.remove("01HD");
    for (const cursor of ["0", "2", "99"]) {
      const late = new Reader(session.stub, cursor).attach();
      expect(await late.ended).toEqual({ kind: "not_found" });
    }
    expect(await away.detach().then(() => away.attach().ended)).toEqual({ kind: "not_found" });
    await checkDeleted(session);
    const later = new Reader(session.stub).attach();
    expect(await later.ended).toEqual({ kind: "not_found" });
    expect(await tables(session)).toEqual([]);
  });
});

test("parts and pieces that come late are dropped", async () => {
  const session = await busy();
  await session.stub.remove("01HD");
  const come = async () => {
    await session.stub.putMedia("a".repeat(64), 0, new ArrayBuffer(3));
    await session.stub.stage("01HS", 0, JSON.stringify(submissionOf(message("hi"))));
    expect(refusalOf(await session.stub.submitStaged("01HS", 1))).toBe("not_found");
  };
  await come();
  const pieces = "SELECT count(*) AS n FROM media";
  expect(await session.inside(({ storage }) => storage.sql.exec(pieces).one())).toEqual({ n: 0 });
  await checkDeleted(session);
  await come();
  expect(await tables(session)).toEqual([]);
});

describe("of the same session", () => {
  test("twice at once: one did it; and again with its id it says the same", async () => {
    const session = await busy();
    const both = await Promise.all([session.stub.remove("01HD"), session.stub.remove("01HE")]);
    expect(both.toSorted()).toEqual([false, true]);
    expect(await session.stub.remove("01HD")).toBe(both[0]);
    expect(await session.stub.remove("01HE")).toBe(both[1]);
    await session.crash();
    expect(await session.stub.remove("01HD")).toBe(both[0]);
    await checkDeleted(session);
  });

  test.each([true, false])(
    "with the repetition of its creation, which comes first: %s",
    async (first) => {
      const session = await busy();
      const row = (await session.rows())[0];
      if (row?.type !== "session.created") throw new Error("the session was created");
      const { submission, config } = row.body;
      const create = (object: Session) => object.create(submission, config);
      const remove = (object: Session) => object.remove("01HD");
      const acts = [create, remove];
      const [one, two] = await race(session, ...(first ? acts : acts.toReversed()));
      expect(first ? two : one).toBe(true);
      expect(first ? one : two).toMatchObject({ ok: first });
      expect(await session.stub.create(submission, config)).toEqual({ ok: false });
      await checkDeleted(session);
    },
  );
});

test("a report that was on its way does not bring it back into the account", async () => {
  const session = await sessions.create();
  const { promise, resolve } = Promise.withResolvers<void>();
  const reports: Promise<unknown>[] = [];
  await session.inside((_, object) => {
    const getByName = (name: string) => {
      const account = accountOf(env, name);
      const report = (...args: Parameters<typeof account.report>) => {
        const late = promise.then(() => account.report(...args));
        reports.push(late);
        return late;
      };
      return { ...account, report };
    };
    Object.defineProperty(object, "env", { value: { ...env, ACCOUNT: { getByName } } });
  });
  sessions.script(text("one"));
  await session.turn("one");
  await session.stub.remove("01HD");
  expect(reports.length).toBeGreaterThan(0);
  await session.inside(() => resolve());
  await session.inside(() => Promise.all(reports));
  expect(await listed(session)).toBe(false);
  await checkDeleted(session);
});

const POINTS: FaultPoint[] = ["commit", "committed", "report", "reported", "erase", "erased"];

test.each(POINTS)("the object dies in it (%s): asked again it goes on, and ends", async (point) => {
  const session = await busy();
  await session.reader.detach();
  await session.inside((own) => {
    onFaultPoint((state, reached) => {
      if (reached !== point || state.id.toString() !== own.id.toString()) return;
      onFaultPoint(null);
      state.abort("crash");
    });
  });
  await session.stub.remove("01HD").catch(() => {});
  if (point.startsWith("erase")) await runDurableObjectAlarm(session.object).catch(() => {});
  // A turn that was not deleted after all runs again.
  sessions.answer(() => text("later"));
  if (point !== "erased") {
    expect(await session.stub.remove("01HD")).toBe(true);
    await checkDeleted(session);
  }
  await erase(session);
});
