/** Streams of the Messages API as bytes, and upstreams that answer with them. */
import type { StreamEvent } from "../../src/model/message.ts";

const utf8 = new TextEncoder();

export function sse(events: readonly StreamEvent[]): Uint8Array {
  const frames = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  return utf8.encode(frames.join(""));
}

export const START: StreamEvent = {
  type: "message_start",
  message: {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-sonnet-5-5",
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: {
      input_tokens: 12,
      output_tokens: 1,
      cache_creation_input_tokens: 300,
      cache_read_input_tokens: 4_000,
      cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 200 },
      output_tokens_details: null,
      server_tool_use: null,
      service_tier: "standard",
      inference_geo: "us",
    },
  },
};

export const STOP: StreamEvent = { type: "message_stop" };

export const end = (stop_reason: string, output_tokens = 90): StreamEvent => ({
  type: "message_delta",
  delta: { stop_reason, stop_sequence: null, stop_details: null, container: null },
  usage: {
    input_tokens: null,
    output_tokens,
    cache_creation_input_tokens: null,
    cache_read_input_tokens: null,
    output_tokens_details: { thinking_tokens: 40 },
    server_tool_use: { web_search_requests: 2, web_fetch_requests: 0 },
  },
});

export const begin = (index: number, content_block: object): StreamEvent => ({
  type: "content_block_start",
  index,
  content_block,
});

export const delta = (index: number, body: object): StreamEvent => ({
  type: "content_block_delta",
  index,
  delta: body,
});

export const close = (index: number): StreamEvent => ({ type: "content_block_stop", index });

export const text = (index: number, ...parts: string[]): StreamEvent[] => [
  begin(index, { type: "text", text: "" }),
  ...parts.map((part) => delta(index, { type: "text_delta", text: part })),
  close(index),
];

export const PLAIN: readonly StreamEvent[] = [
  START,
  ...text(0, "Hello", " you"),
  end("end_turn"),
  STOP,
];

/** A message with every kind of block and delta, text beyond ASCII, and things yet unknown. */
export const RICH: readonly StreamEvent[] = [
  START,
  { type: "ping" },
  begin(0, { type: "thinking", thinking: "", signature: "" }),
  delta(0, { type: "thinking_delta", thinking: "The user wants ", estimated_tokens: null }),
  delta(0, { type: "thinking_delta", thinking: "wea\u2028ther 🌦️", estimated_tokens: null }),
  delta(0, { type: "signature_delta", signature: "c2lnbmF0dXJl" }),
  close(0),
  begin(1, { type: "redacted_thinking", data: "b3BhcXVl" }),
  close(1),
  begin(2, { type: "text", text: "", citations: null }),
  delta(2, { type: "text_delta", text: "Grüße aus 東" }),
  { type: "weather_report", mood: "sunny" },
  delta(2, { type: "text_delta", text: "京 👩‍👩‍👧" }),
  delta(2, { type: "citations_delta", citation: { type: "char_location", cited_text: "a" } }),
  delta(2, { type: "citations_delta", citation: { type: "char_location", cited_text: "b" } }),
  delta(2, { type: "sparkle_delta", sparkle: 1 }),
  close(2),
  begin(3, { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} }),
  delta(3, { type: "input_json_delta", partial_json: "" }),
  delta(3, { type: "input_json_delta", partial_json: '{"query":"Tōkyō"}' }),
  close(3),
  begin(4, { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [{ url: "x" }] }),
  close(4),
  begin(5, {
    type: "tool_use",
    id: "toolu_1",
    name: "Read",
    input: {},
    caller: { type: "direct" },
  }),
  delta(5, { type: "input_json_delta", partial_json: '{"path":"/a' }),
  delta(5, { type: "input_json_delta", partial_json: '/ü.txt","n":[1' }),
  delta(5, { type: "input_json_delta", partial_json: ",2]}" }),
  close(5),
  begin(6, { type: "tool_use", id: "toolu_2", name: "List", input: {} }),
  close(6),
  begin(7, { type: "hologram", beam: { angle: 30 } }),
  close(7),
  end("tool_use"),
  STOP,
];

export const RICH_BLOCKS = [
  { type: "thinking", thinking: "The user wants wea\u2028ther 🌦️", signature: "c2lnbmF0dXJl" },
  { type: "redacted_thinking", data: "b3BhcXVl" },
  {
    type: "text",
    text: "Grüße aus 東京 👩‍👩‍👧",
    citations: [
      { type: "char_location", cited_text: "a" },
      { type: "char_location", cited_text: "b" },
    ],
  },
  { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "Tōkyō" } },
  { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [{ url: "x" }] },
  {
    type: "tool_use",
    id: "toolu_1",
    name: "Read",
    input: { path: "/a/ü.txt", n: [1, 2] },
    caller: { type: "direct" },
  },
  { type: "tool_use", id: "toolu_2", name: "List", input: {} },
  { type: "hologram", beam: { angle: 30 } },
];

/** The bytes in the given pieces, then the end of the body. */
export function bodyOf(pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  const rest = [...pieces];
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = rest.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
}

/** A 200 whose body is these bytes. */
export function answer(body: ReadableStream<Uint8Array> | Uint8Array | string): Response {
  return new Response(body, {
    headers: { "content-type": "text/event-stream; charset=utf-8", "request-id": "req_1" },
  });
}

/** A body that the test feeds, and that tells when its reader hung up. */
export class LiveBody {
  readonly stream: ReadableStream<Uint8Array>;
  readonly cancelled: Promise<void>;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor() {
    const hungUp = Promise.withResolvers<void>();
    this.cancelled = hungUp.promise;
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => hungUp.resolve(),
    });
  }

  send(data: Uint8Array | string): void {
    this.#controller?.enqueue(typeof data === "string" ? utf8.encode(data) : data);
  }

  fail(error: Error): void {
    this.#controller?.error(error);
  }
}
