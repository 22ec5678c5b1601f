/**
 * Every route that changes something, asked twice with one `Idempotency-Key`: at once, one after the
 * other, and with a crash of the session's object in between. One effect, and one answer.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { RowType } from "../../src/shared/rows.ts";
import { createGate, type Gate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text, toolUse } from "../../src/standin/replies.ts";
import worker from "../../src/worker.ts";
import {
  allFrames,
  framesUntil,
  functionTool,
  get,
  inside,
  newSession,
  objectOf,
  post,
  rowsOf,
  send,
  standin,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

const tools = [functionTool("look")];

/** A session's path, and how its open model call comes to an end. */
interface Ready {
  session: string;
  finish?: (crashed: boolean) => Promise<void>;
}

interface Case {
  name: string;
  ready: () => Promise<Ready>;
  /** What stands for `:input` in the path. */
  input?: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Rows that one request writes, by their type. */
  wrote: Partial<Record<RowType, number>>;
  /** The second answer says that it is one. */
  replayed: boolean;
  /** The status of the second, where it is another. */
  again?: number;
}

const idle = async (): Promise<Ready> => ({ session: await newSession() });

/** The model will answer. */
const talking = async (): Promise<Ready> => {
  standin.script(text("Hello."));
  return { session: await newSession() };
};

const failing = async (): Promise<Ready> => {
  standin.script(httpError(401));
  return { session: await newSession() };
};

/** The call `call_3_0` waits for its result, to which the model will answer. */
const awaiting = async (): Promise<Ready> => {
  const session = await newSession();
  standin.script(toolUse("look", {}));
  await post(`${session}/turns`, { input: "Look", tools });
  return { session };
};

const answering = async (): Promise<Ready> => {
  const ready = await awaiting();
  standin.script(text("Blue."));
  return ready;
};

/** A turn runs until `finish`. */
async function running(): Promise<{ session: string; gate: Gate; turn: Promise<Response> }> {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("Hello there, you.")], acts }));
  const turn = post(`${session}/turns`, { input: "first" });
  await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
  return { session, gate, turn };
}

/** The message `input_4` waits behind a turn that runs. */
async function queued(): Promise<Ready> {
  const { session, gate, turn } = await running();
  await post(`${session}/turns`, { input: "second" }, { prefer: "wait=0" });
  const finish = async (crashed: boolean) => {
    // The attempt of a dead object is not read; the next one is answered without a script.
    if (!crashed) await inside(session, () => gate.open());
    expect((await turn).status).toBe(200);
  };
  return { session, finish };
}

const results = { results: [{ tool_call_id: "call_3_0", content: "blue" }] };
const none = { wrote: {}, replayed: false };

/** What each route may be asked that has an effect of its own. */
const CASES: Record<string, Case[]> = {
  "POST /api/sessions": [
    { name: "a session", ready: idle, body: { title: "One" }, wrote: {}, replayed: true },
  ],
  "PATCH /api/sessions/:id": [
    {
      name: "a title",
      ready: idle,
      body: { title: "New", metadata: { a: 1 } },
      wrote: { "session.updated": 1 },
      replayed: true,
    },
    { name: "no change", ready: idle, body: {}, ...none },
  ],
  "DELETE /api/sessions/:id": [{ name: "the session", ready: idle, ...none, again: 404 }],
  "POST /api/sessions/:id/interrupt": [
    { name: "of open calls", ready: awaiting, wrote: { interrupt: 1, outcome: 2 }, replayed: true },
    { name: "of nothing", ready: idle, body: {}, wrote: {}, replayed: true },
    {
      name: "of a turn and its queue",
      ready: queued,
      body: { cancel_queued: true },
      wrote: { interrupt: 1, outcome: 1, "input.cancelled": 1 },
      replayed: true,
    },
  ],
  "POST /api/sessions/:id/compact": [{ name: "nothing", ready: idle, body: {}, ...none }],
  "POST /api/sessions/:id/turns": [
    {
      name: "as JSON",
      ready: talking,
      body: { input: "Hi" },
      wrote: { input: 1, outcome: 1 },
      replayed: true,
    },
    {
      name: "as a stream",
      ready: talking,
      body: { input: "Hi", stream: true },
      wrote: { input: 1, outcome: 1 },
      replayed: true,
    },
    {
      name: "for later",
      ready: talking,
      body: { input: "Hi" },
      headers: { prefer: "wait=0" },
      wrote: { input: 1, outcome: 1 },
      replayed: true,
    },
    {
      name: "that fails",
      ready: failing,
      body: { input: "Hi" },
      wrote: { input: 1, outcome: 1, failure: 1 },
      replayed: true,
    },
    {
      name: "instead of results",
      ready: answering,
      body: { input: "Hi" },
      wrote: { input: 2, "tool.ended": 1 },
      replayed: true,
    },
  ],
  "POST /api/sessions/:id/tool-results": [
    {
      name: "as JSON",
      ready: answering,
      body: results,
      wrote: { "tool.ended": 1, "turn.resumed": 1, outcome: 2 },
      replayed: true,
    },
    {
      name: "as a stream",
      ready: answering,
      body: { ...results, stream: true },
      wrote: { "tool.ended": 1, "turn.resumed": 1, outcome: 2 },
      replayed: true,
    },
  ],
  "DELETE /api/sessions/:id/queue/:input": [
    {
      name: "a message that waits",
      ready: queued,
      input: "input_4",
      wrote: { "input.cancelled": 1 },
      replayed: true,
    },
  ],
  "POST /api/sessions/:id/stream-ticket": [{ name: "a ticket", ready: idle, ...none }],
};

const routes = worker.routes
  .filter(({ method }) => !["GET", "ALL"].includes(method))
  .map(({ method, path }) => `${method} ${path}`);

test("every route that changes something has a case here", () => {
  expect(Object.keys(CASES).toSorted()).toEqual(routes.toSorted());
});

/** Members that say when or where an answer was made, and not what it says. */
const VARIES = ["request_id", "ticket", "url", "expires_at"];

/** An answer as its reader has it: without pieces of a text, which come as they may. */
async function told(response: Response) {
  const { status, headers } = response;
  const location = headers.get("location");
  if (headers.get("content-type")?.startsWith("text/event-stream")) {
    const whole = (await allFrames(response)).filter(({ event }) => !event?.endsWith(".delta"));
    return { status, location, frames: whole };
  }
  const body = await response.json<Record<string, unknown>>();
  for (const name of VARIES) if (name in body) body[name] = typeof body[name];
  return { status, location, body };
}

type Told = Awaited<ReturnType<typeof told>>;

const cases = Object.entries(CASES).flatMap(([route, list]) =>
  list.map((one) => ({ ...one, route, title: `${route}: ${one.name}` })),
);

describe.each(cases)("$title", ({ route, ready, input = "", body, headers, ...expected }) => {
  const [method = "", pattern = ""] = route.split(" ");

  /** Sends the request as often as one calls what this gives. */
  function request(session: string): () => Promise<Response> {
    const path = pattern.replace("/api/sessions/:id", session).replace(":input", input);
    const key = { "idempotency-key": crypto.randomUUID(), ...headers };
    return () => send(method, path, body, key);
  }

  /** One effect, one answer, and the second one says what it is. */
  async function check(session: string, first: Response, second: Response): Promise<void> {
    const { again, replayed, wrote } = expected;
    const says = [first, second].map((one) => one.headers.has("idempotency-replayed"));
    expect(says.toSorted(), "one of them is a replay").toEqual([false, replayed]);
    const [one, two]: Told[] = await Promise.all([first, second].map(told));
    if (again === undefined) expect(two).toEqual(one);
    else expect([one?.status, two?.status].toSorted()).toEqual([200, again]);
    for (const [type, count] of Object.entries(wrote)) {
      // The keys of `wrote` are types of rows.
      expect(await rowsOf(session, type as RowType), type).toHaveLength(count);
    }
  }

  test("twice at once", async () => {
    const { session, finish } = await ready();
    const ask = request(session);
    const [first, second] = await Promise.all([ask(), ask()]);
    if (!first || !second) throw new Error("two answers");
    await check(session, first, second);
    await finish?.(false);
  });

  test("one after the other", async () => {
    const { session, finish } = await ready();
    const ask = request(session);
    const first = await ask();
    const kept = first.clone();
    await told(first);
    await check(session, kept, await ask());
    await finish?.(false);
  });

  test("with a crash in between", async () => {
    const { session, finish } = await ready();
    const ask = request(session);
    const first = await ask();
    const kept = first.clone();
    await told(first);
    const object = await objectOf(session);
    await runInDurableObject(object, (_, state) => state.abort("crash")).catch(() => {});
    await check(session, kept, await ask());
    await finish?.(true);
  });
});
