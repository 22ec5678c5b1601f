/** The turn's result: `turn.response`, and the JSON answer. */
import { expect, test } from "vitest";
import { httpError, reply, spendCap, text, toolUse } from "../../src/standin/replies.ts";
import {
  functionTool,
  get,
  idOf,
  newSession,
  post,
  standin,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

const look = functionTool("look");

test("a plain turn", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  const response = await post(`${session}/turns`, { input: "Hi" });
  expect(response.status).toBe(200);
  const result = await response.json<{ usage: Record<string, number> }>();
  expect(result).toEqual({
    id: "turn_2",
    object: "turn",
    session_id: idOf(session),
    model: "claude-sonnet-5-5",
    outcome: "completed",
    output_text: "Hello.",
    finish_reason: "stop",
    tool_calls: [],
    usage: {
      prompt_tokens: expect.any(Number),
      completion_tokens: expect.any(Number),
      total_tokens: expect.any(Number),
      prompt_tokens_details: { cached_tokens: 0 },
      billed: expect.any(Object),
      estimated: false,
    },
    cost_usd: expect.any(Number),
    duration_ms: expect.any(Number),
    created_at: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  const { prompt_tokens = 0, completion_tokens = 0, total_tokens } = result.usage;
  expect(total_tokens).toBe(prompt_tokens + completion_tokens);
});

test("text and tool calls together; arguments are a JSON string", async () => {
  const session = await newSession();
  standin.script([text("Looking."), toolUse("look", { at: ["sky", 1] }), toolUse("look", {})]);
  const response = await post(`${session}/turns`, { input: "Look", tools: [look] });
  expect(await response.json()).toMatchObject({
    outcome: "requires_action",
    output_text: "Looking.",
    finish_reason: "tool_calls",
    tool_calls: [
      {
        id: expect.any(String),
        type: "function",
        function: { name: "look", arguments: '{"at":["sky",1]}' },
      },
      { id: expect.any(String), type: "function", function: { name: "look", arguments: "{}" } },
    ],
  });
});

test("prompt_tokens is the whole context, also what was read from the cache", async () => {
  const session = await newSession({ system_prompt: "word ".repeat(5000) });
  standin.script(text("One."), text("Two."));
  const first = await (await post(`${session}/turns`, { input: "1" })).json<Result>();
  const second = await (await post(`${session}/turns`, { input: "2" })).json<Result>();
  expect(second.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(0);
  expect(second.usage.prompt_tokens).toBeGreaterThan(first.usage.prompt_tokens);
});

interface Result {
  usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
}

test("a turn can be read while it waits for results, and its result is that of the last part", async () => {
  const session = await newSession();
  standin.script([text("Looking."), toolUse("look", {})]);
  const asked = await post(`${session}/turns`, { input: "Look", tools: [look] });
  const { id, tool_calls } = await asked.json<{ id: string; tool_calls: { id: string }[] }>();
  expect(await (await get(`${session}/turns/${id}`)).json()).toMatchObject({
    id,
    status: "awaiting_tool_results",
    output_text: "Looking.",
    tool_calls,
  });
  standin.script(text("Blue."));
  const results = [{ tool_call_id: tool_calls[0]?.id, content: "blue" }];
  const answered = await post(`${session}/tool-results`, { results });
  const result = await answered.json<{ created_at: string }>();
  expect(result).toMatchObject({ id, output_text: "Blue.", finish_reason: "stop" });
  const read = await (await get(`${session}/turns/${id}`)).json<{ created_at: string }>();
  expect(read).toEqual({ ...result, status: "finished", created_at: read.created_at });
});

test.each(["turn_1", "turn_99", "turn_0", "turn_", "2", "call_3_0"])(
  "the turn %s does not exist",
  async (turn) => {
    const session = await newSession();
    const response = await get(`${session}/turns/${turn}`);
    expect(response.status).toBe(404);
  },
);

test("a failed turn is a 502 that names the turn and the reason", async () => {
  const session = await newSession();
  standin.script(httpError(400, { message: "prompt is too long: 9 tokens > 8 maximum" }));
  const response = await post(`${session}/turns`, { input: "Hi" });
  expect(response.status).toBe(502);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const problem = await response.json<{ code: string; turn: string }>();
  expect(problem).toMatchObject({
    status: 502,
    title: "Bad Gateway",
    detail: expect.stringContaining("prompt is too long: 9 tokens > 8 maximum"),
    turn: "turn_2",
    code: expect.any(String),
  });
  expect(await (await get(`${session}/turns/turn_2`)).json()).toMatchObject({
    status: "finished",
    outcome: "failed",
    code: problem.code,
    message: expect.stringContaining("prompt is too long"),
  });
});

test("a spend cap is final and says so", async () => {
  const session = await newSession();
  standin.script(spendCap());
  const response = await post(`${session}/turns`, { input: "Hi" });
  expect([502, 503]).toContain(response.status);
  expect(await response.json()).toMatchObject({ detail: expect.stringContaining("spend limit") });
});

test("a text that was cut at max_tokens goes on, and finish_reason is never length", async () => {
  const session = await newSession();
  standin.script(
    reply({ blocks: [text("One two ")], stop_reason: "max_tokens" }),
    text("three four."),
  );
  const response = await post(`${session}/turns`, { input: "Count" });
  expect(await response.json()).toMatchObject({
    output_text: "One two three four.",
    finish_reason: "stop",
    outcome: "completed",
  });
});

test("Prefer: wait=0 answers 202 with the turn's address", async () => {
  const session = await newSession();
  standin.script(text("Later."));
  const response = await post(`${session}/turns`, { input: "Hi" }, { prefer: "wait=0" });
  expect(response.status).toBe(202);
  expect(response.headers.get("location")).toBe(`${session}/turns/turn_2`);
  expect(await response.json()).toMatchObject({ id: "turn_2", status: "accepted" });
  await standin.arrived(1);
  await standin.settled(0);
  const events = await get(`${session}/events?after=0&type=turn.completed&wait=25`);
  expect(await events.json()).toMatchObject({ data: [{ data: { output_text: "Later." } }] });
});
