/** Upstreams for tests of the client, and what comes out of them. */
import type { Upstream } from "../../src/model/api-client.ts";
import { openStream } from "../../src/model/client.ts";
import type { MessageAccumulator, StreamEvent } from "../../src/model/message.ts";
import { buildRequest, type ModelRequest } from "../../src/model/request.ts";
import { encodeRequest } from "../../src/model/request-body.ts";
import { CallFailed, type Failure } from "../../src/model/retry.ts";

export const KEY = "sk-ant-api03-SECRETSECRET";

const HI = { type: "text", text: "hi" };

export const REQUEST: ModelRequest = buildRequest({
  model: "claude-sonnet-5-5",
  system: "Be brief.",
  tools: [],
  toolChoice: { type: "auto" },
  parallelToolCalls: true,
  messages: [{ role: "user", content: [HI] }],
  maxTokens: 1_000,
  marks: [0],
  ttl: "5m",
});

/** An upstream that answers with what `reply` returns, and keeps what it was sent. */
export function upstreamOf(reply: (init: RequestInit) => Response | Promise<Response>) {
  const sent: { url: string; init: RequestInit; headers: Headers }[] = [];
  const called = Promise.withResolvers<void>();
  const upstream: Upstream = {
    apiKey: KEY,
    fetch: async (input, init = {}) => {
      sent.push({ url: String(input), init, headers: new Headers(init.headers) });
      called.resolve();
      return reply(init);
    },
  };
  return { upstream, sent, called: called.promise };
}

export const open = (
  upstream: Upstream,
  options: Partial<Parameters<typeof openStream>[2]> = {},
  request: ModelRequest = REQUEST,
) =>
  openStream(upstream, encodeRequest(request), {
    signal: new AbortController().signal,
    ...options,
  });

export async function eventsOf(stream: AsyncIterable<StreamEvent>): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

/** How the stream failed. */
export async function failureOf(stream: AsyncIterable<StreamEvent>): Promise<Failure> {
  try {
    await eventsOf(stream);
  } catch (error) {
    if (error instanceof CallFailed) return error.failure;
    throw error;
  }
  throw new Error("the stream did not fail");
}

/** The same events, taken in by the message on their way. */
export async function* applying(stream: AsyncIterable<StreamEvent>, message: MessageAccumulator) {
  for await (const event of stream) {
    message.apply(event);
    yield event;
  }
}

export const failsWith = (reply: () => Response | Promise<Response>) =>
  failureOf(open(upstreamOf(reply).upstream));

export const never = () => new Promise<Response>(() => {});
