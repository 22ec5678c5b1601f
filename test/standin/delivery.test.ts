import { describe, expect, it } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import {
  cutAt,
  failAt,
  frame,
  holdAt,
  insertAt,
  PING,
  reply,
  text,
  waitAt,
} from "../../src/standin/replies.ts";
import { createStandin } from "../../src/standin/standin.ts";
import { PARAMS, read, textOf, types } from "./stream-support.ts";
import { clientOf, testClock } from "./support.ts";

describe("bytes on the wire", () => {
  const answer = "Grüße 😀 from a café";

  it.each([1, 2, 3, 7, 64])("are cut into chunks of %i", async (chunks) => {
    const { events, error } = await read(
      createStandin(),
      reply({ blocks: [text(answer)], chunks }),
    );
    expect(error).toBeUndefined();
    expect(textOf(events)).toBe(answer);
  });

  it("are cut at given offsets", async () => {
    const standin = createStandin();
    standin.script(reply({ blocks: [text(answer)], chunks: [5, 6, 700] }));
    const response = await standin.fetch("https://api.anthropic.com/v1/messages", {
      method: "POST",
      headers: { "x-api-key": "k", "anthropic-version": "2026-10-21" },
      body: JSON.stringify({ ...PARAMS, stream: true }),
    });
    const lengths: number[] = [];
    for await (const chunk of response.body ?? []) lengths.push(chunk.length);
    expect(lengths.slice(0, 3)).toEqual([5, 1, 694]);
    expect(lengths).toHaveLength(4);
  });

  it("may be held in the middle of chunks", async () => {
    const gate = createGate();
    gate.open();
    const { events } = await read(
      createStandin(),
      reply({ blocks: [text(answer)], chunks: 5, acts: [holdAt(3, gate)] }),
    );
    expect(textOf(events)).toBe(answer);
  });

  it("end early without an error", async () => {
    const standin = createStandin();
    const { events, error } = await read(
      standin,
      reply({ blocks: [text(answer)], acts: [cutAt(3, "end")] }),
    );
    expect(error).toBeUndefined();
    expect(types(events)).toEqual(["message_start", "content_block_start", "content_block_delta"]);
    expect(await standin.settled(0)).toMatchObject({ state: "cut" });
  });

  it("end early with a broken connection", async () => {
    const { events, error } = await read(
      createStandin(),
      reply({ blocks: [text(answer)], acts: [cutAt({ block: 0, delta: 1 }, "error")] }),
    );
    expect(events).toHaveLength(3);
    expect(error).toBeInstanceOf(Error);
  });

  it.each(["end", "error"] as const)("end after a number of bytes (%s)", async (how) => {
    const { events, error } = await read(
      createStandin(),
      reply({ blocks: [text(answer)], cutAfterBytes: { bytes: 900, how } }),
    );
    expect(types(events)).not.toContain("message_stop");
    expect(error === undefined).toBe(how === "end");
  });

  it("break before the headers", async () => {
    const standin = createStandin();
    const { error } = await read(
      standin,
      reply({ blocks: [text("x")], acts: [cutAt("request", "error")] }),
    );
    expect(error).toMatchObject({ message: "Connection error." });
    expect(standin.unexpectedRefusals()).toEqual([]);
  });
});

describe("acts inside a stream", () => {
  it("hold it at a gate, before the headers, before the first byte and in mid-message", async () => {
    const standin = createStandin();
    const [request, headers, middle] = [createGate(), createGate(), createGate()];
    const events: string[] = [];
    const reading = (async () => {
      standin.script(
        reply({
          blocks: [text("one two three four five")],
          acts: [
            holdAt("request", request),
            holdAt("headers", headers),
            holdAt({ block: 0, delta: 1 }, middle),
          ],
        }),
      );
      const stream = await clientOf(standin).messages.create({
        ...PARAMS,
        messages: [...PARAMS.messages],
        stream: true,
      });
      events.push("headers");
      for await (const event of stream) events.push(event.type);
    })();
    await request.waitUntilReached();
    expect(events).toEqual([]);
    request.open();
    await headers.waitUntilReached();
    expect(events).toEqual(["headers"]);
    headers.open();
    await middle.waitUntilReached();
    expect(events.at(-1)).toBe("content_block_delta");
    expect(events).toHaveLength(4);
    middle.open();
    await reading;
    expect(events.at(-1)).toBe("message_stop");
  });

  it("wait on the clock", async () => {
    const clock = testClock();
    const standin = createStandin({ clock });
    const gate = createGate();
    const reading = read(
      standin,
      reply({ blocks: [text("x")], acts: [holdAt(2, gate), waitAt(2, 90_000)] }),
    );
    await gate.waitUntilReached();
    gate.open();
    await clock.armed();
    expect(standin.requests[0]?.outcome.state).toBe("open");
    clock.advance(90_000);
    expect((await reading).events.at(-1)?.type).toBe("message_stop");
  });

  it("send an error event, which the SDK throws", async () => {
    const standin = createStandin();
    const { events, error } = await read(
      standin,
      reply({ blocks: [text("x")], acts: [failAt(2, "overloaded_error")] }),
    );
    expect(events).toHaveLength(2);
    expect(error).toMatchObject({ type: "overloaded_error", status: undefined });
    expect(await standin.settled(0)).toMatchObject({ state: "failed", type: "overloaded_error" });
  });

  it("send an HTTP error where no stream has begun", async () => {
    const { error } = await read(
      createStandin(),
      reply({ blocks: [], acts: [failAt("request", "overloaded_error")] }),
    );
    expect(error).toMatchObject({ type: "overloaded_error", status: 529 });
  });

  it("send pings, unknown events and unknown deltas", async () => {
    const unknownDelta = frame("content_block_delta", {
      type: "content_block_delta",
      index: 0,
      delta: { type: "mystery_delta", x: 1 },
    });
    const acts = [
      insertAt("headers", PING),
      insertAt(2, PING),
      insertAt(2, frame("weather", { type: "weather" })),
      insertAt(2, unknownDelta),
    ];
    const { events, error } = await read(createStandin(), reply({ blocks: [text("hello")], acts }));
    expect(error).toBeUndefined();
    expect(textOf(events)).toBe("hello");
    expect(types(events)).toContain("weather");
  });

  it("send data that is no JSON", async () => {
    const { error } = await read(
      createStandin(),
      reply({ blocks: [text("x")], acts: [insertAt(2, frame("content_block_delta", "{oops"))] }),
    );
    expect(error).toBeInstanceOf(SyntaxError);
  });

  it("name a place that the reply does not have: a clear failure", async () => {
    const standin = createStandin();
    const { error } = await read(
      standin,
      reply({ blocks: [text("x")], acts: [cutAt({ block: 4 }, "end")] }),
    );
    expect(String(error)).toMatch(/no delta 0 in block 4/);
    expect(standin.unexpectedRefusals()).toHaveLength(1);
  });
});

describe("a client that hangs up", () => {
  it("in mid-message is billed for what was sent", async () => {
    const standin = createStandin();
    const gate = createGate();
    standin.script(
      reply({ blocks: [text("x".repeat(400))], acts: [holdAt({ block: 0, delta: 5 }, gate)] }),
    );
    const stream = await clientOf(standin).messages.create({
      ...PARAMS,
      messages: [...PARAMS.messages],
      stream: true,
    });
    const reading = (async () => {
      for await (const _ of stream);
    })();
    await gate.waitUntilReached();
    stream.controller.abort();
    await reading;
    // One block and five deltas of 16 bytes.
    expect(await standin.settled(0)).toMatchObject({
      state: "aborted",
      outputTokens: 24,
      usage: { output_tokens: 24, input_tokens: expect.any(Number) },
    });
  });

  it("by leaving the loop", async () => {
    const standin = createStandin();
    standin.script(text("x".repeat(400)));
    const stream = await clientOf(standin).messages.create({
      ...PARAMS,
      messages: [...PARAMS.messages],
      stream: true,
    });
    for await (const event of stream) if (event.type === "content_block_delta") break;
    expect(await standin.settled(0)).toMatchObject({ state: "aborted", outputTokens: 8 });
  });

  it("after the last event has had the whole answer", async () => {
    const standin = createStandin();
    standin.script(text("x"));
    const stream = await clientOf(standin).messages.create({
      ...PARAMS,
      messages: [...PARAMS.messages],
      stream: true,
    });
    for await (const event of stream) if (event.type === "message_stop") break;
    expect(await standin.settled(0)).toMatchObject({ state: "answered" });
  });

  it("before the headers is billed nothing", async () => {
    const standin = createStandin();
    const gate = createGate();
    const controller = new AbortController();
    standin.script(reply({ blocks: [text("x")], acts: [holdAt("request", gate)] }));
    const sending = clientOf(standin).messages.create(
      { ...PARAMS, messages: [...PARAMS.messages] },
      { signal: controller.signal },
    );
    await gate.waitUntilReached();
    controller.abort();
    await expect(sending).rejects.toThrow("Request was aborted.");
    expect(await standin.settled(0)).toEqual({ state: "aborted", outputTokens: 0, usage: null });
  });

  it("while a wait is on the clock leaves no timer behind", async () => {
    const clock = testClock();
    const standin = createStandin({ clock, friendly: true, pace: 50 });
    const stream = await clientOf(standin).messages.create({
      ...PARAMS,
      messages: [{ role: "user", content: "count to 100" }],
      stream: true,
    });
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.next();
    const third = iterator.next();
    await clock.armed();
    stream.controller.abort();
    expect(await third).toMatchObject({ done: true });
    expect(await standin.settled(0)).toMatchObject({ state: "aborted" });
    expect(clock.pending).toBe(0);
  });
});
