/** The object may die at any place: what was accepted is kept, and clients do not notice. */
import { evictDurableObject } from "cloudflare:test";
import { expect, onTestFinished, test } from "vitest";
import { httpError, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { Reader, seqOf } from "../support/reader.ts";
import { accepted, held, reached, runAlarm, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const A = toolset("a");

const cutText = () =>
  held({ block: 1, delta: 1 }, [
    thinking("hm"),
    text("Hello there", { deltas: ["Hello", " all"] }),
  ]);

test("in mid-message with a follower: the text of the lost attempt goes, nothing is doubled", async () => {
  const session = await sessions.create();
  const { reply: second, gate } = held("request", [text("Good day")]);
  sessions.script(cutText().reply, second);
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed === "hmHello");
  expect(session.reader.view.blocks.map(({ text }) => text)).toEqual(["hm", "Hello"]);
  await session.crash();
  // Nobody calls: the follower's own dial wakes the object.
  await session.reader.row("call.started", ({ seq }) => seq > 4);
  expect(session.reader.view).toMatchObject({ status: "running", blocks: [] });
  await reached(gate);
  await session.open(gate);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  const completed = session.reader.frames.find(({ event }) => event === "turn.completed");
  expect(JSON.parse(completed?.data ?? "").data).toMatchObject({ output_text: "Good day" });
  expect(session.reader.rows.map(({ type }) => type)).toEqual([
    "session.created",
    "input",
    "call.started",
    "call.ended",
    "call.started",
    "block.text",
    "call.ended",
    "outcome",
  ]);
});

test("in mid-message with nobody there: the alarm resumes the turn", async () => {
  const session = await sessions.create();
  sessions.script(cutText().reply, text("Good day"));
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed === "hmHello");
  const late = await session.inside((state) => state.storage.getAlarm());
  expect(late).toBeLessThanOrEqual(Date.now() + 15_000);
  await session.reader.detach();
  await session.crash();
  await runAlarm(session);
  await sessions.settled(1);
  session.reader.attach();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
});

test("during backoff the next attempt keeps its time", async () => {
  const clock = new FakeClock(FAR_FUTURE);
  onTestFinished(() => clock.restore());
  const session = await sessions.create();
  sessions.script(httpError(529, { retryAfter: 10 }), text("Good day"));
  const sent = await session.send("hi");
  const failure = await session.reader.row("failure");
  await session.reader.detach();
  await session.crash();
  await runAlarm(session);
  expect(sessions.requests).toHaveLength(1);
  clock.advance(10_000);
  await runAlarm(session);
  await sessions.settled(1);
  clock.restore();
  session.reader.attach();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  const second = await session.reader.row("call.started", ({ body }) => body.attempt === 2);
  expect(second.at).toBe(failure.body.retry?.at);
});

test("right after the submission was answered", async () => {
  const session = await sessions.create();
  sessions.script(text("one"), text("two"));
  const sent = await session.send("hi");
  await session.crash();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  // Whether the first request had left when the object died is a matter of microseconds.
  if (sessions.standin.unusedReplies > 0) await session.turn("again");
});

test("between the results and the call", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}), cutText().reply, text("Good day"));
  await session.turn("go", { tools: A });
  const sent = await session.results({ call_3_0: "one" });
  await session.reader.until(() => session.reader.previewed === "hmHello");
  await session.crash();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(sessions.asked(2)).toMatchObject([{ type: "tool_result", content: [{ text: "one" }] }]);
});

test("while results are awaited nothing is lost, and nothing runs", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}), text("Good day"));
  await session.turn("go", { tools: A });
  await session.crash();
  expect(await session.pending()).toEqual(["call_3_0"]);
  await session.outcome(await session.results({ call_3_0: "one" }));
});

test("a submission repeated with its id after a crash answers the same", async () => {
  const session = await sessions.create();
  sessions.script(cutText().reply, text("Good day"));
  const sent = await session.send("hi", { submission: "01HC" });
  await session.reader.until(() => session.reader.previewed === "hmHello");
  await session.crash();
  const again = accepted(await session.trySend("hi", { submission: "01HC" }));
  expect(again).toEqual({ ...sent, replayed: true });
  await session.outcome(sent);
});

test("five losses of one step end the turn, and the session goes on", async () => {
  const session = await sessions.create();
  sessions.script(...Array.from({ length: 5 }, () => cutText().reply));
  const sent = await session.send("poison");
  for (let loss = 1; loss <= 5; loss++) {
    const lost = () => session.reader.rows.filter(({ type }) => type === "call.ended").length;
    await session.reader.until(() => lost() === loss - 1 && session.reader.previewed === "hmHello");
    await session.crash();
  }
  expect(await session.outcome(sent)).toMatchObject({ outcome: "failed", code: "crash_loop" });
  expect(sessions.requests).toHaveLength(5);
  sessions.script(text("Good day"));
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
});

test("losses do not count among the attempts, and a failure between begins them anew", async () => {
  const session = await sessions.create();
  const lose = async (lost: number) => {
    const ends = () => session.reader.rows.filter(({ type }) => type === "call.ended").length;
    await session.reader.until(() => ends() === lost && session.reader.previewed === "hmHello");
    await session.crash();
  };
  sessions.script(cutText().reply, cutText().reply, httpError(529), cutText().reply, text("ok"));
  const sent = await session.send("hi");
  await lose(0);
  await lose(1);
  await lose(3);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  const attempts = session.reader.rows.flatMap((row) =>
    row.type === "call.started" ? [[row.body.n, row.body.attempt]] : [],
  );
  expect(attempts).toEqual([
    [1, 1],
    [1, 1],
    [1, 1],
    [1, 2],
    [1, 2],
  ]);
});

test("queued messages survive and run in order", async () => {
  const session = await sessions.create();
  sessions.script(cutText().reply, text("one"), text("two"));
  const first = await session.send("one");
  const second = await session.send("two");
  await session.reader.until(() => session.reader.previewed === "hmHello");
  await session.crash();
  await session.outcome(second);
  const outcomes = session.reader.rows.flatMap((row) =>
    row.type === "outcome" ? row.body.inputs : [],
  );
  expect(outcomes).toEqual([first.input, second.input]);
});

test("an interrupt after a crash stops the next attempt", async () => {
  const session = await sessions.create();
  sessions.script(cutText().reply, cutText().reply);
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed === "hmHello");
  await session.crash();
  await session.reader.row("call.started", ({ seq }) => seq > 4);
  await session.interrupt();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "interrupted" });
  await sessions.settled(1);
});

test("an idle session sleeps with its followers attached, and they miss nothing", async () => {
  const session = await sessions.create();
  sessions.script(text("one"), text("two"));
  await session.turn("one");
  const second = new Reader(session.stub, "2").attach();
  await second.row("outcome");
  await evictDurableObject(session.object);
  await session.turn("two");
  await second.until(() => second.rows.filter(({ type }) => type === "outcome").length === 2);
  await second.detach();
  expect(second.rows).toEqual(session.reader.rows.slice(2));
  const seqs = second.frames.map(({ id }) => seqOf(id));
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
});

test("three crashes in a row in one message: one stream, each row once", async () => {
  const session = await sessions.create();
  sessions.script(cutText().reply, cutText().reply, cutText().reply, text("Good day"));
  const sent = await session.send("hi");
  for (let lost = 0; lost < 3; lost++) {
    const ends = () => session.reader.rows.filter(({ type }) => type === "call.ended").length;
    await session.reader.until(() => ends() === lost && session.reader.previewed === "hmHello");
    await session.crash();
  }
  await session.outcome(sent);
  expect(session.reader.rows.map(({ seq }) => seq)).toEqual(
    session.reader.rows.map((_, i) => i + 1),
  );
});
