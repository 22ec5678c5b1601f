/** What turns and tool results may hold, and what of it the model gets. */
import { expect, test } from "vitest";
import { text, toolUse } from "../../src/standin/replies.ts";
import {
  allFrames,
  functionTool,
  imageBlock,
  modelCall,
  newSession,
  pngBytes,
  post,
  rowsOf,
  standin,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

/** A model that can be made to call a tool. */
const FORCEABLE = { model: "claude-opus-4-6" };
const look = functionTool("look", { at: { type: "string" } });
const lookDefinition = {
  name: "look",
  description: "Does look.",
  input_schema: { type: "object", properties: { at: { type: "string" } } },
};

/** Posts a turn that the model answers with a word, and gives the model call. */
async function called(session: string, body: object) {
  standin.script(text("Well."));
  const before = standin.requests.length;
  const response = await post(`${session}/turns`, body);
  expect(response.status).toBe(200);
  return modelCall(before);
}

test("a turn as the Hermes client sends it, with all five keys", async () => {
  const session = await newSession();
  standin.script(text("Well."));
  const response = await post(`${session}/turns`, {
    input: "Hi",
    tools: [look],
    tool_choice: "auto",
    parallel_tool_calls: true,
    stream: true,
  });
  await allFrames(response);
  const { messages, tools, tool_choice } = modelCall(0);
  expect(messages).toMatchObject([{ role: "user", content: [{ type: "text", text: "Hi" }] }]);
  expect(tools).toMatchObject([lookDefinition]);
  expect(tool_choice).toBeUndefined();
});

test("text, image and document blocks reach the model as they were sent", async () => {
  const session = await newSession();
  const [small, large] = [pngBytes(500), pngBytes(100_000)];
  const pdf = new TextEncoder().encode("%PDF-1.7 nothing");
  const input = [
    { type: "text", text: "See" },
    imageBlock(small),
    imageBlock(large),
    {
      type: "document",
      source: { type: "base64", media_type: "application/pdf", data: pdf.toBase64() },
      title: "Paper",
      context: null,
    },
    { type: "document", source: { type: "text", media_type: "text/plain", data: "Plain." } },
    { type: "image", source: { type: "file", file_id: "file_1" } },
  ];
  const { messages } = await called(session, { input });
  const [, , , paper, ...rest] = input;
  expect(messages[0]?.content).toMatchObject([
    ...input.slice(0, 3),
    { type: "document", source: paper?.source, title: "Paper" },
    ...rest,
  ]);
  expect(messages[0]?.content[3]).not.toHaveProperty("context");
});

test("an OpenAI image part with a data URL is an image", async () => {
  const session = await newSession();
  const bytes = pngBytes(300);
  const url = `data:image/png;base64,${bytes.toBase64()}`;
  const { messages } = await called(session, {
    input: [{ type: "image_url", image_url: { url, detail: "low" } }],
  });
  expect(messages[0]?.content).toMatchObject([imageBlock(bytes)]);
});

test.each(["", "   ", "\n"])("the empty input %j is a message", async (input) => {
  const session = await newSession();
  const { messages } = await called(session, { input });
  expect(messages).toMatchObject([{ role: "user", content: [{ type: "text" }] }]);
});

test("tools may come in the form of either API, and mean the same", async () => {
  const session = await newSession();
  const first = await called(session, { input: "1", tools: [look] });
  const second = await called(session, {
    input: "2",
    tools: [{ ...lookDefinition, type: "custom", cache_control: { type: "ephemeral" } }],
  });
  expect(second.tools).toEqual(first.tools);
  expect(second.messages.length).toBe(3);
});

test("a tool without parameters takes an empty object", async () => {
  const session = await newSession();
  const tools = [
    { type: "function", function: { name: "a" } },
    { type: "function", function: { name: "b", description: null, parameters: null } },
    { type: "function", function: { name: "c", parameters: {} } },
    { name: "d", input_schema: { type: "object" } },
  ];
  const call = await called(session, { input: "Hi", tools });
  const empty = { type: "object", properties: {} };
  expect(call.tools).toMatchObject([
    { name: "a", input_schema: empty },
    { name: "b", input_schema: empty },
    { name: "c", input_schema: empty },
    { name: "d", input_schema: { type: "object" } },
  ]);
});

test.each([
  ["auto", undefined],
  ["none", { type: "none" }],
  ["required", { type: "any" }],
  ["any", { type: "any" }],
  ["look", { type: "tool", name: "look" }],
  [
    { type: "function", function: { name: "look" } },
    { type: "tool", name: "look" },
  ],
  [{ type: "auto" }, undefined],
  [{ type: "any" }, { type: "any" }],
  [{ type: "none" }, { type: "none" }],
  [
    { type: "tool", name: "look" },
    { type: "tool", name: "look" },
  ],
  [null, undefined],
  [
    { type: "any", disable_parallel_tool_use: true },
    { type: "any", disable_parallel_tool_use: true },
  ],
])("tool_choice %j is sent as %j", async (tool_choice, sent) => {
  const session = await newSession(FORCEABLE);
  const call = await called(session, { input: "Hi", tools: [look], tool_choice });
  expect(call.tool_choice).toEqual(sent);
});

test("parallel_tool_calls: false allows one call at a time", async () => {
  const session = await newSession();
  const body = { input: "Hi", tools: [look], parallel_tool_calls: false };
  const call = await called(session, body);
  expect(call.tool_choice).toEqual({ type: "auto", disable_parallel_tool_use: true });
});

test("a turn without tools has those of its session", async () => {
  const session = await newSession({ tools: [look] });
  for (const body of [{ input: "1" }, { input: "2", tools: null, tool_choice: "auto" }]) {
    expect((await called(session, body)).tools).toMatchObject([lookDefinition]);
  }
});

test.each([
  { input: "Hi", tools: null, tool_choice: "none" },
  { input: "Hi", tool_choice: "none" },
  { input: "Hi", tools: [], tool_choice: "none" },
  { input: "Hi", tools: [] },
])("%j is a turn without any tools", async (body) => {
  const session = await newSession({ tools: [look] });
  const call = await called(session, body);
  expect(call).not.toHaveProperty("tools");
  expect(call).not.toHaveProperty("tool_choice");
});

test("a turn's tools replace the session's", async () => {
  const session = await newSession({ tools: [look] });
  const call = await called(session, { input: "Hi", tools: [functionTool("listen")] });
  expect(call.tools).toMatchObject([{ name: "listen" }]);
});

/** A session that waits for the results of `count` calls of `look`. */
async function waiting(count: number): Promise<{ session: string; calls: string[] }> {
  const session = await newSession();
  standin.script(Array.from({ length: count }, (_, i) => toolUse("look", { at: `${i}` })));
  const response = await post(`${session}/turns`, { input: "Look", tools: [look] });
  const { tool_calls } = await response.json<{ tool_calls: { id: string }[] }>();
  return { session, calls: tool_calls.map(({ id }) => id) };
}

test.each<[name: string, content: unknown, sent: unknown]>([
  ["a string", "blue", [{ type: "text", text: "blue" }]],
  ["null", null, undefined],
  ["an empty string", "", undefined],
  ["a number", 42, [{ type: "text", text: "42" }]],
  ["an object", { sky: "blue" }, [{ type: "text", text: '{"sky":"blue"}' }]],
  ["a list that is no content", [1, 2], [{ type: "text", text: "[1,2]" }]],
  [
    "text parts",
    [
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ],
    [
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ],
  ],
  [
    "parts among other things",
    [{ type: "text", text: "a" }, "b", { type: "strange", n: 1 }],
    [
      { type: "text", text: "a" },
      { type: "text", text: "b" },
      { type: "text", text: '{"type":"strange","n":1}' },
    ],
  ],
])("a tool's result may be %s", async (_name, content, sent) => {
  const { session, calls } = await waiting(1);
  standin.script(text("Blue."));
  const response = await post(`${session}/tool-results`, {
    results: [{ tool_call_id: calls[0], content, name: null, is_error: false }],
  });
  expect(response.status).toBe(200);
  const [result] = modelCall(1).messages.at(-1)?.content ?? [];
  expect(result?.type).toBe("tool_result");
  if (sent === undefined) expect(result).not.toHaveProperty("content");
  else expect(result?.content).toEqual(sent);
});

test("a tool's result may be an image, small or large", async () => {
  const { session, calls } = await waiting(2);
  const [small, large] = [pngBytes(100), pngBytes(50_000)];
  const url = `data:image/png;base64,${small.toBase64()}`;
  standin.script(text("Blue."));
  const response = await post(`${session}/tool-results`, {
    results: [
      { tool_call_id: calls[0], content: [{ type: "image_url", image_url: { url } }] },
      { tool_call_id: calls[1], content: [imageBlock(large)] },
    ],
  });
  expect(response.status).toBe(200);
  expect(modelCall(1).messages.at(-1)?.content).toMatchObject([
    { type: "tool_result", content: [imageBlock(small)] },
    { type: "tool_result", content: [imageBlock(large)] },
  ]);
});

test.each<[name: string, content: unknown, sent: unknown]>([
  ["text", "no sky", { is_error: true, content: [{ type: "text", text: "no sky" }] }],
  ["nothing", null, { is_error: true }],
])("an error result of %s is marked as one", async (_name, content, sent) => {
  const { session, calls } = await waiting(1);
  standin.script(text("Pity."));
  const results = [{ tool_call_id: calls[0], content, is_error: true }];
  await post(`${session}/tool-results`, { results });
  expect(modelCall(1).messages.at(-1)?.content).toMatchObject([sent]);
});

test("an error result with an image says in words that it is one", async () => {
  const { session, calls } = await waiting(1);
  const image = imageBlock(pngBytes(200));
  standin.script(text("Pity."));
  const results = [{ tool_call_id: calls[0], content: [image], is_error: true }];
  const response = await post(`${session}/tool-results`, { results });
  expect(await response.json()).toMatchObject({ outcome: "completed" });
  const [result] = modelCall(1).messages.at(-1)?.content ?? [];
  expect(result).toMatchObject({ content: [{ text: expect.stringContaining("failed") }, image] });
  expect(result).not.toHaveProperty("is_error");
});

test("results without tools go on with the turn's, whatever their tool_choice", async () => {
  const { session, calls } = await waiting(1);
  standin.script(text("Blue."));
  const results = [{ tool_call_id: calls[0], content: "blue" }];
  await post(`${session}/tool-results`, { results, tools: null, tool_choice: "none" });
  expect(modelCall(1).tools).toEqual(modelCall(0).tools);
  expect(modelCall(1).tool_choice).toEqual({ type: "none" });
  const [resumed] = await rowsOf(session, "turn.resumed");
  expect(resumed).toMatchObject({
    body: { options: { toolset: { tools: { look: expect.any(String) } } } },
  });
});

test("results for some of the open calls wait for the others", async () => {
  const { session, calls } = await waiting(2);
  const first = await post(`${session}/tool-results`, {
    results: [{ tool_call_id: calls[1], content: "two" }],
  });
  expect(await first.json()).toMatchObject({
    outcome: "requires_action",
    finish_reason: "tool_calls",
    tool_calls: [{ id: calls[0] }],
  });
  expect(standin.requests.length).toBe(1);
  standin.script(text("Both."));
  const second = await post(`${session}/tool-results`, {
    results: [{ tool_call_id: calls[0], content: "one" }],
  });
  expect(await second.json()).toMatchObject({ outcome: "completed", output_text: "Both." });
  expect(modelCall(1).messages.at(-1)?.content).toMatchObject([
    { type: "tool_result", content: [{ text: "one" }] },
    { type: "tool_result", content: [{ text: "two" }] },
  ]);
});

test.each([
  [{ stream: true }, {}, "text/event-stream; charset=utf-8"],
  [{}, { accept: "text/event-stream" }, "text/event-stream; charset=utf-8"],
  [{ stream: false }, { accept: "text/event-stream" }, "application/json"],
  [{ stream: null }, { accept: "*/*" }, "application/json"],
  [{}, {}, "application/json"],
])("%j with headers %j is answered as %s", async (body, headers, type) => {
  const session = await newSession();
  standin.script(text("Well."));
  const response = await post(`${session}/turns`, { input: "Hi", ...body }, headers);
  expect(response.headers.get("content-type")).toBe(type);
  await response.text();
});
