/**
 * What is left of a session for a client: nothing. Each route answers 404 for one that is being
 * deleted, was deleted, or never was, and asking makes nothing: no table, no alarm.
 */
import { createExecutionContext, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { jobId } from "../../src/shared/ids.ts";
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
import { codeOf, FORM, FORM_TYPE, left, NOTHING } from "./deleted.ts";

withStandin();

let clock: FakeClock;
// In real time the alarm that erases the data fires at once.
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

const tools = [functionTool("look")];

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
  "POST /api/v1/sessions/:name/repo": [{ working_dir: "." }, { working_dir: "d" }],
  "POST /api/v1/sessions/:name/chat": [
    { message: "Hi" },
    { message: "Hi", model: "opus", system: "Be brief.", permission_mode: "plan" },
    { message: "long text ".repeat(100_000) },
  ],
  "POST /api/v1/sessions/:name/chat/stream": [{ message: "Hi" }],
  "POST /api/v1/sessions/:name/jobs": [
    { message: "Hi" },
    { message: "Hi", webhook_url: "https://hooks.example.com/" },
  ],
  "POST /api/v1/sessions/:name/jobs/:job/cancel": [undefined],
  "POST /api/v1/sessions/:name/jobs/:job/redeliver": [undefined],
  "POST /api/v1/sessions/:name/files": [FORM],
};

const TYPES: Record<string, string> = {
  "POST /api/sessions/:id/files": FORM_TYPE["content-type"],
  "POST /api/sessions/:id/files/zip": "application/zip",
  "POST /api/v1/sessions/:name/files": FORM_TYPE["content-type"],
};

/** Every request that names a session, for the one at `session`. */
const PROBES = worker.routes
  .filter(({ method, path }) => method !== "ALL" && /\/:(id|name)\b/.test(path))
  // A route with a middleware of its own is listed twice.
  .filter(({ handler }) => handler.length < 2)
  .flatMap(({ method, path }) => {
    const route = `${method} ${path}`;
    return (BODIES[route] ?? [undefined]).map((body) => ({ route, method, path, body }));
  });

/** A path and all that it may mean: of a session that has a name, claude-code-api knows this as well. */
const pathsOf = (pattern: string, session: string, name?: string): string[] => {
  const id = idOf(session);
  const job = jobId(id.replace("sess_", ""), 2);
  const rest = pattern
    .replace("/api/sessions/:id", session)
    .replace(":turn", "turn_2")
    .replace(":input", "input_2")
    .replace(":sha256", "a".repeat(64))
    .replace(":job", job)
    .replace("*", "a.txt");
  const names = name === undefined ? [id] : [id, name];
  return rest.includes(":name") ? names.map((one) => rest.replace(":name", one)) : [rest];
};

/** Asks everything of a session, and nothing of it is there. */
async function checkNowhere(session: string, name?: string): Promise<void> {
  for (const { route, method, path: pattern, body } of PROBES) {
    for (const path of pathsOf(pattern, session, name)) {
      for (const headers of [{}, { "idempotency-key": "k", "last-event-id": "0" }]) {
        const type = TYPES[route];
        const all = { ...headers, ...(type ? { "content-type": type } : {}) };
        const response = await send(method, path, body, all);
        const what = `${method} ${path} ${JSON.stringify(body)?.slice(0, 80)}`;
        expect(response.status, what).toBe(404);
        const problem = await response.json<{ detail: string; error: { code: string } }>();
        expect(problem.error.code, what).toBe("not_found");
        if (path.startsWith("/api/v1/")) expect(problem.detail, what).toBe("Session not found");
      }
    }
  }
  const list = await (await get("/api/sessions?limit=100")).json<{ data: { id: string }[] }>();
  expect(list.data.map(({ id }) => id)).not.toContain(idOf(session));
  const page = await get("/api/v1/sessions?limit=100");
  const { data } = await page.json<{ data: { name: string }[] }>();
  const names = data.map((one) => one.name);
  for (const one of [idOf(session), name]) expect(names).not.toContain(one);
}

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

interface Lived {
  session: string;
  name: string;
  ticket: string;
}

/** A session with everything: a job, turns, an image, a result, files, a ticket, and a call that waits. */
async function lived(): Promise<Lived> {
  const name = `lived-${ulid()}`;
  const session = await newSession({ title: "Lived", name });
  const code = codeOf(session);
  standin.script(text("Done."), text("Nice."), [toolUse("look", {}), toolUse("look", {})]);
  const job = await post(`${code}/jobs`, { message: "Work" });
  expect(pathsOf("/jobs/:job", session)).toEqual([
    `/jobs/${(await job.json<{ data: { id: string } }>()).data.id}`,
  ]);
  const input = [imageBlock(pngBytes(10_000))];
  await post(`${session}/turns`, { input }, { "idempotency-key": "k" });
  await post(`${session}/turns`, { input: "Look", tools });
  const key = { "idempotency-key": "k" };
  expect((await send("PUT", `${session}/files/a.txt`, "x")).status).toBe(201);
  expect((await post(`${session}/files/directories`, { path: "a" }, key)).status).toBe(201);
  const { url } = await (await post(`${session}/stream-ticket`)).json<{ url: string }>();
  for (const path of [session, `/api/v1/sessions/${name}`, `${code}/history`]) {
    expect((await get(path)).status).toBe(200);
  }
  return { session, name, ticket: url };
}

test("a session that is being deleted, and once it is", async () => {
  const { session, name, ticket } = await lived();
  expect((await get(`${session}/events`)).status).toBe(200);
  expect((await send("DELETE", session)).status).toBe(200);
  await checkNowhere(session, name);
  expect((await get(ticket)).status, "a ticket, whose secret is gone").toBe(401);
  const erased = runDurableObjectAlarm(await objectOf(session));
  await expect(erased).rejects.toThrow("deleted");
  await checkNowhere(session, name);
  expect((await get(ticket)).status).toBe(401);
  expect(await left(session)).toEqual(NOTHING);
});

test("the same by its name, under claude-code-api", async () => {
  const { session, name } = await lived();
  expect((await send("DELETE", `/api/v1/sessions/${name}`)).status).toBe(204);
  await checkNowhere(session, name);
  const erased = runDurableObjectAlarm(await objectOf(session));
  await expect(erased).rejects.toThrow("deleted");
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

  test("of a message of claude-code-api that runs, or waits: the same in its words", async () => {
    for (const path of ["chat", "chat/stream"]) {
      const session = await busy();
      const code = codeOf(session);
      const turn = post(`${code}/${path}`, { message: "Hi" });
      await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
      const second = post(`${code}/${path}`, { message: "Ho" });
      await get(`${session}/events?type=input.queued&wait=25`);
      expect((await send("DELETE", code)).status).toBe(204);
      const [stopped, cancelled] = await Promise.all([turn, second]);
      if (path === "chat") {
        expect(stopped.status).toBe(200);
        expect(await stopped.json()).toMatchObject({ data: { outcome: "interrupted" } });
        expect(cancelled.status).toBe(409);
        expect(await cancelled.json()).toMatchObject({ error: { code: "input_cancelled" } });
      } else {
        const frames = await allFrames(stopped);
        expect(frames.at(-1)).toMatchObject({ event: "done", data: { outcome: "interrupted" } });
        const [only] = await allFrames(cancelled);
        expect(only).toMatchObject({ event: "error", data: { error: expect.any(String) } });
      }
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
