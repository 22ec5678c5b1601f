/** A model API that says nothing: before its answer, after the headers, in the middle. */
import { expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import {
  type At,
  holdAt,
  insertAt,
  PING,
  type Placed,
  reply,
  text,
  thinking,
  toolUse,
  waitAt,
} from "../../src/standin/replies.ts";
import { home } from "../support/home.ts";
import { advanceToRetry, reached, type TestSession, toolset } from "../support/sessions.ts";
import { failures, goesOn, useHostile } from "./upstream-support.ts";

const hostile = useHostile();

const TOOLS = toolset("a");
const BLOCKS = [thinking("Hm."), text("Hello there, you"), toolUse("a", { city: "Paris" })];
const MINUTE = 60_000;

/** Time passes for the session alone: its timers must fire in its own context. */
const pass = (session: TestSession, ms: number): Promise<void> =>
  session.inside(() => hostile.clock.advance(ms));

const state = (i: number) => hostile.requests[i]?.outcome.state;

/** Sends a message and leaves; resolves once the upstream is silent at the given place. */
async function silentAt(session: TestSession, at: At): Promise<{ input: number | null }> {
  const gate = createGate();
  hostile.script(reply({ blocks: BLOCKS, acts: [holdAt(at, gate)] }));
  const sent = await session.send("hi", { tools: TOOLS });
  await reached(gate);
  // Its own pings would need answers while the time jumps.
  await session.reader.detach();
  return sent;
}

test.each<[string, At, number]>([
  ["before the headers", "request", 5 * MINUTE],
  ["after the headers", "headers", 5 * MINUTE],
  ["after the first event", 1, 90_000],
  ["in thinking", { block: 0, delta: 1 }, 90_000],
  ["in text", { block: 1, delta: 1 }, 90_000],
  ["in a tool's input", { block: 2, delta: 1 }, 90_000],
  ["before the last event", 12, 90_000],
])("silence %s is a stall, not a millisecond sooner", async (_, at, limit) => {
  const session = await hostile.create();
  const sent = await silentAt(session, at);
  await pass(session, limit - 1);
  expect(state(0)).toBe("open");
  await pass(session, 1);
  expect(await hostile.settled(0)).toMatchObject({ state: "aborted" });
  session.reader.attach();
  const { body } = await session.reader.row("failure");
  expect(body).toMatchObject({
    code: "stalled",
    message: `The model API sent nothing for ${limit / 1_000} seconds.`,
  });
  hostile.script(text("Hello"));
  await advanceToRetry(session, hostile.clock);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(session.reader.rows.filter(({ type }) => type.startsWith("block."))).toHaveLength(1);
  await goesOn(hostile, session);
});

test("silence for fifteen minutes ends the turn, and the message says what to do", async () => {
  const session = await hostile.create();
  const sent = await silentAt(session, "request");
  const gates = [createGate(), createGate()] as const;
  hostile.script(
    reply({ blocks: BLOCKS, acts: [holdAt("request", gates[0])] }),
    reply({ blocks: BLOCKS, acts: [holdAt("headers", gates[1])] }),
  );
  const alarms: Promise<void>[] = [];
  for (const [i, gate] of gates.entries()) {
    await pass(session, 5 * MINUTE);
    await hostile.settled(i);
    session.reader.attach();
    // An alarm lasts as long as the work that it goes on with.
    alarms.push(advanceToRetry(session, hostile.clock, i + 2));
    await reached(gate);
    await session.reader.detach();
  }
  await pass(session, 5 * MINUTE);
  await hostile.settled(2);
  session.reader.attach();
  expect(await session.outcome(sent)).toMatchObject({
    outcome: "failed",
    code: "stalled",
    message:
      "The model API sent nothing for 300 seconds. It was tried 3 times. Send the message again later.",
  });
  await Promise.all(alarms);
  await goesOn(hostile, session);
});

/** The waits of an answer pass one after the other; nothing else may end them. */
async function waitsOut(waits: number[], acts: Placed[]): Promise<void> {
  const session = await hostile.create();
  hostile.script(reply({ blocks: BLOCKS, acts }));
  const timers = waits.map((ms) => hostile.clock.nextTimer(ms));
  const sent = await session.send("hi", { tools: TOOLS });
  for (const [i, ms] of waits.entries()) {
    await timers[i];
    await home();
    await session.reader.detach();
    await pass(session, ms);
  }
  await hostile.settled(0);
  session.reader.attach();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "requires_action" });
  expect(failures(session)).toEqual([]);
  expect(hostile.requests).toHaveLength(1);
  await goesOn(hostile, session);
}

test.each<[string, number[], Placed[]]>([
  ["headers after four minutes", [240_000], [waitAt("request", 240_000)]],
  ["a first byte after four minutes", [240_000], [waitAt("headers", 240_000)]],
  [
    "pings before the first event",
    [240_001, 240_002, 240_003],
    [
      waitAt("headers", 240_001),
      insertAt("headers", PING),
      waitAt("headers", 240_002),
      insertAt("headers", PING),
      waitAt("headers", 240_003),
    ],
  ],
  [
    "pings in the middle",
    [80_001, 80_002, 80_003],
    [
      waitAt({ block: 1, delta: 1 }, 80_001),
      insertAt({ block: 1, delta: 1 }, PING),
      waitAt({ block: 1, delta: 1 }, 80_002),
      insertAt({ block: 1, delta: 1 }, ": still here\n\n"),
      waitAt({ block: 1, delta: 1 }, 80_003),
    ],
  ],
  [
    "half an event",
    [80_001, 80_002],
    [
      waitAt(3, 80_001),
      insertAt(3, "event: weather\n"),
      waitAt(3, 80_002),
      insertAt(3, "data: {}\n\n"),
    ],
  ],
])("%s: no stall", async (_, waits, acts) => {
  await waitsOut(waits, acts);
});

test("an error whose body never ends is a stall", async () => {
  const session = await hostile.create();
  const asked = Promise.withResolvers<void>();
  hostile.instead(() => {
    asked.resolve();
    return new Response(new ReadableStream({}), { status: 500 });
  });
  const sent = await session.send("hi");
  await asked.promise;
  await home();
  await session.reader.detach();
  await pass(session, 5 * MINUTE);
  session.reader.attach();
  hostile.script(text("Hello"));
  await advanceToRetry(session, hostile.clock);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(failures(session)).toEqual([{ code: "stalled", again: true }]);
  await goesOn(hostile, session);
});
