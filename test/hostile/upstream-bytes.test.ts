/** Every place at which the bytes of a stream can break off or be split, at the decoder itself. */
import { expect, test } from "vitest";
import { MessageAccumulator, type StreamEvent } from "../../src/model/message.ts";
import { CallFailed } from "../../src/model/retry.ts";
import { answer, begin, bodyOf, close, delta, end, START, STOP, sse } from "../model/streams.ts";
import { open, upstreamOf } from "../model/upstreams.ts";

/** For tests of thousands of streams. */
const LONG = { timeout: 60_000 };

/** Short, so that all of its bytes can be tried; each kind of block, and characters of every length. */
const EVENTS: readonly StreamEvent[] = [
  START,
  begin(0, { type: "thinking", thinking: "", signature: "" }),
  delta(0, { type: "thinking_delta", thinking: "Hm é" }),
  delta(0, { type: "thinking_delta", thinking: "東🌦️" }),
  delta(0, { type: "signature_delta", signature: "c2ln" }),
  close(0),
  begin(1, { type: "text", text: "" }),
  delta(1, { type: "text_delta", text: "Grüße \ud83d" }),
  delta(1, { type: "text_delta", text: "\ude00 👩‍👧" }),
  close(1),
  begin(2, { type: "tool_use", id: "toolu_1", name: "Read", input: {} }),
  delta(2, { type: "input_json_delta", partial_json: '{"ü":"' }),
  delta(2, { type: "input_json_delta", partial_json: '東"}' }),
  close(2),
  end("tool_use"),
  STOP,
];

const BLOCKS = [
  { type: "thinking", thinking: "Hm é東🌦️", signature: "c2ln" },
  { type: "text", text: "Grüße 😀 👩‍👧" },
  { type: "tool_use", id: "toolu_1", name: "Read", input: { ü: "東" } },
];

const BYTES = sse(EVENTS);

/** The same stream with another end of line. */
const withLines = (ends: string): Uint8Array =>
  new TextEncoder().encode(new TextDecoder().decode(BYTES).replaceAll("\n", ends));

interface Decoded {
  message: MessageAccumulator;
  /** All that the previews said, block by block. */
  previews: string[];
  failure: CallFailed["failure"] | null;
}

/** What the client and the message make of these chunks; only a `CallFailed` is an end. */
async function decode(...chunks: Uint8Array[]): Promise<Decoded> {
  const message = new MessageAccumulator();
  const previews = ["", "", ""];
  try {
    for await (const event of open(upstreamOf(() => answer(bodyOf(chunks))).upstream)) {
      const added = message.apply(event);
      if (added) previews[added.i] += added.text;
    }
    return { message, previews, failure: null };
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    return { message, previews, failure: error.failure };
  }
}

const wholeBlocks = ({ message }: Decoded) =>
  message.blocks.filter(({ complete }) => complete).map(({ block }) => block);

test("every prefix is a cut, and what it kept is a prefix of the message", LONG, async () => {
  const reached = new Set<number>();
  for (let length = 0; length < BYTES.length; length++) {
    const decoded = await decode(BYTES.subarray(0, length));
    const { message, failure, previews } = decoded;
    const at = `after ${length} bytes`;
    expect(failure, at).toEqual({ kind: "cut" });
    expect(message.complete, at).toBe(false);
    const whole = wholeBlocks(decoded);
    expect(whole, at).toEqual(BLOCKS.slice(0, whole.length));
    const open = message.blocks[whole.length];
    expect(message.blocks.length - whole.length, at).toBe(open ? 1 : 0);
    expect(message.usage === null, at).toBe(!message.started);
    const [thought, said] = [String(BLOCKS[0]?.thinking), String(BLOCKS[1]?.text)];
    if (open?.i === 0) expect(thought.startsWith(String(open.block.thinking)), at).toBe(true);
    if (open?.i === 1) expect(said.startsWith(String(open.block.text)), at).toBe(true);
    if (open?.i === 2) expect(open.block.input, at).toEqual({});
    expect(JSON.stringify(message.blocks), at).not.toMatch(/\\ud[89a-f]/);
    expect(thought.startsWith(previews[0] ?? ""), at).toBe(true);
    expect('{"ü":"東"}'.startsWith(previews[2] ?? ""), at).toBe(true);
    reached.add(message.blocks.length * 2 + (open ? 1 : 0));
  }
  // Nothing yet; then each block open and whole.
  expect([...reached]).toEqual([0, 3, 2, 5, 4, 7, 6]);
});

test.each([
  ["\\n", "\n"],
  ["\\r\\n", "\r\n"],
  ["\\r", "\r"],
])(
  "every split into two chunks gives the same message, with lines that end in %s",
  LONG,
  async (_, ends) => {
    const bytes = withLines(ends);
    for (let at = 0; at <= bytes.length; at++) {
      const decoded = await decode(bytes.subarray(0, at), bytes.subarray(at));
      expect(decoded.failure, `split at ${at}`).toBeNull();
      expect(wholeBlocks(decoded), `split at ${at}`).toEqual(BLOCKS);
      expect(decoded.message.complete).toBe(true);
    }
  },
);

test("no byte of an event can be lost without the call failing", async () => {
  // The first byte of each line's data: what follows is no JSON, or an event of another kind.
  const text = new TextDecoder().decode(BYTES);
  for (const { index } of text.matchAll(/(?<=data: )\{/g)) {
    const bytes = new TextEncoder().encode(text.slice(0, index) + text.slice(index + 1));
    const { failure, message } = await decode(bytes);
    expect(failure).toEqual({ kind: "malformed", detail: "an event is not JSON" });
    expect(message.complete).toBe(false);
  }
});

test("a character that came half is not kept in a part, and replaced in a whole block", async () => {
  const half = [
    START,
    begin(0, { type: "text", text: "" }),
    delta(0, { type: "text_delta", text: "ab\ud83d" }),
  ];
  const cut = await decode(sse(half));
  expect(cut.message.blocks).toMatchObject([{ block: { text: "ab" }, complete: false }]);
  const whole = await decode(
    sse([
      ...half,
      close(0),
      begin(1, { type: "tool_use", id: "toolu_1", name: "Read", input: {} }),
      delta(1, { type: "input_json_delta", partial_json: '{"a":["\\ud83d"]}' }),
      close(1),
      end("tool_use"),
      STOP,
    ]),
  );
  expect(whole.message.blocks).toMatchObject([
    { block: { text: "ab\ufffd" } },
    { block: { input: { a: ["\ufffd"] } } },
  ]);
});

test("bytes that are no UTF-8 are text with replaced characters, never an exception", async () => {
  const [before, after] = new TextDecoder().decode(BYTES).split("Grüße");
  const parts = [before ?? "", after ?? ""].map((part) => new TextEncoder().encode(part));
  const bytes = [...(parts[0] ?? []), 0xff, 0xc3, 0xed, 0xa0, 0x80, ...(parts[1] ?? [])];
  const decoded = await decode(Uint8Array.from(bytes));
  expect(decoded.failure).toBeNull();
  expect(String(wholeBlocks(decoded)[1]?.text)).toMatch(/^\ufffd+ 😀/);
});
