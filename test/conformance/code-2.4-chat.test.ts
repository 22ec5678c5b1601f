/** Chat, as §2.4 of the reference has it: a message, its answer, and what a message may set. */
import { expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text, toolUse } from "../../src/standin/replies.ts";
import {
  inside,
  modelCall,
  idOf as nativeId,
  newSession as nativeSession,
  serverWith,
  standin,
  withStandin,
} from "../api/cc/server.ts";
import {
  BASE,
  chat,
  dataOf,
  get,
  historyOf,
  idOf,
  nativeOf,
  newSession,
  post,
  problemOf,
  turnsEnded,
} from "../api/code/client.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { reached } from "../support/sessions.ts";

withStandin();

test("a message is answered in the envelope, with six members", async () => {
  const session = await newSession();
  standin.script(text("  Hello.\n"));
  const response = await post(`${session}/chat`, { message: "Hi" });
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({
    data: {
      session_id: expect.stringMatching(/^sess_/),
      content: "Hello.",
      cost: expect.any(Number),
      duration_ms: expect.any(Number),
      num_turns: 1,
      tools_used: [],
    },
    meta: expect.objectContaining({ version: "v1" }),
  });
  const { cost } = (await historyOf(session))[1] ?? { cost: 0 };
  expect(cost).toBeGreaterThan(0);
});

test("the session remembers, and its id stays", async () => {
  const session = await newSession();
  standin.script(text("Hello Ada."), text("Ada."));
  const first = await chat(session, "I am Ada.");
  const second = await chat(session, "Who am I?");
  expect(second.session_id).toBe(first.session_id);
  expect(modelCall(1).messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
});

test("tools are told in order with whole inputs, and each round counts two", async () => {
  const session = await newSession();
  const write = { file_path: "a.txt", content: "x".repeat(3_000) };
  standin.script(
    [text("I write."), toolUse("Write", write)],
    [toolUse("Read", { file_path: "a.txt" }), toolUse("Glob", { pattern: "*" })],
    text("Done."),
  );
  expect(await chat(session, "Write and read")).toMatchObject({
    content: "Done.",
    num_turns: 5,
    tools_used: [
      { name: "Write", input: write },
      { name: "Read", input: { file_path: "a.txt" } },
      { name: "Glob", input: { pattern: "*" } },
    ],
  });
});

test("an answer without words names its tools", async () => {
  const session = await newSession({ max_turns: 1 });
  standin.script(toolUse("Glob", { pattern: "*" }));
  const data = await chat(session, "Look");
  expect(data).toMatchObject({ outcome: "max_turns", tools_used: [{ name: "Glob" }] });
  expect(data.content).toContain("Glob");
});

test("system, model and effort of a message hold for that message", async () => {
  const session = await newSession({
    system_prompt: "You are a poet.",
    model: "claude-sonnet-5-5",
  });
  standin.script(text("One."), text("Two."), text("Three."));
  await chat(session, "First");
  await chat(session, "Second", {
    system: "Speak like a pirate.",
    model: "claude-opus-5",
    effort: "low",
  });
  await chat(session, "Third");
  const [first, second, third] = [0, 1, 2].map((n) => JSON.stringify(modelCall(n)));
  expect(first).toContain("You are a poet.");
  expect(second).toContain("Speak like a pirate.");
  expect(modelCall(1).model).toBe("claude-opus-5");
  expect(second).toContain('"effort":"low"');
  expect(modelCall(2).model).toBe("claude-sonnet-5-5");
  expect(third).not.toContain('"effort":"low"');
  // The session itself is as it was.
  expect(await dataOf(get(session))).toMatchObject({
    system_prompt: "You are a poet.",
    model: "claude-sonnet-5-5",
    effort: null,
  });
});

test("an effort and an output format that nobody knows change nothing", async () => {
  const session = await newSession({ effort: "enormous" });
  standin.script(text("One."), text("Two."));
  await chat(session, "First");
  await chat(session, "Second", { effort: "tiny", output_format: { type: "xml", x: 1 } });
  expect(modelCall(1)).not.toHaveProperty("output_config");
  expect(await (await get(nativeOf(session))).json()).toMatchObject({ effort: null });
});

test("output_format json tells the model so, for this message", async () => {
  const session = await newSession();
  standin.script(text('{"a": 1}'));
  await chat(session, "As JSON", { output_format: { type: "json" } });
  expect(JSON.stringify(modelCall(0).messages)).toContain("Answer with one JSON value");
});

test("a schema is the model's output format, closed where it does not say", async () => {
  const session = await newSession();
  const item = { type: "object", properties: { n: { type: "integer" } } };
  const schema = { type: "object", properties: { list: { type: "array", items: item } } };
  standin.script(text('{"list": []}'));
  await chat(session, "As JSON", { output_format: { type: "json_schema", schema } });
  expect(modelCall(0)).toMatchObject({
    output_config: {
      format: {
        type: "json_schema",
        schema: {
          additionalProperties: false,
          properties: { list: { items: { ...item, additionalProperties: false } } },
        },
      },
    },
  });
  const open = { ...schema, additionalProperties: true };
  const refused = post(`${session}/chat`, {
    message: "Hi",
    output_format: { type: "json_schema", schema: open },
  });
  expect((await problemOf(refused)).errors).toMatchObject([
    { field: "body -> output_format -> schema -> additionalProperties" },
  ]);
});

test("a message of white space alone is one all the same", async () => {
  const session = await newSession();
  standin.script(text("Yes?"));
  expect((await chat(session, "  \n")).content).toBe("Yes?");
});

test("a message of a million characters arrives whole", async () => {
  const session = await newSession();
  const message = "ab😀".repeat(333_333);
  standin.script(text("Long."));
  await chat(session, message);
  expect(JSON.stringify(modelCall(0).messages)).toContain(message);
  expect((await historyOf(session))[0]?.content).toBe(message);
});

test("a failure of the model is 502 with its text, and a type that names it", async () => {
  const session = await newSession();
  standin.script(httpError(400, { message: "prompt is too long: 9 tokens > 8 maximum" }));
  expect(await problemOf(post(`${session}/chat`, { message: "Hi" }))).toMatchObject({
    type: expect.stringMatching(/^claude:[a-z_]+$/),
    title: "Bad Gateway",
    status: 502,
    detail: expect.stringContaining("prompt is too long"),
  });
});

test("a failure that passes is 502 too, and says when to come again", async () => {
  const session = await newSession();
  standin.script(httpError(529, { shouldRetry: false }));
  const response = await post(`${session}/chat`, { message: "Hi" });
  expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
  expect(await problemOf(response)).toMatchObject({ type: "claude:overloaded", status: 502 });
});

test("after the time limit the answer is 504, and the turn goes on into the history", async () => {
  const clock = new FakeClock(FAR_FUTURE);
  try {
    const session = await newSession();
    const gate = createGate();
    standin.script(
      reply({ blocks: [text("Late.")], acts: [holdAt({ block: 0, delta: 0 }, gate)] }),
    );
    const waits = clock.nextTimer(7_000);
    const impatient = serverWith({ CLAUDE_TIMEOUT_SECONDS: "7" });
    const answer = impatient("POST", `${session}/chat`, { message: "Hi" });
    await Promise.all([waits, reached(gate)]);
    clock.advance(7_000);
    expect(await problemOf(answer)).toMatchObject({
      type: "claude:timeout",
      title: "Gateway Timeout",
      status: 504,
      detail: "Claude timed out",
      url: `${BASE}/sessions/${idOf(session)}/history`,
    });
    expect(await historyOf(session)).toMatchObject([{ role: "user", content: "Hi" }]);
    await inside(nativeOf(session), () => gate.open());
    await turnsEnded(session, 1);
    expect(await historyOf(session)).toMatchObject([{ role: "user" }, { content: "Late." }]);
  } finally {
    clock.restore();
  }
});

test("a message that comes while a turn runs waits for it", async () => {
  const session = await newSession();
  const gate = createGate();
  const held = { blocks: [text("First.")], acts: [holdAt({ block: 0, delta: 0 }, gate)] };
  standin.script(reply(held), text("Second."), text("Third."));
  const first = chat(session, "One");
  await reached(gate);
  const later = await post(`${session}/chat`, { message: "Two" }, { prefer: "wait=0" });
  expect(later.status).toBe(202);
  expect(await later.json()).toMatchObject({ data: { status: "accepted" } });
  const third = chat(session, "Three");
  await inside(nativeOf(session), () => gate.open());
  expect([(await first).content, (await third).content]).toEqual(["First.", "Third."]);
  expect((await historyOf(session)).map(({ content }) => content)).toEqual([
    "One",
    "First.",
    "Two",
    "Second.",
    "Three",
    "Third.",
  ]);
});

test("a turn that waits for a client's tools is answered with how it ended", async () => {
  const native = await nativeSession({
    tools: [{ type: "function", function: { name: "look", parameters: { type: "object" } } }],
  });
  standin.script([text("I look."), toolUse("look", {})]);
  const data = await chat(`${BASE}/sessions/${nativeId(native)}`, "Look");
  expect(data).toMatchObject({ content: "I look.", outcome: "requires_action" });
});
