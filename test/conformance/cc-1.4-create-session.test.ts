/** Creating a session, and the session object. */
import { expect, test } from "vitest";
import { text, toolUse } from "../../src/standin/replies.ts";
import { builtinToolset, harnessOf } from "../../src/tools/registry.ts";
import {
  functionTool,
  get,
  idOf,
  modelCall,
  newSession,
  post,
  serverWith,
  standin,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

test("what the Hermes client sends is kept as it was sent", async () => {
  const response = await post("/api/sessions", {
    model: "anthropic/claude-opus-4.6",
    system_prompt: "You are terse.",
    metadata: { hermes_session_id: "" },
  });
  expect(response.status).toBe(201);
  const created = await response.json<{ id: string; created_at: string }>();
  expect(created).toEqual({
    id: created.id,
    object: "session",
    model: "claude-opus-4-6",
    name: null,
    title: null,
    first_message: null,
    system_prompt: "You are terse.",
    metadata: { hermes_session_id: "" },
    permissions: { mode: "bypassPermissions", allow: [], ask: [], deny: [] },
    thinking: null,
    effort: null,
    output_format: null,
    stop_sequences: null,
    service_tier: null,
    speed: null,
    user_id: null,
    cache_ttl: "5m",
    own_anthropic_key: false,
    status: "idle",
    pending_tool_calls: [],
    turn_count: 0,
    usage: {
      prompt_tokens: 0,
      completion_tokens: 0,
      total_tokens: 0,
      prompt_tokens_details: { cached_tokens: 0 },
      billed: expect.objectContaining({ input_tokens: 0, output_tokens: 0 }),
    },
    cost_usd: 0,
    max_budget_usd: null,
    spent_usd: 0,
    last_event_id: 1,
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    updated_at: created.created_at,
  });
  expect(await (await get(`/api/sessions/${created.id}`)).json()).toEqual(created);
});

test("an empty body makes a session of CC_API_MODEL", async () => {
  const response = await serverWith({ CC_API_MODEL: "anthropic/claude-opus-4.6" })(
    "POST",
    "/api/sessions",
  );
  expect(await response.json()).toMatchObject({ model: "claude-opus-4-6", system_prompt: null });
});

test.each(["", " \n"])("the empty system prompt %j is none", async (system_prompt) => {
  const session = await newSession({ system_prompt });
  standin.script(text("Well."));
  expect((await post(`${session}/turns`, { input: "Hi" })).status).toBe(200);
  const [system] = modelCall(0).system as { text: string }[];
  expect(system?.text.startsWith(harnessOf(builtinToolset()))).toBe(true);
});

test("without tools nothing is said of a workspace", async () => {
  const session = await newSession({ tools: [] });
  standin.script(text("Well."));
  expect((await post(`${session}/turns`, { input: "Hi" })).status).toBe(200);
  expect(modelCall(0)).not.toHaveProperty("system");
});

test("null means the default everywhere, and unknown fields are ignored", async () => {
  const body = { model: null, title: null, system_prompt: null, metadata: null, tools: null };
  const response = await post("/api/sessions", { ...body, permission_mode: "plan", cwd: "/tmp" });
  expect(response.status).toBe(201);
  expect(await response.json()).toMatchObject({ title: null, system_prompt: null, metadata: {} });
});

test("the system prompt and the session's tools reach the model in every turn", async () => {
  const session = await newSession({ system_prompt: "Be brief.", tools: [functionTool("look")] });
  standin.script(text("One."), text("Two."));
  await post(`${session}/turns`, { input: "1" });
  await post(`${session}/turns`, { input: "2" });
  for (const call of [modelCall(0), modelCall(1)]) {
    expect(call.system).toMatchObject([{ text: "Be brief." }]);
    expect(call.tools).toMatchObject([{ name: "look" }]);
  }
});

test("the session shows what it waits for and what it has used", async () => {
  const session = await newSession();
  standin.script([text("Looking."), toolUse("look", { at: "sky" })]);
  await post(`${session}/turns`, { input: "Look", tools: [functionTool("look")] });
  const object = await (await get(session)).json<{ last_event_id: number }>();
  expect(object).toMatchObject({
    status: "awaiting_tool_results",
    turn_count: 1,
    pending_tool_calls: [
      {
        id: expect.stringMatching(/^call_/),
        type: "function",
        function: { name: "look", arguments: '{"at":"sky"}' },
      },
    ],
  });
  const { usage } = await (await get(session)).json<{ usage: Record<string, number> }>();
  expect(usage.prompt_tokens).toBeGreaterThan(0);
  expect(usage.total_tokens).toBe((usage.prompt_tokens ?? 0) + (usage.completion_tokens ?? 0));
  const events = await (await get(`${session}/events`)).json<{ last_id: number }>();
  expect(events.last_id).toBe(object.last_event_id);
});

test("the list shows the session's state after its turn", async () => {
  const server = serverWith({ API_KEYS: "state:s1" });
  const key = { authorization: "Bearer s1" };
  const created = await server("POST", "/api/sessions", {}, key);
  const { id } = await created.json<{ id: string }>();
  standin.script(toolUse("look", {}));
  const turn = { input: "Look", tools: [functionTool("look")] };
  await server("POST", `/api/sessions/${id}/turns`, turn, key);
  const listed = await server("GET", "/api/sessions", undefined, key);
  expect(await listed.json()).toMatchObject({
    data: [{ id, status: "awaiting_tool_results", turn_count: 1 }],
  });
});

test("the same Idempotency-Key and body make one session", async () => {
  const key = { "idempotency-key": `create-${crypto.randomUUID()}` };
  const first = await post("/api/sessions", { title: "once" }, key);
  const again = await post("/api/sessions", { title: "once" }, key);
  expect([first.status, again.status]).toEqual([201, 201]);
  expect(first.headers.has("idempotency-replayed")).toBe(false);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await again.json()).toEqual(await first.json());
  const other = await post("/api/sessions", { title: "twice" }, key);
  expect(other.status).toBe(409);
  expect(await other.json()).toMatchObject({ error: { code: "idempotency_key_conflict" } });
});

test("a refused creation does not use up its Idempotency-Key", async () => {
  const key = { "idempotency-key": `create-${crypto.randomUUID()}` };
  expect((await post("/api/sessions", { title: 7 }, key)).status).toBe(422);
  const created = await post("/api/sessions", { title: "7" }, key);
  expect(created.status).toBe(201);
  expect(idOf(created.headers.get("location") ?? "")).toMatch(/^sess_/);
});
