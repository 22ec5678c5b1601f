/** Whole conversations as CC API's real client has them. */
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/shared/content.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import {
  frames,
  functionTool,
  get,
  imageBlock,
  inside,
  modelCall,
  pngBytes,
  post,
  standin,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

const tools = [functionTool("look"), functionTool("listen")];

/** What the client makes of a turn, by the rules of its own reader. */
interface Read {
  chunks: string[];
  notices: string[];
  result: JsonObject;
}

/** Reads a stream as the client does: it raises where the client raises. */
async function read(response: Response): Promise<Read> {
  if (!response.ok) throw new Error(`Client error '${response.status}'`);
  const chunks: string[] = [];
  const notices: string[] = [];
  let result: JsonObject | undefined;
  for await (const { event, data } of frames(response)) {
    const inner = Object(data.data);
    switch (event) {
      case "assistant.completed":
        chunks.push(String(inner.output_text));
        break;
      case "tool_call.requested":
        notices.push(String(inner.name));
        break;
      case "turn.response":
        result = data;
        break;
      case "done":
        if (data.status === "interrupted") throw new Error("InterruptedError");
        break;
      case "error":
        throw new Error(String(data.message));
    }
  }
  if (!result) throw new Error("ValueError: no turn.response");
  return { chunks, notices, result };
}

async function createSession(): Promise<string> {
  const response = await post("/api/sessions", {
    model: "anthropic/claude-sonnet-5.5",
    system_prompt: "You are Hermes.",
    metadata: { hermes_session_id: "h1" },
  });
  const { id } = await response.json<{ id: string }>();
  return `/api/sessions/${id}`;
}

const say = async (session: string, input: unknown): Promise<Read> =>
  read(
    await post(`${session}/turns`, {
      input,
      tools,
      tool_choice: "auto",
      parallel_tool_calls: true,
      stream: true,
    }),
  );

const answer = async (session: string, ids: readonly string[]): Promise<Read> =>
  read(
    await post(`${session}/tool-results`, {
      results: ids.map((id) => ({
        tool_call_id: id,
        content: `result of ${id}`,
        name: "look",
        is_error: false,
      })),
      tools,
      tool_choice: "auto",
      parallel_tool_calls: true,
      stream: true,
    }),
  );

const callIds = ({ result }: Read): string[] =>
  (result.tool_calls as unknown as { id: string }[]).map(({ id }) => id);

test("1. turns, tool rounds, an image, a late interrupt, compact and a replay in one session", async () => {
  const session = await createSession();
  standin.script([thinking("Hm."), text("Hello.")]);
  const hello = await say(session, "Hi");
  expect(hello).toMatchObject({ chunks: ["Hello."], result: { finish_reason: "stop" } });

  standin.script([text("Let me look."), toolUse("look", { at: "sky" }), toolUse("listen", {})]);
  const calls = await say(session, [
    { type: "text", text: "What is this?" },
    imageBlock(pngBytes(30_000)),
  ]);
  expect(calls.notices).toEqual(["look", "listen"]);
  expect(calls.result).toMatchObject({
    output_text: "Let me look.",
    finish_reason: "tool_calls",
  });

  standin.script([toolUse("look", {})], text("It is the sky."));
  const more = await answer(session, callIds(calls));
  expect(more.result).toMatchObject({ output_text: "", finish_reason: "tool_calls" });
  const sky = await answer(session, callIds(more));
  expect(sky).toMatchObject({ chunks: ["It is the sky."], result: { finish_reason: "stop" } });

  const interrupt = await post(`${session}/interrupt`, "", { "content-type": "application/json" });
  expect(interrupt.status).toBe(200);
  expect((await post(`${session}/compact`, { keep_recent_messages: 20 })).status).toBe(200);

  standin.script(text("As before."));
  const lines = ["Resume this Hermes conversation state.", "Previous transcript:", "USER: Hi"];
  expect((await say(session, lines.join("\n"))).chunks).toEqual(["As before."]);
  expect(modelCall(4).messages.length).toBe(1);
  standin.script(text("Yes."));
  expect((await say(session, "Still there?")).chunks).toEqual(["Yes."]);
  expect(modelCall(5).messages.length).toBe(3);
});

test("1. a failure reaches the client as words, and the session goes on", async () => {
  const session = await createSession();
  standin.script(httpError(400, { message: "prompt is too long: 9 tokens > 8 maximum" }));
  await expect(say(session, "long")).rejects.toThrow("prompt is too long: 9 tokens > 8 maximum");
  standin.script(text("Short."));
  expect((await say(session, "short")).chunks).toEqual(["Short."]);
});

test("9. a client that leaves in mid-stream stops nothing", async () => {
  const session = await createSession();
  const gate = createGate();
  standin.script(
    reply({ blocks: [text("Hello there, you.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] }),
  );
  const response = await post(`${session}/turns`, { input: "Hi", stream: true });
  for await (const { event } of frames(response)) if (event === "assistant.delta") break;
  await inside(session, () => gate.open());
  const end = await get(`${session}/events?type=turn.completed&wait=25`);
  expect(await end.json()).toMatchObject({
    data: [{ data: { output_text: "Hello there, you.", cost_usd: expect.any(Number) } }],
  });
  const object = await (await get(session)).json<{ usage: { completion_tokens: number } }>();
  expect(object).toMatchObject({ status: "idle", turn_count: 1 });
  expect(object.usage.completion_tokens).toBeGreaterThan(0);
});
