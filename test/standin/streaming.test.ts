import { describe, expect, it } from "vitest";
import type { Scripted } from "../../src/standin/replies.ts";
import {
  otherBlock,
  redactedThinking,
  refusal,
  reply,
  serverResult,
  serverToolUse,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { createStandin } from "../../src/standin/standin.ts";
import { PARAMS, read, textOf, types } from "./stream-support.ts";
import { clientOf, MODEL } from "./support.ts";

describe("a streamed answer", () => {
  it("has the order of the API, with complete usage", async () => {
    const standin = createStandin();
    const { events } = await read(standin, text("hi"));
    expect(events).toEqual([
      {
        type: "message_start",
        message: {
          id: expect.stringMatching(/^msg_\w{24}$/),
          type: "message",
          role: "assistant",
          model: MODEL,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          stop_details: null,
          container: null,
          diagnostics: null,
          usage: {
            input_tokens: expect.any(Number),
            output_tokens: 1,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
            cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
            output_tokens_details: null,
            server_tool_use: null,
            service_tier: "standard",
            inference_geo: null,
            speed: null,
          },
        },
      },
      {
        type: "content_block_start",
        index: 0,
        content_block: { type: "text", text: "", citations: null },
      },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "hi" } },
      { type: "content_block_stop", index: 0 },
      {
        type: "message_delta",
        delta: {
          stop_reason: "end_turn",
          stop_sequence: null,
          stop_details: null,
          container: null,
        },
        usage: {
          input_tokens: expect.any(Number),
          output_tokens: 5,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 0,
          output_tokens_details: null,
          server_tool_use: null,
        },
      },
      { type: "message_stop" },
    ]);
  });

  it("carries every kind of block, as the SDK's helper rebuilds them", async () => {
    const standin = createStandin();
    const citation = { type: "char_location", cited_text: "x", document_index: 0 };
    standin.script([
      thinking("let me think"),
      redactedThinking(),
      text("first", { citations: [citation] }),
      serverToolUse("web_search", { query: "x" }, { id: "srvtoolu_1" }),
      serverResult("web_search_tool_result", []),
      otherBlock({ type: "container_upload", file_id: "file_1" }),
      toolUse("get_weather", { city: "Oslo" }, { id: "toolu_1" }),
      toolUse("get_weather", {}, { id: "toolu_2" }),
    ]);
    const message = await clientOf(standin)
      .messages.stream({ ...PARAMS, messages: [...PARAMS.messages] })
      .finalMessage();
    expect(message.content).toMatchObject([
      { type: "thinking", thinking: "let me think", signature: expect.any(String) },
      { type: "redacted_thinking" },
      { type: "text", text: "first", citations: [citation] },
      { type: "server_tool_use", id: "srvtoolu_1", input: { query: "x" } },
      { type: "web_search_tool_result", tool_use_id: "srvtoolu_1" },
      { type: "container_upload", file_id: "file_1" },
      { type: "tool_use", id: "toolu_1", input: { city: "Oslo" }, caller: { type: "direct" } },
      { type: "tool_use", id: "toolu_2", input: {} },
    ]);
    expect(message.stop_reason).toBe("tool_use");
    expect(message.usage.output_tokens_details?.thinking_tokens).toBeGreaterThan(0);
    expect(message.usage.server_tool_use).toEqual({
      web_search_requests: 1,
      web_fetch_requests: 0,
    });
  });

  it("is the same message without streaming", async () => {
    const standin = createStandin();
    const blocks = [thinking("x"), toolUse("get_weather", { city: "Oslo" }, { id: "toolu_1" })];
    standin.script(reply({ blocks, id: "msg_1" }), reply({ blocks, id: "msg_1" }));
    const client = clientOf(standin);
    const params = { ...PARAMS, messages: [...PARAMS.messages] };
    const streamed = await client.messages.stream(params).finalMessage();
    const whole = await client.messages.create(params);
    expect(JSON.parse(JSON.stringify(streamed))).toMatchObject(
      JSON.parse(JSON.stringify({ ...whole, _request_id: undefined })),
    );
  });

  it("uses the deltas given for it", async () => {
    const standin = createStandin();
    const { events } = await read(standin, [
      toolUse("f", { a: [1] }, { deltas: ['{"a"', ":[1]}"] }),
    ]);
    const deltas = events.filter(({ type }) => type === "content_block_delta");
    expect(deltas).toMatchObject([
      { delta: { type: "input_json_delta", partial_json: '{"a"' } },
      { delta: { partial_json: ":[1]}" } },
    ]);
  });

  it("never cuts a surrogate pair between two deltas", async () => {
    const standin = createStandin();
    const emoji = "😀".repeat(20);
    const { events } = await read(standin, reply({ blocks: [text(emoji)], deltaSize: 3 }));
    const deltas = events.flatMap((event) =>
      event.type === "content_block_delta" && event.delta.type === "text_delta"
        ? [event.delta.text]
        : [],
    );
    expect(deltas.join("")).toBe(emoji);
    expect(deltas.every((delta) => delta.isWellFormed())).toBe(true);
  });
});

describe("ways to stop", () => {
  const stop = async (scripted: Scripted, params = {}) => {
    const { events } = await read(createStandin(), scripted, params);
    const last = events.find((event) => event.type === "message_delta");
    return { delta: last?.delta, usage: last?.usage, events };
  };

  it("cuts at max_tokens, also in the middle of tool JSON", async () => {
    const input = { text: "word ".repeat(200) };
    const { delta, usage, events } = await stop([toolUse("f", input)], { max_tokens: 50 });
    expect(delta?.stop_reason).toBe("max_tokens");
    expect(usage?.output_tokens).toBe(50);
    const json = events
      .map((e) =>
        e.type === "content_block_delta" && e.delta.type === "input_json_delta"
          ? e.delta.partial_json
          : "",
      )
      .join("");
    expect(JSON.stringify(input).startsWith(json)).toBe(true);
    expect(json.length).toBe((50 - 4) * 4);
  });

  it("cuts text at max_tokens by its bytes", async () => {
    const { delta, events } = await stop(text("é".repeat(1_000)), { max_tokens: 29 });
    expect(delta?.stop_reason).toBe("max_tokens");
    expect(textOf(events)).toBe("é".repeat(50));
  });

  it("writes the cache only, with max_tokens 0", async () => {
    const standin = createStandin();
    const message = await clientOf(standin).messages.create({
      ...PARAMS,
      messages: [...PARAMS.messages],
      max_tokens: 0,
    });
    expect(message).toMatchObject({ content: [], stop_reason: "max_tokens" });
  });

  it("stops at a stop sequence", async () => {
    const { delta, events } = await stop([text("one STOP two"), text("three")], {
      stop_sequences: ["two", "STOP"],
    });
    expect(delta).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: "STOP" });
    expect(textOf(events)).toBe("one ");
  });

  it("stops at the end of the context window", async () => {
    const standin = createStandin();
    standin.script(text("word ".repeat(50)));
    const message = await clientOf(standin).messages.create({
      model: "claude-haiku-4-5",
      max_tokens: 1_000,
      messages: [{ role: "user", content: "x".repeat((200_000 - 60) * 4) }],
    });
    expect(message.stop_reason).toBe("model_context_window_exceeded");
  });

  it("refuses with details, and bills it", async () => {
    const { delta, usage } = await stop(refusal("cyber"));
    expect(delta).toMatchObject({
      stop_reason: "refusal",
      stop_details: { type: "refusal", category: "cyber" },
    });
    expect(usage?.input_tokens).toBeGreaterThan(0);
  });

  it.each(["pause_turn", "model_context_window_exceeded"] as const)("says %s", async (reason) => {
    const { delta } = await stop(reply({ blocks: [text("x")], stop_reason: reason }));
    expect(delta?.stop_reason).toBe(reason);
  });

  it("ends with nothing said", async () => {
    const { delta, events } = await stop(reply({ blocks: [] }));
    expect(delta?.stop_reason).toBe("end_turn");
    expect(types(events)).toEqual(["message_start", "message_delta", "message_stop"]);
  });

  it("overrides usage", async () => {
    const { usage } = await stop(reply({ blocks: [text("x")], usage: { output_tokens: 777 } }));
    expect(usage?.output_tokens).toBe(777);
  });
});
