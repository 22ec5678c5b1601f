import { describe, expect, it } from "vitest";
import { compaction, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import type { Standin } from "../../src/standin/standin.ts";
import { createStandin } from "../../src/standin/standin.ts";
import type { JsonObject } from "../../src/standin/wire.ts";
import { objectsAt } from "../../src/standin/wire.ts";
import { assistant, baseRequest, call, clientOf, post, result, user, weather } from "./support.ts";

const BETA = "compact-2026-09-04";
const CHANGES = "mid-conversation-tool-changes-2026-07-01";
const headers = { "anthropic-beta": `${BETA},${CHANGES}` };
const SHOWN = { type: "adaptive", display: "summarized" };
const body = (more: JsonObject): JsonObject => ({ ...baseRequest(), thinking: SHOWN, ...more });

interface Compacted {
  readonly summary: JsonObject;
  /** The conversation that the summary stands for. */
  readonly covered: JsonObject[];
  /** A later turn with thinking, made before the swap. */
  readonly tail: JsonObject[];
}

async function compacted(standin: Standin, more: JsonObject = {}): Promise<Compacted> {
  const covered: JsonObject[] = [user("one")];
  standin.script([thinking("t1"), text("a1")]);
  const first = await post(standin, body({ messages: covered, ...more }), headers);
  covered.push({ role: "assistant", content: first.body.content ?? [] });
  const tail: JsonObject[] = [user("two")];
  standin.script([thinking("t2"), text("a2")]);
  const second = await post(standin, body({ messages: [...covered, ...tail], ...more }), headers);
  tail.push({ role: "assistant", content: second.body.content ?? [] });
  standin.script(compaction("they said one"));
  const request = body({ messages: covered, compaction: { type: "summarize" }, ...more });
  const answer = await post(standin, request, headers);
  expect(answer.message).toBe("");
  expect(answer.body.stop_reason).toBe("compaction");
  const [block] = objectsAt(answer.body, "content");
  return { summary: { role: "assistant", content: [block ?? {}] }, covered, tail };
}

async function send(standin: Standin, messages: JsonObject[], more: JsonObject = {}) {
  standin.script(text("ok"));
  return post(standin, body({ messages, ...more }), headers);
}

const change = (summary: JsonObject, fields: JsonObject): JsonObject => ({
  ...summary,
  content: [{ ...objectsAt(summary, "content")[0], ...fields }],
});

describe("on-demand compaction", () => {
  it("returns one signed block, with its usage under iterations", async () => {
    const standin = createStandin();
    standin.script(compaction("short"));
    const request = body({
      messages: [user("a"), assistant("b")],
      compaction: { type: "summarize" },
    });
    const answer = await post(standin, request, headers);
    expect(answer.body.content).toEqual([
      {
        type: "compaction",
        content: "short",
        encrypted_content: null,
        signature: expect.any(String),
        tool_changes: [],
      },
    ]);
    expect(answer.body.usage).toMatchObject({
      input_tokens: 0,
      output_tokens: 0,
      iterations: [{ type: "compaction", input_tokens: expect.any(Number) }],
    });
  });

  it("streams the block so that the SDK rebuilds it", async () => {
    const standin = createStandin();
    standin.script(compaction("short"));
    const stream = clientOf(standin).beta.messages.stream({
      model: "claude-sonnet-5-5",
      max_tokens: 100,
      messages: [{ role: "user", content: "a" }],
      compaction: { type: "summarize" },
      betas: [BETA],
    });
    const message = await stream.finalMessage();
    expect(message.stop_reason).toBe("compaction");
    expect(message.content).toMatchObject([{ type: "compaction", content: "short" }]);
    const next = await send(standin, [
      { role: "assistant", content: JSON.parse(JSON.stringify(message.content)) },
      user("go on"),
    ]);
    expect(next.message).toBe("");
  });

  it("answers in words where no summary came", async () => {
    const standin = createStandin();
    standin.script(text("I cannot"));
    const request = body({ messages: [user("a")], compaction: { type: "summarize" } });
    expect((await post(standin, request, headers)).body.stop_reason).toBe("end_turn");
  });

  it("is accepted first, with a new input behind it", async () => {
    const standin = createStandin();
    const { summary } = await compacted(standin);
    expect((await send(standin, [summary, user("three")])).message).toBe("");
  });

  it("keeps the thinking of a tail readable", async () => {
    const standin = createStandin();
    const { summary, tail } = await compacted(standin);
    expect((await send(standin, [summary, ...tail, user("three")])).message).toBe("");
  });

  it("binds new thinking behind the summary", async () => {
    const standin = createStandin();
    const { summary, tail } = await compacted(standin);
    standin.script([thinking("t3"), text("a3")]);
    const messages = [summary, ...tail, user("three")];
    const third = await post(standin, body({ messages }), headers);
    const all = [
      ...messages,
      { role: "assistant", content: third.body.content ?? [] },
      user("four"),
    ];
    expect((await send(standin, all)).message).toBe("");
  });

  it("makes the thinking of a tail unreadable when something lies between", async () => {
    const standin = createStandin();
    const { summary, tail } = await compacted(standin);
    standin.expectRefusal();
    const gap = [summary, user("extra"), assistant("between"), ...tail, user("three")];
    expect((await send(standin, gap)).message).toMatch(/bound to a different conversation/);
  });

  it("makes it unreadable when the system prompt changes", async () => {
    const standin = createStandin();
    const { summary, tail } = await compacted(standin);
    standin.expectRefusal();
    const answer = await send(standin, [summary, ...tail, user("three")], { system: "Other." });
    expect(answer.message).toMatch(/bound to a different conversation/);
  });

  it("makes it unreadable when the first kept message has the role of the last summarised one", async () => {
    const standin = createStandin({ requireAlternation: false });
    const asked = [user("one"), user("and two")];
    standin.script([thinking("t"), text("a")], compaction("they said one"));
    const first = await post(standin, body({ messages: asked }), headers);
    const tail = [{ role: "assistant", content: first.body.content ?? [] }, user("three")];
    const summarise = async (covered: JsonObject[]) => {
      const request = body({ messages: covered, compaction: { type: "summarize" } });
      const answer = await post(standin, request, headers);
      return { role: "assistant", content: answer.body.content ?? [] };
    };
    const whole = await summarise(asked);
    expect((await send(standin, [whole, ...tail])).message).toBe("");
    standin.script(compaction("half of it"));
    const half = await summarise(asked.slice(0, 1));
    standin.expectRefusal();
    const refused = await send(standin, [half, ...asked.slice(1), ...tail]);
    expect(refused.message).toMatch(/bound to a different conversation/);
  });

  it("asks nothing of a tail on a model that reads any earlier thinking", async () => {
    const standin = createStandin();
    const { summary, tail } = await compacted(standin, { model: "claude-opus-5" });
    const more = { model: "claude-opus-5" };
    expect((await send(standin, [summary, ...tail, user("three")], more)).message).toBe("");
  });

  it("carries the tool changes it covers", async () => {
    const standin = createStandin();
    const removal = {
      role: "system",
      content: [{ type: "tool_removal", tool: { type: "tool_reference", name: "get_weather" } }],
    };
    const tools = [weather(), weather("other")];
    standin.script(compaction("short"));
    const request = body({
      tools,
      messages: [user("a"), removal, assistant("b")],
      compaction: { type: "summarize" },
    });
    const answer = await post(standin, request, headers);
    const [block] = objectsAt(answer.body, "content");
    expect(block?.tool_changes).toEqual(removal.content);
    const summary = { role: "assistant", content: [block ?? {}] };
    standin.expectRefusal();
    const again = await send(standin, [summary, user("c"), removal], { tools });
    expect(again.message).toMatch(/is not available at this point/);
  });
});

describe("a summary sent back wrongly", () => {
  it("without the beta header", async () => {
    const standin = createStandin();
    const { summary } = await compacted(standin);
    standin.expectRefusal();
    const answer = await post(standin, body({ messages: [summary, user("x")] }));
    expect(answer.message).toMatch(/Input tag 'compaction'/);
  });

  it.each<[string, (summary: JsonObject) => JsonObject[], string]>([
    ["changed", (s) => [change(s, { content: "other" }), user("x")], "compaction_content_mismatch"],
    [
      "with another signature",
      (s) => [change(s, { signature: "YWJj" }), user("x")],
      "compaction_signature_invalid",
    ],
    [
      "without its signature",
      (s) => [change(s, { signature: null }), user("x")],
      "compaction_signature_invalid",
    ],
    [
      "with other tool changes",
      (s) => [
        change(s, {
          tool_changes: [{ type: "tool_removal", tool: { type: "tool_reference", name: "a" } }],
        }),
        user("x"),
      ],
      "compaction_tool_changes_mismatch",
    ],
    ["not first", (s) => [user("a"), s, user("x")], "compaction_block_misplaced"],
    ["twice", (s) => [s, user("a"), s, user("x")], "compaction_block_ambiguous"],
    [
      "by the user",
      (s) => [{ ...s, role: "user" }, assistant("b"), user("x")],
      "compaction_block_misplaced",
    ],
  ])("%s", async (_, messages, code) => {
    const standin = createStandin();
    const { summary } = await compacted(standin);
    standin.expectRefusal();
    const answer = await send(standin, messages(summary));
    expect(answer.status).toBe(400);
    expect(answer.code).toBe(code);
  });
});

describe("a compaction request", () => {
  const valid = (): JsonObject => ({
    messages: [user("a"), assistant("b")],
    compaction: { type: "summarize" },
  });

  it.each<[string, JsonObject, RegExp | string]>([
    ["with stop sequences", { stop_sequences: ["x"] }, /`stop_sequences`/],
    [
      "with structured output",
      {
        output_config: {
          format: { type: "json_schema", schema: { type: "object", additionalProperties: false } },
        },
      },
      /`output_config.format`/,
    ],
    ["with another type", { compaction: { type: "shrink" } }, /Input should be 'summarize'/],
    [
      "with long instructions",
      { compaction: { type: "summarize", instructions: "x".repeat(16_385) } },
      /at most 16384/,
    ],
    [
      "with an open tool call",
      { messages: [user("a"), { role: "assistant", content: [call("toolu_1", "Oslo")] }] },
      "compaction_incomplete_turn",
    ],
    [
      "on a model without",
      { model: "claude-haiku-4-5", thinking: { type: "disabled" } },
      /not supported/,
    ],
    [
      "with forced tools",
      { model: "claude-opus-5", tool_choice: { type: "any" } },
      /`tool_choice`/,
    ],
  ])("%s", async (_, wrong, refusal) => {
    const standin = createStandin();
    standin.script(compaction("short"));
    expect((await post(standin, body(valid()), headers)).message).toBe("");
    standin.expectRefusal();
    const answer = await post(standin, body({ ...valid(), ...wrong }), headers);
    expect(answer.status).toBe(400);
    if (typeof refusal === "string") expect(answer.code).toBe(refusal);
    else expect(answer.message).toMatch(refusal);
  });

  it("may follow tool results", async () => {
    const standin = createStandin();
    standin.script(
      reply({ blocks: [toolUse("get_weather", { city: "Oslo" }, { id: "toolu_1" })] }),
    );
    const first = await post(standin, body({ messages: [user("a")] }), headers);
    standin.script(compaction("short"));
    const messages = [
      user("a"),
      { role: "assistant", content: first.body.content ?? [] },
      { role: "user", content: [result("toolu_1")] },
    ];
    const answer = await post(standin, body({ ...valid(), messages }), headers);
    expect(answer.body.stop_reason).toBe("compaction");
  });
});
