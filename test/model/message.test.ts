import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StreamEvent } from "../../src/model/message.ts";
import { type Delta, MessageAccumulator } from "../../src/model/message.ts";
import { CallFailed } from "../../src/model/retry.ts";
import { estimateUsage } from "../../src/model/usage.ts";
import {
  begin,
  close,
  delta,
  end,
  PLAIN,
  RICH,
  RICH_BLOCKS,
  START,
  STOP,
  sse,
  text,
} from "./streams.ts";

function read(events: readonly StreamEvent[]) {
  const message = new MessageAccumulator();
  const deltas = events.flatMap((event) => message.apply(event) ?? []);
  return { message, deltas };
}

const blocksOf = (events: readonly StreamEvent[]) => read(events).message.blocks;

/** The events whose frames are whole. */
function parsed(bytes: Uint8Array): StreamEvent[] {
  const events: StreamEvent[] = [];
  const parser = createParser({ onEvent: ({ data }) => events.push(JSON.parse(data)) });
  parser.feed(new TextDecoder().decode(bytes, { stream: true }));
  return events;
}

function detailOf(events: readonly StreamEvent[]): string | null {
  try {
    read(events);
    return null;
  } catch (error) {
    const malformed = error instanceof CallFailed && error.failure.kind === "malformed";
    return malformed ? error.failure.detail : String(error);
  }
}

describe("MessageAccumulator", () => {
  it("keeps every block as received, types that are not known included", () => {
    const { message } = read(RICH);
    expect(message.blocks.map(({ block }) => block)).toEqual(RICH_BLOCKS);
    expect(message.blocks.every(({ complete }) => complete)).toBe(true);
    expect(message.blocks.map(({ i }) => i)).toEqual(RICH_BLOCKS.map((_, i) => i));
  });

  it("keeps the order of a block's fields, so that its bytes stay the same", () => {
    const block = { signature: "", type: "thinking", extra: 1, thinking: "" };
    const events = [
      START,
      begin(0, block),
      delta(0, { type: "thinking_delta", thinking: "a" }),
      delta(0, { type: "signature_delta", signature: "s" }),
    ];
    expect(JSON.stringify(blocksOf(events)[0]?.block)).toBe(
      '{"signature":"s","type":"thinking","extra":1,"thinking":"a"}',
    );
  });

  it("does not change the events it is given", () => {
    const before = structuredClone(RICH);
    read(RICH);
    expect(RICH).toEqual(before);
  });

  it("is complete after message_stop only", () => {
    const message = new MessageAccumulator();
    const seen = PLAIN.map((event) => {
      message.apply(event);
      return message.complete;
    });
    expect(seen.filter(Boolean)).toEqual([true]);
    expect(message.stopReason).toBe("end_turn");
  });

  it("says what was seen so far", () => {
    const message = new MessageAccumulator();
    expect([message.started, message.produced, message.usage]).toEqual([false, false, null]);
    message.apply(START);
    expect([message.started, message.produced]).toEqual([true, false]);
    message.apply(begin(0, { type: "thinking", thinking: "", signature: "" }));
    expect(message.produced).toBe(true);
  });

  it("keeps the details of a refusal", () => {
    const details = { type: "refusal", category: "cyber", explanation: "no" };
    const refusal = {
      type: "message_delta",
      delta: { stop_reason: "refusal", stop_details: details },
      usage: { output_tokens: 1 },
    };
    const { message } = read([START, refusal, STOP]);
    expect(message.stopReason).toBe("refusal");
    expect(message.stopDetails).toEqual(details);
    expect(message.blocks).toEqual([]);
  });

  it("assigns the final values of a compaction", () => {
    const events = [
      START,
      begin(0, { type: "compaction", content: "", encrypted_content: "" }),
      delta(0, { type: "compaction_delta", content: "summary", encrypted_content: "x" }),
      close(0),
      end("compaction"),
      STOP,
    ];
    expect(blocksOf(events)[0]?.block).toEqual({
      type: "compaction",
      content: "summary",
      encrypted_content: "x",
    });
  });

  describe("tool input", () => {
    const tool = (...parts: string[]) =>
      blocksOf([
        START,
        begin(0, { type: "tool_use", id: "toolu_1", name: "Read", input: {} }),
        ...parts.map((partial_json) => delta(0, { type: "input_json_delta", partial_json })),
        close(0),
      ])[0];

    it("is parsed at the block's end", () => {
      expect(tool('{"a":', "[1]}")).toMatchObject({ block: { input: { a: [1] } } });
      expect(tool("", '{"a":1}')).not.toHaveProperty("raw_input");
    });

    it("is what the block began with when nothing came", () => {
      expect(tool()).toMatchObject({ block: { input: {} } });
      expect(tool("")).not.toHaveProperty("raw_input");
    });

    it.each([['{"a":[1'], ["[1]"], ["null"], ['"x"'], ["{]"]])(
      "%s is kept as text and flagged, for a call that must not run",
      (raw) => {
        const block = tool(raw);
        expect(block).toMatchObject({ complete: true, raw_input: raw, block: { input: {} } });
      },
    );
  });

  describe("a message in the middle", () => {
    it("has its whole blocks and the open one", () => {
      const { message } = read([
        START,
        ...text(0, "whole"),
        begin(1, { type: "text", text: "" }),
        delta(1, { type: "text_delta", text: "ha" }),
      ]);
      expect(message.blocks).toEqual([
        { i: 0, block: { type: "text", text: "whole" }, complete: true },
        { i: 1, block: { type: "text", text: "ha" }, complete: false },
      ]);
      expect(message.complete).toBe(false);
    });

    it("shows an open tool input as text, even if it could be parsed", () => {
      const open = [
        START,
        begin(0, { type: "tool_use", id: "toolu_1", name: "Read", input: {} }),
        delta(0, { type: "input_json_delta", partial_json: "{}" }),
      ];
      expect(blocksOf(open)[0]).toMatchObject({ complete: false, raw_input: "{}" });
    });

    it("is a prefix of the whole one, at whatever byte its stream is cut", () => {
      const bytes = sse(RICH);
      for (let length = 0; length < bytes.length; length++) {
        const { blocks, complete } = read(parsed(bytes.subarray(0, length))).message;
        expect(complete).toBe(false);
        blocks.forEach(({ block, complete }, i) => {
          const whole = RICH_BLOCKS[i];
          if (complete) expect(block).toEqual(whole);
          else expect(block.type).toBe(whole?.type);
          if (whole?.type === "text") expect(whole.text?.startsWith(String(block.text))).toBe(true);
        });
      }
    });
  });

  describe("previews", () => {
    const of = (deltas: readonly Delta[], i: number) =>
      deltas.filter((d) => d.i === i).reduce((all, d) => all + d.text, "");

    it("add up to the texts, the thinking and the inputs", () => {
      const { deltas, message } = read(RICH);
      expect(of(deltas, 0)).toBe(RICH_BLOCKS[0]?.thinking);
      expect(of(deltas, 2)).toBe(RICH_BLOCKS[2]?.text);
      expect(JSON.parse(of(deltas, 5))).toEqual(RICH_BLOCKS[5]?.input);
      expect(message.characters).toBe(deltas.reduce((sum, d) => sum + d.text.length, 0));
    });

    it("name a tool when its block begins and with every fragment", () => {
      const { deltas } = read(RICH);
      const reads = deltas.filter((d) => d.i === 5);
      expect(reads[0]).toEqual({ i: 5, kind: "tool", id: "toolu_1", name: "Read", text: "" });
      expect(new Set(reads.map((d) => d.kind === "tool" && d.name))).toEqual(new Set(["Read"]));
      expect(deltas.filter((d) => d.i === 6)).toEqual([
        { i: 6, kind: "tool", id: "toolu_2", name: "List", text: "" },
      ]);
    });

    it("include text that a block begins with", () => {
      const { deltas, message } = read([
        START,
        begin(0, { type: "thinking", thinking: "hm", signature: "" }),
        close(0),
        begin(1, { type: "text", text: "Hel" }),
        delta(1, { type: "text_delta", text: "lo" }),
      ]);
      expect(deltas.map((d) => d.text)).toEqual(["hm", "Hel", "lo"]);
      expect(message.blocks[1]?.block).toEqual({ type: "text", text: "Hello" });
      expect(message.characters).toBe(7);
    });
  });

  describe("usage", () => {
    it("is that of the start, overwritten by what the end knows", () => {
      const expected = {
        input_tokens: 12,
        cache_creation_input_tokens: 300,
        cache_creation_1h_input_tokens: 200,
        cache_read_input_tokens: 4_000,
        inference_geo: "us",
      };
      expect(read([START]).message.usage).toEqual({ ...expected, output_tokens: 1 });
      expect(read(PLAIN).message.usage).toEqual({
        ...expected,
        output_tokens: 90,
        thinking_tokens: 40,
        web_search_requests: 2,
      });
    });

    it("takes cumulative input counts of the end", () => {
      const amended = { type: "message_delta", delta: {}, usage: { input_tokens: 50 } };
      expect(read([START, amended]).message.usage?.input_tokens).toBe(50);
    });

    it("counts a compaction, whose tokens stand in an entry of their own", () => {
      const entry = {
        type: "compaction",
        input_tokens: 1_000,
        output_tokens: 200,
        cache_creation_input_tokens: 3,
        cache_read_input_tokens: 40,
        cache_creation: { ephemeral_1h_input_tokens: 3, ephemeral_5m_input_tokens: 0 },
      };
      const zero = { input_tokens: 0, output_tokens: 0 };
      const start = {
        type: "message_start",
        message: { usage: { ...zero, iterations: [entry, { ...entry, type: "message" }] } },
      };
      expect(read([start]).message.usage).toEqual({
        input_tokens: 1_000,
        output_tokens: 200,
        cache_creation_input_tokens: 3,
        cache_creation_1h_input_tokens: 3,
        cache_read_input_tokens: 40,
      });
    });

    it("is zero where the API says nothing", () => {
      const bare = { type: "message_start", message: {} };
      expect(read([bare]).message.usage).toEqual({
        input_tokens: 0,
        output_tokens: 0,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
      });
    });
  });

  describe("a stream that no message has", () => {
    const BLOCK = begin(0, { type: "text", text: "" });
    const THOUGHT = begin(0, { type: "thinking", thinking: "" });
    const CALL = { type: "tool_use", id: "toolu_1", name: "Read", input: {} };
    it.each<[string, StreamEvent[]]>([
      ["a second message_start", [START, START]],
      ["message_start without a message", [{ type: "message_start" }]],
      ["a content block before message_start", [BLOCK]],
      ["content block 0 out of order", [START, BLOCK, close(0), BLOCK]],
      ["content block 2 out of order", [START, begin(2, { type: "text", text: "" })]],
      ["a content block without a type", [START, begin(0, {})]],
      ["no open content block 0", [START, delta(0, { type: "text_delta", text: "a" })]],
      ["no open content block 1", [START, BLOCK, delta(1, { type: "text_delta", text: "a" })]],
      ["no open content block 0", [START, ...text(0), delta(0, { type: "text_delta", text: "a" })]],
      ["no open content block 0", [START, ...text(0), close(0)]],
      [
        "no open content block without a number",
        [START, { type: "content_block_stop", index: "x" }],
      ],
      ["a delta without text", [START, BLOCK, delta(0, { type: "text_delta" })]],
      [
        "content_block_delta without a delta",
        [START, BLOCK, { type: "content_block_delta", index: 0 }],
      ],
      ["a text_delta in a thinking block", [START, THOUGHT, delta(0, { type: "text_delta" })]],
      ["a tool call without an id or a name", [START, begin(0, { type: "tool_use", id: "a" })]],
      ["a tool call without an id or a name", [START, begin(0, { type: "tool_use", name: "a" })]],
      ["a tool call whose input is no object", [START, begin(0, { ...CALL, input: [] })]],
      ["two tool calls with one id", [START, begin(0, CALL), close(0), begin(1, CALL)]],
      ["message_delta before message_start", [end("end_turn")]],
      ["message_stop before message_start", [STOP]],
      ["message_stop inside a content block", [START, BLOCK, end("end_turn"), STOP]],
      ["a message without a stop reason", [START, STOP]],
    ])("is malformed: %s", (detail, events) => {
      expect(detailOf(events)).toBe(detail);
    });

    it("is never anything but malformed, whatever the events hold", () => {
      const name = fc.constantFrom(
        ...["message_start", "content_block_start", "content_block_delta", "content_block_stop"],
        ...["message_delta", "message_stop", "ping", "other"],
      );
      const part = fc.oneof(
        fc.jsonValue({ maxDepth: 1 }),
        fc.constant({ type: "text", text: "" }),
        fc.constant({ type: "text_delta", text: "a" }),
        fc.constant({ type: "input_json_delta", partial_json: "{" }),
        fc.constant({ stop_reason: "end_turn" }),
      );
      const event = fc.record(
        {
          type: name,
          index: fc.nat(2),
          message: part,
          content_block: part,
          delta: part,
          usage: part,
        },
        { requiredKeys: ["type"] },
      );
      const law = fc.property(fc.array(event, { maxLength: 12 }), (events) => {
        const detail = detailOf([START, ...events]);
        expect(detail ?? "").not.toContain("Error");
      });
      fc.assert(law);
    });
  });
});

describe("estimateUsage", () => {
  const reported = {
    input_tokens: 5,
    output_tokens: 2,
    cache_creation_input_tokens: 10,
    cache_read_input_tokens: 100,
  };

  it("takes the input that message_start told, and the output by length", () => {
    expect(estimateUsage({ reported, promptTokens: 9_999, characters: 35 })).toEqual({
      ...reported,
      output_tokens: 10,
    });
  });

  it("takes the last known prompt, all of it fresh, when message_start was not seen", () => {
    expect(estimateUsage({ reported: null, promptTokens: 700, characters: 0 })).toEqual({
      input_tokens: 700,
      output_tokens: 0,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
    });
  });

  it("is never below what was reported, and rounds up", () => {
    const output = (characters: number) =>
      estimateUsage({ reported, promptTokens: 0, characters }).output_tokens;
    expect(output(0)).toBe(2);
    expect(output(8)).toBe(3);
  });
});
