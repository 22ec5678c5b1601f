/** Connections that stay open and say nothing: a session that has gone without a word. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SessionStub } from "../../src/session/calls.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text } from "../../src/standin/replies.ts";
import { inside, newSession, send, standin, withStandin } from "../api/cc/server.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { attached, HostileClient, headOf, logged, wholeLog, writeRows } from "./clients.ts";

withStandin();

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

/** A wire between the Worker and its sessions that can be cut without either end being told. */
class Wire {
  /** How often a session was dialled. */
  dials = 0;
  /** Dials fail. */
  down = false;
  #cuts: { cut: boolean }[] = [];

  /** Everything on the open connections is lost from now on. */
  cut(): void {
    for (const one of this.#cuts) one.cut = true;
  }

  /** Connections that are made from now on are lost at once. */
  dead = false;

  get bindings(): Record<string, unknown> {
    return { SESSION: { getByName: (name: string) => this.#session(name) } };
  }

  #session(name: string): SessionStub {
    // The class implements these calls; the type of the binding does not say so.
    const session = env.SESSION.getByName(name) as unknown as SessionStub;
    const dial = (...args: Parameters<SessionStub["fetch"]>) => this.#dial(session, args);
    return new Proxy(session, {
      get: (target, key: keyof SessionStub) =>
        key === "fetch" ? dial : (...args: never[]) => Reflect.apply(target[key], target, args),
    });
  }

  async #dial(session: SessionStub, args: Parameters<SessionStub["fetch"]>): Promise<Response> {
    this.dials += 1;
    if (this.down) throw new Error("the session cannot be reached");
    const answer = await session.fetch(...args);
    const inner = answer.webSocket;
    if (!inner) return answer;
    const { 0: far, 1: near } = new WebSocketPair();
    const connection = { cut: this.dead };
    this.#cuts.push(connection);
    inner.accept();
    near.accept();
    const pass = (from: WebSocket, to: WebSocket) => {
      from.addEventListener("message", ({ data }) => {
        if (!connection.cut) to.send(data);
      });
      from.addEventListener("close", ({ code }) => {
        if (!connection.cut) to.close(code === 1005 || code === 1006 ? 1000 : code);
      });
    };
    pass(inner, near);
    pass(near, inner);
    return new Response(null, { status: 101, webSocket: far });
  }
}

/** Time goes by; after each second what is on its way arrives. */
async function pass(session: string, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    clock.advance(1_000);
    await attached(session);
  }
}

test("a session that falls silent is dialled again after 45 seconds, and nothing is lost", async () => {
  const session = await newSession();
  const wire = new Wire();
  const client = await HostileClient.open(`${session}/events/stream`, { bindings: wire.bindings });
  await client.readToRow(1);
  await pass(session, 60);
  expect(wire.dials).toBe(1);

  wire.cut();
  await writeRows(session, 3);
  await pass(session, 44);
  expect(wire.dials).toBe(1);
  expect(logged(client.frames)).toEqual(["1 session.created"]);
  await pass(session, 2);
  await client.readToRow(4);
  expect(wire.dials).toBe(2);
  await writeRows(session, 1);
  await client.readToRow(5);
  client.leave();
  clock.restore();
  expect(logged(client.frames)).toEqual(logged(await wholeLog(session)));
});

test("silence in mid-message: the rest of the message comes, no unit of it twice", async () => {
  const session = await newSession();
  const wire = new Wire();
  const gate = createGate();
  const deltas = ["One 🙂 ", "two ", "three."];
  standin.script(
    reply({
      blocks: [text(deltas.join(""), { deltas })],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
  );
  const client = await HostileClient.open(`${session}/turns`, {
    method: "POST",
    body: { input: "Count.", stream: true },
    bindings: wire.bindings,
  });
  await client.readUntil((one) => one.has("assistant.delta"));
  wire.cut();
  const watcher = await HostileClient.open(`${session}/events/stream`);
  await inside(session, () => gate.open());
  await watcher.readUntil((one) => one.has("turn.completed"));
  watcher.leave();
  await pass(session, 47);
  await client.readToEnd();
  const pieces = client.frames.filter(({ event }) => event === "assistant.delta");
  expect(pieces.map(({ data }) => Object(data.data).text)).toEqual([deltas[0]]);
  expect(logged(client.frames)).toEqual([
    "2 turn.started",
    "4 assistant.completed",
    "5 call.completed",
    "5+1 turn.completed",
    "5+2 turn.response",
    "6 done",
  ]);
});

test("a connection that is silent from the first moment is given up as well", async () => {
  const session = await newSession();
  const wire = new Wire();
  wire.dead = true;
  const opening = HostileClient.open(`${session}/events/stream`, { bindings: wire.bindings });
  while (wire.dials === 0) await attached(session);
  await pass(session, 44);
  expect(wire.dials).toBe(1);
  wire.dead = false;
  await pass(session, 3);
  const client = await opening;
  await client.readToRow(1);
  expect(wire.dials).toBe(2);
  client.leave();
});

test("a session that cannot be reached for two minutes ends the stream, which says where to go on", async () => {
  const session = await newSession();
  const wire = new Wire();
  const client = await HostileClient.open(`${session}/events/stream`, { bindings: wire.bindings });
  await client.readToRow(1);
  wire.down = true;
  wire.cut();
  await pass(session, 45 + 110);
  await send("PATCH", session, { title: "meanwhile" });
  expect(client.frames).toHaveLength(1);
  const more = client.readToEnd();
  await pass(session, 30);
  await more;
  expect(client.frames.at(-1)).toMatchObject({
    id: "1",
    event: "error",
    data: { code: "unavailable", retryable: true, cursor: "1" },
  });
  // It did not dial all the time.
  expect(wire.dials).toBeGreaterThan(20);
  expect(wire.dials).toBeLessThan(60);
  const again = await HostileClient.open(`${session}/events/stream?after=${client.cursor}`);
  await again.readToRow(await headOf(session));
  again.leave();
  expect(logged(again.frames)).toEqual(["2 session.updated"]);
});
