/** The five turns of the design, row by row and frame by frame. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { ccStream } from "../../src/api/cc/encode.ts";
import { rowFrames } from "../../src/http/frames.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  advanceToRetry,
  runAlarm,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();
let clock: FakeClock;

// Previews are joined by time, so exact ids need a time that stands still.
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

const listed = ({ reader }: TestSession): string[] =>
  reader.frames.map(({ event, id }) => `${event}[${id}]`);

const typesOf = (session: TestSession): string[] => session.reader.rows.map(({ type }) => type);

test("plain", async () => {
  const session = await sessions.create();
  sessions.script([
    thinking("hmm so", { deltas: ["hmm", " so"] }),
    text("Hello", { deltas: ["Hel", "lo"] }),
  ]);
  await session.turn("hi");
  expect(typesOf(session)).toEqual([
    "session.created",
    "input",
    "call.started",
    "block.thinking",
    "block.text",
    "call.ended",
    "outcome",
  ]);
  expect(listed(session)).toEqual([
    "session.created[1]",
    "turn.started[2]",
    "thinking.delta[3:3]",
    // The first delta of a block leaves at once, and what was joined before it leaves with it.
    "thinking.delta[3:6]",
    "assistant.delta[3:9]",
    "assistant.delta[3:11]",
    "thinking.completed[4]",
    "assistant.completed[5]",
    "call.completed[6]",
    "turn.completed[6+1]",
    "turn.response[6+2]",
    "done[7]",
  ]);
});

test("on the stream of all events an outcome has one frame", async () => {
  const session = await sessions.create();
  sessions.script(text("Hello"));
  await session.turn("hi");
  const item = session.reader.items.at(-1);
  if (item?.kind !== "row") throw new Error("the last item is the outcome");
  const { row, events, before } = item;
  const frames = rowFrames(row.seq, ccStream("s", () => 0).row(row, events, before));
  expect(frames.map(({ event, id }) => `${event}[${id}]`)).toEqual(["turn.completed[6]"]);
});

test("client tool", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("look", { at: 1 }), text("Seen"));
  const turn = await session.turn("look", { tools: toolset("look") });
  expect(turn).toMatchObject({ inputs: [2], outcome: "requires_action" });
  expect(turn.pending).toEqual([{ id: "call_3_0", seq: 4 }]);
  const outcome = await session.outcome(await session.results({ call_3_0: "a cat" }));
  expect(outcome).toMatchObject({ turn: 2, inputs: [7], outcome: "completed", pending: [] });
  expect(typesOf(session)).toEqual([
    "session.created",
    "input",
    "call.started",
    "block.tool",
    "call.ended",
    "outcome",
    "tool.ended",
    "turn.resumed",
    "call.started",
    "block.text",
    "call.ended",
    "outcome",
  ]);
  expect(listed(session)).toEqual([
    "session.created[1]",
    "turn.started[2]",
    "tool_call.delta[3:8]",
    "tool_call.requested[4]",
    "call.completed[5]",
    "turn.completed[5+1]",
    "turn.response[5+2]",
    "done[6]",
    "tool_result.accepted[7]",
    "turn.resumed[8]",
    "assistant.delta[9:4]",
    "assistant.completed[10]",
    "call.completed[11]",
    "turn.completed[11+1]",
    "turn.response[11+2]",
    "done[12]",
  ]);
  const completed = session.reader.frames.filter(({ event }) => event === "turn.completed");
  const [waits, ends] = completed.map(({ data }) => JSON.parse(data).data);
  expect(waits).toMatchObject({
    finish_reason: "tool_calls",
    output_text: "",
    tool_calls: [
      { id: "call_3_0", type: "function", function: { name: "look", arguments: '{"at":1}' } },
    ],
  });
  expect(ends).toMatchObject({ finish_reason: "stop", output_text: "Seen", tool_calls: [] });
});

test("queued in mid-message", async () => {
  const session = await sessions.create();
  const gate = createGate();
  sessions.script(
    reply({
      blocks: [text("Hello there", { deltas: ["Hello", " there"] })],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
    text("And you"),
  );
  const first = await session.send("hi");
  await session.reader.until(() => session.reader.previewed === "Hello");
  const second = await session.send("more");
  expect(second).toMatchObject({ s: 4, input: 4, turn: 4 });
  await session.reader.row("input", ({ seq }) => seq === 4);
  await session.open(gate);
  expect(await session.outcome(first)).toMatchObject({ turn: 2, inputs: [2], queued: [4] });
  expect(await session.outcome(second)).toMatchObject({ turn: 4, inputs: [4], queued: [] });
  expect(typesOf(session)).toEqual([
    "session.created",
    "input",
    "call.started",
    "input",
    "block.text",
    "call.ended",
    "outcome",
    "input.taken",
    "call.started",
    "block.text",
    "call.ended",
    "outcome",
  ]);
  expect(listed(session)).toEqual([
    "session.created[1]",
    "turn.started[2]",
    "assistant.delta[3:5]",
    "input.queued[4:5]",
    "assistant.delta[4:11]",
    "assistant.completed[5]",
    "call.completed[6]",
    "turn.completed[6+1]",
    "turn.response[6+2]",
    "done[7]",
    "turn.started[8]",
    "assistant.delta[9:7]",
    "assistant.completed[10]",
    "call.completed[11]",
    "turn.completed[11+1]",
    "turn.response[11+2]",
    "done[12]",
  ]);
});

test("interrupted", async () => {
  const session = await sessions.create();
  sessions.script(
    reply({
      blocks: [text("Hello there", { deltas: ["Hello", " there"] })],
      acts: [holdAt({ block: 0, delta: 1 }, createGate())],
    }),
  );
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed === "Hello");
  await session.interrupt();
  expect(await session.outcome(sent)).toMatchObject({ inputs: [2], outcome: "interrupted" });
  expect(typesOf(session)).toEqual([
    "session.created",
    "input",
    "call.started",
    "interrupt",
    "block.text",
    "call.ended",
    "outcome",
  ]);
  expect(session.reader.rows[4]?.body).toMatchObject({ partial: true, block: { text: "Hello" } });
  expect(session.reader.rows[5]?.body).toMatchObject({ end: "interrupted", estimated: true });
  expect(listed(session)).toEqual([
    "session.created[1]",
    "turn.started[2]",
    "assistant.delta[3:5]",
    "assistant.completed[5]",
    "call.completed[6]",
    "turn.interrupted[6+1]",
    "turn.response[6+2]",
    "done[7]",
  ]);
});

test("retried", async () => {
  const session = await sessions.create();
  sessions.script(httpError(529), text("Hello"));
  const sent = await session.send("hi");
  await advanceToRetry(session, clock);
  await session.outcome(sent);
  expect(typesOf(session)).toEqual([
    "session.created",
    "input",
    "call.started",
    "call.ended",
    "failure",
    "call.started",
    "block.text",
    "call.ended",
    "outcome",
  ]);
  expect(session.reader.rows[4]?.body).toMatchObject({ code: "overloaded", retry: { attempt: 2 } });
  expect(listed(session)).toEqual([
    "session.created[1]",
    "turn.started[2]",
    "call.completed[4]",
    "turn.retrying[5]",
    "assistant.delta[6:5]",
    "assistant.completed[7]",
    "call.completed[8]",
    "turn.completed[8+1]",
    "turn.response[8+2]",
    "done[9]",
  ]);
});

test("retried after a crash", async () => {
  const session = await sessions.create();
  sessions.script(
    reply({
      blocks: [text("Hello there", { deltas: ["Hello", " there"] })],
      acts: [holdAt({ block: 0, delta: 1 }, createGate())],
    }),
    text("Hi"),
  );
  const sent = await session.send("hi");
  await session.reader.until(() => session.reader.previewed === "Hello");
  await session.crash();
  await runAlarm(session);
  clock.restore();
  await session.reader.detach();
  session.reader.attach();
  await session.outcome(sent);
  expect(typesOf(session)).toEqual([
    "session.created",
    "input",
    "call.started",
    "call.ended",
    "call.started",
    "block.text",
    "call.ended",
    "outcome",
  ]);
  expect(session.reader.rows[3]?.body).toMatchObject({ end: "lost", estimated: true });
  expect(session.reader.frames[2]).toMatchObject({ event: "assistant.delta", id: "3:5" });
  expect(session.reader.frames[3]).toMatchObject({ event: "call.completed", id: "4" });
});
