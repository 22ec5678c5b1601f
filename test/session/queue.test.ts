/** What happens to messages that come while a turn runs. */
import { expect, test } from "vitest";
import { text, toolUse } from "../../src/standin/replies.ts";
import { held, refusalOf, type TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const A = toolset("a");

/** A session whose turn is in the middle of its first answer. */
async function busy(...rest: Parameters<typeof sessions.script>) {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply, ...rest);
  const first = await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  return { session, first, gate };
}

const inOrder = (session: TestSession): number[] =>
  session.reader.rows.flatMap((row) => (row.type === "outcome" ? row.body.inputs : []));

test("queued messages run in order, each as a turn of its own", async () => {
  const { session, first, gate } = await busy(text("two"), text("three"));
  const second = await session.send("two");
  const third = await session.send("three");
  expect((await session.stub.waiting())?.map(({ input }) => input)).toEqual([
    second.input,
    third.input,
  ]);
  await session.open(gate);
  await session.outcome(third);
  expect(inOrder(session)).toEqual([first.input, second.input, third.input]);
  expect(await session.stub.turn(second.turn ?? 0)).toMatchObject({ status: "finished" });
});

test("a message is refused where the client asked for that", async () => {
  const { session, first, gate } = await busy();
  expect(refusalOf(await session.trySend("two", { on_busy: "reject" }))).toBe("busy");
  await session.open(gate);
  await session.outcome(first);
  sessions.script(text("two"));
  await session.turn("two", { on_busy: "reject" });
});

test("a queued message can be cancelled, and only while it waits", async () => {
  const { session, first, gate } = await busy();
  const second = await session.send("two");
  const cancel = () => session.submit({ kind: "cancel", input: second.input ?? 0 });
  expect(refusalOf(await cancel())).toBeNull();
  expect(refusalOf(await cancel())).toBe("not_queued");
  expect(await session.stub.turn(second.turn ?? 0)).toMatchObject({ status: "cancelled" });
  await session.open(gate);
  await session.outcome(first);
});

test("a steer joins the running turn at its next step", async () => {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [toolUse("a", { x: 1 })]);
  sessions.script(reply, text("both"));
  const first = await session.send("go", { tools: A });
  await session.reader.until(() => session.reader.previewed !== "");
  const steer = await session.send("left", { on_busy: "steer" });
  expect(steer.turn).toBe(first.turn);
  await session.open(gate);
  expect(await session.outcome(first)).toMatchObject({ outcome: "requires_action" });
  const results = await session.results({ call_3_0: "x" });
  const outcome = await session.outcome(steer);
  expect(outcome).toMatchObject({ turn: first.turn, inputs: [results.input, steer.input] });
  expect(sessions.asked(1)).toMatchObject([{ type: "tool_result" }, { text: "left" }]);
});

test("a steer joins a turn whose tool calls Ledge answers itself", async () => {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [toolUse("nothing", { x: 1 })]);
  sessions.script(reply, text("both"));
  const first = await session.send("go");
  await session.reader.until(() => session.reader.previewed !== "");
  const steer = await session.send("left", { on_busy: "steer" });
  await session.open(gate);
  expect((await session.outcome(steer)).inputs).toEqual([first.input, steer.input]);
});

test("a steer that finds no further step starts its own turn, and can be looked up", async () => {
  const { session, first, gate } = await busy(text("two"));
  const steer = await session.send("two", { on_busy: "steer" });
  await session.open(gate);
  expect(await session.outcome(first)).toMatchObject({ inputs: [first.input] });
  const outcome = await session.outcome(steer);
  expect(outcome).toMatchObject({ turn: steer.input, inputs: [steer.input] });
  expect(await session.stub.turn(outcome.turn)).toMatchObject({
    turn: steer.input,
    status: "finished",
    result: { output_text: "two" },
  });
});

test("what was queued before stays queued while results are awaited", async () => {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [toolUse("a", { x: 1 })]);
  sessions.script(reply, text("one"), text("two"));
  const first = await session.send("go", { tools: A });
  await session.reader.until(() => session.reader.previewed !== "");
  const second = await session.send("two", { tools: A });
  await session.open(gate);
  expect(await session.outcome(first)).toMatchObject({
    outcome: "requires_action",
    queued: [second.input],
  });
  expect(await session.stub.describe()).toMatchObject({
    session: { status: "awaiting_tool_results" },
  });
  const results = await session.results({ call_3_0: "x" });
  await session.outcome(second);
  expect(inOrder(session)).toEqual([first.input, results.input, second.input]);
});

test("a message posted while results are awaited goes before the queue", async () => {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [toolUse("a", { x: 1 })]);
  sessions.script(reply, text("three"), text("two"));
  const first = await session.send("go", { tools: A });
  await session.reader.until(() => session.reader.previewed !== "");
  const second = await session.send("two", { tools: A });
  await session.open(gate);
  await session.outcome(first);
  const third = await session.send("three", { tools: A });
  await session.outcome(second);
  expect(inOrder(session)).toEqual([first.input, third.input, second.input]);
});

test("the same body again attaches to the running turn, unless somebody reads its response", async () => {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply, text("two"));
  const first = await session.send("one", { hash: "h", submission: "01HA" });
  await session.reader.until(() => session.reader.previewed === "o");
  expect(await session.send("one", { hash: "h" })).toEqual({ ...first, replayed: true });
  const url = "https://session/follow?reads=01HA";
  const response = await session.stub.fetch(new URL(url), { headers: { upgrade: "websocket" } });
  response.webSocket?.accept();
  const second = await session.send("one", { hash: "h" });
  expect(second).toMatchObject({ replayed: false });
  response.webSocket?.close();
  await session.open(gate);
  await session.outcome(second);
});

test("a waiting message that is sent again after its response was lost is not doubled", async () => {
  const { session, first, gate } = await busy(text("two"));
  const second = await session.send("two", { hash: "h2" });
  const again = await session.send("two", { hash: "h2" });
  expect(again).toMatchObject({ input: second.input, replayed: true });
  await session.open(gate);
  await session.outcome(first);
  await session.outcome(second);
  expect(inOrder(session)).toEqual([first.input, second.input]);
});

test("messages that nobody waits for are each their own, also when they are equal", async () => {
  const { session, gate } = await busy(text("two"), text("three"));
  const second = await session.send("again", { hash: "h2", detached: true });
  const third = await session.send("again", { hash: "h2", detached: true });
  await session.open(gate);
  await session.outcome(third);
  expect(third.input).not.toBe(second.input);
});

test("the result of a steer stands under its own id, whether it joined a turn or not", async () => {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [toolUse("a", { x: 1 })]);
  sessions.script(reply, text("both"));
  await session.send("go", { tools: A });
  await session.reader.until(() => session.reader.previewed !== "");
  const steer = await session.send("faster", { on_busy: "steer" });
  expect(await session.stub.turn(steer.result ?? 0)).toMatchObject({ status: "queued" });
  await session.open(gate);
  await session.reader.row("outcome", ({ body }) => body.outcome === "requires_action");
  await session.outcome(await session.results({ call_3_0: "one" }));
  expect(await session.stub.turn(steer.result ?? 0)).toMatchObject({
    turn: 2,
    result: { output_text: "both" },
  });
});
