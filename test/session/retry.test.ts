/** Each attempt is a row, and what is worth another attempt gets one, within its budget. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Scripted } from "../../src/standin/replies.ts";
import {
  cutAt,
  failAt,
  htmlPage,
  httpError,
  reply,
  spendCap,
  text,
} from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { advanceToRetry, held, reached, runAlarm, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

const cutAfter = (events: number, how: "end" | "error") =>
  reply({ blocks: [text("Hello there")], acts: [cutAt(events, how)] });

const RETRIED: [string, Scripted, string][] = [
  ["529", httpError(529), "overloaded"],
  ["500", httpError(500), "upstream_error"],
  ["408", httpError(408), "upstream_error"],
  ["409", httpError(409), "upstream_error"],
  ["429", httpError(429), "rate_limited"],
  ["x-should-retry on a 400", httpError(400, { shouldRetry: true }), "upstream_error"],
  ["no connection", reply({ blocks: [], acts: [cutAt("request", "error")] }), "connection_failed"],
  ["a stream without an end", cutAfter(3, "end"), "stream_cut"],
  ["a stream that breaks", cutAfter(3, "error"), "stream_cut"],
  ["a body without a byte", cutAfter(0, "end"), "stream_cut"],
  [
    "an error after a 200",
    reply({ blocks: [text("Hello there")], acts: [failAt(3, "overloaded_error")] }),
    "overloaded",
  ],
  ["a page instead of a stream", htmlPage(), "malformed_stream"],
];

test.each(RETRIED)("%s is tried again", async (_, first, code) => {
  const session = await sessions.create();
  sessions.script(first, text("Hello"));
  const sent = await session.send("hi");
  await advanceToRetry(session, clock);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  const failure = await session.reader.row("failure");
  expect(failure.body).toMatchObject({ code, retry: { attempt: 2 } });
  expect(session.reader.rows.filter(({ type }) => type === "block.text")).toHaveLength(1);
  expect(session.reader.view).toMatchObject({ status: "idle", blocks: [] });
});

const FINAL: [string, Scripted, string][] = [
  ["a spend cap", spendCap(), "spend_cap"],
  ["x-should-retry: false", httpError(529, { shouldRetry: false }), "overloaded"],
];

test.each(FINAL)("%s is final", async (_, first, code) => {
  const session = await sessions.create();
  sessions.script(first);
  expect(await session.turn("hi")).toMatchObject({ outcome: "failed", code });
  sessions.script(text("ok"));
  expect(await session.turn("again")).toMatchObject({ outcome: "completed" });
});

test("retry-after is kept, and the alarm is set for it", async () => {
  const session = await sessions.create();
  sessions.script(httpError(429, { retryAfter: 20 }), text("ok"));
  const at = clock.now;
  const sent = await session.send("hi");
  const failure = await session.reader.row("failure");
  expect(failure.body.retry?.at).toBe(at + 20_000);
  // The crash guard was set before and comes first; it only sets the next one.
  const guard = await session.inside((state) => state.storage.getAlarm());
  expect(guard).toBe(at + 15_000);
  clock.advance(15_000);
  await runAlarm(session);
  expect(await session.inside((state) => state.storage.getAlarm())).toBe(at + 20_000);
  expect(sessions.requests).toHaveLength(1);
  clock.advance(5_000);
  await runAlarm(session);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
});

test("silence ends an attempt: 90 seconds after the first event", async () => {
  const session = await sessions.create();
  const { reply: silent } = held({ block: 0, delta: 1 }, [text("Hello there")]);
  sessions.script(silent, text("Hello"));
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed !== "");
  await session.reader.detach();
  await session.inside(() => clock.advance(89_000));
  expect(sessions.requests[0]?.outcome.state).toBe("open");
  await session.inside(() => clock.advance(1_000));
  await sessions.settled(0);
  session.reader.attach();
  await advanceToRetry(session, clock);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect((await session.reader.row("failure")).body).toMatchObject({ code: "stalled" });
});

test("eight attempts, then the turn fails with the code of the last", async () => {
  const session = await sessions.create();
  sessions.script(...Array.from({ length: 8 }, () => httpError(529)));
  const sent = await session.send("hi");
  for (let attempt = 2; attempt <= 8; attempt++) await advanceToRetry(session, clock, attempt);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "failed", code: "overloaded" });
  expect(sessions.requests).toHaveLength(8);
  sessions.script(text("ok"));
  expect(await session.turn("again")).toMatchObject({ outcome: "completed" });
});

test("an attempt that had produced output counts double", async () => {
  const session = await sessions.create();
  sessions.script(...Array.from({ length: 4 }, () => cutAfter(3, "end")));
  const sent = await session.send("hi");
  for (let attempt = 2; attempt <= 4; attempt++) await advanceToRetry(session, clock, attempt);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "failed", code: "stream_cut" });
});

test("fifteen minutes, then the turn fails", async () => {
  const session = await sessions.create();
  sessions.script(httpError(429, { retryAfter: 600 }), httpError(429, { retryAfter: 600 }));
  const sent = await session.send("hi");
  await session.reader.row("failure");
  await session.reader.detach();
  clock.advance(600_000);
  await runAlarm(session);
  await sessions.settled(1);
  session.reader.attach();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "failed", code: "rate_limited" });
});

test("what failed attempts cost is counted, as an estimate", async () => {
  const session = await sessions.create();
  sessions.script(cutAfter(3, "end"), text("Hello"));
  const sent = await session.send("hi");
  await advanceToRetry(session, clock);
  const { totals } = await session.outcome(sent);
  expect(totals).toMatchObject({ calls: 2, estimated: true });
  const ends = session.reader.rows.filter((row) => row.type === "call.ended");
  expect(ends).toMatchObject([
    { body: { end: "failed", estimated: true } },
    { body: { end: "ok" } },
  ]);
  expect(totals.billed.input_tokens).toBe(
    ends.reduce((sum, { body }) => sum + (body.usage?.input_tokens ?? 0), 0),
  );
});

test("an alarm that comes twice, or while the loop runs, never makes a second loop", async () => {
  const session = await sessions.create();
  const { reply: answer, gate } = held({ block: 0, delta: 1 }, [text("Hello there")]);
  sessions.script(httpError(529), answer);
  const sent = await session.send("hi");
  // It lasts as long as the turn that it goes on with.
  const first = advanceToRetry(session, clock);
  await session.reader.until(() => session.reader.previewed !== "");
  const more = session.inside((_, object) => Promise.all([object.alarm(), object.alarm()]));
  await reached(gate);
  expect(sessions.requests).toHaveLength(2);
  await session.open(gate);
  await Promise.all([first, more]);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(sessions.requests).toHaveLength(2);
});

test("a final error inside the stream fails the turn, and the session goes on", async () => {
  const session = await sessions.create();
  sessions.script(reply({ blocks: [text("x")], acts: [failAt(2, "authentication_error")] }));
  expect(await session.turn("hi")).toMatchObject({ outcome: "failed", code: "authentication" });
  sessions.script(text("ok"));
  await session.turn("again");
});
