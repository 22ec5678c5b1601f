/**
 * An interrupt against the end of its turn: whichever comes first, wherever the turn is, and however
 * often it is delivered, it stops the turn that it meant or nothing, and never the next one.
 */
import { ulid } from "ulid";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SubmitAnswer } from "../../src/session/commands.ts";
import { onFaultPoint } from "../../src/session/fault-points.ts";
import type { Session } from "../../src/session/session.ts";
import { createGate } from "../../src/standin/gate.ts";
import { type At, holdAt, httpError, reply, text, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  held,
  reached,
  runAlarm,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";
import { interrupt, message, submissionOf } from "./commands.ts";

const sessions = useSessions();
const A = toolset("a");
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => {
  onFaultPoint(null);
  clock.restore();
});

/** Time that no timer notices. */
const tick = (): void => clock.jump(clock.now + 1);

const words = [text("one two", { deltas: ["one", " two"] })];

/** Places in the answer `words`; the numbers are those of its events. */
const PLACES: [name: string, at: At][] = [
  ["before the response", "request"],
  ["before the first byte", "headers"],
  ["before message_start", 0],
  ["after message_start", 1],
  ["after the block's start", 2],
  ["in mid-text", 3],
  ["after the last delta", 4],
  ["after the block's end", 5],
  ["before message_stop", 6],
];

/** A session whose first answer is held at a place, while a second message waits. */
async function raced(at: At) {
  const session = await sessions.create();
  const first = held(at, words);
  const second = held({ block: 0, delta: 1 }, [text("next one", { deltas: ["next", " one"] })]);
  sessions.script(first.reply, second.reply);
  const one = await session.send("first");
  const two = await session.send("second");
  await reached(first.gate);
  return { session, first: { ...one, gate: first.gate }, second: { ...two, gate: second.gate } };
}

/** Lets the second turn come to its end, which no interrupt may change. */
async function checkSecond({ session, second }: Awaited<ReturnType<typeof raced>>): Promise<void> {
  await session.open(second.gate);
  expect(await session.outcome(second)).toMatchObject({ outcome: "completed" });
  expect(sessions.requests).toHaveLength(2);
}

const nextRuns = (session: TestSession): Promise<void> =>
  session.reader.until(() => session.reader.previewed === "next");

describe.each(PLACES)("%s", (_, at) => {
  test("the interrupt comes first, and again while the next turn runs", async () => {
    const race = await raced(at);
    const { session, first } = race;
    const sent = { submission: ulid(), sent_at: clock.now };
    const once = await session.interrupt(sent);
    expect(once.accepted.turn).toBe(first.turn);
    expect(await session.outcome(first)).toMatchObject({ outcome: "interrupted" });
    expect(await sessions.settled(0)).toMatchObject({ state: "aborted" });
    await nextRuns(session);
    tick();
    expect((await session.interrupt(sent)).accepted).toEqual({ ...once.accepted, replayed: true });
    await checkSecond(race);
  });

  test("the turn ends first, and the interrupt finds the next one", async () => {
    const race = await raced(at);
    const { session, first } = race;
    const sent_at = clock.now;
    tick();
    await session.open(first.gate);
    expect(await session.outcome(first)).toMatchObject({ outcome: "completed" });
    await nextRuns(session);
    const sent = { submission: ulid(), sent_at };
    for (const one of [sent, sent, { sent_at }]) {
      expect((await session.interrupt(one)).accepted.turn).toBeNull();
    }
    await checkSecond(race);
  });

  test("the object dies after the interrupt, which is then delivered again", async () => {
    const race = await raced(at);
    const { session, first } = race;
    const sent = { submission: ulid(), sent_at: clock.now };
    const once = await session.interrupt(sent);
    await nextRuns(session);
    tick();
    await session.reader.detach();
    const again = held({ block: 0, delta: 1 }, [text("next one", { deltas: ["next", " one"] })]);
    sessions.script(again.reply);
    await session.crash();
    session.reader.attach();
    await reached(again.gate);
    expect((await session.interrupt(sent)).accepted).toEqual({ ...once.accepted, replayed: true });
    await session.open(again.gate);
    expect(await session.outcome(first)).toMatchObject({ outcome: "interrupted" });
    expect(await session.outcome(race.second)).toMatchObject({ outcome: "completed" });
  });
});

test("before the call: message and interrupt come in one step of the object", async () => {
  const session = await sessions.create();
  sessions.script(text("two"));
  const commands = [message("one"), interrupt()].map(submissionOf);
  const [sent, stopped] = await session.inside((_, object) =>
    Promise.all(commands.map((command) => object.submit(command))),
  );
  expect(stopped).toMatchObject({ accepted: { turn: 2 } });
  expect(sent).toMatchObject({ accepted: { input: 2 } });
  expect(await session.outcome({ input: 2 })).toMatchObject({ outcome: "interrupted" });
  await session.turn("two");
  expect(sessions.requests).toHaveLength(1);
});

/** Does something in the object right behind the step that writes the outcome of the turn `turn`. */
async function afterOutcome(session: TestSession, act: (object: Session) => void): Promise<void> {
  await session.inside((own, object) => {
    onFaultPoint((state, point) => {
      if (state.id.toString() !== own.id.toString() || point !== "commit") return;
      const [last] = state.storage.sql.exec("SELECT type FROM log ORDER BY seq DESC LIMIT 1");
      if (last?.type !== "outcome") return;
      onFaultPoint(null);
      // In the same turn of the event loop, and before the loop goes on.
      queueMicrotask(() => act(object));
    });
  });
}

test.each([false, true])(
  "between the outcome and the queued next turn; cancel_queued: %s",
  async (cancel_queued) => {
    const session = await sessions.create();
    const { reply: answer, gate } = held(3, words);
    sessions.script(answer, text("the next that runs"));
    const first = await session.send("first");
    const second = await session.send("second");
    await reached(gate);
    const stopped = Promise.withResolvers<SubmitAnswer>();
    const submission = submissionOf(interrupt(cancel_queued));
    await afterOutcome(session, (object) => stopped.resolve(object.submit(submission)));
    await session.open(gate);
    expect(await session.outcome(first)).toMatchObject({ outcome: "completed" });
    expect(await stopped.promise).toMatchObject({
      accepted: { turn: null },
      cancelled: cancel_queued ? [second.input] : [],
    });
    const next = cancel_queued ? await session.send("third") : second;
    expect(await session.outcome(next)).toMatchObject({ outcome: "completed" });
    expect(sessions.requests).toHaveLength(2);
  },
);

test("after the outcome, on an idle session, and again late when a new turn runs", async () => {
  const session = await sessions.create();
  const { reply: answer, gate } = held({ block: 0, delta: 1 }, words);
  sessions.script(text("zero"), answer);
  await session.turn("zero");
  const sent = { submission: ulid(), sent_at: clock.now, cancel_queued: true };
  expect((await session.interrupt(sent)).accepted.turn).toBeNull();
  tick();
  const first = await session.send("first");
  const second = await session.send("second");
  await session.reader.until(() => session.reader.previewed === "one");
  sessions.script(text("two"));
  for (let again = 0; again < 2; again++) {
    const late = await session.interrupt(sent);
    expect(late).toMatchObject({ accepted: { turn: null }, cancelled: [], queued: [second.input] });
  }
  await session.open(gate);
  expect(await session.outcome(first)).toMatchObject({ outcome: "completed" });
  expect(await session.outcome(second)).toMatchObject({ outcome: "completed" });
});

test("a late one cancels what waited when it was sent, and nothing that came since", async () => {
  const session = await sessions.create();
  const { reply: answer, gate } = held({ block: 0, delta: 1 }, words);
  sessions.script(answer, text("three"));
  const first = await session.send("first");
  await session.reader.until(() => session.reader.previewed === "one");
  const second = await session.send("second");
  const sent_at = clock.now;
  tick();
  const third = await session.send("third");
  const late = await session.interrupt({ sent_at, cancel_queued: true });
  expect(late).toMatchObject({ cancelled: [second.input], queued: [third.input] });
  await session.open(gate);
  expect(await session.outcome(first)).toMatchObject({ outcome: "interrupted" });
  expect(await session.outcome(third)).toMatchObject({ outcome: "completed" });
});

test("sent before a message that interrupts and delivered after it, it leaves that one alone", async () => {
  const { session, first, second } = await raced(3);
  const sent_at = clock.now;
  tick();
  const third = await session.send("third", { on_busy: "interrupt" });
  expect((await session.interrupt({ sent_at })).accepted.turn).toBeNull();
  expect(await session.outcome(first)).toMatchObject({ outcome: "interrupted" });
  await nextRuns(session);
  sessions.script(text("the message that waited"));
  await session.open(second.gate);
  expect(await session.outcome(third)).toMatchObject({ outcome: "completed" });
  expect(await session.outcome(second)).toMatchObject({ outcome: "completed" });
});

test("while results are awaited it is the turn's, also when results resume that turn meanwhile", async () => {
  const session = await sessions.create();
  const { reply: answer, gate } = held({ block: 0, delta: 1 }, words);
  sessions.script(toolUse("a", {}), answer, text("next"));
  const first = await session.send("go", { tools: A });
  await session.outcome(first);
  const sent_at = clock.now;
  tick();
  const results = await session.results({ call_3_0: "x" });
  await reached(gate);
  expect((await session.interrupt({ sent_at })).accepted.turn).toBe(first.turn);
  expect(await session.outcome(results)).toMatchObject({ outcome: "interrupted" });
  await session.turn("next", { tools: A });
});

test("during backoff, with the alarm that comes for the attempt", async () => {
  const session = await sessions.create();
  const never = createGate();
  const [failed, ...more] = [
    httpError(529, { retryAfter: 5 }),
    reply({ blocks: words, acts: [holdAt("request", never)] }),
  ];
  sessions.answer(() => (sessions.requests.length === 1 ? failed : (more[0] ?? failed)));
  const first = await session.send("first");
  const failure = await session.reader.row("failure");
  clock.jump(failure.body.retry?.at ?? 0);
  const alarm = runAlarm(session);
  await session.interrupt();
  expect(await session.outcome(first)).toMatchObject({ outcome: "interrupted" });
  await alarm;
  sessions.answer(() => text("two"));
  expect(await session.turn("second")).toMatchObject({ outcome: "completed" });
});
