/** Client tools: calls, results, and everything that is not quite a result. */
import { expect, test } from "vitest";
import { httpError, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { accepted, refusalOf, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const AB = toolset("a", "b");

test("parallel calls are answered in the order of the calls", async () => {
  const session = await sessions.create();
  sessions.script([thinking("both"), toolUse("a", {}), toolUse("b", {})], text("done"));
  const first = await session.turn("go", { tools: AB });
  expect(first.pending.map(({ id }) => id)).toEqual(["call_3_1", "call_3_2"]);
  const sent = await session.results({ call_3_2: "two", call_3_1: "one" });
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(sessions.asked(1)).toMatchObject([
    { type: "tool_result", content: [{ text: "one" }] },
    { type: "tool_result", content: [{ text: "two" }] },
  ]);
});

test("a part of the results waits for the rest, and each submission has its outcome", async () => {
  const session = await sessions.create();
  sessions.script([toolUse("a", {}), toolUse("b", {})], text("done"));
  await session.turn("go", { tools: AB });
  const part = await session.outcome(await session.results({ call_3_1: "two" }));
  expect(part).toMatchObject({ outcome: "requires_action", pending: [{ id: "call_3_0" }] });
  expect(await session.pending()).toEqual(["call_3_0"]);
  const rest = await session.outcome(await session.results({ call_3_0: "one" }));
  expect(rest).toMatchObject({ outcome: "completed" });
  expect(sessions.requests).toHaveLength(2);
});

test("a mixed set takes the open calls and ignores the answered ones", async () => {
  const session = await sessions.create();
  sessions.script([toolUse("a", {}), toolUse("b", {})], text("done"));
  await session.turn("go", { tools: AB });
  await session.outcome(await session.results({ call_3_0: "one" }));
  await session.outcome(await session.results({ call_3_0: "other", call_3_1: "two" }));
  expect(sessions.asked(1)).toMatchObject([
    { content: [{ text: "one" }] },
    { content: [{ text: "two" }] },
  ]);
});

test("a call answered twice in one set is refused, and nothing is lost", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}), text("done"));
  await session.turn("go", { tools: AB });
  const result = { tool: "call_3_0", content: [], is_error: false };
  expect(refusalOf(await session.tryResults([result, result]))).toBe("duplicate_tool_call");
  expect(await session.pending()).toEqual(["call_3_0"]);
  await session.outcome(await session.results([result]));
});

test("a result for a call that was never made is refused, and nothing of its set is taken", async () => {
  const session = await sessions.create();
  sessions.script([toolUse("a", {}), text("t")], text("done"));
  await session.turn("go", { tools: AB });
  for (const id of ["call_3_1", "call_99_0", "call_2_0", "toolu_1", ""]) {
    const answer = await session.tryResults({ call_3_0: "one", [id]: "?" });
    expect(refusalOf(answer), id).toBe("unknown_tool_call");
  }
  expect(await session.pending()).toEqual(["call_3_0"]);
  await session.outcome(await session.results({ call_3_0: "one" }));
});

test("results posted again replay their submission", async () => {
  const session = await sessions.create();
  sessions.script([toolUse("a", {}), toolUse("b", {})], text("done"));
  await session.turn("go", { tools: AB });
  const first = await session.results({ call_3_0: "one", call_3_1: "two" });
  const again = accepted(await session.tryResults({ call_3_1: "two", call_3_0: "one" }));
  expect(again).toEqual({ ...first, replayed: true });
  await session.outcome(first);
  const later = accepted(await session.tryResults({ call_3_1: "two" }));
  expect(later).toEqual(again);
});

test("the same submission id answers the same, and writes nothing", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}), text("done"));
  const sent = { tools: AB, submission: "01HX" };
  await session.turn("go", sent);
  const seq = session.reader.rows.length;
  expect(await session.send("go", sent)).toEqual({
    s: 2,
    input: 2,
    turn: 2,
    result: 2,
    replayed: true,
  });
  expect((await session.rows()).length).toBe(seq);
  const results = { submission: "01HY" };
  const first = await session.results({ call_3_0: "one" }, results);
  expect(await session.results({ call_3_0: "one" }, results)).toEqual({ ...first, replayed: true });
  await session.outcome(first);
});

test("a message while calls are open settles them in the old turn, and runs", async () => {
  const session = await sessions.create();
  sessions.script([toolUse("a", {}), toolUse("b", {})], text("ok, no tools"));
  await session.turn("go", { tools: AB });
  await session.outcome(await session.results({ call_3_1: "two" }));
  const outcome = await session.turn("never mind");
  const [skipped, input] = (await session.rows()).slice(9, 11);
  expect(skipped).toMatchObject({
    type: "tool.ended",
    body: { tool: "call_3_0", turn: 2, by: "ledge", status: "skipped", is_error: true },
  });
  expect(input).toMatchObject({ type: "input", body: { start: "now", turn: 11 } });
  expect(outcome).toMatchObject({ turn: 11, inputs: [11], outcome: "completed" });
  expect(sessions.asked(1)).toMatchObject([
    { type: "tool_result", is_error: true },
    { type: "tool_result", content: [{ text: "two" }] },
    { type: "text", text: "never mind" },
  ]);
  expect(refusalOf(await session.tryResults({ call_3_0: "late" }))).toBe("call_settled");
});

test("twelve rounds of results run under a limit of four calls since the last input", async () => {
  const session = await sessions.create();
  sessions.script(...Array.from({ length: 12 }, () => toolUse("a", {})), text("done"));
  let outcome = await session.turn("go", { tools: AB, limits: { plain: 4, tools: 4 } });
  for (let round = 0; round < 12; round++) {
    expect(outcome.outcome).toBe("requires_action");
    const results = Object.fromEntries(outcome.pending.map(({ id }) => [id, `${round}`]));
    outcome = await session.outcome(await session.results(results));
  }
  expect(outcome.outcome).toBe("completed");
});

test("a call to a tool that was not offered gets an error result and never waits", async () => {
  const session = await sessions.create();
  sessions.script([toolUse("rm", {}), toolUse("a", {})], toolUse("rm", {}), text("done"));
  const first = await session.turn("go", { tools: AB });
  expect(first.pending.map(({ id }) => id)).toEqual(["call_3_1"]);
  const outcome = await session.outcome(await session.results({ call_3_1: "one" }));
  expect(outcome).toMatchObject({ outcome: "completed" });
  expect(sessions.asked(1)).toMatchObject([{ is_error: true }, { content: [{ text: "one" }] }]);
  expect(JSON.stringify(sessions.asked(1))).toContain("there is no tool rm");
  expect(sessions.asked(2)).toMatchObject([{ is_error: true }]);
  const events = session.reader.frames.map(({ event }) => event);
  expect(events.filter((event) => event === "tool_call.requested")).toHaveLength(1);
});

test("with tool_choice none a call is answered with an error, and the array stays", async () => {
  const session = await sessions.create();
  sessions.script(text("one"), toolUse("a", {}), text("two"));
  await session.turn("go", { tools: AB });
  const outcome = await session.turn("again", { tools: AB, tool_choice: { type: "none" } });
  expect(outcome).toMatchObject({ outcome: "completed" });
  expect(sessions.requests[1]?.body).toMatchObject({
    tool_choice: { type: "none" },
    tools: [{ name: "a" }, { name: "b" }],
  });
});

test("calls that nobody offers end at the limit of model calls", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("x", {}), toolUse("x", {}), toolUse("x", {}), text("next"));
  const outcome = await session.turn("go", { limits: { plain: 3, tools: 9 } });
  expect(outcome).toMatchObject({ outcome: "max_turns" });
  expect(await session.reader.row("notice")).toMatchObject({ body: { code: "turn_limit" } });
  const completed = session.reader.frames.find(({ event }) => event === "turn.completed");
  expect(JSON.parse(completed?.data ?? "")).toMatchObject({ data: { finish_reason: "stop" } });
  await session.turn("and now?");
});

test("input that is not JSON never runs, and the model is told", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}, { json: '{"path": "x' }), text("sorry"));
  const outcome = await session.turn("go", { tools: AB });
  expect(outcome).toMatchObject({ outcome: "completed", pending: [] });
  expect(JSON.stringify(sessions.asked(1))).toContain("not valid JSON");
  expect(sessions.messages(1).at(-2)).toMatchObject({ content: [{ type: "tool_use", input: {} }] });
  const frame = session.reader.frames.find(({ event }) => event === "tool.requested");
  expect(JSON.parse(frame?.data ?? "")).toMatchObject({ data: { arguments: '{"path": "x' } });
});

test("input that the output limit cut never runs; whole calls before it are settled", async () => {
  const session = await sessions.create();
  sessions.script(
    reply({
      blocks: [text("I will"), toolUse("a", { whole: 1 }), toolUse("b", {}, { json: '{"cut": "' })],
      stop_reason: "max_tokens",
    }),
    text("done"),
  );
  const outcome = await session.turn("go", { tools: AB });
  expect(outcome).toMatchObject({ outcome: "completed", pending: [] });
  expect(
    sessions
      .messages(1)
      .at(-2)
      ?.content.map(({ type }) => type),
  ).toEqual(["text", "tool_use"]);
  expect(sessions.asked(1)).toMatchObject([{ type: "tool_result", is_error: true }]);
  expect(refusalOf(await session.tryResults({ call_3_2: "?" }))).toBe("unknown_tool_call");
});

test("results may bring other tools, which are appended", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}), toolUse("c", {}), text("done"));
  await session.turn("go", { tools: AB });
  const more = toolset("a", "c");
  const second = await session.outcome(await session.results({ call_3_0: "one" }, { tools: more }));
  expect(second.outcome).toBe("requires_action");
  expect(sessions.messages(1).at(-1)).toMatchObject({
    role: "system",
    content: [{ type: "tool_removal" }, { type: "tool_addition" }],
  });
  const rest = Object.fromEntries(second.pending.map(({ id }) => [id, "x"]));
  await session.outcome(await session.results(rest));
});

test("results posted again after the turn failed ask for another try, with what is there", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}), httpError(401), text("done"));
  await session.turn("go", { tools: AB });
  const failed = await session.outcome(await session.results({ call_3_0: "one" }));
  expect(failed).toMatchObject({ outcome: "failed", code: "authentication" });
  const again = await session.outcome(await session.results({ call_3_0: "one" }));
  expect(again).toMatchObject({ outcome: "completed" });
  const [, before, after] = sessions.requests.map(({ body }) => body);
  expect(after).toEqual(before);
  const later = accepted(await session.tryResults({ call_3_0: "one" }));
  expect(later.replayed).toBe(true);
});
