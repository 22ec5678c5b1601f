/** `POST /v1/chat/stream` of the Claude CLI server. */
import { expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import {
  framesUntil,
  get,
  idOf,
  inside,
  modelCall,
  newSession,
  post,
  rowsOf,
  standin,
  unread,
  withStandin,
} from "../api/cc/server.ts";
import { answered, frames, framesIn, stream, textOf } from "../api/chat/client.ts";
import { HostileClient } from "../hostile/clients.ts";

withStandin();

const types = (list: readonly { type?: unknown }[]) => [...new Set(list.map(({ type }) => type))];

test("the headers are those of an event stream that nobody keeps", async () => {
  standin.script(text("Hello."));
  const response = await stream({ prompt: "Hi" });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(response.headers.get("cache-control")).toMatch(/^no-(cache|store)$/);
  expect(response.headers.get("x-accel-buffering")).toBe("no");
  await response.text();
});

test("there are only data lines, that end with LF, and nothing beyond ASCII", async () => {
  standin.script(text("Zoë 🙂\u2028\nline\r\ntwo\u007f"));
  const body = await (await stream({ prompt: "Wie geht's, Zoë?" })).text();
  expect(body).toMatch(/^(data: \{.*\}\n\n)+$/);
  expect(body).not.toMatch(/[^\n\x20-\x7e]/);
  expect(body).toContain("\\u00eb \\ud83d\\ude42");
  expect(body).not.toContain("[DONE]");
  const list = framesIn(body);
  expect(textOf(list)).toBe("Zoë 🙂\u2028\nline\r\ntwo\u007f");
  expect(list.at(-1)?.result).toBe("Zoë 🙂\u2028\nline\r\ntwo\u007f");
});

test("start, deltas, done: each with its fields in that server's order", async () => {
  standin.script([thinking("Hm."), text("It is four.", { deltas: ["It ", "is ", "four."] })]);
  const list = await frames({ prompt: "2 + 2?" });
  expect(types(list)).toEqual(["start", "delta", "done"]);
  const [start, ...rest] = list;
  expect(Object.keys(start ?? {})).toEqual(["type", "session_id", "model"]);
  expect(start).toMatchObject({
    session_id: expect.stringMatching(/^sess_/),
    model: "claude-sonnet-5-5",
  });
  for (const delta of rest.slice(0, -1)) expect(Object.keys(delta)).toEqual(["type", "text"]);
  expect(textOf(list)).toBe("It is four.");
  expect(Object.keys(list.at(-1) ?? {})).toEqual([
    "type",
    "result",
    "cost_usd",
    "usage",
    "session_id",
  ]);
  expect(list.at(-1)).toMatchObject({
    result: "It is four.",
    cost_usd: expect.any(Number),
    usage: { input_tokens: expect.any(Number), output_tokens: expect.any(Number) },
    session_id: start?.session_id,
  });
});

test("what the model thinks and what tools do is none of a delta", async () => {
  standin.script(
    [thinking("Secretly."), text("I look."), toolUse("Bash", { command: "echo shown" })],
    text("Done."),
  );
  const list = await frames({ prompt: "Go" });
  expect(types(list)).toEqual(["start", "delta", "done"]);
  // Two messages; only the last one is the result.
  expect(textOf(list)).toBe("I look.\n\nDone.");
  expect(list.at(-1)?.result).toBe("Done.");
  expect(list.filter(({ type }) => type === "start")).toHaveLength(1);
});

test("a delta comes before the message is whole", async () => {
  const session = await newSession();
  const gate = createGate();
  const deltas = ["One. ", "Two."];
  standin.script(
    reply({
      blocks: [text(deltas.join(""), { deltas })],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
  );
  const body = { prompt: "Count.", session_id: idOf(session) };
  const client = await HostileClient.open("/v1/chat/stream", { method: "POST", body });
  await client.readUntil(({ frames }) => frames.some(({ data }) => data.type === "delta"));
  expect(client.frames.map(({ data }) => data)).toEqual([
    { type: "start", session_id: idOf(session), model: "claude-sonnet-5-5" },
    { type: "delta", text: "One. " },
  ]);
  expect(client.frames.map(({ id, event }) => id + event)).toEqual(["", ""]);
  await inside(session, () => gate.open());
  await client.readToEnd();
  expect(textOf(client.frames.map(({ data }) => data))).toBe("One. Two.");
});

test("a message that the model's limit cut goes on without a gap", async () => {
  standin.script(
    reply({ blocks: [text("One, tw")], stop_reason: "max_tokens" }),
    text("o, three."),
  );
  const list = await frames({ prompt: "Count." });
  expect(textOf(list)).toBe("One, two, three.");
  expect(list.at(-1)?.result).toBe("One, two, three.");
});

test("a turn that fails ends with an error frame, and no done", async () => {
  standin.script(httpError(401));
  const list = await frames({ prompt: "Hi" });
  expect(types(list)).toEqual(["start", "error"]);
  expect(list.at(-1)).toEqual({
    type: "error",
    error: expect.stringMatching(/ANTHROPIC_API_KEY/),
    code: "authentication",
    session_id: list[0]?.session_id,
  });
});

test("a message that is cancelled while it waits ends with an error frame", async () => {
  const session = await newSession();
  const gate = createGate();
  standin.script(reply({ blocks: [text("Hello.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] }));
  const first = post(`${session}/turns`, { input: "first" });
  await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
  const waiting = await stream({ prompt: "second", session_id: idOf(session) });
  expect((await post(`${session}/interrupt`, { cancel_queued: true })).status).toBe(200);
  expect(framesIn(await waiting.text())).toEqual([
    { type: "start", session_id: idOf(session), model: "claude-sonnet-5-5" },
    {
      type: "error",
      error: "The message was cancelled before its turn began.",
      code: "input_cancelled",
      session_id: idOf(session),
    },
  ]);
  await first;
});

test("a client that leaves stops nothing: the turn ends, and the session goes on", async () => {
  const session = await newSession();
  const session_id = idOf(session);
  const gate = createGate();
  standin.script(
    reply({ blocks: [text("Whole.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] }),
    text("Here."),
  );
  const body = { prompt: "Hi", session_id };
  const client = await HostileClient.open("/v1/chat/stream", { method: "POST", body });
  await client.readUntil(({ frames }) => frames.length > 1);
  client.leave();
  await unread(session);
  await inside(session, () => gate.open());
  expect(await answered({ prompt: "Where are you?", session_id })).toMatchObject({
    result: "Here.",
  });
  expect(JSON.stringify(modelCall(-1).messages)).toContain("Whole.");
  expect(await rowsOf(session, "outcome")).toMatchObject([
    { body: { outcome: "completed", totals: { cost_usd: expect.any(Number) } } },
    { body: { outcome: "completed" } },
  ]);
});

test("a session goes on in a stream, and from a stream", async () => {
  standin.script(text("One."), text("Two."), text("Three."));
  const { session_id } = await answered({ prompt: "a" });
  const list = await frames({ prompt: "b", session_id });
  expect([list[0]?.session_id, list.at(-1)?.session_id]).toEqual([session_id, session_id]);
  expect(await answered({ prompt: "c", session_id })).toMatchObject({ result: "Three." });
  expect(modelCall(-1).messages).toHaveLength(5);
});
