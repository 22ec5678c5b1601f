/** An output format: the turn's result has the answer as a value, whole or not at all. */
import { describe, expect, test } from "vitest";
import type { DocumentBlock, JsonObject } from "../../src/shared/content.ts";
import type { OutcomeBody } from "../../src/shared/rows.ts";
import type { ModelSettings, OutputFormat } from "../../src/shared/settings.ts";
import {
  type MessageReply,
  type ReplyBlock,
  serverResult,
  serverToolUse,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { held, type Sent, type TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();

const format: OutputFormat = {
  type: "json_schema",
  schema: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};
const settings: ModelSettings = { output_format: format };
const ENDS: (string | undefined)[] = ["turn.completed", "turn.interrupted", "turn.failed"];
const OSLO = '{"city": "Oslo"}';
const oslo = { city: "Oslo" };

const formatOf = (i: number): unknown => {
  const body = sessions.requests[i]?.body;
  // The stand-in has checked its form.
  return (body as { output_config?: JsonObject } | undefined)?.output_config?.format;
};

/** The data of the last outcome's event, as every client gets it. */
function result({ reader }: TestSession): JsonObject {
  const frame = reader.frames.findLast(({ event }) => ENDS.includes(event));
  return JSON.parse(frame?.data ?? "null").data;
}

const message = (blocks: ReplyBlock[], stop_reason: string): MessageReply => ({
  kind: "message",
  blocks,
  stop_reason,
});

async function turn(session: TestSession, sent: Sent = {}): Promise<OutcomeBody> {
  return session.turn("Where?", { settings, ...sent });
}

test("the result carries the parsed answer, and the text as it is", async () => {
  const session = await sessions.create();
  sessions.script([thinking("Norway…"), text(OSLO)], text("plain"));
  expect(await turn(session)).toMatchObject({ outcome: "completed", parsed: true });
  expect(formatOf(0)).toEqual(format);
  expect(result(session)).toMatchObject({ output_text: OSLO, output_parsed: oslo });
  expect(await session.turn("And without?")).not.toHaveProperty("parsed");
  expect(formatOf(1)).toBeUndefined();
  expect(result(session)).not.toHaveProperty("output_parsed");
});

test("a session's format holds for its turns, until one wants text", async () => {
  const session = await sessions.create({ settings });
  sessions.script(text(OSLO), text("in words"), text(OSLO), text("again in words"));
  await session.turn("1");
  expect(result(session)).toMatchObject({ output_parsed: oslo });
  await session.turn("2", { settings: { output_format: { type: "text" } } });
  expect(result(session)).not.toHaveProperty("output_parsed");
  await session.turn("3");
  expect(result(session)).toMatchObject({ output_parsed: oslo });
  await session.update({ settings: { output_format: null } });
  await session.turn("4");
  expect([0, 1, 2, 3].map(formatOf)).toEqual([format, undefined, format, undefined]);
});

test("with client tools only the last text counts, in each place where calls are made", async () => {
  const session = await sessions.create();
  sessions.script(
    [text("I will look."), toolUse("look", {})],
    [text("Once more."), toolUse("look", {})],
    text(OSLO),
  );
  expect(await turn(session, { tools: toolset("look") })).toMatchObject({
    outcome: "requires_action",
    parsed: false,
  });
  expect(result(session)).toMatchObject({ finish_reason: "tool_calls", output_parsed: null });
  for (const _ of [1, 2]) {
    const [call = ""] = await session.pending();
    await session.outcome(await session.results({ [call]: "seen" }));
  }
  expect([0, 1, 2].map(formatOf)).toEqual([format, format, format]);
  expect(result(session)).toMatchObject({ outcome: "completed", output_parsed: oslo });
});

test("a steer inside the turn, and a call that nobody offered, do not mix with the answer", async () => {
  const session = await sessions.create();
  const { reply, gate } = held("request", [text("Let me see."), toolUse("nothing", {})]);
  sessions.script(reply, text(OSLO));
  const first = await session.send("Where?", { settings, tools: toolset("look") });
  await session.reader.row("call.started");
  const steer = await session.send("Quick.", { on_busy: "steer", settings: { effort: "low" } });
  await session.open(gate);
  await session.outcome(first);
  await session.outcome(steer);
  expect(result(session)).toMatchObject({
    output_text: `Let me see.\n\n${OSLO}`,
    output_parsed: oslo,
  });
  expect(sessions.requests[1]?.text).not.toContain('"effort"');
});

test("behind the API's own tools only the text after them counts", async () => {
  const session = await sessions.create();
  sessions.script([
    text("I will search."),
    serverToolUse("web_search", { query: "capital" }),
    serverResult("web_search_tool_result", []),
    text('{"city":'),
    text(' "Oslo"}'),
  ]);
  await turn(session);
  expect(result(session)).toMatchObject({ output_parsed: oslo });
});

test("an answer that was cut goes on in words, and what is joined has to be JSON", async () => {
  const session = await sessions.create();
  sessions.script(message([text('{"city": "O')], "max_tokens"), text('slo"}'));
  await turn(session);
  expect([0, 1].map(formatOf)).toEqual([format, undefined]);
  expect(result(session)).toMatchObject({ outcome: "completed", output_parsed: oslo });

  // The continuation begins anew: two halves that do not join are no answer.
  sessions.script(message([text('{"city": "O')], "max_tokens"), text(OSLO));
  expect(await turn(session)).toMatchObject({ outcome: "failed", code: "output_invalid" });
  expect(result(session)).toMatchObject({ output_parsed: null, code: "output_invalid" });
});

test("a call that the cut has hit is no part of an answer, and the form is asked for again", async () => {
  const session = await sessions.create();
  sessions.script(
    message([text("So "), toolUse("look", {}), toolUse("look", {})], "max_tokens"),
    text(OSLO),
  );
  await turn(session, { tools: toolset("look") });
  expect([0, 1].map(formatOf)).toEqual([format, format]);
  expect(result(session)).toMatchObject({ outcome: "completed", output_parsed: oslo });
});

test("an answer that is cut again and again is a failure, also where its parts are JSON", async () => {
  const session = await sessions.create();
  sessions.script(...[1, 2, 3, 4].map((n) => message([text(`${n}`)], "max_tokens")));
  expect(await turn(session)).toMatchObject({ outcome: "failed", code: "output_cut" });
  expect(result(session)).toMatchObject({ output_text: "1234", output_parsed: null });
});

describe("an answer that is none", () => {
  test("no JSON is a failure, and the same message sent again is asked anew", async () => {
    const session = await sessions.create();
    sessions.script(text("Oslo, I think."), text(OSLO));
    const hash = "the same body";
    expect(await turn(session, { hash })).toMatchObject({
      outcome: "failed",
      code: "output_invalid",
    });
    expect(result(session)).toMatchObject({
      output_text: "Oslo, I think.",
      output_parsed: null,
      message: expect.stringContaining("no JSON"),
    });
    expect(await turn(session, { hash })).toMatchObject({ outcome: "completed" });
    expect(sessions.messages(1).map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
    expect(sessions.asked(1)).toMatchObject([{ text: "Where?" }]);
  });

  test("nothing at all", async () => {
    const session = await sessions.create();
    sessions.script([]);
    expect(await turn(session)).toMatchObject({ outcome: "failed", code: "output_invalid" });
  });

  test("a refusal", async () => {
    const session = await sessions.create();
    sessions.script(message([text("{}")], "refusal"));
    expect(await turn(session)).toMatchObject({ outcome: "refused" });
    expect(result(session)).toMatchObject({ outcome: "refused", output_parsed: null });
  });

  test("an interrupt, although what is there is JSON", async () => {
    const session = await sessions.create();
    const { reply } = held({ block: 0, delta: 1 }, [text("12", { deltas: ["1", "2"] })]);
    sessions.script(reply);
    await session.send("How many?", { settings });
    await session.reader.until(() => session.reader.previewed === "1");
    await session.interrupt();
    await session.reader.row("outcome");
    expect(result(session)).toMatchObject({ outcome: "interrupted", output_parsed: null });
  });

  test("the limit on model calls, with JSON before the last call", async () => {
    const session = await sessions.create();
    sessions.script([text(OSLO), toolUse("nothing", {})], [text(OSLO), toolUse("nothing", {})]);
    const sent = { tools: toolset("look"), limits: { plain: 2, tools: 2 } };
    expect(await turn(session, sent)).toMatchObject({ outcome: "max_turns", parsed: false });
    expect(result(session)).toMatchObject({ outcome: "max_turns", output_parsed: null });
  });
});

test("documents that are cited take the form away, with a notice", async () => {
  const session = await sessions.create();
  const cited: DocumentBlock = {
    type: "document",
    source: { type: "text", media_type: "text/plain", data: "Oslo is a city." },
    citations: { enabled: true },
  };
  sessions.script(text(OSLO));
  await session.turn([cited, { type: "text", text: "Where?" }], { settings });
  expect(formatOf(0)).toBeUndefined();
  const notice = session.reader.rows.find(({ type }) => type === "notice");
  expect(notice?.body).toMatchObject({ code: "output_format_not_applied" });
  expect(result(session)).toMatchObject({ output_parsed: oslo });
});

test("whoever reads the turn later finds the same value", async () => {
  const session = await sessions.create();
  sessions.script([text("Wait."), toolUse("nothing", {})], text(OSLO));
  const outcome = await turn(session, { tools: toolset("look") });
  await session.reader.detach();
  await session.crash();
  const info = await session.stub.turn(outcome.turn);
  expect(info?.result).toMatchObject({ output_parsed: oslo });
  const page = await session.stub.page(0, 1_000);
  const last = page?.rows.at(-1);
  expect(last?.body).toMatchObject({ outcome: "completed", parsed: true });
});
