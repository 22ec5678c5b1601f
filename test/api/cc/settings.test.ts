/** Settings of sessions and turns as clients send and see them, and the model list. */
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/shared/content.ts";
import { frame, text, thinking, toolUse } from "../../../src/standin/replies.ts";
import {
  allFrames,
  functionTool,
  get,
  modelCall,
  newSession,
  post,
  rowsOf,
  send,
  serverWith,
  standin,
  withStandin,
} from "./server.ts";

withStandin();

const FORMAT = {
  type: "json_schema",
  schema: {
    type: "object",
    properties: { city: { type: "string" } },
    additionalProperties: false,
  },
};

const ALL = {
  thinking: { type: "adaptive", display: "omitted" },
  effort: "low",
  output_format: FORMAT,
  stop_sequences: ["END"],
  service_tier: "standard_only",
  speed: "fast",
  user_id: "user-1",
  cache_ttl: "1h",
};

const DEFAULTS = {
  thinking: null,
  effort: null,
  output_format: null,
  stop_sequences: null,
  service_tier: null,
  speed: null,
  user_id: null,
  cache_ttl: "5m",
};

const NULLS = Object.fromEntries(Object.keys(ALL).map((name) => [name, null]));

const patch = async (path: string, body: unknown): Promise<JsonObject> => {
  const response = await send("PATCH", path, body);
  expect(response.status).toBe(200);
  return response.json<JsonObject>();
};

test("a session shows its settings, takes changes, and null takes them back", async () => {
  const created = await (await post("/api/sessions", { ...ALL, model: "opus" })).json<JsonObject>();
  expect(created).toMatchObject(ALL);
  const path = `/api/sessions/${created.id}`;
  expect(await (await get(path)).json()).toMatchObject(ALL);
  expect(await patch(path, { effort: "max", speed: null })).toMatchObject({
    ...ALL,
    effort: "max",
    speed: null,
  });
  const other = { type: "json_schema", schema: { type: "string" } };
  expect(await patch(path, { output_format: other })).toMatchObject({ output_format: other });
  expect(await patch(path, NULLS)).toMatchObject(DEFAULTS);
  const plain = await (await post("/api/sessions", NULLS)).json<JsonObject>();
  expect(plain).toMatchObject(DEFAULTS);
  const { data } = await (await get(`${path}/events?type=session.updated`)).json<{
    data: { data: JsonObject }[];
  }>();
  expect(data.map((event) => event.data)).toEqual([
    { effort: "max", speed: null },
    { output_format: other },
    { ...NULLS, cache_ttl: "5m" },
  ]);
});

test("they are in the request, and a turn has its own", async () => {
  const path = await newSession({ ...ALL, output_format: null, model: "opus", tools: [] });
  standin.script(text("one"), text("two"));
  await post(`${path}/turns`, { input: "hi" });
  await post(`${path}/turns`, { input: "hi", ...NULLS, effort: "xhigh", stop_sequences: [] });
  const shared = {
    thinking: { type: "adaptive", display: "omitted" },
    service_tier: "standard_only",
    speed: "fast",
    metadata: { user_id: "user-1" },
  };
  expect(modelCall(-2)).toMatchObject({
    ...shared,
    output_config: { effort: "low" },
    stop_sequences: ["END"],
  });
  expect(modelCall(-1)).toMatchObject({ ...shared, output_config: { effort: "xhigh" } });
  expect(modelCall(-1)).not.toHaveProperty("stop_sequences");
  expect(JSON.stringify(modelCall(-1).messages)).toContain('"ttl":"1h"');
});

describe("what is wrong is named", () => {
  const object = (extra: object) => ({ type: "json_schema", schema: { type: "object", ...extra } });
  const closed = { additionalProperties: false };
  let deep: JsonObject = { type: "string" };
  for (let i = 0; i < 70; i++) deep = { type: "array", items: deep };

  test.each<[string, object]>([
    ["thinking -> type", { thinking: { type: "on" } }],
    ["thinking -> budget_tokens", { thinking: { type: "enabled" } }],
    ["thinking -> budget_tokens", { thinking: { type: "enabled", budget_tokens: 1_023 } }],
    ["thinking -> display", { thinking: { type: "adaptive", display: "all" } }],
    ["effort", { effort: "highest" }],
    ["output_format -> type", { output_format: { type: "json_object" } }],
    ["output_format -> schema", { output_format: { type: "json_schema" } }],
    ["output_format -> schema", { output_format: { type: "json_schema", schema: {} } }],
    ["output_format -> schema -> additionalProperties", { output_format: object({}) }],
    [
      "output_format -> schema -> properties -> a -> items -> additionalProperties",
      {
        output_format: object({
          ...closed,
          properties: { a: { type: "array", items: { type: ["object", "null"] } } },
        }),
      },
    ],
    [
      "output_format -> schema -> anyOf -> 0 -> type",
      { output_format: { type: "json_schema", schema: { anyOf: [{ type: "text" }] } } },
    ],
    [
      "output_format -> schema -> required",
      { output_format: object({ ...closed, required: ["a", "a"] }) },
    ],
    [
      "output_format -> schema",
      { output_format: object({ ...closed, description: "x".repeat(65_536) }) },
    ],
    [
      `output_format -> schema${" -> items".repeat(65)}`,
      {
        output_format: { type: "json_schema", schema: deep },
      },
    ],
    ["stop_sequences -> 1", { stop_sequences: ["END", " \n"] }],
    ["stop_sequences", { stop_sequences: Array(17).fill("END") }],
    ["service_tier", { service_tier: "priority" }],
    ["speed", { speed: "slow" }],
    ["user_id", { user_id: "u".repeat(257) }],
  ])("%s", async (field, wrong) => {
    const path = await newSession();
    for (const response of [
      await post("/api/sessions", wrong),
      await send("PATCH", path, wrong),
      await post(`${path}/turns`, { input: "hi", ...wrong }),
    ]) {
      expect(response.status).toBe(422);
      const { errors } = await response.json<{ errors: { field: string }[] }>();
      expect(errors.map((one) => one.field)).toEqual([`body -> ${field}`]);
    }
  });

  test("cache_ttl is of a session", async () => {
    const path = await newSession();
    for (const response of [
      await post("/api/sessions", { cache_ttl: "1d" }),
      await send("PATCH", path, { cache_ttl: "1d" }),
    ]) {
      expect(response.status).toBe(422);
      expect(await response.text()).toContain("body -> cache_ttl");
    }
  });
});

describe("output_parsed", () => {
  test("is in the JSON answer, in the stream and in the turn", async () => {
    const path = await newSession({ tools: [] });
    standin.script(text('{"city": "Oslo"}'), text('{"city": "Bergen"}'));
    const body = { input: "Where?", output_format: FORMAT };
    const answer = await (await post(`${path}/turns`, body)).json<JsonObject>();
    expect(answer).toMatchObject({ outcome: "completed", output_parsed: { city: "Oslo" } });
    const frames = await allFrames(await post(`${path}/turns`, { ...body, stream: true }));
    const shown = frames.filter(({ event }) => event === "turn.response");
    expect(shown.map(({ data }) => data.output_parsed)).toEqual([{ city: "Bergen" }]);
    const turn = await (await get(`${path}/turns/${answer.id}`)).json<JsonObject>();
    expect(turn).toMatchObject({
      output_text: '{"city": "Oslo"}',
      output_parsed: { city: "Oslo" },
    });
    const { data } = await (await get(`${path}/turns`)).json<{ data: JsonObject[] }>();
    for (const listed of data) expect(listed).not.toHaveProperty("output_parsed");
  });

  test("an answer without the form is a problem that says so", async () => {
    const path = await newSession({ tools: [] });
    standin.script(text("Oslo"));
    const response = await post(`${path}/turns`, { input: "Where?", output_format: FORMAT });
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ code: "output_invalid" });
  });

  test("is null while calls are open", async () => {
    const path = await newSession();
    standin.script(toolUse("look", {}));
    const tools = [functionTool("look")];
    const response = await post(`${path}/turns`, { input: "Go", tools, output_format: FORMAT });
    expect(await response.json()).toMatchObject({
      finish_reason: "tool_calls",
      output_parsed: null,
    });
  });
});

const delta = (index: number, delta: JsonObject): JsonObject => ({
  type: "content_block_delta",
  index,
  delta,
});

test("thinking that a gateway sends although it was to be omitted is kept and not shown", async () => {
  const events: JsonObject[] = [
    { type: "message_start", message: { usage: { input_tokens: 5, output_tokens: 1 } } },
    { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } },
    delta(0, { type: "thinking_delta", thinking: "A secret" }),
    delta(0, { type: "thinking_delta", thinking: " plan." }),
    { type: "content_block_stop", index: 0 },
    { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
    delta(1, { type: "text_delta", text: "Done." }),
    { type: "content_block_stop", index: 1 },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 9 } },
    { type: "message_stop" },
  ];
  const body = events.map((event) => frame(String(event.type), event)).join("");
  const headers = { "content-type": "text/event-stream" };
  standin.script({ kind: "raw", status: 200, headers, body });
  const path = await newSession({ tools: [], thinking: { type: "adaptive", display: "omitted" } });
  const frames = await allFrames(await post(`${path}/turns`, { input: "hi", stream: true }));
  const shown = frames.filter(({ event }) => event?.startsWith("thinking."));
  expect(shown.map(({ event, data }) => [event, data.data])).toEqual([
    ["thinking.completed", { id: "msg_3_0", text: "" }],
  ]);
  expect(JSON.stringify(frames)).not.toContain("secret");
  const [kept] = await rowsOf(path, "block.thinking");
  expect(kept?.body).toMatchObject({ block: { thinking: "A secret plan." }, hidden: true });
});

test("a setting that does not apply is a notice, in the stream and in the history", async () => {
  const path = await newSession({ model: "haiku", speed: "fast" });
  standin.script([thinking("Hm."), text("done")]);
  const frames = await allFrames(await post(`${path}/turns`, { input: "hi", stream: true }));
  const said = frames.filter(({ event }) => event === "notice").map(({ data }) => data.data);
  expect(said).toEqual([
    {
      code: "speed_not_applied",
      message: "Claude Haiku 5.5 has no fast mode; it answers at its usual speed.",
    },
  ]);
  expect(modelCall(-1)).not.toHaveProperty("speed");
});

test("tools keep eager_input_streaming, in each form", async () => {
  const path = await newSession({ tools: [] });
  const schema = { type: "object", properties: {} };
  const tools = [
    { name: "a", input_schema: schema, eager_input_streaming: true },
    { type: "function", function: { name: "b", parameters: schema, eager_input_streaming: true } },
    { type: "function", function: { name: "c", parameters: schema }, eager_input_streaming: true },
    { type: "function", function: { name: "d", parameters: schema } },
  ];
  standin.script(text("ok"));
  await post(`${path}/turns`, { input: "hi", tools });
  const eager = modelCall(-1).tools?.filter((tool) => "eager_input_streaming" in tool);
  expect(eager?.map(({ name }) => name)).toEqual(["a", "b", "c"]);
});

describe("models", () => {
  test.each([
    ["sonnet", "claude-sonnet-5-5"],
    ["Opus", "claude-opus-5-5"],
    ["haiku", "claude-haiku-5-5"],
    ["fable", "claude-fable-5-2"],
    ["anthropic/claude-opus-4.6", "claude-opus-4-6"],
    ["claude-haiku-4.5", "claude-haiku-4-5"],
    ["anthropic/sonnet", "claude-sonnet-5-5"],
    ["us.anthropic.claude-opus-4-6-v1:0", "us.anthropic.claude-opus-4-6-v1:0"],
  ])("%s is %s, on creation and later", async (name, id) => {
    const created = await post("/api/sessions", { model: name });
    expect(await created.json()).toMatchObject({ model: id });
    const path = await newSession({ model: "claude-opus-5" });
    expect(await patch(path, { model: name })).toMatchObject({ model: id });
  });

  test("a name as no model has one is refused", async () => {
    const path = await newSession();
    for (const response of [
      await post("/api/sessions", { model: "a b" }),
      await send("PATCH", path, { model: "" }),
    ]) {
      expect(response.status).toBe(422);
      expect(await response.text()).toContain("body -> model");
    }
  });

  test("the list is there without an API, and with one that does not answer", async () => {
    const ids = async (variables: Record<string, string>) => {
      const response = await serverWith(variables)("GET", "/api/models");
      expect(response.status).toBe(200);
      return (await response.json<{ data: { id: string }[] }>()).data.map(({ id }) => id);
    };
    const table = await ids({ STANDIN: "false" });
    expect(table).toContain("claude-sonnet-5-5");
    // Nothing listens on this port.
    const dead = { ANTHROPIC_API_KEY: "sk-none", ANTHROPIC_BASE_URL: "http://127.0.0.1:9" };
    expect(await ids(dead)).toEqual(table);
    expect((await ids({})).sort()).toEqual(table.sort());
  });

  test("what the API says of a model that is not in the table stands in the session's row", async () => {
    const path = await newSession({ model: "claude-3-opus-latest" });
    const [created] = await rowsOf(path, "session.created");
    // The stand-in lists the model under its full id.
    expect(created?.body).not.toHaveProperty("config.model_facts");
    await patch(path, { model: "claude-3-opus-20240229" });
    await patch(path, { model: "sonnet" });
    const [old, known] = await rowsOf(path, "session.updated");
    expect(old?.body).toMatchObject({
      config: { model_facts: { name: "Claude Opus 3", max_tokens: 8_192, effort: [] } },
    });
    expect(known?.body).not.toHaveProperty("config.model_facts");
  });
});
