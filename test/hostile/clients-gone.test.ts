/** Clients that vanish: nothing is left of them, and nobody else notices. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { createGate, type Gate } from "../../src/standin/gate.ts";
import { holdAt, reply, text } from "../../src/standin/replies.ts";
import { inside, newSession, post, send, standin, withStandin } from "../api/cc/server.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import {
  attached,
  HostileClient,
  headOf,
  logged,
  untilAttached,
  wholeLog,
  writeRows,
} from "./clients.ts";

withStandin();

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

const stream = (session: string): string => `${session}/events/stream`;

const at = (session: string, after: number | string): Promise<HostileClient> =>
  HostileClient.open(stream(session), { headers: { "last-event-id": String(after) } });

/** A turn whose message stops in the middle, after "One two ". */
async function inMidMessage(session: string): Promise<{ gate: Gate; turn: Promise<Response> }> {
  const gate = createGate();
  const deltas = ["One two ", "three ", "four."];
  standin.script(
    reply({
      blocks: [text(deltas.join(""), { deltas })],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
  );
  return { gate, turn: post(`${session}/turns`, { input: "Count." }) };
}

test("a client that has gone before its stream began leaves nothing behind", async () => {
  const session = await newSession();
  // One place has nothing to send at once, the other one has.
  for (const after of ["1", "0"]) {
    const gone = await HostileClient.open(`${stream(session)}?after=${after}`, { gone: true });
    await gone.readToEnd().catch(() => {});
    await untilAttached(session, 0);
  }
  expect(clock.armed).toBe(0);
});

test("a long poll and a JSON turn whose clients had gone before end at once", async () => {
  const session = await newSession();
  const poll = `${session}/events?after=1&wait=25`;
  expect((await HostileClient.open(poll, { gone: true })).response.status).toBe(200);
  const body = { input: "Hello" };
  const gate = createGate();
  standin.script(reply({ blocks: [text("Hi.")], acts: [holdAt("request", gate)] }));
  const turn = await HostileClient.open(`${session}/turns`, { method: "POST", body, gone: true });
  expect(turn.response.status).toBe(504);
  await untilAttached(session, 0);
  await inside(session, () => gate.open());
  const reader = await at(session, 0);
  await reader.readUntil((one) => one.has("turn.completed"));
  reader.leave();
});

/** Where a client is when it vanishes. */
const PLACES: Record<string, (session: string) => Promise<void>> = {
  async "before it has asked"(session) {
    await HostileClient.open(`${stream(session)}?after=1`, { gone: true });
  },
  async "before the headers"(session) {
    const left = new AbortController();
    const opened = HostileClient.send(stream(session), {}, left);
    left.abort();
    await opened;
  },
  async "in mid-preview"(session) {
    const client = await at(session, (await headOf(session)) - 1);
    await client.readUntil((one) => one.has("assistant.delta"));
    client.leave();
  },
  async "in catch-up"(session) {
    const client = await at(session, 0);
    await client.read(20_000);
    client.leave();
  },
  async "with nothing to read"(session) {
    const client = await at(session, await headOf(session));
    client.leave();
  },
  async "in a long poll"(session) {
    const left = new AbortController();
    const path = `${session}/events?after=${await headOf(session)}&wait=25`;
    const before = await attached(session);
    const polled = HostileClient.send(path, {}, left);
    await untilAttached(session, before + 1);
    left.abort();
    await polled;
  },
  async "while its message waits"(session) {
    for (const stream of [true, false]) {
      const left = new AbortController();
      const before = await attached(session);
      const body = { input: `waits ${stream}`, stream };
      const sent = HostileClient.send(`${session}/turns`, { method: "POST", body }, left);
      await untilAttached(session, before + 1);
      left.abort();
      await sent;
    }
  },
};

test("two hundred that vanish at every kind of place leave nothing, and one that stays misses nothing", async () => {
  const session = await newSession();
  const staying = await at(session, 0);
  // Longer than what is sent without pages.
  await writeRows(session, 30);
  const { gate, turn } = await inMidMessage(session);
  await staying.readUntil((one) => one.has("assistant.delta"));
  await untilAttached(session, 2);
  const read = staying.readUntil((one) => one.has("session.deleted"));
  const armed = clock.armed;

  const places = Object.values(PLACES);
  for (let n = 0; n < 200; n++) {
    const place = n < 180 ? n % (places.length - 1) : places.length - 1;
    await places[place]?.(session);
  }
  await untilAttached(session, 2);
  expect(clock.armed).toBe(armed);

  await post(`${session}/interrupt`, { cancel_queued: true });
  await inside(session, () => gate.open());
  expect(await (await turn).json()).toMatchObject({ outcome: "interrupted" });
  await untilAttached(session, 1);
  const rows = logged(await wholeLog(session));
  expect((await send("DELETE", session)).status).toBe(200);
  await read;
  expect(logged(staying.frames).slice(0, -1)).toEqual(rows);
  expect(clock.armed).toBe(0);
});

test("a JSON turn goes on when its client vanishes, and its session lets go of it", async () => {
  const session = await newSession();
  const { gate, turn } = await inMidMessage(session);
  const left = new AbortController();
  await untilAttached(session, 1);
  const body = { input: "Count.", on_busy: "steer" };
  const steer = HostileClient.send(`${session}/turns`, { method: "POST", body }, left);
  await untilAttached(session, 2);
  left.abort();
  await steer;
  await untilAttached(session, 1);
  standin.script(text("Counted again."));
  await inside(session, () => gate.open());
  expect(await (await turn).json()).toMatchObject({ output_text: "One two three four." });
  const reader = await at(session, 0);
  await reader.readUntil(
    ({ frames }) => frames.filter(({ event }) => event === "turn.completed").length === 2,
  );
  reader.leave();
});
