/** How large a session's context is: estimated from what the API has told, or counted by it. */
import { expect, test } from "vitest";
import type { ContextSize } from "../../../src/session/context-size.ts";
import type { JsonObject } from "../../../src/shared/content.ts";
import { createGate } from "../../../src/standin/gate.ts";
import { holdAt, reply, text, thinking, toolUse } from "../../../src/standin/replies.ts";
import { digestBlock } from "../../../src/standin/tokens.ts";
import {
  functionTool,
  get,
  imageBlock,
  inside,
  modelCall,
  newSession,
  pngBytes,
  post,
  send,
  standin,
  withStandin,
} from "./server.ts";

withStandin();

const LONG = "All work and no play makes Jack a dull boy. ".repeat(200);

async function contextOf(path: string, query = ""): Promise<ContextSize> {
  const response = await get(`${path}/context${query}`);
  expect(response.status).toBe(200);
  const size = await response.json<ContextSize>();
  const { system, tools, messages, media } = size.categories;
  expect(system + tools + messages + media).toBe(size.used);
  expect(size.free).toBe(Math.max(0, size.window - size.reserve - size.used));
  return size;
}

const exactly = (path: string) => contextOf(path, "?exact=true");

async function turn(path: string, body: JsonObject): Promise<JsonObject> {
  const response = await post(`${path}/turns`, body);
  expect(response.status).toBe(200);
  return response.json<JsonObject>();
}

const counts = () => standin.requests.filter((one) => one.path.endsWith("count_tokens"));

const lastEvent = async (path: string) =>
  (await (await get(path)).json<{ last_event_id: number }>()).last_event_id;

/** Tokens of all blocks of a list, as the stand-in counts them. */
const tokensOf = (blocks: readonly object[]): number =>
  blocks.reduce((sum, block) => sum + digestBlock(block as JsonObject).tokens, 0);

/** Tokens of the prompt of the model call at `index`. */
function promptOf(index: number): number {
  const { system = [], tools = [], messages } = modelCall(index);
  return tokensOf([...system, ...tools, ...messages.flatMap(({ content }) => content)]);
}

test("a session without calls has its prompt and tools", async () => {
  const path = await newSession({ system_prompt: LONG });
  const before = await lastEvent(path);
  const estimated = await contextOf(path);
  expect(estimated).toMatchObject({
    exact: false,
    model: "claude-sonnet-5-5",
    window: 1_000_000,
    cache: null,
    compact_at: 784_000,
    categories: { messages: 0, media: 0 },
  });
  expect(counts()).toHaveLength(0);
  const counted = await exactly(path);
  expect(counted.exact).toBe(true);
  expect(Math.abs(counted.used - estimated.used) / counted.used).toBeLessThan(0.25);
  expect(counted.categories.messages).toBe(0);
  // It is read only.
  expect(await lastEvent(path)).toBe(before);

  standin.script(text("hello"));
  await turn(path, { input: "Hi." });
  const { system = [], tools = [] } = modelCall(-1);
  expect(counted.categories).toMatchObject({ system: tokensOf(system), tools: tokensOf(tools) });
});

test("what is counted is what the next call sends, but for its message", async () => {
  const path = await newSession({ system_prompt: "Be brief.", tools: [] });
  standin.script([thinking(LONG), text(LONG)], text("b"), text("c"));
  await turn(path, { input: [{ type: "text", text: LONG }, imageBlock(pngBytes(9_000))] });
  const first = await exactly(path);
  expect(counts()).toHaveLength(4);
  const next = { type: "text", text: "And now?" };
  await turn(path, { input: [next] });
  expect(first.used).toBe(promptOf(-1) - tokensOf([next]));
  // The stand-in's image.
  expect(first.categories).toMatchObject({
    tools: 0,
    system: tokensOf(modelCall(-1).system ?? []),
  });
  expect(first.categories.media).toBeGreaterThan(1_500);
  await turn(path, { input: [next] });
  expect((await exactly(path)).used).toBeGreaterThan(first.used);
});

test("the estimate is what the API told of the last call, and what was added since", async () => {
  const path = await newSession({ system_prompt: LONG });
  standin.script([thinking("Let me see."), text(LONG)]);
  const { usage } = await turn(path, { input: LONG });
  const told = usage as { total_tokens: number; billed: Record<string, number> };
  const estimated = await contextOf(path);
  expect(estimated).toMatchObject({
    exact: false,
    used: told.total_tokens,
    cache: {
      read: told.billed.cache_read_input_tokens,
      written: told.billed.cache_creation_input_tokens,
      fresh: 0,
    },
  });
  const { used, categories } = await exactly(path);
  expect(Math.abs(used - estimated.used) / used).toBeLessThan(0.03);
  // What the API itself says to the model of its own tools cannot be seen in their definitions.
  for (const part of ["system", "tools", "messages"] as const) {
    const off = Math.abs(categories[part] - estimated.categories[part]);
    expect(off / used, part).toBeLessThan(0.1);
  }
});

test("calls that wait for the client, and their results", async () => {
  const path = await newSession({ tools: [functionTool("look")] });
  standin.script(toolUse("look", {}), text("ok"));
  await turn(path, { input: LONG });
  const waiting = await contextOf(path);
  expect(await exactly(path)).toMatchObject({ exact: true });
  const [call] = (await (await get(path)).json<{ pending_tool_calls: { id: string }[] }>())
    .pending_tool_calls;
  const results = [{ tool_call_id: call?.id ?? "", content: LONG }];
  expect((await post(`${path}/tool-results`, { results })).status).toBe(200);
  const answered = await contextOf(path);
  expect(answered.used - waiting.used).toBeGreaterThan(2_000);
  const { used } = await exactly(path);
  expect(Math.abs(used - answered.used) / used).toBeLessThan(0.03);
});

test("while a call runs it is that call's prompt, and nothing waits for it", async () => {
  const path = await newSession({ system_prompt: "Be brief.", tools: [] });
  const gate = createGate();
  standin.script(reply({ blocks: [text("slow")], acts: [holdAt(1, gate)] }));
  const posted = post(`${path}/turns`, { input: LONG });
  await gate.waitUntilReached();
  const counted = await exactly(path);
  expect(counted.used).toBe(promptOf(0));
  expect(await contextOf(path)).toMatchObject({ exact: false, cache: null });
  await inside(path, () => gate.open());
  expect((await posted).status).toBe(200);
});

test("after a change of the model it is the new one's", async () => {
  const path = await newSession({ tools: [], system_prompt: LONG });
  standin.script([thinking(LONG), text("fine")]);
  await turn(path, { input: "Hi." });
  const before = await exactly(path);
  await send("PATCH", path, { model: "claude-haiku-4-5" });
  const after = await exactly(path);
  expect(after).toMatchObject({ model: "claude-haiku-4-5", window: 200_000, exact: true });
  // Thinking goes with the model.
  expect(before.used - after.used).toBeGreaterThan(2_000);
  expect(await contextOf(path)).toMatchObject({ model: "claude-haiku-4-5", exact: false });
});

test("a count that fails is an estimate that says so", async () => {
  const path = await newSession({ model: "claude-nothing-9", system_prompt: LONG });
  standin.expectRefusal();
  expect(await exactly(path)).toMatchObject({
    exact: false,
    window: 200_000,
    notice: { code: "count_failed" },
  });
  expect(counts()).toHaveLength(1);
});

test("refusals", async () => {
  const path = await newSession();
  expect((await get(`${path}/context?exact=maybe`)).status).toBe(422);
  const nobody = "/api/sessions/sess_01M7VP07DK0H9GZ13Y9D4BKNQZ/context";
  expect((await get(nobody)).status).toBe(404);
  expect((await post(`${path}/context`, {})).status).toBe(405);
});
