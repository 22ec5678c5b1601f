import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ResponseStart } from "../../src/model/client.ts";
import { MessageAccumulator } from "../../src/model/message.ts";
import { CallFailed } from "../../src/model/retry.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { answer, bodyOf, LiveBody, PLAIN, RICH, RICH_BLOCKS, START, sse, text } from "./streams.ts";
import {
  applying,
  eventsOf,
  failsWith,
  failureOf,
  KEY,
  open,
  REQUEST,
  upstreamOf,
} from "./upstreams.ts";

const errorBody = (type: string, message: string, details?: object) =>
  JSON.stringify({ type: "error", error: { type, message, details }, request_id: "req_9" });

describe("a call", () => {
  it("yields the events, message_stop as the last", async () => {
    const { upstream } = upstreamOf(() => answer(sse(PLAIN)));
    expect(await eventsOf(open(upstream))).toEqual(PLAIN);
  });

  it("sends the request as it is, with the key, to Anthropic's address", async () => {
    const { upstream, sent } = upstreamOf(() => answer(sse(PLAIN)));
    await eventsOf(open(upstream));
    expect(sent).toHaveLength(1);
    expect(sent[0]?.url).toBe("https://api.anthropic.com/v1/messages");
    expect(sent[0]?.init.method).toBe("POST");
    expect(sent[0]?.init.redirect).toBe("manual");
    expect(JSON.parse(String(sent[0]?.init.body))).toEqual(REQUEST.params);
    expect(sent[0]?.headers.get("authorization")).toBe(`Bearer ${KEY}`);
    expect(sent[0]?.headers.get("anthropic-version")).toBe("2026-10-21");
    expect(sent[0]?.headers.has("anthropic-beta")).toBe(false);
  });

  it("goes to another address with beta headers where told so", async () => {
    const { upstream, sent } = upstreamOf(() => answer(sse(PLAIN)));
    const there = { ...upstream, baseURL: "http://127.0.0.1:9/gateway" };
    await eventsOf(open(there, {}, { ...REQUEST, betas: ["one-2026-01-01", "two-2026-02-02"] }));
    expect(sent[0]?.url).toBe("http://127.0.0.1:9/gateway/v1/messages");
    expect(sent[0]?.headers.get("anthropic-beta")).toBe("one-2026-01-01,two-2026-02-02");
  });

  it("tells of the response's head, of an error's too", async () => {
    const clock = new FakeClock();
    try {
      const starts: ResponseStart[] = [];
      const reply = (status: number, body: Uint8Array | string) => () => {
        clock.advance(120);
        const type = status === 200 ? "text/event-stream" : "application/json";
        return new Response(body, {
          status,
          headers: { "content-type": type, "request-id": `req_${status}` },
        });
      };
      const onStart = (start: ResponseStart) => void starts.push(start);
      await eventsOf(open(upstreamOf(reply(200, sse(PLAIN))).upstream, { onStart }));
      const busy = upstreamOf(reply(529, errorBody("overloaded_error", "busy"))).upstream;
      await failureOf(open(busy, { onStart }));
      expect(starts).toEqual([
        { status: 200, request_id: "req_200", ms: 120 },
        { status: 529, request_id: "req_529", ms: 120 },
      ]);
    } finally {
      clock.restore();
    }
  });

  it("gives the same message however its bytes are split", async () => {
    const bytes = sse(RICH);
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 60 });
    const law = fc.asyncProperty(cuts, async (places) => {
      const bounds = [0, ...places.sort((a, b) => a - b), bytes.length];
      const pieces = bounds.slice(1).map((to, i) => bytes.slice(bounds[i], to));
      const message = new MessageAccumulator();
      const { upstream } = upstreamOf(() => answer(bodyOf(pieces)));
      for await (const event of open(upstream)) message.apply(event);
      expect(message.blocks.map(({ block }) => block)).toEqual(RICH_BLOCKS);
      expect(message.complete).toBe(true);
    });
    await fc.assert(law, { numRuns: 60 });
  });

  it("gives the same message one byte at a time", async () => {
    const pieces = Array.from(sse(RICH), (byte) => new Uint8Array([byte]));
    const message = new MessageAccumulator();
    const { upstream } = upstreamOf(() => answer(bodyOf(pieces)));
    for await (const event of open(upstream)) message.apply(event);
    expect(message.blocks.map(({ block }) => block)).toEqual(RICH_BLOCKS);
  });

  it("ends with message_stop, also where the connection stays open", async () => {
    const body = new LiveBody();
    body.send(sse(PLAIN));
    const { upstream } = upstreamOf(() => answer(body.stream));
    expect(await eventsOf(open(upstream))).toEqual(PLAIN);
    await body.cancelled;
  });

  it("closes the connection when its reader leaves", async () => {
    const body = new LiveBody();
    body.send(sse([START]));
    const { upstream, sent } = upstreamOf(() => answer(body.stream));
    for await (const event of open(upstream)) {
      expect(event).toEqual(START);
      break;
    }
    await body.cancelled;
    expect(sent[0]?.init.signal?.aborted).toBe(true);
  });
});

describe("a failed call", () => {
  it("is not repeated", async () => {
    const busy = upstreamOf(() => new Response(errorBody("overloaded_error", ""), { status: 529 }));
    await failureOf(open(busy.upstream));
    expect(busy.sent).toHaveLength(1);
  });

  it("carries what the API said", async () => {
    const failure = await failsWith(
      () =>
        new Response(
          errorBody("rate_limit_error", "slow down", { error_code: "ramp_limit_exceeded" }),
          {
            status: 429,
            headers: {
              "content-type": "application/json",
              "retry-after": "3",
              "retry-after-ms": "2500",
              "x-should-retry": "true",
              "x-other": "1",
            },
          },
        ),
    );
    expect(failure).toEqual({
      kind: "http",
      status: 429,
      type: "rate_limit_error",
      error_code: "ramp_limit_exceeded",
      message: "slow down",
      headers: { "retry-after": "3", "retry-after-ms": "2500", "x-should-retry": "true" },
    });
  });

  it("tells an error page from an error of the API", async () => {
    const page = () => new Response("<html>Bad gateway</html>", { status: 502 });
    expect(await failsWith(page)).toEqual({
      kind: "http",
      status: 502,
      type: null,
      error_code: null,
      message: null,
      headers: {},
    });
  });

  it("keeps a redirect as the answer it is", async () => {
    const away = () => new Response(null, { status: 302, headers: { location: "http://evil/" } });
    expect(await failsWith(away)).toMatchObject({ kind: "http", status: 302 });
  });

  it("is a network failure when there is no answer", async () => {
    const refused = () => Promise.reject(new TypeError(`connect failed with ${KEY}`));
    expect(await failsWith(refused)).toEqual({ kind: "network" });
  });

  it.each([
    ["a key with a line break", { apiKey: `${KEY}\n${KEY}` }],
    ["an address that is none", { baseURL: "not an address" }],
  ])("was never sent with %s", async (_, fields) => {
    const { upstream, sent } = upstreamOf(() => answer(sse(PLAIN)));
    expect(await failureOf(open({ ...upstream, ...fields }))).toEqual({ kind: "unsent" });
    expect(sent).toHaveLength(0);
  });

  it("is a stream error when the API says so after a 200, before or after output", async () => {
    const error = {
      type: "error",
      error: { type: "overloaded_error", message: "Overloaded" },
    };
    for (const before of [[], [START], [START, ...text(0, "Hel")]]) {
      expect(await failsWith(() => answer(sse([...before, error])))).toEqual({
        kind: "stream_error",
        type: "overloaded_error",
        error_code: null,
        message: "Overloaded",
      });
    }
  });

  it("is a stream error of unknown type when its data cannot be read", async () => {
    const garbled = () => answer("event: error\ndata: <oops>\n\n");
    expect(await failsWith(garbled)).toEqual({
      kind: "stream_error",
      type: null,
      error_code: null,
      message: null,
    });
  });

  it.each([
    ["text/html; charset=utf-8", "<html>hello</html>"],
    ["application/json", JSON.stringify({ type: "message" })],
  ])("is malformed when a 200 is %s", async (type, body) => {
    const failure = await failsWith(
      () => new Response(body, { headers: { "content-type": type } }),
    );
    const [name] = type.split(";");
    expect(failure).toEqual({ kind: "malformed", detail: `${name} instead of an event stream` });
  });

  it("is malformed when an event is not JSON", async () => {
    const body = 'event: message_start\ndata: {"type":\n\n';
    expect(await failsWith(() => answer(body))).toEqual({
      kind: "malformed",
      detail: "an event is not JSON",
    });
  });

  it("is cut when the connection breaks in the middle", async () => {
    const body = new LiveBody();
    body.send(sse([START]));
    const stream = open(upstreamOf(() => answer(body.stream)).upstream);
    await stream.next();
    body.fail(new Error("connection lost"));
    expect(await failureOf(stream)).toEqual({ kind: "cut" });
  });

  it("is cut when there is no body", async () => {
    const none = () => new Response(null, { headers: { "content-type": "text/event-stream" } });
    expect(await failsWith(none)).toEqual({ kind: "cut" });
  });

  it("is cut wherever its bytes end early, and what came is a prefix of the message", async () => {
    const bytes = sse(RICH);
    const law = fc.asyncProperty(fc.nat(bytes.length - 1), async (length) => {
      const message = new MessageAccumulator();
      const stream = open(upstreamOf(() => answer(bytes.slice(0, length))).upstream);
      const failure = await failureOf(applying(stream, message));
      expect(failure).toEqual({ kind: "cut" });
      expect(message.complete).toBe(false);
      const whole = message.blocks.filter(({ complete }) => complete);
      expect(whole.map(({ block }) => block)).toEqual(RICH_BLOCKS.slice(0, whole.length));
    });
    await fc.assert(law, { examples: [[0], [bytes.length - 1]] });
  });

  it("never shows the key", async () => {
    const leaky = upstreamOf(() => Promise.reject(new Error(KEY))).upstream;
    const error: unknown = await eventsOf(open(leaky)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CallFailed);
    const shown = error instanceof Error ? [error.message, error.stack, error.cause] : [];
    expect(shown.join()).not.toContain("SECRET");
    expect(JSON.stringify(error)).not.toContain("SECRET");
  });
});
