/** An interrupt stops one turn, at once and wherever it is, and never touches the next. */
import { afterEach, expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { held, refusalOf, type TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const A = toolset("a");
let clock: FakeClock | null = null;
afterEach(() => clock?.restore());

const kinds = (session: TestSession): string[] =>
  session.reader.rows
    .filter(({ type }) => type.startsWith("block."))
    .map((row) => ("partial" in row.body ? `${row.type} partial` : row.type));

/** Checks that the turn is interrupted, the connection closed, and the model told in the next. */
async function checkStopped(session: TestSession, input: { input: number | null }): Promise<void> {
  expect(await session.outcome(input)).toMatchObject({ outcome: "interrupted", pending: [] });
  const last = sessions.requests.length - 1;
  expect(await sessions.settled(last)).toMatchObject({ state: "aborted" });
  sessions.script(text("next answer"));
  expect(await session.turn("next")).toMatchObject({ outcome: "completed" });
  const [first] = sessions
    .asked(last + 1)
    .filter(({ type }) => type === "text")
    .slice(-2);
  expect(first).toMatchObject({ text: "[The user interrupted the previous reply.]" });
}

test("before the first byte", async () => {
  const session = await sessions.create();
  sessions.script(reply({ blocks: [text("x")], acts: [holdAt("request", createGate())] }));
  const sent = await session.send("hi");
  await sessions.arrived(1);
  await session.interrupt();
  await checkStopped(session, sent);
  expect(session.reader.rows[4]?.body).toMatchObject({
    end: "interrupted",
    accepted: false,
    estimated: true,
  });
  expect(sessions.messages(1)).toHaveLength(1);
});

test("in mid-text the text so far is kept", async () => {
  const session = await sessions.create();
  const { reply: answer } = held({ block: 1, delta: 1 }, [
    thinking("let me see"),
    text("Hello there", { deltas: ["Hello", " there"] }),
  ]);
  sessions.script(answer);
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed.endsWith("Hello"));
  await session.interrupt();
  await checkStopped(session, sent);
  expect(kinds(session).slice(0, 2)).toEqual(["block.thinking", "block.text partial"]);
  expect(sessions.messages(1)[1]).toMatchObject({
    role: "assistant",
    content: [{ type: "thinking" }, { type: "text", text: "Hello" }],
  });
});

test("in mid-thinking nothing is kept in the context", async () => {
  const session = await sessions.create();
  const { reply: answer } = held({ block: 0, delta: 1 }, [
    thinking("let me see", { deltas: ["let", " me see"] }),
    text("Hello"),
  ]);
  sessions.script(answer);
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed === "let");
  await session.interrupt();
  await checkStopped(session, sent);
  expect(kinds(session)[0]).toBe("block.thinking partial");
  expect(sessions.messages(1)).toHaveLength(1);
});

test("in the middle of a tool's input the call never exists; whole calls are settled", async () => {
  const session = await sessions.create();
  const { reply: answer } = held({ block: 2, delta: 1 }, [
    text("ok"),
    toolUse("a", { x: 1 }),
    toolUse("a", { y: 2 }, { deltas: ['{"y"', ":2}"] }),
  ]);
  sessions.script(answer);
  const sent = await session.send("hi", { tools: A });
  await session.reader.until(() => session.reader.previewed.endsWith('{"y"'));
  await session.interrupt();
  await checkStopped(session, sent);
  expect(kinds(session).slice(0, 3)).toEqual(["block.text", "block.tool", "block.tool partial"]);
  expect(sessions.asked(1)[0]).toMatchObject({ type: "tool_result", is_error: true });
  const ended = await session.reader.row("tool.ended");
  expect(ended.body).toMatchObject({ tool: "call_3_1", by: "ledge", status: "interrupted" });
  expect(refusalOf(await session.tryResults({ call_3_1: "late" }))).toBe("call_settled");
});

test("during backoff", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const session = await sessions.create();
  sessions.script(httpError(529), text("next answer"));
  const sent = await session.send("hi");
  await session.reader.row("failure");
  await session.interrupt();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "interrupted" });
  expect(await session.turn("next")).toMatchObject({ outcome: "completed" });
  expect(sessions.requests).toHaveLength(2);
});

test("while results are awaited", async () => {
  const session = await sessions.create();
  sessions.script([toolUse("a", {}), toolUse("a", {})], text("next answer"));
  await session.turn("go", { tools: A });
  await session.outcome(await session.results({ call_3_0: "one" }));
  await session.interrupt();
  await session.reader.row("outcome", ({ body }) => body.outcome === "interrupted");
  expect(await session.turn("next", { tools: A })).toMatchObject({ outcome: "completed" });
  expect(sessions.asked(1)).toMatchObject([
    { type: "tool_result", content: [{ text: "one" }] },
    { type: "tool_result", is_error: true },
    { text: "[The user interrupted the previous reply.]" },
    { text: "next" },
  ]);
});

test("delivered twice with one id it stops one turn only", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("one two", { deltas: ["one", " two"] })]);
  const second = held({ block: 0, delta: 1 }, [text("three")]);
  sessions.script(first.reply, second.reply);
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed === "one");
  const once = await session.interrupt({ submission: "01HI" });
  const next = await session.send("go on");
  await session.reader.until(() => session.reader.previewed === "three");
  const twice = await session.interrupt({ submission: "01HI" });
  expect(twice.accepted).toEqual({ ...once.accepted, replayed: true });
  await session.open(second.gate);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "interrupted" });
  expect(await session.outcome(next)).toMatchObject({ outcome: "completed" });
});

test("on an idle session it writes no row", async () => {
  const session = await sessions.create();
  expect(await session.interrupt()).toMatchObject({ accepted: { turn: null }, cancelled: [] });
  expect(await session.rows()).toHaveLength(1);
});

test("it leaves the queue alone, names what waits, and the next turn runs untouched", async () => {
  const session = await sessions.create();
  const { reply: answer } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(answer, text("two"));
  const first = await session.send("one");
  const second = await session.send("two");
  await session.reader.until(() => session.reader.previewed === "o");
  const { queued, cancelled, accepted } = await session.interrupt();
  expect({ queued, cancelled, turn: accepted.turn }).toEqual({
    queued: [second.input],
    cancelled: [],
    turn: first.turn,
  });
  expect(await session.outcome(first)).toMatchObject({ outcome: "interrupted" });
  expect(await session.outcome(second)).toMatchObject({ outcome: "completed" });
});

test("with cancel_queued it cancels what waits", async () => {
  const session = await sessions.create();
  const { reply: answer } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(answer);
  await session.send("one");
  const second = await session.send("two");
  const third = await session.send("three");
  await session.reader.until(() => session.reader.previewed === "o");
  const answered = await session.interrupt({ cancel_queued: true });
  expect(answered).toMatchObject({ queued: [], cancelled: [second.input, third.input] });
  expect(await session.stub.waiting()).toEqual([]);
});

test("a message that interrupts stops the turn and runs", async () => {
  const session = await sessions.create();
  const { reply: answer } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(answer, text("two"), text("three"));
  const first = await session.send("one");
  const queued = await session.send("three");
  await session.reader.until(() => session.reader.previewed === "o");
  const second = await session.send("two", { on_busy: "interrupt" });
  expect(await session.outcome(first)).toMatchObject({ outcome: "interrupted" });
  expect(await session.outcome(second)).toMatchObject({ outcome: "completed" });
  expect(await session.outcome(queued)).toMatchObject({ outcome: "completed" });
  expect(sessions.asked(1)).toMatchObject([
    { text: "[The user interrupted the previous reply.]" },
    { text: "two" },
  ]);
});
