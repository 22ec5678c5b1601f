/** SSE of turns and tool results: names, order, ids, and what the client's parser needs. */
import { expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import {
  allFrames,
  type Frame,
  frames,
  functionTool,
  idOf,
  inside,
  names,
  newSession,
  post,
  standin,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

const look = functionTool("look");

const turn = async (session: string, body: object): Promise<Frame[]> =>
  allFrames(await post(`${session}/turns`, { stream: true, ...body }));

/** Names and ids without the previews, whose number depends on time. */
const outline = (list: readonly Frame[]): string[] =>
  list.filter(({ event }) => !event?.endsWith(".delta")).map(({ id, event }) => `${event}[${id}]`);

test("a plain turn, with the ids of its rows", async () => {
  const session = await newSession();
  standin.script([thinking("Hm."), text("Hello.")]);
  const got = await turn(session, { input: "Hi" });
  expect(outline(got)).toEqual([
    "turn.started[2]",
    "thinking.completed[4]",
    "assistant.completed[5]",
    "call.completed[6]",
    "turn.completed[6+1]",
    "turn.response[6+2]",
    "done[7]",
  ]);
  const previews = got.filter(({ event }) => event?.endsWith(".delta"));
  expect(previews.every(({ id }) => /^3:\d+$/.test(id ?? ""))).toBe(true);
});

test("a log event is {type, data} with its place; control frames are flat", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  const got = await turn(session, { input: "Hi" });
  const byName = new Map(got.map(({ event, data }) => [event, data]));
  expect(byName.get("turn.started")).toEqual({
    id: 2,
    type: "turn.started",
    session_id: idOf(session),
    turn_id: "turn_2",
    created_at: expect.stringMatching(/Z$/),
    data: { turn: "turn_2", input_id: "input_2", input: "Hi" },
  });
  expect(byName.get("assistant.completed")).toMatchObject({
    type: "assistant.completed",
    data: { output_text: "Hello." },
  });
  expect(byName.get("turn.response")).toMatchObject({
    id: "turn_2",
    output_text: "Hello.",
    finish_reason: "stop",
    usage: { prompt_tokens: expect.any(Number) },
  });
  expect(byName.get("done")).toEqual({ status: "completed" });
});

test("every frame has a name and one JSON object, and nothing says [DONE]", async () => {
  const session = await newSession();
  standin.script(text("Line one\nline two\r\n\u2028end"));
  const response = await post(`${session}/turns`, { input: "Hi", stream: true });
  const body = await response.text();
  expect(body).not.toContain("[DONE]");
  for (const block of body.split("\n\n").filter((one) => one !== "" && !one.startsWith(":"))) {
    const lines = block.split("\n");
    expect(lines.map((line) => line.split(":")[0])).toEqual(["id", "event", "data"]);
    const data: unknown = JSON.parse(lines[2]?.replace("data: ", "") ?? "");
    expect(data).toEqual(expect.any(Object));
    expect(Array.isArray(data)).toBe(false);
  }
});

test("a tool call, and the results that end it", async () => {
  const session = await newSession();
  standin.script([text("Looking."), toolUse("look", { at: "sky" })]);
  const asked = await turn(session, { input: "Look", tools: [look] });
  expect(outline(asked)).toEqual([
    "turn.started[2]",
    "assistant.completed[4]",
    "tool_call.requested[5]",
    "call.completed[6]",
    "turn.completed[6+1]",
    "turn.response[6+2]",
    "done[7]",
  ]);
  const requested = asked.find(({ event }) => event === "tool_call.requested")?.data.data;
  expect(requested).toEqual({ id: "call_3_1", name: "look", arguments: '{"at":"sky"}' });

  standin.script(text("Blue."));
  const results = [{ tool_call_id: "call_3_1", content: "blue", name: "look", is_error: false }];
  const response = await post(`${session}/tool-results`, { results, stream: true });
  const answered = await allFrames(response);
  expect(outline(answered)).toEqual([
    "tool_result.accepted[8]",
    "turn.resumed[9]",
    "assistant.completed[11]",
    "call.completed[12]",
    "turn.completed[12+1]",
    "turn.response[12+2]",
    "done[13]",
  ]);
  expect(answered[0]?.data).toMatchObject({ data: { tool_call_id: "call_3_1" } });
  const result = answered.find(({ event }) => event === "turn.response")?.data;
  expect(result).toMatchObject({ id: "turn_2", output_text: "Blue.", finish_reason: "stop" });
});

test("the texts of assistant.completed add up to output_text", async () => {
  const session = await newSession();
  standin.script([text("One. "), thinking("hm"), text("Two.")]);
  const got = await turn(session, { input: "Hi" });
  const texts = got.flatMap(({ event, data }) =>
    event === "assistant.completed" ? [Object(data.data).output_text] : [],
  );
  const result = got.find(({ event }) => event === "turn.response")?.data;
  expect(texts.join("")).toBe(result?.output_text);
});

test("previews come while the model writes, and add up to the text", async () => {
  const session = await newSession();
  const gate = createGate();
  standin.script(
    reply({ blocks: [text("Hello there, you.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] }),
  );
  const response = await post(`${session}/turns`, { input: "Hi", stream: true });
  const seen: Frame[] = [];
  for await (const frame of frames(response)) {
    seen.push(frame);
    if (frame.event === "assistant.delta") await inside(session, () => gate.open());
  }
  const deltas = seen.filter(({ event }) => event === "assistant.delta");
  expect(deltas.length).toBeGreaterThan(1);
  expect(deltas.map(({ data }) => Object(data.data).text).join("")).toBe("Hello there, you.");
  expect(names(seen).at(-1)).toBe("done");
});

test("a failure ends with an error frame whose message is at the top, and no done", async () => {
  const session = await newSession();
  standin.script(httpError(400, { message: "prompt is too long: 9 tokens > 8 maximum" }));
  const response = await post(`${session}/turns`, { input: "Hi", stream: true });
  expect(response.status).toBe(200);
  const got = await allFrames(response);
  expect(names(got).slice(-2)).toEqual(["turn.failed", "error"]);
  expect(got.at(-1)?.data).toMatchObject({
    type: "error",
    code: expect.any(String),
    message: expect.stringContaining("prompt is too long: 9 tokens > 8 maximum"),
    retryable: false,
  });
});

test("an interrupted turn ends with done{interrupted} after its turn.response", async () => {
  const session = await newSession();
  const gate = createGate();
  standin.script(
    reply({ blocks: [text("Hello there, you.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] }),
  );
  const response = await post(`${session}/turns`, { input: "Hi", stream: true });
  const seen: Frame[] = [];
  for await (const frame of frames(response)) {
    seen.push(frame);
    if (frame.event === "assistant.delta") await post(`${session}/interrupt`);
  }
  expect(names(seen).slice(-3)).toEqual(["turn.interrupted", "turn.response", "done"]);
  expect(seen.at(-1)?.data).toEqual({ status: "interrupted" });
  expect(seen.at(-2)?.data).toMatchObject({ outcome: "interrupted", finish_reason: "stop" });
});
