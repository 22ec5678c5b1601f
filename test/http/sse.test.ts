import { createParser, type EventSourceMessage } from "eventsource-parser";
import fc from "fast-check";
import { Hono } from "hono";
import { expect, test } from "vitest";
import { MAX_PENDING_BYTES, openSse, type SseStream } from "../../src/http/sse.ts";
import type { Clock } from "../../src/shared/clock.ts";

/** Time that stands still until it is moved. */
function fakeClock() {
  let now = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  const clock: Clock = {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  return {
    clock,
    timers,
    pass(ms: number) {
      now += ms;
      for (const timer of [...timers]) {
        if (timer.at > now) continue;
        timers.delete(timer);
        timer.run();
      }
    },
  };
}

const open = (request = new AbortController()) => {
  const time = fakeClock();
  return { sse: openSse({ signal: request.signal, clock: time.clock }), time, request };
};

interface Parsed {
  events: EventSourceMessage[];
  comments: string[];
}

function parse(text: string): Parsed {
  const parsed: Parsed = { events: [], comments: [] };
  const parser = createParser({
    onEvent: (event) => parsed.events.push(event),
    onComment: (comment) => parsed.comments.push(comment),
  });
  parser.feed(text);
  return parsed;
}

/** A frame whose data is `bytes` long. */
const big = (bytes: number) => ({ data: JSON.stringify("x".repeat(bytes - 2)) });

/** A client that reads when it is told to. */
function clientOf(sse: SseStream) {
  const reader = sse.response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  const read = async (): Promise<boolean> => {
    const chunk = await reader?.read();
    text += decoder.decode(chunk?.value, { stream: true });
    return chunk?.done ?? true;
  };
  return {
    read,
    async readAll(): Promise<string> {
      while (!(await read()));
      return text;
    },
  };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve());
  });

test("frames reach a client through an app, in their form and with its headers", async () => {
  const app = new Hono();
  app.get("/stream", (c) => {
    const sse = openSse({ signal: c.req.raw.signal });
    sse.comment("hello");
    sse.frame({ id: "3:40", event: "assistant.delta", data: '{"text":"grüße\\n😀"}' });
    sse.frame({ data: "{}" });
    sse.end({ event: "done", data: '{"status":"completed"}' });
    return sse.response;
  });
  const response = await app.request("/stream");
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  expect(await response.text()).toBe(
    [
      ": hello\n\n",
      'id: 3:40\nevent: assistant.delta\ndata: {"text":"grüße\\n😀"}\n\n',
      "data: {}\n\n",
      'event: done\ndata: {"status":"completed"}\n\n',
    ].join(""),
  );
});

test("no frame is lost or out of order, however writing and reading take turns", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ size: fc.integer({ min: 3, max: 200_000 }), read: fc.boolean() }), {
        minLength: 1,
        maxLength: 40,
      }),
      async (frames) => {
        const { sse } = open();
        const client = clientOf(sse);
        for (const [i, { size, read }] of frames.entries()) {
          while (sse.frame({ id: String(i), ...big(size) }) === "slow") await client.read();
          if (read) await client.read();
        }
        const ended = sse.end({ id: "end", data: "{}" });
        const text = await client.readAll();
        await ended;
        const ids = parse(text).events.map((event) => event.id);
        expect(ids).toEqual([...frames.map((_, i) => String(i)), "end"]);
        expect(sse.pendingBytes).toBe(0);
      },
    ),
    { numRuns: 15 },
  );
});

test("pending bytes rise with what is written and fall with what is read", async () => {
  const { sse } = open();
  const client = clientOf(sse);
  expect(sse.frame({ data: "{}" })).toBe("queued");
  sse.frame({ data: '"ü"' });
  const first = "data: {}\n\n".length;
  const second = 'data: "ü"\n\n'.length + 1;
  expect(sse.pendingBytes).toBe(first + second);
  await client.read();
  // The second frame is handed over only once the first one counts as read.
  await client.read();
  expect(sse.pendingBytes).toBeLessThanOrEqual(second);
  await sse.end();
  expect(sse.pendingBytes).toBe(0);
});

test("a client that leaves a megabyte unread is slow: nothing more is queued, and it is told where to go on", async () => {
  const { sse } = open();
  let queued = 0;
  while (sse.frame({ id: String(queued), ...big(100_000) }) === "queued") queued += 1;
  expect(queued).toBe(11);
  expect(sse.frame({ data: "{}" })).toBe("slow");
  expect(sse.comment("x")).toBe("slow");
  expect(sse.closed.aborted).toBe(false);
  sse.end({ event: "error", data: '{"code":"slow_reader","cursor":"10"}' });
  expect(sse.closed.aborted).toBe(true);
  const { events } = parse(await sse.response.text());
  const last = events.pop();
  expect(events.map((event) => event.id)).toEqual(
    Array.from({ length: queued }, (_, i) => String(i)),
  );
  expect(last).toMatchObject({
    event: "error",
    data: '{"code":"slow_reader","cursor":"10"}',
  });
});

test("one frame may be larger than what may be pending, and its reader is not slow", async () => {
  const { sse } = open();
  expect(sse.frame(big(3 * MAX_PENDING_BYTES))).toBe("queued");
  expect(sse.frame({ data: "{}" })).toBe("queued");
  expect(sse.frame(big(3 * MAX_PENDING_BYTES))).toBe("queued");
  expect(sse.frame({ data: "{}" })).toBe("slow");
  sse.end();
  expect(parse(await sse.response.text()).events[0]?.data).toHaveLength(3 * MAX_PENDING_BYTES);
});

test("a slow client that catches up is served again", async () => {
  const { sse } = open();
  const client = clientOf(sse);
  sse.frame(big(MAX_PENDING_BYTES / 2));
  sse.frame(big(MAX_PENDING_BYTES / 2));
  expect(sse.frame({ data: "{}" })).toBe("slow");
  while (sse.pendingBytes >= MAX_PENDING_BYTES) await client.read();
  expect(sse.frame({ data: "{}" })).toBe("queued");
});

test("a heartbeat comes every fifteen seconds", async () => {
  const { sse, time } = open();
  const text = sse.response.text();
  time.pass(14_999);
  sse.frame({ data: "1" });
  time.pass(1);
  time.pass(14_999);
  sse.frame({ data: "2" });
  time.pass(1);
  await sse.end();
  expect(await text).toBe("data: 1\n\n: ping\n\ndata: 2\n\n: ping\n\n");
});

const ways: [string, (opened: ReturnType<typeof open>) => unknown][] = [
  ["its request is aborted", ({ request }) => request.abort()],
  ["it cancels the body", ({ sse }) => sse.response.body?.cancel()],
];

test.each(ways)(
  "a client has left when %s: the stream closes and its timer stops",
  async (_, go) => {
    const opened = open();
    const { sse, time } = opened;
    sse.frame(big(10_000));
    expect(time.timers.size).toBe(1);
    go(opened);
    // The heartbeat is what finds out when nothing else is written.
    time.pass(15_000);
    await aborted(sse.closed);
    expect(sse.frame({ data: "{}" })).toBe("closed");
    expect(sse.comment("x")).toBe("closed");
    expect(time.timers.size).toBe(0);
    await sse.end({ data: "{}" });
  },
);

test("a client that leaves while the last frames are on their way lets end resolve", async () => {
  const { sse } = open();
  sse.frame(big(100_000));
  const ended = sse.end({ data: "{}" });
  await sse.response.body?.cancel();
  await ended;
  expect(sse.frame({ data: "{}" })).toBe("closed");
});

test("a request that was aborted before gets no frames", () => {
  const request = new AbortController();
  request.abort();
  const { sse, time } = open(request);
  expect(sse.closed.aborted).toBe(true);
  expect(sse.frame({ data: "{}" })).toBe("closed");
  expect(time.timers.size).toBe(0);
});

test("an ended stream takes nothing more, and ending twice is ending once", async () => {
  const { sse, time } = open();
  const text = sse.response.text();
  const last = { data: '"last"' };
  await Promise.all([sse.end(last), sse.end(last)]);
  expect(sse.frame({ data: "{}" })).toBe("closed");
  expect(time.timers.size).toBe(0);
  expect(await text).toBe('data: "last"\n\n');
});

test("streams do not disturb one another", async () => {
  const streams: SseStream[] = [open().sse, open().sse];
  const texts = streams.map((sse) => sse.response.text());
  for (let n = 0; n < 50; n += 1) {
    for (const [i, sse] of streams.entries()) sse.frame({ id: `${i}-${n}`, data: "{}" });
  }
  await Promise.all(streams.map((sse) => sse.end()));
  for (const [i, text] of (await Promise.all(texts)).entries()) {
    const ids = parse(text).events.map((event) => event.id);
    expect(ids).toEqual(Array.from({ length: 50 }, (_, n) => `${i}-${n}`));
  }
});
