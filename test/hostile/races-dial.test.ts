/**
 * The submission and the dial of its reader leave the Worker together. Whichever comes first, and
 * whatever happens between the two, the response has its turn once, whole and in order.
 */
import { createExecutionContext, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { createGate, type Gate } from "../../src/standin/gate.ts";
import { holdAt, reply, text } from "../../src/standin/replies.ts";
import worker from "../../src/worker.ts";
import {
  allFrames,
  type Frame,
  framesUntil,
  get,
  inside,
  names,
  newSession,
  objectOf,
  post,
  rowsOf,
  send,
  standin,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

type Call = "submit" | "fetch";

/** What a Worker does around its calls of a session: `count` is 1 for the first of its kind. */
type Around = (call: Call, next: () => Promise<Response>, count: number) => Promise<Response>;

/** A Worker whose calls of a session go through `around`, in front of the same objects. */
function serverAround(around: Around) {
  const counts = { submit: 0, fetch: 0 };
  const wrapped = (stub: object) =>
    new Proxy(stub, {
      get(target, name) {
        const method = Reflect.get(target, name);
        if (name !== "submit" && name !== "fetch") return method;
        return (...args: unknown[]) => {
          counts[name] += 1;
          return around(name, () => Reflect.apply(method, target, args), counts[name]);
        };
      },
    });
  const SESSION = { getByName: (name: string) => wrapped(env.SESSION.getByName(name)) };
  return (path: string, body: object, headers: Record<string, string> = {}) =>
    worker.fetch(
      new Request(`http://localhost${path}`, {
        method: "POST",
        body: JSON.stringify(body),
        headers: { "content-type": "application/json", ...headers },
      }),
      // Of a namespace the Worker uses `getByName` alone.
      { ...env, SESSION: SESSION as unknown as typeof env.SESSION },
      createExecutionContext(),
    );
}

const whole = [
  "turn.started",
  "assistant.completed",
  "call.completed",
  "turn.completed",
  "turn.response",
  "done",
];

const withoutPieces = (frames: readonly Frame[]): Frame[] =>
  frames.filter(({ event }) => !event?.endsWith(".delta"));

/** The text that a reader has from the pieces alone. */
const pieces = (frames: readonly Frame[]): string =>
  frames
    .filter(({ event }) => event === "assistant.delta")
    .map(({ data }) => Object(data.data).text)
    .join("");

/** Resolves when the session has an event of this type. */
const happened = (session: string, type: string): Promise<Response> =>
  get(`${session}/events?type=${type}&wait=25`);

/** Each order of the two calls; `between` is done once the first one has been answered. */
const ORDERS: Record<string, (between: () => Promise<unknown>) => Around> = {
  "the dial overtakes the submission": (between) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    return async (call, next, count) => {
      if (call === "submit") await promise;
      const answer = await next();
      if (call === "fetch" && count === 1) void between().then(() => resolve());
      return answer;
    };
  },
  "the submission overtakes the dial": (between) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    return async (call, next, count) => {
      if (call === "fetch") await promise;
      const answer = await next();
      if (call === "submit" && count === 1) void between().then(() => resolve());
      return answer;
    };
  },
};

const orders = Object.entries(ORDERS);
const nothing = async (): Promise<void> => {};

test.each(orders)("%s: a stream", async (_, order) => {
  const session = await newSession();
  standin.script(text("Hello there."));
  const server = serverAround(order(nothing));
  const frames = await allFrames(await server(`${session}/turns`, { input: "Hi", stream: true }));
  expect(names(withoutPieces(frames))).toEqual(whole);
});

test.each(orders)("%s: a JSON answer", async (_, order) => {
  const session = await newSession();
  standin.script(text("Hello there."));
  const response = await serverAround(order(nothing))(`${session}/turns`, { input: "Hi" });
  expect(await response.json()).toMatchObject({ id: "turn_2", output_text: "Hello there." });
});

test("the turn is over before the dial comes", async () => {
  const order = ORDERS["the submission overtakes the dial"];
  if (!order) throw new Error("no such order");
  for (const stream of [true, false]) {
    const session = await newSession();
    standin.script(text("Hello there."));
    const server = serverAround(order(() => happened(session, "turn.completed")));
    const response = await server(`${session}/turns`, { input: "Hi", stream });
    if (stream) expect(names(await allFrames(response))).toEqual(whole);
    else expect(await response.json()).toMatchObject({ output_text: "Hello there." });
  }
});

/** A session in the middle of its first answer. */
async function busy(): Promise<{ session: string; gate: Gate; turn: Promise<Response> }> {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("First one.", { deltas: ["First", " one."] })], acts }));
  const turn = post(`${session}/turns`, { input: "first" });
  await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
  return { session, gate, turn };
}

test.each(orders)("%s: a message that waits has only its own turn", async (_, order) => {
  const { session, gate, turn } = await busy();
  standin.script(text("Second one."));
  const server = serverAround(order(nothing));
  const body = { input: "second", stream: true };
  const response = await server(`${session}/turns`, body);
  await happened(session, "input.queued");
  await inside(session, () => gate.open());
  const frames = await allFrames(response);
  expect(names(withoutPieces(frames))).toEqual(["input.queued", ...whole]);
  expect(pieces(frames)).toBe("Second one.");
  expect(await (await turn).json()).toMatchObject({ output_text: "First one." });
});

test.each(orders)("%s: a message that interrupts", async (_, order) => {
  const { session, turn } = await busy();
  standin.script(text("Second one."));
  const body = { input: "second", stream: true, on_busy: "interrupt" };
  const frames = await allFrames(await serverAround(order(nothing))(`${session}/turns`, body));
  expect(names(withoutPieces(frames))).toEqual(whole);
  expect(frames.at(-2)?.data).toMatchObject({ output_text: "Second one." });
  expect(await (await turn).json()).toMatchObject({ outcome: "interrupted" });
});

test.each(orders)("%s: another turn runs in between", async (_, order) => {
  const session = await newSession();
  standin.script(text("Between."), text("Hello there."));
  const server = serverAround(order(() => post(`${session}/turns`, { input: "between" })));
  // The order of the two model calls is that of the two messages.
  if (order === ORDERS["the submission overtakes the dial"]) {
    standin.reset();
    standin.script(text("Hello there."), text("Between."));
  }
  const frames = await allFrames(await server(`${session}/turns`, { input: "Hi", stream: true }));
  expect(names(withoutPieces(frames)).slice(-whole.length)).toEqual(whole);
  expect(frames.find(({ event }) => event === "turn.response")?.data).toMatchObject({
    output_text: "Hello there.",
  });
});

test.each(orders)("%s: the object dies in between", async (_, order) => {
  const session = await newSession();
  const crash = async () => {
    const object = await objectOf(session);
    await runInDurableObject(object, (_, state) => state.abort("crash")).catch(() => {});
  };
  standin.respond(() => text("Hello there."));
  const server = serverAround(order(crash));
  const frames = await allFrames(await server(`${session}/turns`, { input: "Hi", stream: true }));
  const told = names(withoutPieces(frames)).filter((name, i, all) => all.indexOf(name) === i);
  expect(told).toEqual(whole);
  expect(await rowsOf(session, "input")).toHaveLength(1);
  expect(await rowsOf(session, "outcome")).toHaveLength(1);
});

test("the first dials fail, and one is cut after its hello", async () => {
  const session = await newSession();
  standin.script(text("Hello there."));
  const server = serverAround(async (call, next, count) => {
    if (call === "submit") return next();
    if (count <= 2) throw new Error("the object is restarting");
    const response = await next();
    if (count === 3) queueMicrotask(() => response.webSocket?.close(1011, "cut"));
    return response;
  });
  const frames = await allFrames(await server(`${session}/turns`, { input: "Hi", stream: true }));
  expect(names(withoutPieces(frames))).toEqual(whole);
});

test("the session is deleted before the dial comes", async () => {
  const order = ORDERS["the submission overtakes the dial"];
  if (!order) throw new Error("no such order");
  for (const stream of [true, false]) {
    const session = await newSession();
    standin.respond(() => reply({ blocks: [], acts: [holdAt("request", createGate())] }));
    const server = serverAround(order(() => send("DELETE", session)));
    const response = await server(`${session}/turns`, { input: "Hi", stream });
    if (stream) {
      const frames = await allFrames(response);
      expect(frames).toMatchObject([{ event: "error", data: { code: "session_deleted" } }]);
    } else {
      expect(response.status).toBe(404);
    }
  }
});

const key = { "idempotency-key": "k" };
const streamed = { input: "Hi", stream: true };

test.each([
  ["before the turn", "1"],
  ["in the middle of it", "4"],
  ["behind a part of its end", "5+1"],
])("a reader that comes back %s gets the rest", async (_, cursor) => {
  const session = await newSession();
  standin.script(text("Hello there."));
  const all = await allFrames(await post(`${session}/turns`, streamed, key));
  const headers = { ...key, "last-event-id": cursor };
  const rest = await allFrames(await post(`${session}/turns`, streamed, headers));
  const seen = withoutPieces(all).findIndex(({ id }) => id === cursor);
  expect(rest).toEqual(withoutPieces(all).slice(seen + 1));
});

test("a reader that says it is ahead of the session is told so", async () => {
  const session = await newSession();
  standin.script(text("Hello there."));
  await allFrames(await post(`${session}/turns`, streamed, key));
  const ahead = await post(`${session}/turns`, streamed, { ...key, "last-event-id": "99" });
  expect(ahead.status).toBe(409);
  expect(await ahead.json()).toMatchObject({ error: { code: "cursor_ahead" }, last_id: 6 });
});

test("a reader that is far behind reads pages, and then goes on live", async () => {
  const session = await newSession();
  const long = "long ".repeat(100_000);
  standin.script(text("One."));
  await post(`${session}/turns`, { input: long });
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("Two words.", { deltas: ["Two", " words."] })], acts }));
  const turn = post(`${session}/turns`, { input: long });
  const frames: Frame[] = [];
  const stream = await get(`${session}/events/stream?after=0`);
  const reading = framesUntil(stream, "turn.completed");
  await happened(session, "turn.started");
  await inside(session, () => gate.open());
  frames.push(...(await reading));
  expect(names(frames).filter((name) => name === "turn.started")).toHaveLength(1);
  await turn;
  const rest = await get(`${session}/events/stream?after=${frames.at(-1)?.id}`);
  frames.push(...(await framesUntil(rest, "turn.completed")));
  const ids = frames.map(({ id }) => Number.parseInt(id ?? "", 10));
  expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  expect(names(withoutPieces(frames)).filter((name) => name === "turn.completed")).toHaveLength(2);
});
