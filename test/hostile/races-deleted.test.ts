/**
 * What is left of a session for a client: nothing. Each route answers 404 for one that is being
 * deleted, was deleted, or never was, and asking makes nothing: no table, no alarm.
 */
import { createExecutionContext, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, type ReplyBlock, reply, text, toolUse } from "../../src/standin/replies.ts";
import worker from "../../src/worker.ts";
import {
  allFrames,
  framesUntil,
  functionTool,
  get,
  idOf,
  imageBlock,
  names,
  newSession,
  objectOf,
  pngBytes,
  post,
  send,
  standin,
  withStandin,
} from "../api/cc/server.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";

withStandin();

let clock: FakeClock;
// In real time the alarm that erases the data fires at once.
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

const tools = [functionTool("look")];

const FORM =
  '--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx\r\n--B--\r\n';
const EMPTY_ARCHIVE = `PK\x05\x06${"\0".repeat(18)}`;

/** Bodies that are right, by route: a wrong one would be refused before the session is asked. */
const BODIES: Record<string, unknown[]> = {
  "PATCH /api/sessions/:id": [{ title: "x" }, {}],
  "POST /api/sessions/:id/interrupt": [{ cancel_queued: true }],
  "POST /api/sessions/:id/compact": [{}],
  "POST /api/sessions/:id/turns": [
    { input: "Hi" },
    { input: "Hi", stream: true },
    { input: "Hi", on_busy: "interrupt" },
    { input: [imageBlock(pngBytes(10_000))] },
    // Longer than what one call of the object takes.
    { input: "long text ".repeat(410_000) },
  ],
  "POST /api/sessions/:id/tool-results": [
    { results: [{ tool_call_id: "call_3_0", content: "x" }] },
    { results: [{ tool_call_id: "call_3_0", content: "x" }], stream: true },
  ],
  "POST /api/sessions/:id/confirmations": [
    { confirmations: [{ tool_call_id: "call_3_0", decision: "allow" }] },
    { confirmations: [{ tool_call_id: "call_3_0", decision: "deny" }], stream: true },
  ],
  "POST /api/sessions/:id/stream-ticket": [{}],
  // The second is longer than what is held to be sent again.
  "PUT /api/sessions/:id/files/*": ["x", "long text ".repeat(200_000)],
  "POST /api/sessions/:id/files": [FORM],
  "POST /api/sessions/:id/files/zip": [EMPTY_ARCHIVE],
  "POST /api/sessions/:id/files/move": [{ from: "a.txt", to: "b.txt" }],
  "POST /api/sessions/:id/files/directories": [{ path: "a" }],
  "POST /api/sessions/:id/files/git": [{ url: "https://git.example/repo.git" }],
};

const TYPES: Record<string, string> = {
  "POST /api/sessions/:id/files": "multipart/form-data; boundary=B",
  "POST /api/sessions/:id/files/zip": "application/zip",
};

/** Every request that names a session, for the one at `session`. */
const PROBES = worker.routes
  .filter(({ method, path }) => method !== "ALL" && path.includes("/:id"))
  // A route with a middleware of its own is listed twice.
  .filter(({ handler }) => handler.length < 2)
  .flatMap(({ method, path }) => {
    const route = `${method} ${path}`;
    return (BODIES[route] ?? [undefined]).map((body) => ({ route, method, path, body }));
  });

const pathOf = (pattern: string, session: string): string =>
  pattern
    .replace("/api/sessions/:id", session)
    .replace(":turn", "turn_2")
    .replace(":input", "input_2")
    .replace(":sha256", "a".repeat(64))
    .replace("*", "a.txt");

/** Asks everything of a session, and nothing of it is there. */
async function checkNowhere(session: string): Promise<void> {
  for (const { route, method, path, body } of PROBES) {
    for (const headers of [{}, { "idempotency-key": "k", "last-event-id": "0" }]) {
      const type = TYPES[route];
      const all = { ...headers, ...(type ? { "content-type": type } : {}) };
      const response = await send(method, pathOf(path, session), body, all);
      expect(response.status, `${route} ${JSON.stringify(body)?.slice(0, 80)}`).toBe(404);
      expect(await response.json()).toMatchObject({ error: { code: "not_found" } });
    }
  }
  const list = await (await get("/api/sessions?limit=100")).json<{ data: { id: string }[] }>();
  expect(list.data.map(({ id }) => id)).not.toContain(idOf(session));
}

/** What the object of a session has on disk, and when it will wake. */
async function left(session: string) {
  return runInDurableObject(await objectOf(session), async (_, { storage }) => ({
    tables: storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'",
      )
      .toArray()
      .map(({ name }) => name),
    alarm: await storage.getAlarm(),
  }));
}

const NOTHING = { tables: [], alarm: null };

test("every route of a session that takes a body has one here", () => {
  const routes = PROBES.map(({ route }) => route);
  const bodies = routes.filter((route) => /^(POST|PATCH|PUT)/.test(route));
  expect([...new Set(bodies)].toSorted()).toEqual(Object.keys(BODIES).toSorted());
  expect(routes).toContain("GET /api/sessions/:id/events/stream");
});

test("a session that never was", async () => {
  const session = `/api/sessions/sess_${ulid()}`;
  await checkNowhere(session);
  expect(await left(session)).toEqual(NOTHING);
});

/** A session with everything: turns, an image, a result, files, a ticket, and a call that waits. */
async function lived(): Promise<{ session: string; ticket: string }> {
  const session = await newSession({ title: "Lived" });
  standin.script(text("Nice."), [toolUse("look", {}), toolUse("look", {})]);
  const input = [imageBlock(pngBytes(10_000))];
  await post(`${session}/turns`, { input }, { "idempotency-key": "k" });
  await post(`${session}/turns`, { input: "Look", tools });
  const key = { "idempotency-key": "k" };
  expect((await send("PUT", `${session}/files/a.txt`, "x")).status).toBe(201);
  expect((await post(`${session}/files/directories`, { path: "a" }, key)).status).toBe(201);
  const { url } = await (await post(`${session}/stream-ticket`)).json<{ url: string }>();
  return { session, ticket: url };
}

test("a session that is being deleted, and once it is", async () => {
  const { session, ticket } = await lived();
  expect((await get(`${session}/events`)).status).toBe(200);
  expect((await send("DELETE", session)).status).toBe(200);
  await checkNowhere(session);
  expect((await get(ticket)).status, "a ticket, whose secret is gone").toBe(401);
  const erased = runDurableObjectAlarm(await objectOf(session));
  await expect(erased).rejects.toThrow("deleted");
  await checkNowhere(session);
  expect((await get(ticket)).status).toBe(401);
  expect(await left(session)).toEqual(NOTHING);
});

test("a second deletion whose first call is cut off is still not the one that deleted", async () => {
  // The Worker waits before it calls again.
  clock.restore();
  const session = await newSession();
  let cuts = 1;
  const getByName = (name: string) => {
    const stub = env.SESSION.getByName(name);
    if (cuts === 0) return stub;
    cuts -= 1;
    return { ...stub, remove: () => Promise.reject(new Error("the object ends")) };
  };
  const cutOff = () =>
    worker.fetch(
      new Request(`http://localhost${session}`, { method: "DELETE" }),
      // Of a namespace the Worker uses `getByName` alone.
      { ...env, SESSION: { getByName } as unknown as typeof env.SESSION },
      createExecutionContext(),
    );
  expect((await cutOff()).status).toBe(200);
  cuts = 1;
  expect((await cutOff()).status).toBe(404);
  expect(cuts).toBe(0);
});

/** A session whose turn is in the middle of its answer. */
async function busy(blocks: ReplyBlock[] = [text("Hello there, you.")]): Promise<string> {
  const session = await newSession();
  standin.script(reply({ blocks, acts: [holdAt({ block: 0, delta: 1 }, createGate())] }));
  return session;
}

describe("whoever waits for an answer", () => {
  test("of a turn: it was interrupted, as JSON and as a stream", async () => {
    for (const stream of [false, true]) {
      const session = await busy();
      const turn = post(`${session}/turns`, { input: "Hi", stream });
      await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
      await send("DELETE", session);
      const response = await turn;
      expect(response.status).toBe(200);
      if (stream) {
        const frames = await allFrames(response);
        expect(names(frames).slice(-2)).toEqual(["turn.response", "done"]);
        expect(frames.at(-1)?.data).toEqual({ status: "interrupted" });
      } else {
        expect(await response.json()).toMatchObject({ outcome: "interrupted" });
      }
    }
  });

  test("of a message that waits: it was cancelled, as JSON and as a stream", async () => {
    for (const stream of [false, true]) {
      const session = await busy();
      const turn = post(`${session}/turns`, { input: "Hi" });
      await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
      const second = post(`${session}/turns`, { input: "Ho", stream });
      await get(`${session}/events?type=input.queued&wait=25`);
      await send("DELETE", session);
      const response = await second;
      if (stream) {
        const frames = await allFrames(response);
        expect(names(frames)).toEqual(["input.queued", "input.cancelled", "error"]);
        expect(frames.at(-1)?.data).toMatchObject({ code: "input_cancelled", retryable: false });
      } else {
        expect(response.status).toBe(409);
        expect(await response.json()).toMatchObject({ error: { code: "input_cancelled" } });
      }
      expect((await turn).status).toBe(200);
    }
  });

  test("of the events: streams see the end and end, from every place", async () => {
    const session = await busy();
    const turn = post(`${session}/turns`, { input: "Hi" });
    await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
    const streams = await Promise.all(
      ["0", "1", "2", "3", "3:5"].map((after) => get(`${session}/events/stream?after=${after}`)),
    );
    await send("DELETE", session);
    for (const stream of streams) {
      expect(names(await allFrames(stream)).slice(-2)).toEqual([
        "turn.interrupted",
        "session.deleted",
      ]);
    }
    await turn;
  });
});

const RACED: [name: string, status: number[], ask: (session: string) => Promise<Response>][] = [
  ["a turn", [200, 404], (session) => post(`${session}/turns`, { input: "Ho" })],
  [
    "a turn for later",
    [202, 404],
    (session) => post(`${session}/turns`, { input: "Ho" }, { prefer: "wait=0" }),
  ],
  [
    "results",
    [200, 404],
    (session) =>
      post(`${session}/tool-results`, { results: [{ tool_call_id: "call_3_0", content: "x" }] }),
  ],
  ["an interrupt", [200, 404], (session) => post(`${session}/interrupt`)],
  ["a change", [200, 404], (session) => send("PATCH", session, { title: "x" })],
  ["another deletion", [200, 404], (session) => send("DELETE", session)],
  ["a ticket", [200, 404], (session) => post(`${session}/stream-ticket`)],
  ["a page", [200, 404], (session) => get(`${session}/events`)],
  ["an upload", [201, 404], (session) => send("PUT", `${session}/files/b.txt`, "x")],
  [
    "a large upload",
    [201, 404],
    (session) => send("PUT", `${session}/files/b.txt`, "long text ".repeat(200_000)),
  ],
  ["a folder", [201, 404], (session) => post(`${session}/files/directories`, { path: "a" })],
  ["an archive of the files", [200, 404], (session) => get(`${session}/files.zip`)],
];

test.each(RACED)("%s at once with the deletion", async (_, expected, ask) => {
  const session = await newSession();
  standin.respond(() => toolUse("look", {}));
  await post(`${session}/turns`, { input: "Look", tools });
  standin.respond(() => text("Hello."));
  const both = await Promise.all([ask(session), send("DELETE", session)]);
  expect(expected).toContain(both[0].status);
  expect(both.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
  await runDurableObjectAlarm(await objectOf(session)).catch(() => {});
  expect((await get(session)).status).toBe(404);
  expect(await left(session)).toEqual(NOTHING);
});

test("the deletion at once with the creation's own repetition", async () => {
  const key = { "idempotency-key": crypto.randomUUID() };
  const made = await post("/api/sessions", {}, key);
  const { id } = await made.json<{ id: string }>();
  const session = `/api/sessions/${id}`;
  const [again, removed] = await Promise.all([
    post("/api/sessions", {}, key),
    send("DELETE", session),
  ]);
  expect(removed.status).toBe(200);
  // Made and then deleted, deleted already, or deleted before it could be described.
  expect([201, 409, 404]).toContain(again.status);
  await runDurableObjectAlarm(await objectOf(session)).catch(() => {});
  expect((await post("/api/sessions", {}, key)).status).toBe(409);
  expect(await left(session)).toEqual(NOTHING);
});
