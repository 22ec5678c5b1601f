/** SSE of chat/stream: its form on the wire, its events, and how a client goes on after a cut. */
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { codeInline } from "../../src/api/code/encode.ts";
import { openSse } from "../../src/http/sse.ts";
import { createGate } from "../../src/standin/gate.ts";
import {
  cutAt,
  holdAt,
  httpError,
  reply,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import {
  allFrames,
  type Frame,
  frames,
  framesUntil,
  inside,
  names,
  objectOf,
  standin,
  unread,
  withStandin,
} from "../api/cc/server.ts";
import {
  chat,
  historyOf,
  nativeOf,
  newSession,
  post,
  problemOf,
  turnsEnded,
} from "../api/code/client.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { reached } from "../support/sessions.ts";

withStandin();

const stream = (session: string, body: object = { message: "Hi" }, headers = {}) =>
  post(`${session}/chat/stream`, body, headers);

/** Asks for the rest of a response. */
const resume = (session: string, id: string, body?: object) =>
  post(`${session}/chat/stream`, body, { "last-event-id": id });

/** Without the deltas, whose number depends on time. */
const outline = (list: readonly Frame[]) =>
  list.filter(({ event }) => event !== "delta").map(({ event, data }) => [event, data]);

const textOf = (list: readonly Frame[]) =>
  list.flatMap(({ event, data }) => (event === "delta" ? [Object(data.delta).text] : [])).join("");

test("the response's headers", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  const response = await stream(session);
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  await response.text();
});

test("lines end with CRLF, and a frame has id, event and data in this order", async () => {
  const session = await newSession();
  standin.script(text("Grüße 😀"));
  const body = await (await stream(session)).text();
  expect(body.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
  const blocks = body.split("\r\n\r\n").filter((block) => block !== "");
  expect(blocks.length).toBeGreaterThan(1);
  for (const block of blocks) {
    expect(block.split("\r\n").map((line) => line.split(": ")[0])).toEqual(["id", "event", "data"]);
  }
  // UTF-8 is not escaped.
  expect(body).toContain('"content":"Grüße 😀"');
});

test("texts, tools and the end, whose data is that of a chat", async () => {
  const session = await newSession();
  const input = { file_path: "a.txt", content: "a" };
  standin.script(
    [thinking("Hm."), text("I write."), toolUse("Write", input), toolUse("LS", { path: "." })],
    text("Done."),
  );
  const got = await allFrames(await stream(session));
  expect(outline(got)).toEqual([
    ["assistant", { content: "I write.", tool_name: null }],
    ["tool", { content: null, tool_name: "Write" }],
    ["tool", { content: null, tool_name: "LS" }],
    ["assistant", { content: "Done.", tool_name: null }],
    [
      "done",
      {
        session_id: expect.stringMatching(/^sess_/),
        content: "Done.",
        cost: expect.any(Number),
        duration_ms: expect.any(Number),
        num_turns: 3,
        tools_used: [
          { name: "Write", input },
          { name: "LS", input: { path: "." } },
        ],
      },
    ],
  ]);
  expect(textOf(got)).toBe("I write.Done.");
  const [, answer] = await historyOf(session);
  expect(answer).toMatchObject({ content: "Done.", cost: Object(got.at(-1)?.data).cost });
});

test("deltas come while the model writes, in frames that other clients pass over", async () => {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("Hello there, you.")], acts }));
  const seen: Frame[] = [];
  for await (const frame of frames(await stream(session))) {
    seen.push(frame);
    if (frame.event === "delta") await inside(nativeOf(session), () => gate.open());
  }
  expect(seen[0]).toMatchObject({ event: "delta", data: { delta: { text: expect.any(String) } } });
  expect(textOf(seen)).toBe("Hello there, you.");
  expect(names(seen).slice(-2)).toEqual(["assistant", "done"]);
});

test("a failure ends with an error and no done, after a status of 200", async () => {
  const session = await newSession();
  standin.script(httpError(400, { message: "prompt is too long: 9 tokens > 8 maximum" }));
  const response = await stream(session);
  expect(response.status).toBe(200);
  const got = await allFrames(response);
  expect(names(got)).toEqual(["error"]);
  expect(got[0]?.data.error).toContain("prompt is too long");
});

test("an attempt that is lost leaves its deltas behind, and done has the answer that holds", async () => {
  const session = await newSession();
  standin.script(
    reply({ blocks: [text("Not this one.")], acts: [cutAt({ block: 0, delta: 1 }, "end")] }),
    text("This one."),
  );
  const got = await allFrames(await stream(session));
  expect(outline(got).map(([event]) => event)).toEqual(["assistant", "done"]);
  expect(got.at(-1)?.data.content).toBe("This one.");
  expect(textOf(got).endsWith("This one.")).toBe(true);
});

test("a comment every 15 seconds keeps the connection open, and says what time it is", async () => {
  const clock = new FakeClock(FAR_FUTURE);
  try {
    const meta = () => ({ request_id: "", timestamp: "", version: "v1" as const });
    const { dialect } = codeInline({ id: "", ulid: "", meta });
    const sse = openSse({ signal: new AbortController().signal, ...(dialect ? { dialect } : {}) });
    clock.advance(15_000);
    clock.advance(15_000);
    const body = sse.response.text();
    await sse.end({ id: "7", event: "done", data: ["{", "}"] });
    expect(await body).toBe(
      [
        ": ping - 2099-01-01 00:00:15.000000+00:00",
        "",
        ": ping - 2099-01-01 00:00:30.000000+00:00",
        "",
        "id: 7",
        "event: done",
        "data: {}",
        "",
        "",
      ].join("\r\n"),
    );
  } finally {
    clock.restore();
  }
});

test("Last-Event-ID gives exactly the rest, whatever the body, and starts no turn", async () => {
  const session = await newSession();
  standin.script([text("One."), toolUse("LS", { path: "." })], text("Two."));
  const all = outlineWithIds(await allFrames(await stream(session)));
  expect(all.length).toBe(4);
  for (const [n, [id]] of all.entries()) {
    for (const body of [undefined, { message: "Hi" }, { message: "Other" }, {}]) {
      const rest = await allFrames(await resume(session, id, body));
      expect(outlineWithIds(rest)).toEqual(all.slice(n + 1));
    }
  }
  // From before its first frame.
  expect(outlineWithIds(await allFrames(await resume(session, "2")))).toEqual(all);
  expect(await historyOf(session)).toHaveLength(2);
});

const outlineWithIds = (list: readonly Frame[]): [string, unknown][] =>
  list.filter(({ event }) => event !== "delta").map(({ id = "", data }) => [id, data]);

test("a client that left in mid-message gets exactly the rest of it", async () => {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 2 }, gate)];
  standin.script(reply({ blocks: [text("Hello there, you.")], acts }));
  const before = await framesUntil(await stream(session), "delta");
  await reached(gate);
  await unread(nativeOf(session));
  // Somebody else's message waits behind it, so that the id alone does not say which turn it is.
  standin.script(text("Later."));
  const later = post(`${session}/chat`, { message: "Then this" });
  const seen: Frame[] = [];
  const response = await resume(session, before.at(-1)?.id ?? "");
  await inside(nativeOf(session), () => gate.open());
  for await (const frame of frames(response)) seen.push(frame);
  expect(textOf([...before, ...seen])).toBe("Hello there, you.");
  expect(seen.at(-1)).toMatchObject({ event: "done", data: { content: "Hello there, you." } });
  await (await later).text();
});

test("an id in mid-message behind another message leads to the message that was written", async () => {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("Hello there, you.")], acts }), text("Later."));
  const response = await stream(session);
  const reader = frames(response);
  const first = (await reader.next()).value;
  const later = await post(`${session}/chat`, { message: "Two" }, { prefer: "wait=0" });
  expect(later.status).toBe(202);
  // The row of the second message stands in the middle of the first answer.
  const cursor = `4:${String(first?.id).split(":")[1]}`;
  await inside(nativeOf(session), () => gate.open());
  const rest = await allFrames(await resume(session, cursor));
  expect(rest.at(-1)).toMatchObject({ event: "done", data: { content: "Hello there, you." } });
  for await (const _ of reader);
  await turnsEnded(session, 2);
});

test("after the answer's own end there is nothing more", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  const last = (await allFrames(await stream(session))).at(-1)?.id ?? "";
  const response = await resume(session, last);
  expect(response.status).toBe(200);
  expect(await response.text()).toBe("");
});

test("an id of the native API in the middle of a row's frames leads to that row's turn", async () => {
  const session = await newSession();
  standin.script(text("One."), text("Two."));
  const last = (await allFrames(await stream(session))).at(-1)?.id ?? "";
  const second = outlineWithIds(await allFrames(await stream(session, { message: "More" })));
  expect(second.length).toBe(2);
  // Behind the first frame of the row behind the first turn.
  const rest = await allFrames(await resume(session, `${last}+1`));
  expect(outlineWithIds(rest)).toEqual(second);
});

test("an id that is none, or not of this session", async () => {
  const session = await newSession();
  expect(await problemOf(resume(session, "yesterday"))).toMatchObject({
    status: 400,
    error: { code: "invalid_cursor" },
  });
  expect((await resume(session, "0")).status).toBe(404);
  expect([404, 409]).toContain((await resume(session, "99")).status);
  expect(await historyOf(session)).toEqual([]);
});

test("a known Idempotency-Key attaches to the turn that runs, and to the one that is over", async () => {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("Hello there.")], acts }));
  const key = { "idempotency-key": "k-1" };
  const body = { message: "Hi" };
  const before = await framesUntil(await stream(session, body, key), "delta");
  const attached = await stream(session, body, { ...key, "last-event-id": before.at(-1)?.id });
  expect(attached.headers.get("idempotency-replayed")).toBe("true");
  await inside(nativeOf(session), () => gate.open());
  expect(textOf([...before, ...(await allFrames(attached))])).toBe("Hello there.");
  const again = await allFrames(await stream(session, body, key));
  expect(again.at(-1)).toMatchObject({ event: "done", data: { content: "Hello there." } });
  // The other route answers the same message as well.
  const json = await post(`${session}/chat`, body, key);
  expect(await json.json()).toMatchObject({ data: { content: "Hello there." } });
  expect(await historyOf(session)).toHaveLength(2);
});

test("a restart of the object in mid-message is not seen", async () => {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("Hello there.")], acts }), text("Hello again."));
  const seen: Frame[] = [];
  for await (const frame of frames(await stream(session))) {
    seen.push(frame);
    if (frame.event !== "delta" || seen.length > 1) continue;
    const object = await objectOf(nativeOf(session));
    await runInDurableObject(object, (_, state) => state.abort("crash")).catch(() => {});
  }
  expect(seen.at(-1)).toMatchObject({ event: "done", data: { content: "Hello again." } });
  expect(await chatCost(session)).toBeGreaterThan(0);
});

const chatCost = async (session: string) => (await historyOf(session))[1]?.cost ?? 0;

test("a client that leaves stops nothing: the turn ends, is in the history and is counted", async () => {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("Nobody reads this.")], acts }));
  await framesUntil(await stream(session), "delta");
  await reached(gate);
  await unread(nativeOf(session));
  await inside(nativeOf(session), () => gate.open());
  await turnsEnded(session, 1);
  expect(await historyOf(session)).toMatchObject([
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Nobody reads this.", cost: expect.any(Number) },
  ]);
  expect(await chatCost(session)).toBeGreaterThan(0);
  standin.script(text("Yes."));
  expect((await chat(session, "Still there?")).content).toBe("Yes.");
});

test("two who stream to one session are served one after the other, each with its own", async () => {
  const session = await newSession();
  standin.script(text("One."), text("Two."));
  const both = [stream(session, { message: "First" }), stream(session, { message: "Second" })];
  const ends = await Promise.all(both.map(async (one) => (await allFrames(await one)).at(-1)));
  const contents = ends.map((end) => end?.data.content);
  expect(contents.toSorted()).toEqual(["One.", "Two."]);
});
