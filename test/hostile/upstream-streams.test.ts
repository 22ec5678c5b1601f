/** Streams of another form than the API's: read where the answer is whole, else asked for again. */
import { expect, test } from "vitest";
import { reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { advanceToRetry, toolset } from "../support/sessions.ts";
import { failures, goesOn, type Mangle, times, useHostile } from "./upstream-support.ts";

const hostile = useHostile();

const TOOLS = toolset("a");
const ANSWER = reply({
  blocks: [thinking("Hm."), text("Hello"), toolUse("a", { city: "Paris" }, { id: "toolu_1" })],
  id: "msg_1",
});

/** The next attempt's, which says something else, as models do. */
const AGAIN = reply({ blocks: [thinking("So."), text("Hi"), toolUse("a", { city: "Oslo" })] });

const frame = (event: string | null, data: unknown): string =>
  `${event === null ? "" : `event: ${event}\n`}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;

/** Puts frames in behind the first frame that has this text. */
const behind =
  (mark: string, ...more: string[]): Mangle =>
  (frames) => {
    const at = found(frames, mark);
    return [...frames.slice(0, at + 1), ...more, ...frames.slice(at + 1)];
  };

/** Changes the first frame that has this text; null leaves it out. */
const changed =
  (mark: string, change: (frame: string) => string | null): Mangle =>
  (frames) => {
    const at = found(frames, mark);
    return frames.flatMap((one, i) => (i === at ? (change(one) ?? []) : [one]));
  };

const without = (mark: string): Mangle => changed(mark, () => null);
const twice = (mark: string): Mangle => changed(mark, (one) => one + one);
const replaced = (mark: string, from: string | RegExp, to: string): Mangle =>
  changed(mark, (one) => {
    expect(one).toMatch(from);
    return one.replace(from, to);
  });
const all =
  (change: (frame: string) => string): Mangle =>
  (frames) =>
    frames.map(change);

function found(frames: string[], mark: string): number {
  const at = frames.findIndex((one) => one.includes(mark));
  expect(at, `a frame with ${mark}`).toBeGreaterThanOrEqual(0);
  return at;
}

const START = '"message_start"';
const TEXT = '"text_delta"';
const TOOL = '"name":"a"';
const ENDING = '"message_delta"';
const STOP = '"message_stop"';
const stopOf = (index: number): string => `{"type":"content_block_stop","index":${index}}`;

const WHOLE: [string, Mangle][] = [
  ["an event that is not known", behind(TEXT, frame("weather", { type: "weather", sun: 1 }))],
  ["such an event whose data is no JSON", behind(TEXT, frame("weather", "sunny {"))],
  ["such an event whose data is null", behind(TEXT, frame("weather", "null"))],
  ["such an event whose data is a list", behind(TEXT, frame("weather", "[1,2]"))],
  ["such an event without a type", behind(TEXT, frame("weather", { sun: 1 }))],
  ["such an event without data", behind(TEXT, "event: weather\n\n")],
  ["such an event before all others", (frames) => [frame("hello", "world"), ...frames]],
  ["such an event of 2 MB", behind(TEXT, frame("weather", { type: "w", sun: "x".repeat(2e6) }))],
  ["a ping whose data is no JSON", behind(TEXT, frame("ping", "pong"))],
  [
    "a delta that is not known",
    behind(
      TEXT,
      frame("content_block_delta", {
        type: "content_block_delta",
        index: 1,
        delta: { type: "mystery_delta", text: "x" },
      }),
    ),
  ],
  [
    "a delta without a type",
    behind(
      TEXT,
      frame("content_block_delta", { type: "content_block_delta", index: 1, delta: {} }),
    ),
  ],
  ["fields that are not known", replaced(TEXT, '"index":1', '"index":1,"mood":{"a":[1]}')],
  ["events without names", all((one) => one.replace(/^event: .*\n/, ""))],
  ["events under one other name", all((one) => one.replace(/^event: .*\n/, "event: message\n"))],
  ["ids and retry times", all((one) => `id: 7\nretry: 1\n${one}`)],
  ["a byte order mark", (frames) => [`\ufeff${frames.join("")}`]],
  ["comments and blank lines", all((one) => `: keep-alive\n\n\n\n:\n${one}`)],
  ["lines that end in \\r\\n", all((one) => one.replaceAll("\n", "\r\n"))],
  ["lines that end in \\r", all((one) => one.replaceAll("\n", "\r"))],
  ["no space behind the colon", all((one) => one.replaceAll(/^(\w+): /gm, "$1:"))],
  ["data in two lines", replaced(TEXT, ',"delta"', '\ndata: ,"delta"')],
  ["the end of the message twice", twice(ENDING)],
  [
    "text behind the end",
    behind(
      STOP,
      frame("content_block_delta", {
        type: "content_block_delta",
        index: 0,
        delta: { type: "text_delta", text: "more" },
      }),
    ),
  ],
  ["a second message behind the end", (frames) => [...frames, ...frames]],
  [
    "an error behind the end",
    behind(STOP, frame("error", { type: "error", error: { type: "api_error" } })),
  ],
  ["rubbish behind the end", behind(STOP, "data: {{{\n\n\u0000")],
];

test.each(WHOLE)("%s: the answer is read", async (_, change) => {
  const session = await hostile.create();
  hostile.script(ANSWER);
  hostile.mangle(change);
  expect(await session.turn("hi", { tools: TOOLS })).toMatchObject({ outcome: "requires_action" });
  expect(failures(session)).toEqual([]);
  expect(hostile.requests).toHaveLength(1);
  const blocks = session.reader.rows.flatMap((row) =>
    "block" in row.body ? [row.body.block] : [],
  );
  expect(blocks).toMatchObject([
    { type: "thinking", thinking: "Hm." },
    { type: "text", text: "Hello" },
    { type: "tool_use", input: { city: "Paris" } },
  ]);
  await goesOn(hostile, session);
});

const BROKEN: [string, Mangle, RegExp][] = [
  ["message_start twice", twice(START), /a second message_start/],
  ["no message_start", without(START), /before message_start/],
  [
    "message_start without a message",
    changed(START, () => frame("message_start", { type: "message_start" })),
    /without a message/,
  ],
  ["no message_delta", without(ENDING), /without a stop reason/],
  ["a stop reason that is null", replaced(ENDING, '"tool_use"', "null"), /without a stop reason/],
  ["a stop reason that is a number", replaced(ENDING, '"tool_use"', "5"), /without a stop reason/],
  ["a block that does not start", without('"text","text":""'), /no open content block 1/],
  ["a block that does not stop", without(stopOf(1)), /out of order|inside a content block|no open/],
  ["the last block does not stop", without(stopOf(2)), /inside a content block/],
  ["a block that stops twice", twice(stopOf(1)), /no open content block 1/],
  ["a block that starts twice", twice('"text","text":""'), /content block 1 out of order/],
  [
    "an index that was used",
    replaced(TOOL, '"index":2', '"index":1'),
    /content block 1 out of order/,
  ],
  [
    "an index that is left out",
    replaced(TOOL, '"index":2', '"index":3'),
    /content block 3 out of order/,
  ],
  ["a negative index", replaced(TOOL, '"index":2', '"index":-1'), /content block -1 out of order/],
  [
    "an index that is a text",
    replaced(TEXT, '"index":1', `"index":"${"x".repeat(5_000)}"`),
    /no open content block without a number/,
  ],
  ["no index", replaced(TEXT, '"index":1,', ""), /no open content block without a number/],
  [
    "a delta for a block that did not start",
    replaced(TEXT, '"index":1', '"index":2'),
    /no open content block 2/,
  ],
  [
    "a delta behind its block",
    (frames) => behind(stopOf(1), frames[found(frames, TEXT)] ?? "")(frames),
    /no open content block 1/,
  ],
  [
    "a delta that is no object",
    replaced(TEXT, /"delta":\{.*?\}/, '"delta":"x"'),
    /without a delta/,
  ],
  ["a text that is null", replaced(TEXT, '"Hello"', "null"), /a delta without text/],
  [
    "text for a tool",
    replaced("input_json_delta", '"input_json_delta","partial_json"', '"text_delta","text"'),
    /a text_delta in a tool_use block/,
  ],
  [
    "a tool's input for text",
    replaced(TEXT, '"text_delta","text"', '"input_json_delta","partial_json"'),
    /a input_json_delta in a text block/,
  ],
  [
    "a block without a type",
    replaced(TOOL, '"type":"tool_use",', ""),
    /a content block without a type/,
  ],
  [
    "a block that is null",
    changed(TOOL, () =>
      frame("content_block_start", { type: "content_block_start", index: 2, content_block: null }),
    ),
    /a content block without a type/,
  ],
  ["a tool without an id", replaced(TOOL, '"id":"toolu_1",', ""), /without an id or a name/],
  ["a tool without a name", replaced(TOOL, '"name":"a",', ""), /without an id or a name/],
  [
    "a tool whose input is a text",
    replaced(TOOL, '"input":{}', '"input":"{}"'),
    /whose input is no object/,
  ],
  ["an event that is no JSON", replaced(TEXT, /\}\n\n$/, "\n\n"), /an event is not JSON/],
  [
    "an event that is null",
    changed(TEXT, () => frame("content_block_delta", "null")),
    /an event has no type/,
  ],
  ["an event that is a number", changed(TEXT, () => frame(null, "5")), /an event has no type/],
  [
    "an event without a type",
    replaced(TEXT, '"type":"content_block_delta",', ""),
    /an event has no type/,
  ],
];

test.each(BROKEN)("%s: the call is made again, and says why", async (_, change, why) => {
  const session = await hostile.create();
  hostile.script(ANSWER, AGAIN);
  hostile.mangle(change);
  const sent = await session.send("hi", { tools: TOOLS });
  const { body } = await session.reader.row("failure");
  expect(body.message).toMatch(/^The model API's answer could not be read: /);
  expect(body.message).toMatch(why);
  expect(body.message.length).toBeLessThan(200);
  await advanceToRetry(session, hostile.clock);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "requires_action" });
  expect(failures(session)).toEqual([{ code: "malformed_stream", again: true }]);
  expect(session.reader.rows.filter(({ type }) => type.startsWith("block."))).toHaveLength(3);
  await goesOn(hostile, session);
});

test("two tool calls with one id are no answer", async () => {
  const session = await hostile.create();
  const calls = [toolUse("a", {}, { id: "toolu_1" }), toolUse("a", {}, { id: "toolu_1" })];
  hostile.script(calls, text("Hello"));
  const sent = await session.send("hi", { tools: TOOLS });
  await advanceToRetry(session, hostile.clock);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect((await session.reader.row("failure")).body.message).toMatch(/two tool calls with one id/);
  await goesOn(hostile, session);
});

test("an API that never speaks the protocol: the turn fails and says what to check", async () => {
  const session = await hostile.create();
  hostile.script(...times(8, ANSWER));
  hostile.mangle(...Array.from({ length: 8 }, () => without(START)));
  const sent = await session.send("hi", { tools: TOOLS });
  for (let attempt = 2; attempt <= 8; attempt++) {
    await advanceToRetry(session, hostile.clock, attempt);
  }
  const failed = await session.outcome(sent);
  expect(failed).toMatchObject({ outcome: "failed", code: "malformed_stream" });
  expect(failed.message).toMatch(/It was tried 8 times\. Check that ANTHROPIC_BASE_URL/);
  await goesOn(hostile, session);
});

test("a stream of comments and pings alone is a cut", async () => {
  const session = await hostile.create();
  hostile.script(ANSWER, text("Hello"));
  hostile.mangle(() => [": hi\n\n", frame("ping", { type: "ping" }), "event: message_start\n\n"]);
  const sent = await session.send("hi", { tools: TOOLS });
  await advanceToRetry(session, hostile.clock);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(failures(session)).toEqual([{ code: "stream_cut", again: true }]);
  await goesOn(hostile, session);
});
