/** An epoch has one system text, one tool array and one model; only what cannot be appended cuts it. */
import { expect, test } from "vitest";
import type { RowOf } from "../../src/shared/rows.ts";
import { text, thinking, toolUse } from "../../src/standin/replies.ts";
import { held, type Sent, type TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const A = toolset("a");
const B = toolset("b");
const AB = toolset("a", "b");

const cuts = ({ reader }: TestSession): string[] =>
  reader.rows.flatMap((row) => (row.type === "context.cut" ? [row.body.reason] : []));

/** Runs turns that think, one for each of `sent`. */
async function run(session: TestSession, sent: Sent[]): Promise<void> {
  for (const [i, one] of sent.entries()) {
    sessions.script([thinking(`thought ${i}`), text(`answer ${i}`)]);
    expect(await session.turn(`message ${i}`, one)).toMatchObject({ outcome: "completed" });
  }
}

const thoughts = (i: number): number =>
  sessions.messages(i).flatMap(({ content }) => content.filter(({ type }) => type === "thinking"))
    .length;

test("on a model with tool changes, tools come and go without a cut", async () => {
  const session = await sessions.create({ model: "claude-sonnet-5-5" });
  const none: Sent = { tools: B, tool_choice: { type: "none" } };
  await run(session, [
    { tools: A },
    {},
    { tools: A },
    { tools: B },
    { tools: AB },
    none,
    {},
    { tools: A },
  ]);
  expect(cuts(session)).toEqual([]);
  expect(thoughts(7)).toBe(7);
  const changes = sessions
    .messages(7)
    .filter(({ role }) => role === "system")
    .map(({ content }) => content.map(({ type }) => type));
  expect(changes).toEqual([
    ["tool_removal"],
    ["tool_addition"],
    ["tool_removal", "tool_addition"],
    ["tool_addition"],
    ["tool_removal", "tool_removal"],
    ["tool_addition"],
  ]);
});

test("another definition under a known name opens a new epoch, and all thinking goes", async () => {
  const session = await sessions.create({ model: "claude-sonnet-5-5" });
  const again = toolset("a:2");
  await run(session, [{ tools: A }, { tools: A }, { tools: again }, { tools: again }]);
  expect(cuts(session)).toEqual(["tools"]);
  expect([0, 1, 2, 3].map(thoughts)).toEqual([0, 1, 0, 1]);
});

test("on a model without tool changes only new tools open an epoch", async () => {
  const session = await sessions.create({ model: "claude-sonnet-5" });
  const none: Sent = { tools: B, tool_choice: { type: "none" } };
  await run(session, [
    { tools: A },
    {},
    { tools: A },
    none,
    { tools: AB },
    { tools: B },
    { tools: A },
  ]);
  expect(cuts(session)).toEqual(["tools"]);
});

test("the same tools sent again in another order are the same tools", async () => {
  const session = await sessions.create({ model: "claude-sonnet-5" });
  await run(session, [{ tools: AB }, { tools: toolset("b", "a") }]);
  expect(cuts(session)).toEqual([]);
});

test("the session's tools are those of every turn that brings none", async () => {
  const session = await sessions.create({ tools: A });
  sessions.script(toolUse("a", {}), text("done"));
  expect(await session.turn("go")).toMatchObject({ outcome: "requires_action" });
  await session.outcome(await session.results({ call_3_0: "x" }));
  await run(session, [{}, { tools: B }, {}]);
  expect(cuts(session)).toEqual([]);
});

test("another model opens an epoch with the next message, not with results", async () => {
  const session = await sessions.create({ model: "claude-sonnet-5-5" });
  sessions.script([thinking("t"), toolUse("a", {})], [thinking("u"), text("done")]);
  await session.turn("go", { tools: A });
  await session.switchModel("claude-opus-5-5");
  await session.outcome(await session.results({ call_3_1: "x" }));
  expect(sessions.requests[1]?.body).toMatchObject({ model: "claude-sonnet-5-5" });
  await run(session, [{ tools: A }, { tools: A }]);
  expect(sessions.requests[3]?.body).toMatchObject({ model: "claude-opus-5-5" });
  expect(cuts(session)).toEqual(["model"]);
  expect(thoughts(2)).toBe(0);
  await session.switchModel("claude-sonnet-5-5");
  await run(session, [{ tools: B }]);
  expect(cuts(session)).toEqual(["model", "model"]);
});

test("results cannot open an epoch: tools that cannot be appended wait for the next message", async () => {
  const session = await sessions.create({ model: "claude-sonnet-5" });
  sessions.script(toolUse("a", {}), text("done"));
  await session.turn("go", { tools: A });
  await session.outcome(await session.results({ call_3_0: "x" }, { tools: AB }));
  expect(cuts(session)).toEqual([]);
  await run(session, [{ tools: AB }]);
  expect(cuts(session)).toEqual(["tools"]);
});

test("a queued message decides about its epoch when it is taken", async () => {
  const session = await sessions.create({ model: "claude-sonnet-5" });
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply, text("two"), text("three"));
  await session.send("one", { tools: A });
  await session.reader.until(() => session.reader.previewed === "o");
  await session.send("two", { tools: B });
  const last = await session.send("three", { tools: B });
  expect(cuts(session)).toEqual([]);
  await session.open(gate);
  await session.outcome(last);
  expect(cuts(session)).toEqual(["tools"]);
  const taken = session.reader.rows.findIndex(({ type }) => type === "input.taken");
  expect(session.reader.rows[taken + 1]?.type).toBe("context.cut");
});

test("a first request that was never accepted binds nothing", async () => {
  const session = await sessions.create({ model: "claude-sonnet-5-5" });
  const bad = { ...toolset("a"), list: [{ name: "a b", input_schema: { type: "object" } }] };
  sessions.standin.expectRefusal();
  expect(await session.turn("one", { tools: bad })).toMatchObject({ outcome: "failed" });
  await run(session, [{ tools: B }]);
  const body = sessions.requests.at(-1)?.body;
  expect(body).toMatchObject({ tools: [{ name: "b" }] });
});

test("cache marks: the old end and the new end of each request, and system", async () => {
  const session = await sessions.create();
  await run(session, [{}, {}, {}]);
  const marked = (i: number) =>
    sessions
      .messages(i)
      .flatMap(({ content }) => content)
      .flatMap((block, n) => (block.cache_control ? [n] : []));
  expect([0, 1, 2].map(marked)).toEqual([[0], [0, 3], [3, 6]]);
  const started = session.reader.rows.filter(
    (row): row is RowOf<"call.started"> => row.type === "call.started",
  );
  expect(started.map(({ body }) => body.marks)).toEqual([[0], [0, 3], [3, 6]]);
});

test.each([
  ["claude-sonnet-5-5", "tools", "a:2"],
  ["claude-sonnet-5", "tools", "b"],
  ["claude-opus-5-5", "model", "a"],
  ["claude-sonnet-5", "model", "a"],
])("on %s a cut (%s) while calls are open ends their round", async (model, reason, tool) => {
  const before = reason === "tools" ? model : "claude-haiku-5-5";
  const session = await sessions.create({ model: before });
  const name = tool.slice(0, 1);
  sessions.script(
    [thinking("t"), toolUse("a", {})],
    [thinking("u"), toolUse(name, {})],
    [thinking("v"), text("ok")],
    text("more"),
  );
  await session.turn("go", { tools: A });
  if (reason === "model") await session.switchModel(model);
  const sent = { tools: toolset(tool) };
  const second = await session.turn("never mind", sent);
  expect(cuts(session)).toEqual([reason]);
  const results = Object.fromEntries(second.pending.map(({ id }) => [id, "x"]));
  expect(await session.outcome(await session.results(results))).toMatchObject({
    outcome: "completed",
  });
  expect(await session.turn("on", sent)).toMatchObject({ outcome: "completed" });
});

test("that holds where only the first answer of the round has thought", async () => {
  const session = await sessions.create({ model: "claude-sonnet-5-5" });
  sessions.script([thinking("t"), toolUse("a", {})], toolUse("a", {}));
  const answer = async (pending: { id: string }[]) => {
    const results = Object.fromEntries(pending.map(({ id }) => [id, "x"]));
    return session.outcome(await session.results(results, { tools: A }));
  };
  const first = await session.turn("go", { tools: A });
  expect(await answer(first.pending)).toMatchObject({ outcome: "requires_action" });
  await session.switchModel("claude-opus-5");
  sessions.script([thinking("u"), toolUse("a", {})], [thinking("v"), text("ok")]);
  const { pending } = await session.turn("never mind", { tools: A });
  expect(await answer(pending)).toMatchObject({ outcome: "completed" });
});
