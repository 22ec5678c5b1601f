/** Answers that came whole and hold something odd: the session goes on with them. */
import { expect, test } from "vitest";
import type { Row, RowOf } from "../../src/shared/rows.ts";
import {
  otherBlock,
  type ReplyBlock,
  reply,
  serverResult,
  serverToolUse,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { held, type TestSession, toolset } from "../support/sessions.ts";
import { failures, goesOn, type Mangle, useHostile } from "./upstream-support.ts";

const hostile = useHostile();

const TOOLS = toolset("a");
const HOLOGRAM = otherBlock({ type: "hologram", beam: { angle: 30 } });

const last = <T extends Row["type"]>(session: TestSession, type: T): RowOf<T> => {
  const row = session.reader.rows.findLast((one) => one.type === type);
  expect(row, `a row ${type}`).toBeDefined();
  // The type was compared.
  return row as RowOf<T>;
};

const sent = (i: number): string => JSON.stringify(hostile.messages(i));

test.each<[string, ReplyBlock[]]>([
  ["before the text", [HOLOGRAM, text("Hello")]],
  ["behind the text", [text("Hello"), HOLOGRAM]],
  ["behind thinking", [thinking("Hm."), HOLOGRAM, text("Hello")]],
])("a block that is not known, %s, is kept and not sent back", async (_, blocks) => {
  const session = await hostile.create();
  hostile.script(blocks);
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
  expect(last(session, "block.other").body.block).toEqual({
    type: "hologram",
    beam: { angle: 30 },
  });
  await goesOn(hostile, session);
  expect(sent(1)).toContain("Hello");
  expect(sent(1)).not.toContain("hologram");
});

test("an answer of nothing but such a block is an empty one", async () => {
  const session = await hostile.create();
  hostile.script([HOLOGRAM]);
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
  await goesOn(hostile, session);
  expect(hostile.messages(1).map(({ role }) => role)).toEqual(["user"]);
});

test("such a block beside a tool call does not come between the call and its result", async () => {
  const session = await hostile.create();
  hostile.script([thinking("Hm."), HOLOGRAM, toolUse("a", {}), HOLOGRAM], text("Done."));
  const { pending } = await session.turn("hi", { tools: TOOLS });
  const results = await session.results({ [pending[0]?.id ?? ""]: "18 degrees" });
  expect(await session.outcome(results)).toMatchObject({ outcome: "completed" });
  await goesOn(hostile, session);
});

test("a server's call whose result is of a kind that is not known goes with it", async () => {
  const session = await hostile.create();
  const result = serverResult("hologram_tool_result", { angle: 30 });
  hostile.script([text("Hello"), serverToolUse("web_search", { query: "x" }), result]);
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
  await goesOn(hostile, session);
  expect(sent(1)).toContain("Hello");
  expect(sent(1)).not.toMatch(/hologram|web_search/);
});

test("thinking behind such a block is left out when the API does not take it without the block", async () => {
  const session = await hostile.create();
  hostile.script([thinking("Hm."), HOLOGRAM, thinking("So."), text("Hello")]);
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
  hostile.standin.expectRefusal();
  await goesOn(hostile, session);
  expect(failures(session)).toEqual([{ code: "thinking_rejected", again: true }]);
  await goesOn(hostile, session);
  expect(sent(2)).toContain("Hello");
});

test.each<[string, ReplyBlock[], "user" | "assistant"]>([
  ["before text", [otherBlock({ type: "thinking", thinking: "Hm." }), text("Hello")], "assistant"],
  ["alone", [otherBlock({ type: "thinking", thinking: "Hm." })], "user"],
])("thinking without a signature, %s, is kept and not sent back", async (_, blocks, role) => {
  const session = await hostile.create();
  hostile.script(blocks);
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
  expect(last(session, "block.thinking").body.block).toEqual({ type: "thinking", thinking: "Hm." });
  await goesOn(hostile, session);
  expect(sent(1)).not.toContain("Hm.");
  expect(hostile.messages(1)[1]?.role ?? "user").toBe(role);
});

test("thinking without a signature before a tool call is no reason to refuse its result", async () => {
  const session = await hostile.create();
  hostile.script(
    [otherBlock({ type: "thinking", thinking: "Hm." }), toolUse("a", {})],
    text("Done."),
  );
  const { pending } = await session.turn("hi", { tools: TOOLS });
  const results = await session.results({ [pending[0]?.id ?? ""]: "18 degrees" });
  expect(await session.outcome(results)).toMatchObject({ outcome: "completed" });
  await goesOn(hostile, session);
});

test("an answer without a block completes the turn, with empty text", async () => {
  const session = await hostile.create();
  hostile.script([]);
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
  const completed = session.reader.frames.find(({ event }) => event === "turn.completed");
  expect(JSON.parse(completed?.data ?? "").data).toMatchObject({
    output_text: "",
    finish_reason: "stop",
  });
  await goesOn(hostile, session);
  expect(hostile.asked(1)).toMatchObject([{ text: "hi" }, { text: "go on" }]);
});

test.each(["sleepy", "", "constructor", "x".repeat(10_000)])(
  "the stop reason %.20s is an end",
  async (stop_reason) => {
    const session = await hostile.create();
    hostile.script(reply({ blocks: [text("Hello")], stop_reason }));
    expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
    expect(last(session, "call.ended").body.stop_reason).toBe(stop_reason);
    await goesOn(hostile, session);
  },
);

test("a tool call with a stop reason that is not known waits for its result all the same", async () => {
  const session = await hostile.create();
  hostile.script(reply({ blocks: [toolUse("a", {})], stop_reason: "sleepy" }), text("Done."));
  const { outcome, pending } = await session.turn("hi", { tools: TOOLS });
  expect(outcome).toBe("requires_action");
  const results = await session.results({ [pending[0]?.id ?? ""]: "18 degrees" });
  expect(await session.outcome(results)).toMatchObject({ outcome: "completed" });
  await goesOn(hostile, session);
});

/** Changes the usage objects of a stream. */
const usage =
  (change: (usage: Record<string, unknown>) => unknown): Mangle =>
  (frames) =>
    frames.map((frame) =>
      frame.replace(/^data: (.*)$/m, (_, data: string) => {
        const event = JSON.parse(data);
        if ("usage" in event) event.usage = change(event.usage);
        if ("usage" in (event.message ?? {})) event.message.usage = change(event.message.usage);
        return `data: ${JSON.stringify(event)}`;
      }),
    );

const each = (value: unknown) =>
  usage((fields) => Object.fromEntries(Object.keys(fields).map((name) => [name, value])));

test.each<[string, Mangle]>([
  ["missing", usage(() => undefined)],
  ["null", usage(() => null)],
  ["a text", usage(() => "12")],
  ["a list", usage(() => [12])],
  ["empty", usage(() => ({}))],
  ["of nulls", each(null)],
  ["of texts", each("12")],
  ["of negative numbers", each(-12)],
  ["of fractions", each(0.5)],
  ["of numbers beyond counting", each(1e300)],
  ["of objects", each({ tokens: 12 })],
])("usage that is %s is estimated, and marked so", async (_, change) => {
  const session = await hostile.create();
  hostile.script(text("Hello"), text("x".repeat(700)));
  await session.turn("hi");
  const known = last(session, "call.ended").body;
  expect(known.estimated).toBe(false);
  hostile.mangle(change);
  const { totals } = await session.turn("more");
  const { body } = last(session, "call.ended");
  expect(body).toMatchObject({
    end: "ok",
    estimated: true,
    // The last prompt that was told, and the text by its length.
    usage: { input_tokens: known.usage?.input_tokens, output_tokens: 200 },
  });
  expect(totals).toMatchObject({ estimated: true, completion_tokens: 200 });
  expect(totals.cost_usd).toBeGreaterThan(0);
  expect(totals.cost_usd).toBeLessThan(1);
  await goesOn(hostile, session);
  expect(last(session, "call.ended").body.estimated).toBe(false);
});

test("usage of which only the end is missing keeps what the start said", async () => {
  const session = await hostile.create();
  hostile.script(text("x".repeat(700)));
  hostile.mangle((frames) =>
    frames.map((frame) =>
      frame.replace(
        /"usage":\{[^}]*\}(?=\}\n\n$)/,
        '"usage":{"input_tokens":"few","output_tokens":"many"}',
      ),
    ),
  );
  await session.turn("hi");
  const { body } = last(session, "call.ended");
  expect(body).toMatchObject({ estimated: true, usage: { output_tokens: 200 } });
  expect(body.usage?.input_tokens).toBeGreaterThan(0);
  await goesOn(hostile, session);
});

test("counts that only the cache has are no reason to estimate", async () => {
  const session = await hostile.create();
  hostile.script(
    reply({
      blocks: [text("Hello")],
      usage: {
        input_tokens: 0,
        cache_read_input_tokens: 7,
        server_tool_use: "none",
        cache_creation: [],
      },
    }),
  );
  await session.turn("hi");
  expect(last(session, "call.ended").body).toMatchObject({
    estimated: false,
    usage: { input_tokens: 0, cache_read_input_tokens: 7 },
  });
  await goesOn(hostile, session);
});

test.each<[string, ReplyBlock[], number]>([
  ["text", [text("ab\ud83dcd \ude00")], 0],
  ["a tool's input", [toolUse("a", {}, { json: '{"x\\ud83d":["\\ude00"]}' })], 0],
  // Its signature is for the bytes that the API cannot take, so it goes.
  ["thinking", [thinking("ab\ud83d"), text("Hello")], 1],
])("half a character in %s does not make later requests invalid", async (_, blocks, refusals) => {
  const session = await hostile.create();
  hostile.script(blocks);
  await session.turn("hi", { tools: TOOLS });
  const rows = session.reader.rows.flatMap((row) => ("block" in row.body ? [row.body.block] : []));
  expect(JSON.stringify(rows)).not.toMatch(/\\ud[89a-f]/);
  expect(JSON.stringify(rows)).toContain("\ufffd");
  hostile.standin.expectRefusal(refusals);
  await goesOn(hostile, session);
});

test("an interrupt between the halves of a character keeps the text before it", async () => {
  const session = await hostile.create();
  const { reply: answer } = held({ block: 0, delta: 1 }, [
    text("ab😀", { deltas: ["ab\ud83d", "\ude00"] }),
  ]);
  hostile.script(answer);
  const accepted = await session.send("hi");
  await session.reader.until(() => session.reader.previewed !== "");
  await session.interrupt();
  expect(await session.outcome(accepted)).toMatchObject({ outcome: "interrupted" });
  expect(session.reader.previewed).toBe("ab");
  expect(last(session, "block.text").body.block.text).toBe("ab");
  await goesOn(hostile, session);
});

test("a result of 2 MB in one event comes whole, to the log and back", async () => {
  const session = await hostile.create();
  const content = "東".repeat(700_000);
  const found = [
    { type: "web_search_result", url: "https://example.com", encrypted_content: content },
  ];
  hostile.script([
    serverToolUse("web_search", { query: "x" }),
    serverResult("web_search_tool_result", found),
    text("Hello"),
  ]);
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
  expect(failures(session)).toEqual([]);
  await goesOn(hostile, session);
  expect(sent(1)).toContain(content);
});

test("a text of 400 KB in one event is shown whole", async () => {
  const session = await hostile.create();
  const long = "Grüße 😀 ".repeat(30_000);
  hostile.script(text(long, { deltas: [long] }));
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
  expect(session.reader.previewed === long).toBe(true);
  await goesOn(hostile, session);
});
