import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../support/fake-clock.ts";
import { answer, LiveBody, PLAIN, START, STOP, sse, text } from "./streams.ts";
import { eventsOf, failureOf, never, open, upstreamOf } from "./upstreams.ts";

describe("silence", () => {
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock();
  });
  afterEach(() => clock.restore());

  it("of five minutes before the response is a stall", async () => {
    const { upstream, called } = upstreamOf(never);
    const failure = failureOf(open(upstream));
    await called;
    clock.advance(300_000);
    expect(await failure).toEqual({ kind: "stall", ms: 300_000 });
    expect(clock.armed).toBe(0);
  });

  it("of less is not", async () => {
    const reply = Promise.withResolvers<Response>();
    const { upstream, called } = upstreamOf(() => reply.promise);
    const events = eventsOf(open(upstream));
    await called;
    clock.advance(299_999);
    reply.resolve(answer(sse(PLAIN)));
    expect(await events).toEqual(PLAIN);
    expect(clock.armed).toBe(0);
  });

  it("before the first event ends with any byte, a ping's too", async () => {
    const body = new LiveBody();
    const { upstream, called } = upstreamOf(() => answer(body.stream));
    const failure = failureOf(open(upstream));
    await called;
    for (let pings = 0; pings < 3; pings++) {
      clock.advance(250_000);
      const heard = clock.nextReading();
      body.send('event: ping\ndata: {"type": "ping"}\n\n');
      await heard;
    }
    clock.advance(299_999);
    expect(clock.armed).toBe(1);
    clock.advance(1);
    expect(await failure).toEqual({ kind: "stall", ms: 300_000 });
    await body.cancelled;
  });

  it("of ninety seconds after the first event is a stall", async () => {
    const body = new LiveBody();
    const stream = open(upstreamOf(() => answer(body.stream)).upstream);
    const first = stream.next();
    body.send(sse([START]));
    await first;
    const rest = failureOf(stream);
    clock.advance(60_000);
    const heard = clock.nextReading();
    body.send(": a comment\n");
    await heard;
    clock.advance(89_999);
    expect(clock.armed).toBe(1);
    clock.advance(1);
    expect(await rest).toEqual({ kind: "stall", ms: 90_000 });
    await body.cancelled;
  });

  it("inside an error's body is a stall", async () => {
    const body = new LiveBody();
    const { upstream, called } = upstreamOf(() => new Response(body.stream, { status: 500 }));
    const failure = failureOf(open(upstream));
    await called;
    clock.advance(300_000);
    expect(await failure).toEqual({ kind: "stall", ms: 300_000 });
  });

  it("has limits that can be set", async () => {
    const { upstream, called } = upstreamOf(never);
    const failure = failureOf(open(upstream, { firstByteMs: 10 }));
    await called;
    clock.advance(10);
    expect(await failure).toEqual({ kind: "stall", ms: 10 });
  });
});

describe.each([
  ["with a reason", new Error("interrupted")],
  ["without one", undefined],
])("an abort %s", (_, given) => {
  const reason = AbortSignal.abort(given).reason;

  it("before the call sends nothing", async () => {
    const { upstream, sent } = upstreamOf(() => answer(sse(PLAIN)));
    const signal = AbortSignal.abort(reason);
    await expect(eventsOf(open(upstream, { signal }))).rejects.toBe(reason);
    expect(sent).toHaveLength(0);
  });

  it("before the response ends the call, even if the upstream does not notice", async () => {
    const { upstream, sent, called } = upstreamOf(never);
    const controller = new AbortController();
    const events = eventsOf(open(upstream, { signal: controller.signal }));
    await called;
    controller.abort(reason);
    await expect(events).rejects.toBe(reason);
    expect(sent[0]?.init.signal?.aborted).toBe(true);
  });

  it("in the middle closes the connection at once", async () => {
    const body = new LiveBody();
    body.send(sse([START]));
    const controller = new AbortController();
    const { upstream, sent } = upstreamOf(() => answer(body.stream));
    const stream = open(upstream, { signal: controller.signal });
    await stream.next();
    const next = stream.next();
    controller.abort(reason);
    await body.cancelled;
    await expect(next).rejects.toBe(reason);
    expect(sent[0]?.init.signal?.aborted).toBe(true);
  });

  it("yields nothing more, also where events had arrived", async () => {
    const body = new LiveBody();
    body.send(sse([START, ...text(0, "a", "b")]));
    const controller = new AbortController();
    const stream = open(upstreamOf(() => answer(body.stream)).upstream, {
      signal: controller.signal,
    });
    await stream.next();
    controller.abort(reason);
    await expect(stream.next()).rejects.toBe(reason);
  });

  it("after the end changes nothing", async () => {
    const controller = new AbortController();
    const { upstream } = upstreamOf(() => answer(sse(PLAIN)));
    const events = await eventsOf(open(upstream, { signal: controller.signal }));
    controller.abort(reason);
    expect(events.at(-1)).toEqual(STOP);
  });
});
