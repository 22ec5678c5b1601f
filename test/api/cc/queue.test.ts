/** Messages to a session that is busy. */
import { expect, test } from "vitest";
import { createGate, type Gate } from "../../../src/standin/gate.ts";
import { holdAt, type ReplyBlock, reply, text, toolUse } from "../../../src/standin/replies.ts";
import {
  framesUntil,
  functionTool,
  get,
  idOf,
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

interface Busy {
  session: string;
  gate: Gate;
  /** The response of the turn that runs. */
  turn: Promise<Response>;
}

/** A session whose turn is in the middle of a message with these blocks. */
async function busy(blocks: readonly ReplyBlock[] = [text("Hello there, you.")]): Promise<Busy> {
  const session = await newSession();
  const gate = createGate();
  standin.script(reply({ blocks, acts: [holdAt({ block: 0, delta: 1 }, gate)] }));
  const turn = post(`${session}/turns`, { input: "first", tools: [functionTool("look")] });
  await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
  return { session, gate, turn };
}

/** Resolves when an event of this type has come behind `after`. */
const seen = (session: string, type: string, after = 0) =>
  get(`${session}/events?after=${after}&type=${type}&wait=25`);

test("a message to a busy session waits, is listed, and runs then", async () => {
  const { session, gate, turn } = await busy();
  const image = imageBlock(pngBytes(20_000));
  const second = post(`${session}/turns`, { input: [{ type: "text", text: "second" }, image] });
  await seen(session, "input.queued");
  const queue = await (await get(`${session}/queue`)).json<{ data: { id: string }[] }>();
  expect(queue.data).toEqual([
    {
      id: "input_4",
      input_id: "input_4",
      start: "queued",
      input: [
        { type: "text", text: "second" },
        {
          type: "image",
          source: {
            type: "media",
            media_type: "image/png",
            bytes: 20_000,
            sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
            url: expect.stringContaining(`${session}/media/`),
          },
        },
      ],
      created_at: expect.stringMatching(/Z$/),
    },
  ]);
  expect(await (await get(`${session}/turns/turn_4`)).json()).toMatchObject({ status: "queued" });
  standin.script(text("Second."));
  await inside(session, () => gate.open());
  expect(await (await turn).json()).toMatchObject({ id: "turn_2" });
  expect(await (await second).json()).toMatchObject({ id: "turn_4", output_text: "Second." });
  expect(await (await get(`${session}/queue`)).json()).toEqual({ data: [] });
});

test("a waiting message is cancelled, and its sender is told", async () => {
  const { session, gate, turn } = await busy();
  const second = post(`${session}/turns`, { input: "second" });
  await seen(session, "input.queued");
  const cancelled = await send("DELETE", `${session}/queue/input_4`);
  expect(cancelled.status).toBe(200);
  expect(await cancelled.json()).toEqual({ id: "input_4", cancelled: true });
  const answer = await second;
  expect(answer.status).toBe(409);
  expect(await answer.json()).toMatchObject({ error: { code: "input_cancelled" } });
  const again = await send("DELETE", `${session}/queue/input_4`);
  expect(again.status).toBe(409);
  expect(await again.json()).toMatchObject({ error: { code: "not_queued" } });
  await inside(session, () => gate.open());
  expect((await turn).status).toBe(200);
  expect(await (await get(`${session}/turns/turn_4`)).json()).toMatchObject({
    status: "cancelled",
  });
});

test.each(["input_0", "input_x", "4", "turn_2"])("DELETE …/queue/%s is 404", async (id) => {
  const session = await newSession();
  expect((await send("DELETE", `${session}/queue/${id}`)).status).toBe(404);
});

test("what never waited cannot be cancelled", async () => {
  const session = await newSession();
  expect((await send("DELETE", `${session}/queue/input_9`)).status).toBe(404);
  standin.script(text("Hello."));
  await post(`${session}/turns`, { input: "Hi" });
  expect((await send("DELETE", `${session}/queue/input_2`)).status).toBe(409);
});

test("on_busy reject is 409 with Retry-After, and leaves the turn alone", async () => {
  const { session, gate, turn } = await busy();
  const rejected = await post(`${session}/turns`, { input: "second", on_busy: "reject" });
  expect(rejected.status).toBe(409);
  expect(rejected.headers.get("retry-after")).toMatch(/^\d+$/);
  expect(await rejected.json()).toMatchObject({ error: { code: "turn_in_progress" } });
  await inside(session, () => gate.open());
  expect(await (await turn).json()).toMatchObject({ output_text: "Hello there, you." });
});

test("on_busy interrupt stops the turn and runs the message", async () => {
  const { session, turn } = await busy();
  standin.script(text("Second."));
  const second = await post(`${session}/turns`, { input: "second", on_busy: "interrupt" });
  expect(await second.json()).toMatchObject({ output_text: "Second." });
  expect(await (await turn).json()).toMatchObject({ outcome: "interrupted" });
});

test("a steer joins the turn at its next step, and is answered with it", async () => {
  const { session, turn, gate } = await busy([text("Looking."), toolUse("look", {})]);
  const second = post(`${session}/turns`, { input: "second", on_busy: "steer" });
  await seen(session, "input.queued");
  await inside(session, () => gate.open());
  expect(await (await turn).json()).toMatchObject({ outcome: "requires_action" });
  standin.script(text("Both."));
  const results = [{ tool_call_id: "call_3_1", content: "blue" }];
  const answered = await post(`${session}/tool-results`, { results });
  expect(await answered.json()).toMatchObject({ id: "turn_2", output_text: "Both." });
  expect(await (await second).json()).toMatchObject({ id: "turn_2", output_text: "Both." });
  expect(modelCall(1).messages.at(-1)).toMatchObject({
    content: [{ type: "tool_result" }, { text: "second" }],
  });
});

test("a steer that finds no further step runs after the turn", async () => {
  const { session, gate, turn } = await busy();
  const second = post(`${session}/turns`, { input: "second", on_busy: "steer" });
  await seen(session, "input.queued");
  standin.script(text("Both."));
  await inside(session, () => gate.open());
  expect((await turn).status).toBe(200);
  expect(await (await second).json()).toMatchObject({ id: "turn_4", output_text: "Both." });
  expect(modelCall(1).messages[2]).toMatchObject({ content: [{ text: "second" }] });
});

test("an interrupt leaves the queue alone and says what is in it", async () => {
  const { session, turn } = await busy();
  const second = post(`${session}/turns`, { input: "second" });
  await seen(session, "input.queued");
  standin.script(text("Second."));
  const interrupted = await post(`${session}/interrupt`);
  expect(await interrupted.json()).toMatchObject({
    interrupted: true,
    turn: "turn_2",
    queued: ["input_4"],
    cancelled: [],
  });
  expect(await (await turn).json()).toMatchObject({ outcome: "interrupted" });
  expect(await (await second).json()).toMatchObject({ output_text: "Second." });
});

test("an interrupt with cancel_queued empties the queue", async () => {
  const { session, turn } = await busy();
  const second = post(`${session}/turns`, { input: "second" });
  await seen(session, "input.queued");
  const interrupted = await post(`${session}/interrupt`, { cancel_queued: true });
  expect(await interrupted.json()).toEqual({
    id: idOf(session),
    interrupted: true,
    status: "idle",
    turn: "turn_2",
    queued: [],
    cancelled: ["input_4"],
  });
  expect((await turn).status).toBe(200);
  expect((await second).status).toBe(409);
});
