/** The endpoints of CC API, and the paths that its clients probe and that must not exist. */
import { expect, test } from "vitest";
import { compaction, text } from "../../src/standin/replies.ts";
import {
  get,
  idOf,
  newSession,
  post,
  send,
  serverWith,
  standin,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

test("GET / says what the server is, without a key", async () => {
  const response = await serverWith({ CC_API_KEY: "k3y" })("GET", "/");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({
    name: "ledge",
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    apis: [
      { name: "cc-api", path: "/api/sessions" },
      { name: "claude-code-api", path: "/api/v1/sessions" },
      { name: "claude-cli-server", path: "/v1/chat" },
    ],
    docs: expect.any(String),
  });
});

test("GET /healthz is ok without a key when there is a model API", async () => {
  const response = await serverWith({ CC_API_KEY: "k3y" })("GET", "/healthz");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: "ok" });
});

test("GET /healthz is 503 without a key for the model API, and says what to set", async () => {
  const response = await serverWith({ STANDIN: "false" })("GET", "/healthz");
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({
    detail: expect.stringContaining("ANTHROPIC_API_KEY"),
    error: { code: "no_upstream_key" },
  });
});

test("GET /healthz is 503 when a variable is wrong, and names it", async () => {
  const response = await serverWith({ CC_API_MAX_TURNS: "many" })("GET", "/healthz");
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({
    detail: expect.stringContaining("CC_API_MAX_TURNS"),
    error: { code: "misconfigured" },
  });
});

test("GET /api/sessions pages newest first", async () => {
  const server = serverWith({ API_KEYS: "pages:p1" });
  const key = { authorization: "Bearer p1" };
  const ids: string[] = [];
  for (const title of ["one", "two", "three"]) {
    const created = await server("POST", "/api/sessions", { title }, key);
    ids.unshift((await created.json<{ id: string }>()).id);
  }
  const first = await server("GET", "/api/sessions?limit=2", undefined, key);
  const page = await first.json<{ data: { id: string }[]; next_cursor: string }>();
  expect(page).toMatchObject({ has_more: true, next_cursor: expect.any(String) });
  expect(page.data.map(({ id }) => id)).toEqual(ids.slice(0, 2));
  expect(page.data[0]).toEqual({
    id: ids[0],
    object: "session",
    model: "claude-sonnet-5-5",
    name: null,
    title: "three",
    first_message: null,
    metadata: {},
    status: "idle",
    turn_count: 0,
    usage: expect.objectContaining({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }),
    cost_usd: 0,
    max_budget_usd: null,
    spent_usd: 0,
    last_event_id: 1,
    created_at: expect.stringMatching(/^\d{4}-.*Z$/),
    updated_at: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  const next = `/api/sessions?limit=2&cursor=${page.next_cursor}`;
  const second = await server("GET", next, undefined, key);
  expect(await second.json()).toMatchObject({
    data: [{ id: ids[2], title: "one" }],
    has_more: false,
    next_cursor: null,
  });
});

test("POST /api/sessions answers 201 with the session's address", async () => {
  const response = await post("/api/sessions");
  const { id } = await response.json<{ id: string }>();
  expect(response.status).toBe(201);
  expect(id).toMatch(/^sess_[0-9A-HJKMNP-TV-Z]{26}$/);
  expect(response.headers.get("location")).toBe(`/api/sessions/${id}`);
  expect((await get(`/api/sessions/${id}`)).status).toBe(200);
});

test("PATCH /api/sessions/{id} changes model, title and metadata", async () => {
  const session = await newSession({ title: "old", metadata: { a: 1 } });
  const changes = { model: "anthropic/claude-opus-4.6", title: "new", metadata: { b: 2 } };
  const response = await send("PATCH", session, changes);
  expect(response.status).toBe(200);
  const after = { model: "claude-opus-4-6", title: "new", metadata: { b: 2 } };
  expect(await response.json()).toMatchObject(after);
  expect(await (await get(session)).json()).toMatchObject(after);
});

test("PATCH without a change writes nothing", async () => {
  const session = await newSession();
  const response = await send("PATCH", session, {});
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ last_event_id: 1 });
});

test("DELETE /api/sessions/{id} is final, and the second one finds nothing", async () => {
  const session = await newSession();
  const response = await send("DELETE", session);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ id: idOf(session), deleted: true });
  expect((await get(session)).status).toBe(404);
  expect((await get(`${session}/events`)).status).toBe(404);
  expect((await send("DELETE", session)).status).toBe(404);
  const list = await (await get("/api/sessions")).json<{ data: { id: string }[] }>();
  expect(list.data.map(({ id }) => id)).not.toContain(idOf(session));
});

test("GET …/turns pages newest first, and GET …/turns/{turn} gives any of them", async () => {
  const session = await newSession();
  for (const word of ["one", "two", "three"]) {
    standin.script(text(word));
    expect((await post(`${session}/turns`, { input: word })).status).toBe(200);
  }
  const page = await (await get(`${session}/turns?limit=2`)).json<{
    data: { id: string }[];
    next_cursor: string;
  }>();
  expect(page).toMatchObject({ has_more: true, data: [{ status: "finished" }, {}] });
  expect(page.data[0]).toEqual({
    id: expect.stringMatching(/^turn_\d+$/),
    object: "turn",
    session_id: idOf(session),
    status: "finished",
    outcome: "completed",
    finish_reason: "stop",
    model: "claude-sonnet-5-5",
    usage: expect.objectContaining({ prompt_tokens: expect.any(Number) }),
    cost_usd: expect.any(Number),
    duration_ms: expect.any(Number),
    created_at: expect.any(String),
  });
  const rest = await get(`${session}/turns?limit=2&cursor=${page.next_cursor}`);
  const last = await rest.json<{ data: { id: string }[] }>();
  expect(last).toMatchObject({ data: [{ id: "turn_2" }], has_more: false, next_cursor: null });
  const turns = [...page.data, ...last.data];
  for (const [i, word] of ["three", "two", "one"].entries()) {
    const turn = await (await get(`${session}/turns/${turns[i]?.id}`)).json();
    expect(turn).toMatchObject({ status: "finished", output_text: word });
  }
});

test("POST …/compact takes what the client sends, and says what became of it", async () => {
  const session = await newSession();
  const ask = () => post(`${session}/compact`, { keep_recent_messages: 2 });
  const empty = await ask();
  expect(empty.status).toBe(200);
  expect(await empty.json()).toMatchObject({
    id: idOf(session),
    compacted: false,
    reason: expect.any(String),
  });
  standin.script(text("one"), text("two"), compaction("They counted."));
  for (const input of ["1", "2"]) await post(`${session}/turns`, { input });
  const compacted = await ask();
  expect(compacted.status).toBe(200);
  expect(await compacted.json()).toMatchObject({
    id: idOf(session),
    compacted: true,
    messages_before: 4,
    messages_after: 3,
    summary_chars: "They counted.".length,
  });
});

test.each([
  "/models",
  "/v1/models",
  "/api/v1/models",
  "/api/tags",
  "/props",
  "/v1/props",
  "/version",
  "/api",
  "/api/sessions/",
  "/nothing",
])("%s does not exist", async (path) => {
  const response = await get(path);
  expect(response.status).toBe(404);
  // Below `/v1` errors are those of the Claude CLI server.
  const form = path.startsWith("/v1/") ? "application/json" : "application/problem+json";
  expect(response.headers.get("content-type")).toBe(form);
});

test.each([
  ["PUT", "/api/sessions", "GET, HEAD, POST"],
  ["DELETE", "/api/models", "GET, HEAD"],
  ["GET", "/api/sessions/x/interrupt", "POST"],
  ["POST", "/api/sessions/x", "GET, HEAD, PATCH, DELETE"],
  ["POST", "/api/sessions/x/events/stream", "GET, HEAD"],
  ["PUT", "/api/sessions/x/turns", "GET, HEAD, POST"],
])("%s %s is 405 with Allow: %s", async (method, path, allow) => {
  const response = await send(method, path);
  expect(response.status).toBe(405);
  const allowed = response.headers.get("allow")?.split(", ").sort();
  expect(allowed).toEqual(allow.split(", ").sort());
});
