/** What the Hermes client does, whatever a server thinks of it. */
import { expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text, toolUse } from "../../src/standin/replies.ts";
import {
  allFrames,
  frames,
  functionTool,
  get,
  idOf,
  inside,
  modelCall,
  names,
  newSession,
  post,
  standin,
  unread,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

const look = functionTool("look");
const json = { "content-type": "application/json" };

interface Result {
  id: string;
  output_text: string;
  tool_calls: { id: string }[];
}

/** A turn as Hermes posts it: always a stream. Gives its `turn.response`. */
async function turn(session: string, body: object): Promise<Result> {
  const response = await post(`${session}/turns`, { stream: true, ...body });
  const got = await allFrames(response);
  expect(names(got).at(-1)).toBe("done");
  const data = got.find(({ event }) => event === "turn.response")?.data;
  return data as unknown as Result;
}

async function asked(session: string): Promise<Result> {
  standin.script([text("Looking."), toolUse("look", {})]);
  return turn(session, { input: "Look", tools: [look] });
}

test("1. an interrupt that comes late does nothing, and the next turn is whole", async () => {
  const session = await newSession();
  standin.script(text("One."), text("Two."));
  await turn(session, { input: "1" });
  for (let i = 0; i < 2; i++) {
    const late = await post(`${session}/interrupt`, "", json);
    expect(late.status).toBe(200);
    expect(await late.json()).toEqual({
      id: idOf(session),
      interrupted: false,
      status: "idle",
      turn: null,
      queued: [],
      cancelled: [],
    });
  }
  expect((await turn(session, { input: "2" })).output_text).toBe("Two.");
});

test("1. an interrupt in time keeps the partial text, and the next turn is whole", async () => {
  const session = await newSession();
  const gate = createGate();
  standin.script(
    reply({ blocks: [text("Hello there, you.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] }),
    text("Two."),
  );
  const response = await post(`${session}/turns`, { input: "1", stream: true });
  let interrupted: unknown;
  for await (const { event } of frames(response)) {
    if (event !== "assistant.delta") continue;
    interrupted = await (await post(`${session}/interrupt`, "", json)).json();
  }
  expect(interrupted).toMatchObject({ interrupted: true, turn: "turn_2", status: "idle" });
  const first = await (await get(`${session}/turns/turn_2`)).json<Result>();
  expect(first).toMatchObject({ outcome: "interrupted", output_text: expect.stringMatching(/^H/) });
  expect((await turn(session, { input: "2" })).output_text).toBe("Two.");
  expect(modelCall(1).messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
});

test("1. an interrupt while calls are open settles them", async () => {
  const session = await newSession();
  const { id, tool_calls } = await asked(session);
  const response = await post(`${session}/interrupt`);
  expect(await response.json()).toMatchObject({ interrupted: true, turn: id, status: "idle" });
  const late = await post(`${session}/tool-results`, {
    results: [{ tool_call_id: tool_calls[0]?.id, content: "late" }],
  });
  expect(late.status).toBe(409);
  expect(await late.json()).toMatchObject({ error: { code: "call_settled" } });
  standin.script(text("Two."));
  expect((await turn(session, { input: "2" })).output_text).toBe("Two.");
});

test("2. a stream is 200 even when the model fails, and its error frame has the message", async () => {
  const session = await newSession();
  standin.script(httpError(400, { message: "prompt is too long: 210000 tokens > 200000 maximum" }));
  const response = await post(`${session}/turns`, { input: "Hi", stream: true });
  expect(response.status).toBe(200);
  const { event, data } = (await allFrames(response)).at(-1) ?? {};
  expect(event).toBe("error");
  expect(data?.message).toMatch(/prompt is too long: 210000 tokens > 200000 maximum/);
  standin.script(text("Fine."));
  expect((await turn(session, { input: "Short" })).output_text).toBe("Fine.");
});

test("3. finish_reason is never length: a cut text goes on", async () => {
  const session = await newSession();
  standin.script(
    reply({ blocks: [text("One ")], stop_reason: "max_tokens" }),
    reply({ blocks: [text("two ")], stop_reason: "max_tokens" }),
    text("three."),
  );
  expect(await turn(session, { input: "Count" })).toMatchObject({
    finish_reason: "stop",
    output_text: "One two three.",
  });
});

const replay = [
  "Resume this Hermes conversation state and answer the last message.",
  "",
  "Previous transcript:",
  "USER: Look",
  'ASSISTANT_TOOL_CALLS: [{"name":"look"}]',
  "USER: And now?",
  "Answer now.",
].join("\n");

test("4. a replayed transcript begins the context anew, and the history stays", async () => {
  const session = await newSession({ system_prompt: "Be brief." });
  standin.script(text("One."), text("Two."), text("Three."));
  await turn(session, { input: "1" });
  await turn(session, { input: replay });
  expect(modelCall(1).messages).toMatchObject([{ role: "user", content: [{ text: replay }] }]);
  expect(modelCall(1).system).toMatchObject([{ text: expect.stringMatching(/^Be brief\.\n/) }]);
  await turn(session, { input: "3" });
  expect(modelCall(2).messages.length).toBe(3);
  const events = await get(`${session}/events?type=turn.started,session.context_changed`);
  expect(await events.json()).toMatchObject({
    data: [
      { data: { input: "1" } },
      { data: { input: replay } },
      { data: { reason: "replay" } },
      { data: { input: "3" } },
    ],
  });
});

test("4. a message that only quotes the opening line is a message", async () => {
  const session = await newSession();
  standin.script(text("One."), text("Two."));
  await turn(session, { input: "1" });
  await turn(session, { input: "What does 'Resume this Hermes conversation state' do?" });
  expect(modelCall(1).messages.length).toBe(3);
});

test.each([["a message", "Never mind."] as const, ["a replay", replay] as const])(
  "5. %s while calls are open settles them and runs",
  async (_name, input) => {
    const session = await newSession();
    const { tool_calls } = await asked(session);
    standin.script(text("As you wish."));
    expect((await turn(session, { input, tools: [look] })).output_text).toBe("As you wish.");
    const { messages } = modelCall(1);
    expect(messages.at(-1)).toMatchObject({ role: "user" });
    const late = await post(`${session}/tool-results`, {
      results: [{ tool_call_id: tool_calls[0]?.id, content: "late" }],
    });
    expect(late.status).toBe(409);
  },
);

test("6. the same results again replay the turn", async () => {
  const session = await newSession();
  const { tool_calls } = await asked(session);
  const body = { results: [{ tool_call_id: tool_calls[0]?.id, content: "blue" }], stream: true };
  standin.script(text("Blue."));
  const first = await allFrames(await post(`${session}/tool-results`, body));
  const again = await post(`${session}/tool-results`, body);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  const replayed = await allFrames(again);
  const lasting = (list: typeof first) => list.filter(({ event }) => !event?.endsWith(".delta"));
  expect(replayed).toEqual(lasting(first));
  expect(standin.requests.length).toBe(2);
});

test("6. a turn whose stream was cut is attached to while it runs", async () => {
  const session = await newSession();
  const gate = createGate();
  standin.script(
    reply({ blocks: [text("Hello there.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] }),
  );
  const body = { input: "Hi", tools: null, tool_choice: "none", stream: true };
  const cut = await post(`${session}/turns`, body);
  for await (const { event } of frames(cut)) if (event === "assistant.delta") break;
  await unread(session);
  const again = await post(`${session}/turns`, body);
  await inside(session, () => gate.open());
  const got = await allFrames(again);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(names(got)[0]).toBe("turn.started");
  expect(got.find(({ event }) => event === "turn.response")?.data).toMatchObject({
    id: "turn_2",
    output_text: "Hello there.",
  });
  expect(standin.requests.length).toBe(1);
});

test("6. the same message after a failed turn is not said twice", async () => {
  const session = await newSession();
  standin.script(httpError(402), text("Fine."));
  const body = { input: "Hi", tools: null, tool_choice: "none", stream: true };
  const failed = await allFrames(await post(`${session}/turns`, body));
  expect(names(failed).at(-1)).toBe("error");
  expect((await turn(session, body)).output_text).toBe("Fine.");
  expect(modelCall(1).messages).toMatchObject([{ role: "user", content: [{ text: "Hi" }] }]);
  expect(modelCall(1).messages[0]?.content.length).toBe(1);
});

test("7. the system prompt given at creation is in every call, and max_tokens is the server's", async () => {
  const session = await newSession({ system_prompt: "Be brief." });
  await asked(session);
  standin.script(text("Blue."));
  await post(`${session}/tool-results`, {
    results: [{ tool_call_id: "call_3_1", content: "blue" }],
  });
  for (const call of [modelCall(0), modelCall(1)]) {
    expect(call).toMatchObject({ system: [{ text: "Be brief." }], max_tokens: expect.any(Number) });
  }
});

test("9. a tool call's id comes back as it was given", async () => {
  const session = await newSession();
  const { tool_calls } = await asked(session);
  const id = tool_calls[0]?.id ?? "";
  expect(id).not.toMatch(/\||^fc_/);
  standin.script(text("Blue."));
  const response = await post(`${session}/tool-results`, {
    results: [{ tool_call_id: id, content: "blue", name: "look", is_error: false }],
    tools: [look],
    tool_choice: "auto",
    parallel_tool_calls: true,
    stream: true,
  });
  const got = await allFrames(response);
  expect(got[0]).toMatchObject({
    event: "tool_result.accepted",
    data: { data: { tool_call_id: id } },
  });
});

test("10. compact while calls are open answers 200, and the turn goes on", async () => {
  const session = await newSession();
  const { tool_calls } = await asked(session);
  const response = await post(`${session}/compact`, { keep_recent_messages: 20 });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ id: idOf(session), compacted: false });
  standin.script(text("Blue."));
  const results = [{ tool_call_id: tool_calls[0]?.id, content: "blue" }];
  const answer = await post(`${session}/tool-results`, { results });
  expect(await answer.json()).toMatchObject({ output_text: "Blue." });
});
