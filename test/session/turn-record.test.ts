/** What a turn came to, as other surfaces tell it, and the submission that a row belongs to. */
import { expect, test } from "vitest";
import { cutAt, httpError, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  accepted,
  advanceToRetry,
  held,
  reached,
  refusalOf,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";

const sessions = useSessions();

const recordOf = async (session: TestSession, turn: number | null) => {
  const record = await session.stub.record(turn ?? 0);
  if (!record) throw new Error(`there is no turn ${turn}`);
  return record;
};

test("a turn's record has its texts, its tools and its figures", async () => {
  const session = await sessions.create({ tools: builtinToolset() });
  sessions.script(
    [thinking("Hm."), text("I look."), toolUse("LS", { path: "/workspace" })],
    [toolUse("Write", { file_path: "a.txt", content: "x".repeat(20_000) })],
    [text(" It is empty,"), text(" or was. ")],
  );
  const { input } = await session.send([
    { type: "text", text: "What is here?" },
    { type: "document", source: { type: "text", media_type: "text/plain", data: "long" } },
    { type: "text", text: "Look well." },
  ]);
  const outcome = await session.outcome({ input });
  const record = await recordOf(session, input);
  expect(record).toMatchObject({
    turn: input,
    status: "finished",
    outcome: "completed",
    code: null,
    message: null,
    prompt: "What is here?\n\n[document]\n\nLook well.",
    content: "It is empty, or was.",
    model: "claude-sonnet-5-5",
    num_turns: 5,
    usage: outcome.totals.billed,
    cost_usd: outcome.totals.cost_usd,
    duration_ms: outcome.totals.ms,
  });
  expect(record.tools_used).toEqual([
    { name: "LS", input: { path: "/workspace" } },
    { name: "Write", input: { file_path: "a.txt", content: "x".repeat(20_000) } },
  ]);
  const rows = await session.rows();
  const at = (type: string) => rows.findLast((row) => row.type === type)?.at;
  expect([record.created_at, record.started_at]).toEqual([at("input"), at("input")]);
  expect(record.ended_at).toBe(at("outcome"));
});

test("a text that was cut at the limit and went on is one", async () => {
  const session = await sessions.create();
  sessions.script(
    reply({ blocks: [text("One and a ha")], stop_reason: "max_tokens" }),
    text("lf."),
  );
  const { input } = await session.send("Count");
  await session.outcome({ input });
  expect(await recordOf(session, input)).toMatchObject({
    content: "One and a half.",
    num_turns: 2,
  });
});

test("what failed attempts cost counts, and what they wrote does not", async () => {
  const clock = new FakeClock(FAR_FUTURE);
  try {
    const session = await sessions.create();
    const cut = reply({
      blocks: [text("Half of it", { deltas: ["Half", " of", " it"] })],
      acts: [cutAt({ block: 0, delta: 2 }, "end")],
    });
    sessions.script(cut, text("Whole."), httpError(401));
    const { input } = await session.send("Hi");
    await advanceToRetry(session, clock);
    const { totals } = await session.outcome({ input });
    const record = await recordOf(session, input);
    expect(record).toMatchObject({ content: "Whole.", num_turns: 1, usage: totals.billed });
    expect(record.cost_usd).toBe(totals.cost_usd);
    const failed = await session.send("And now");
    await session.outcome(failed);
    expect(await recordOf(session, failed.input)).toMatchObject({
      outcome: "failed",
      code: expect.any(String),
      message: expect.any(String),
      content: "",
      num_turns: 0,
      tools_used: [],
    });
  } finally {
    clock.restore();
  }
});

test("a steer is a part of the prompt of the turn that it joins, and has its record", async () => {
  const session = await sessions.create({ tools: toolset("look") });
  const first = held({ block: 0, delta: 1 }, [
    text("I look.", { deltas: ["I ", "look."] }),
    toolUse("LS", { path: "/workspace" }),
  ]);
  sessions.script(first.reply, text("Yes."));
  const { input } = await session.send("Look", { tools: builtinToolset() });
  await reached(first.gate);
  const steer = await session.send("Look well", { on_busy: "steer" });
  await session.open(first.gate);
  await session.outcome(steer);
  const record = await recordOf(session, input);
  expect(record.prompt).toBe("Look\n\nLook well");
  expect(await recordOf(session, steer.input)).toEqual(record);
});

test("a turn that waits for its client has no end; its time does not count", async () => {
  const session = await sessions.create({ tools: toolset("look") });
  const clock = new FakeClock(FAR_FUTURE);
  try {
    sessions.script([text("I ask."), toolUse("look", { at: "sky" })], text("Blue."));
    const { input } = await session.send("Look");
    await session.outcome({ input });
    expect(await recordOf(session, input)).toMatchObject({
      status: "awaiting_tool_results",
      outcome: "requires_action",
      content: "I ask.",
      tools_used: [{ name: "look", input: { at: "sky" } }],
      num_turns: 1,
      ended_at: null,
    });
    await session.reader.detach();
    clock.advance(60_000);
    session.reader.attach();
    const [call = ""] = await session.pending();
    await session.outcome(await session.results({ [call]: "blue" }));
    expect(await recordOf(session, input)).toMatchObject({
      status: "finished",
      content: "Blue.",
      num_turns: 3,
      duration_ms: 0,
      ended_at: clock.now,
    });
  } finally {
    clock.restore();
  }
});

test("a turn that runs, one that waits and one that was cancelled have records", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("One two", { deltas: ["One", " two"] })]);
  sessions.script(first.reply, text("Two."));
  const one = await session.send("One");
  await reached(first.gate);
  const two = await session.send("Two");
  const three = await session.send("Three", { model: { id: "claude-opus-5-5" } });
  const nothing = { outcome: null, content: "", num_turns: 0, ended_at: null, cost_usd: 0 };
  expect(await recordOf(session, one.input)).toMatchObject({ status: "running", ...nothing });
  expect(await recordOf(session, two.input)).toMatchObject({
    status: "queued",
    prompt: "Two",
    started_at: null,
    ...nothing,
  });
  accepted(await session.submit({ kind: "cancel", input: three.input ?? 0 }));
  const { status, model, ended_at } = await recordOf(session, three.input);
  expect([status, model, ended_at === null]).toEqual(["cancelled", "claude-opus-5-5", false]);
  await session.open(first.gate);
  await session.outcome(two);
  expect(await session.stub.record(1)).toBeNull();
  expect(await session.stub.record(999)).toBeNull();
});

test("the history has turns in the order in which they began, without those that wait", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("One two", { deltas: ["One", " two"] })]);
  const third = held({ block: 0, delta: 1 }, [text("Three!", { deltas: ["Three", "!"] })]);
  sessions.script(first.reply, third.reply, text("Two."));
  await session.send("One");
  await session.reader.until(() => session.reader.previewed === "One");
  const two = await session.send("Two");
  // It has a higher number than the one that waits, and begins before it.
  await session.send("Three", { on_busy: "interrupt" });
  await reached(third.gate);
  const told = async (offset: number, limit: number) => {
    const history = await session.stub.history(offset, limit);
    return [history?.records.map(({ prompt }) => prompt), history?.turns];
  };
  expect(await told(0, 10)).toEqual([["One", "Three"], 2]);
  await session.open(third.gate);
  await session.outcome(two);
  expect(await told(0, 10)).toEqual([["One", "Three", "Two"], 3]);
  expect(await told(1, 1)).toEqual([["Three"], 3]);
  expect(await told(3, 1)).toEqual([[], 3]);
  const history = await session.stub.history(0, 1);
  expect(history?.records[0]).toMatchObject({ outcome: "interrupted", content: "One" });
});

test("a history of long turns comes whole, in several parts", async () => {
  const session = await sessions.create();
  sessions.script(httpError(401), httpError(401), httpError(401));
  for (const n of [1, 2, 3]) {
    await session.turn(`${n}${"word ".repeat(420_000)}`, { replay: true });
  }
  const packed = await session.inside((_, object) => object.history(0, 3));
  const part = JSON.parse(new TextDecoder().decode(await new Blob(packed ?? []).arrayBuffer()));
  expect(part.records.length).toBe(2);
  const history = await session.stub.history(0, 3);
  expect(history?.records.map(({ prompt }) => [prompt[0], prompt.length])).toEqual([
    ["1", 2_100_001],
    ["2", 2_100_001],
    ["3", 2_100_001],
  ]);
});

test("a row leads to the submission whose turn it is in", async () => {
  const session = await sessions.create({ tools: toolset("look") });
  sessions.script(toolUse("look", {}), text("Blue."), text("Bye."));
  const first = await session.send("Look");
  await session.outcome(first);
  const [call = ""] = await session.pending();
  const results = await session.results({ [call]: "blue" });
  await session.outcome(results);
  const last = await session.send("Bye");
  await session.outcome(last);
  const attached = await Promise.all(
    (await session.rows()).map(async ({ seq, type }) => {
      const answer = await session.stub.attach(seq);
      return answer.ok ? [type, answer.accepted.input, answer.accepted.turn] : [type, null, null];
    }),
  );
  const of = (input: number | null, ...types: string[]) =>
    types.map((type) => [type, input, input === last.input ? input : first.turn]);
  expect(attached).toEqual([
    ["session.created", null, null],
    ...of(first.input, "input", "call.started", "block.tool", "call.ended", "outcome"),
    ...of(results.input, "tool.ended", "turn.resumed"),
    ...of(results.input, "call.started", "block.text", "call.ended", "outcome"),
    ...of(last.input, "input", "call.started", "block.text", "call.ended", "outcome"),
  ]);
  expect(refusalOf(await session.stub.attach(1))).toBe("unknown_turn");
  expect(refusalOf(await session.stub.attach(999))).toBe("unknown_turn");
});

test("a row of a turn that runs leads to it, and starts nothing", async () => {
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("One two", { deltas: ["One", " two"] })]);
  sessions.script(first.reply, text("Two."));
  const one = await session.send("One");
  await reached(first.gate);
  const two = await session.send("Two");
  const before = (await session.rows()).length;
  const running = accepted(await session.stub.attach(3));
  expect(running).toMatchObject({ s: one.input, input: one.input, replayed: true });
  const queued = await session.stub.attach(two.input ?? 0);
  expect(accepted(queued)).toMatchObject({ input: two.input, result: two.input });
  expect(queued.ok && queued.queued).toEqual([two.input]);
  expect((await session.rows()).length).toBe(before);
  await session.open(first.gate);
  await session.outcome(two);
});
