/** Clients that do not read what they asked for: what is kept for them, and what they get later. */
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { MAX_PENDING_BYTES } from "../../src/http/sse.ts";
import type { SessionStub } from "../../src/session/calls.ts";
import { text } from "../../src/standin/replies.ts";
import { newSession, post, standin, withStandin } from "../api/cc/server.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  attached,
  HostileClient,
  headOf,
  logged,
  type SeenFrame,
  untilAttached,
  wholeLog,
  writeRows,
} from "./clients.ts";

withStandin();

let clock: FakeClock | undefined;
afterEach(() => clock?.restore());

/** A row below the length from which rows are not pushed, and a turn of three such frames. */
const LONG_TEXT = 180_000;

const live = (session: string, after: string): Promise<HostileClient> =>
  HostileClient.open(`${session}/events/stream`, { headers: { "last-event-id": after } });

/** The `error` frame at the end of a stream that was cut off, whose cursor is what was sent. */
function expectSlowReader(frames: readonly SeenFrame[]): void {
  const before = frames.at(-2)?.id;
  expect(frames.at(-1)).toMatchObject({
    id: before,
    event: "error",
    data: { type: "error", code: "slow_reader", retryable: true, cursor: before },
  });
}

/** What the client gets that comes back with its cursor. */
async function rest(session: string, first: HostileClient): Promise<SeenFrame[]> {
  const again = await live(session, first.cursor);
  await again.readToRow(await headOf(session));
  again.leave();
  return again.frames;
}

test("a client that reads nothing is let go, its turns run on, and it gets exactly the rest", async () => {
  const session = await newSession();
  const client = await live(session, "0");
  await untilAttached(session, 1);
  for (let n = 0; n < 3; n++) {
    standin.script(text("word ".repeat(LONG_TEXT / 5)));
    expect((await post(`${session}/turns`, { input: `${n}` })).status).toBe(200);
  }
  // It has read nothing, and nobody holds more for it.
  await untilAttached(session, 0);
  await client.readToEnd();
  expectSlowReader(client.frames);
  const largest = Math.max(...client.frames.map(({ size }) => size));
  expect(client.bytes).toBeLessThan(MAX_PENDING_BYTES + largest + 1_000);
  expect(client.bytes).toBeGreaterThan(MAX_PENDING_BYTES);

  const joined = [...logged(client.frames), ...logged(await rest(session, client))];
  expect(joined).toEqual(logged(await wholeLog(session)));
});

test("a client that reads a byte a second is let go when it has fallen a megabyte behind", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const session = await newSession();
  const client = await live(session, "0");
  await untilAttached(session, 1);
  await writeRows(session, 5);
  for (let seconds = 0; seconds < 120; seconds++) {
    await client.read(1);
    clock.advance(1_000);
  }
  expect(client.bytes).toBe(120);
  expect(await attached(session)).toBe(1);
  await writeRows(session, 70);
  await untilAttached(session, 0);
  await client.readToEnd();
  expectSlowReader(client.frames);
  // One heartbeat for each quarter of a minute, behind what was there before.
  expect(client.comments.filter((one) => one === "ping")).toHaveLength(8);
  expect(client.bytes).toBeLessThan(MAX_PENDING_BYTES + 20_000);

  const joined = [...logged(client.frames), ...logged(await rest(session, client))];
  expect(joined).toEqual(logged(await wholeLog(session)));
});

test("a client that stops in mid-frame still gets whole frames, and where to go on", async () => {
  const session = await newSession();
  const client = await live(session, "0");
  await writeRows(session, 2);
  await client.readToRow(1);
  await client.read(1_000);
  expect(client.last).toMatch(/xxx$/);
  await writeRows(session, 80);
  await untilAttached(session, 0);
  await client.readToEnd();
  expectSlowReader(client.frames);

  const joined = [...logged(client.frames), ...logged(await rest(session, client))];
  expect(joined).toEqual(logged(await wholeLog(session)));
});

test("one slow client does not hold up another", async () => {
  const session = await newSession();
  const slow = await live(session, "0");
  const quick = await live(session, "0");
  await untilAttached(session, 2);
  const read = quick.readToRow(81);
  await writeRows(session, 80);
  await read;
  expect(logged(quick.frames)).toEqual(logged(await wholeLog(session)));
  await untilAttached(session, 1);
  quick.leave();
  await slow.readToEnd();
  expectSlowReader(slow.frames);
});

/** The Worker's bindings with sessions that note which pages are read. */
function countingPages(): { bindings: Record<string, unknown>; pages: number[] } {
  const pages: number[] = [];
  const getByName = (name: string) => {
    // All that a stream uses of a session.
    const session = env.SESSION.getByName(name) as unknown as SessionStub;
    const counted: Pick<SessionStub, "rows" | "fetch"> = {
      rows(...args) {
        pages.push(args[0]);
        return session.rows(...args);
      },
      fetch: (...args) => session.fetch(...args),
    };
    return counted;
  };
  return { bindings: { SESSION: { getByName } }, pages };
}

test("a long history is read page by page as its client reads, for hours if need be", async () => {
  clock = new FakeClock(FAR_FUTURE);
  const session = await newSession();
  await writeRows(session, 250);
  const { bindings, pages } = countingPages();
  const client = await HostileClient.open(`${session}/events/stream`, { bindings });
  // A reader that does not read at all for an hour has made the Worker hold one page.
  clock.advance(3_600_000);
  expect(pages).toHaveLength(1);
  for (let until = 50_000; until < 3_500_000; until += 50_000) {
    await client.readUntil(({ bytes }) => bytes >= until);
    clock.advance(60_000);
    expect(pages.length).toBeLessThanOrEqual(1 + Math.ceil((until + 100_000) / 1_000_000));
  }
  let over = false;
  const reading = client.readToRow(251).then(() => {
    over = true;
  });
  // Between the last page and the live rows the Worker waits for a moment before it dials.
  while (!over) {
    await attached(session);
    clock.advance(50);
  }
  await reading;
  expect(pages.length).toBeGreaterThan(3);
  client.leave();
  clock.restore();
  expect(client.has("error")).toBe(false);
  expect(logged(client.frames)).toEqual(logged(await wholeLog(session)));
});

test("a client that stops reading at a row too long to be pushed keeps no more waiting for it", async () => {
  const session = await newSession();
  const client = await live(session, "0");
  await untilAttached(session, 1);
  standin.script(text("Short."));
  const long = "y".repeat(400_000);
  expect((await post(`${session}/turns`, { input: long })).status).toBe(200);
  // The row is read as a page, at the pace of a client that does not read.
  await writeRows(session, 200);
  await untilAttached(session, 0);
  await client.readToRow(206);
  client.leave();
  expect(client.has("error")).toBe(false);
  expect(logged(client.frames)).toEqual(logged(await wholeLog(session)));
});

type Act =
  | { act: "write"; rows: number }
  | { act: "read"; bytes: number }
  /** The client goes away and comes back with its cursor. */
  | { act: "return" };

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ act: fc.constant("write" as const), rows: fc.integer({ min: 1, max: 120 }) }),
  fc.record({ act: fc.constant("read" as const), bytes: fc.integer({ min: 1, max: 900_000 }) }),
  fc.record({ act: fc.constant("return" as const) }),
);

/** Falls behind while it is attached. */
const CUT_OFF: Act[] = [
  { act: "write", rows: 120 },
  { act: "read", bytes: 100_000 },
];

test("however a client reads, stops and comes back, it sees every event once and in order", async () => {
  let cut = 0;
  const run = async (acts: Act[]) => {
    const session = await newSession();
    const seen: SeenFrame[] = [];
    let client = await live(session, "0");
    const comeBack = async () => {
      client.leave();
      if (client.has("error")) cut += 1;
      seen.push(...client.frames.filter(({ event }) => event !== "error"));
      client = await live(session, seen.at(-1)?.id ?? "0");
    };
    for (const one of acts) {
      if (one.act === "write") await writeRows(session, one.rows);
      if (one.act === "return") await comeBack();
      if (one.act === "read") {
        const until = client.bytes + one.bytes;
        const head = await headOf(session);
        // No further than there is something to read.
        const over = () => client.bytes >= until || Number(client.cursor) === head;
        if (Number(seen.at(-1)?.id) !== head) await client.readUntil(over);
      }
    }
    const head = await headOf(session);
    while (Number(seen.at(-1)?.id ?? 0) < head) {
      await client.readToRow(head);
      await comeBack();
    }
    client.leave();
    expect(logged(seen)).toEqual(logged(await wholeLog(session)));
  };
  const property = fc.asyncProperty(fc.array(act, { minLength: 4, maxLength: 14 }), run);
  await fc.assert(property, { numRuns: 10, examples: [[CUT_OFF]] });
  expect(cut).toBeGreaterThan(0);
});
