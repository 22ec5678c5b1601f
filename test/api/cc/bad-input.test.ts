/** Requests that are wrong: each is refused with the field it is about, and nothing happens. */
import { beforeEach, describe, expect, test } from "vitest";
import { text, toolUse } from "../../../src/standin/replies.ts";
import {
  functionTool,
  get,
  imageBlock,
  modelCall,
  newSession,
  pngBytes,
  post,
  send,
  serverWith,
  standin,
  withStandin,
} from "./server.ts";

withStandin();

interface Problem {
  status: number;
  errors?: { field: string; type: string; message: string }[];
  error: { code: string };
}

const tool = functionTool("look");
const results = (content: unknown, more: object = {}) => ({
  results: [{ tool_call_id: "call_3_0", content, ...more }],
});
const input = (block: unknown) => ({ input: [{ type: "text", text: "See" }, block] });
const image = (source: object) => input({ type: "image", source });
const turn = (more: object) => ({ input: "Hi", ...more });
const schema = (parameters: unknown) =>
  turn({ tools: [{ type: "function", function: { name: "a", parameters } }] });

type Case = [method: string, path: string, body: unknown, field: string];

/** Paths behind the session's; every case is a 422 that names the field. */
const CASES: readonly Case[] = [
  ["PATCH", "", "", "body"],
  ["PATCH", "", [], "body"],
  ["PATCH", "", { model: 1 }, "body -> model"],
  ["PATCH", "", { model: "no spaces" }, "body -> model"],
  ["PATCH", "", { title: 1 }, "body -> title"],
  ["PATCH", "", { title: "x".repeat(257) }, "body -> title"],
  ["PATCH", "", { metadata: [] }, "body -> metadata"],
  ["PATCH", "", { metadata: null }, "body -> metadata"],
  ["PATCH", "", { system_prompt: ["new"] }, "body -> system_prompt"],
  ["PATCH", "", { tools: [] }, "body -> tools"],

  ["POST", "/interrupt", "[]", "body"],
  ["POST", "/interrupt", "{", "body -> 1"],
  ["POST", "/interrupt", { cancel_queued: "yes" }, "body -> cancel_queued"],

  ["POST", "/compact", { keep_recent_messages: 0 }, "body -> keep_recent_messages"],
  ["POST", "/compact", { keep_recent_messages: 1.5 }, "body -> keep_recent_messages"],
  ["POST", "/compact", { keep_recent_messages: "20" }, "body -> keep_recent_messages"],
  ["POST", "/compact", { instructions: 7 }, "body -> instructions"],
  ["POST", "/compact", "7", "body"],

  ["POST", "/stream-ticket", "[]", "body"],

  ["POST", "/turns", "", "body"],
  ["POST", "/turns", "not json", "body -> 0"],
  ["POST", "/turns", '{"input": "Hi"} x', "body -> 16"],
  ["POST", "/turns", "null", "body"],
  ["POST", "/turns", [], "body"],
  ["POST", "/turns", `{"input":${"[".repeat(200)}${"]".repeat(200)}}`, "body -> 108"],
  ["POST", "/turns", {}, "body -> input"],
  ["POST", "/turns", { input: null }, "body -> input"],
  ["POST", "/turns", { input: 7 }, "body -> input"],
  ["POST", "/turns", { input: {} }, "body -> input"],
  ["POST", "/turns", { input: [] }, "body -> input"],
  ["POST", "/turns", { input: ["Hi"] }, "body -> input -> 0"],
  ["POST", "/turns", { input: Array(1001).fill({ type: "text", text: "x" }) }, "body -> input"],
  ["POST", "/turns", input({ text: "no type" }), "body -> input -> 1 -> type"],
  ["POST", "/turns", input({ type: "audio" }), "body -> input -> 1 -> type"],
  ["POST", "/turns", input({ type: "text" }), "body -> input -> 1 -> text"],
  ["POST", "/turns", input({ type: "text", text: 7 }), "body -> input -> 1 -> text"],
  ["POST", "/turns", input({ type: "image" }), "body -> input -> 1 -> source"],
  ["POST", "/turns", image({ type: "ftp" }), "body -> input -> 1 -> source -> type"],
  [
    "POST",
    "/turns",
    image({ type: "base64", media_type: "image/png" }),
    "body -> input -> 1 -> source -> data",
  ],
  [
    "POST",
    "/turns",
    image({ type: "base64", media_type: "image/png", data: "not base64!" }),
    "body -> input -> 1 -> source -> data",
  ],
  [
    "POST",
    "/turns",
    image({ type: "base64", media_type: "image/png", data: "" }),
    "body -> input -> 1 -> source -> data",
  ],
  [
    "POST",
    "/turns",
    image({ type: "base64", media_type: "image/tiff", data: "AAAA" }),
    "body -> input -> 1 -> source -> media_type",
  ],
  [
    "POST",
    "/turns",
    image({ type: "url", url: "http://127.0.0.1/x.png" }),
    "body -> input -> 1 -> source -> url",
  ],
  [
    "POST",
    "/turns",
    image({ type: "url", url: "file:///etc/passwd" }),
    "body -> input -> 1 -> source -> url",
  ],
  ["POST", "/turns", image({ type: "file" }), "body -> input -> 1 -> source -> file_id"],
  [
    "POST",
    "/turns",
    input({ type: "document", source: { type: "text", media_type: "text/html", data: "x" } }),
    "body -> input -> 1 -> source -> media_type",
  ],
  ["POST", "/turns", input({ type: "image_url", image_url: 7 }), "body -> input -> 1 -> image_url"],
  ["POST", "/turns", turn({ on_busy: "later" }), "body -> on_busy"],
  ["POST", "/turns", turn({ stream: "yes" }), "body -> stream"],
  ["POST", "/turns", turn({ parallel_tool_calls: 1 }), "body -> parallel_tool_calls"],
  ["POST", "/turns", turn({ tools: {} }), "body -> tools"],
  ["POST", "/turns", turn({ tools: ["look"] }), "body -> tools -> 0"],
  ["POST", "/turns", turn({ tools: [{}] }), "body -> tools -> 0 -> name"],
  ["POST", "/turns", turn({ tools: [{ name: "a b" }] }), "body -> tools -> 0 -> name"],
  ["POST", "/turns", turn({ tools: [{ name: "__proto__" }] }), "body -> tools -> 0 -> name"],
  [
    "POST",
    "/turns",
    turn({ tools: [{ type: "web_search_20250305", name: "web_search" }] }),
    "body -> tools -> 0 -> type",
  ],
  ["POST", "/turns", turn({ tools: [{ type: "function" }] }), "body -> tools -> 0 -> function"],
  ["POST", "/turns", turn({ tools: [tool, tool] }), "body -> tools -> 1"],
  ["POST", "/turns", schema([]), "body -> tools -> 0 -> function -> parameters"],
  [
    "POST",
    "/turns",
    schema({ type: "string" }),
    "body -> tools -> 0 -> function -> parameters -> type",
  ],
  [
    "POST",
    "/turns",
    schema({ type: "object", anyOf: [] }),
    "body -> tools -> 0 -> function -> parameters -> anyOf",
  ],
  [
    "POST",
    "/turns",
    schema({ type: "object", properties: [] }),
    "body -> tools -> 0 -> function -> parameters -> properties",
  ],
  [
    "POST",
    "/turns",
    schema({ type: "object", properties: { "a b": {} } }),
    "body -> tools -> 0 -> function -> parameters -> properties",
  ],
  [
    "POST",
    "/turns",
    turn({ tools: [{ name: "a", description: "x".repeat(140_000) }] }),
    "body -> tools -> 0",
  ],
  [
    "POST",
    "/turns",
    turn({ tools: Array.from({ length: 257 }, (_, i) => ({ name: `t${i}` })) }),
    "body -> tools",
  ],
  ["POST", "/turns", turn({ tools: [tool], tool_choice: "listen" }), "body -> tool_choice"],
  [
    "POST",
    "/turns",
    turn({ tools: [tool], tool_choice: { type: "function", function: { name: "listen" } } }),
    "body -> tool_choice",
  ],
  ["POST", "/turns", turn({ tools: [], tool_choice: "required" }), "body -> tool_choice"],
  ["POST", "/turns", turn({ tool_choice: 7 }), "body -> tool_choice"],
  ["POST", "/turns", turn({ tool_choice: { type: "tool" } }), "body -> tool_choice -> name"],
  ["POST", "/turns", turn({ tool_choice: { type: "some" } }), "body -> tool_choice -> type"],

  ["POST", "/tool-results", "", "body"],
  ["POST", "/tool-results", {}, "body -> results"],
  ["POST", "/tool-results", { results: {} }, "body -> results"],
  ["POST", "/tool-results", { results: [] }, "body -> results"],
  ["POST", "/tool-results", { results: ["x"] }, "body -> results -> 0"],
  [
    "POST",
    "/tool-results",
    { results: Array(1001).fill({ tool_call_id: "call_3_0", content: "x" }) },
    "body -> results",
  ],
  [
    "POST",
    "/tool-results",
    { results: [{ content: "x" }] },
    "body -> results -> 0 -> tool_call_id",
  ],
  [
    "POST",
    "/tool-results",
    { results: [{ tool_call_id: 3, content: "x" }] },
    "body -> results -> 0 -> tool_call_id",
  ],
  [
    "POST",
    "/tool-results",
    { results: [{ tool_call_id: "call_3_0" }] },
    "body -> results -> 0 -> content",
  ],
  ["POST", "/tool-results", results("x", { is_error: "no" }), "body -> results -> 0 -> is_error"],
  [
    "POST",
    "/tool-results",
    results([{ type: "image", source: { type: "base64", media_type: "image/png", data: "!" } }]),
    "body -> results -> 0 -> content -> 0 -> source -> data",
  ],
  [
    "POST",
    "/tool-results",
    results(["a", { type: "text" }]),
    "body -> results -> 0 -> content -> 1 -> text",
  ],
  ["POST", "/tool-results", results("x"), "body -> results -> 0 -> tool_call_id"],
  [
    "POST",
    "/tool-results",
    { results: [{ tool_call_id: "toolu_1", content: "x" }] },
    "body -> results -> 0 -> tool_call_id",
  ],

  ["GET", "/events?limit=0", undefined, "query -> limit"],
  ["GET", "/events?limit=1001", undefined, "query -> limit"],
  ["GET", "/events?limit=abc", undefined, "query -> limit"],
  ["GET", "/events?wait=26", undefined, "query -> wait"],
  ["GET", "/events?wait=-1", undefined, "query -> wait"],
  ["GET", "/turns?limit=0", undefined, "query -> limit"],
  ["GET", "/turns?limit=101", undefined, "query -> limit"],
  ["GET", "/turns?cursor=7", undefined, "query -> cursor"],
];

describe("a request on a session", () => {
  let session: string;
  beforeEach(async () => {
    session = await newSession();
  });

  test.each(CASES)("%s %s with %j names %s", async (method, path, body, field) => {
    const response = await send(method, session + path, body);
    expect(response.status).toBe(422);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    const problem = await response.json<Problem>();
    expect(problem).toMatchObject({ status: 422, error: { code: "validation_error" } });
    expect(problem.errors?.map((one) => one.field)).toContain(field);
    expect(standin.requests.length).toBe(0);
    expect(await (await get(session)).json()).toMatchObject({ last_event_id: 1, status: "idle" });
  });
});

test.each<[body: unknown, field: string]>([
  [[], "body"],
  ["not json", "body -> 0"],
  [{ model: 7 }, "body -> model"],
  [{ model: "" }, "body -> model"],
  [{ system_prompt: 7 }, "body -> system_prompt"],
  [{ title: [] }, "body -> title"],
  [{ metadata: "x" }, "body -> metadata"],
  [{ metadata: { x: "y".repeat(16 * 1024) } }, "body -> metadata"],
  [{ tools: [{ name: "a" }, { name: "a" }] }, "body -> tools -> 1"],
])("POST /api/sessions with %j names %s", async (body, field) => {
  const response = await post("/api/sessions", body);
  expect(response.status).toBe(422);
  const problem = await response.json<Problem>();
  expect(problem.errors?.map((one) => one.field)).toContain(field);
});

test.each(["?limit=0", "?limit=101", "?limit=x", "?cursor=x", "?cursor="])(
  "GET /api/sessions%s is 422",
  async (query) => {
    expect((await get(`/api/sessions${query}`)).status).toBe(422);
  },
);

const SMALL = serverWith({ MAX_BODY_MB: "1" });

describe.each(["/turns", "/tool-results", "/interrupt", "/compact", "/stream-ticket"])(
  "POST %s",
  (path) => {
    test("with a body that is too large is 413, by its length or as it streams in", async () => {
      const session = await newSession();
      const large = JSON.stringify({ input: "x".repeat(1_100_000) });
      const declared = await SMALL("POST", session + path, large);
      const pieces = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(0x20)),
      });
      const chunked = await SMALL("POST", session + path, pieces);
      for (const response of [declared, chunked]) {
        expect(response.status).toBe(413);
        expect(await response.json()).toMatchObject({
          title: "Payload Too Large",
          error: { code: "payload_too_large" },
        });
      }
    });

    test.each(["has space", "", "ключ", "x".repeat(256)])(
      "with the Idempotency-Key %j is 400",
      async (key) => {
        const session = await newSession();
        const headers = new Headers();
        headers.set("idempotency-key", encodeURIComponent(key) === key ? key : "has space");
        const response = await post(session + path, {}, Object.fromEntries(headers));
        expect(response.status).toBe(400);
        expect(await response.json()).toMatchObject({
          error: { code: "invalid_idempotency_key" },
        });
      },
    );
  },
);

test("a body of 40 MB is 413", async () => {
  const session = await newSession();
  const pieces = Array.from({ length: 40 }, () => "x".repeat(1_048_576));
  const response = await post(`${session}/turns`, JSON.stringify({ input: pieces.join("") }));
  expect(response.status).toBe(413);
});

test("a body below the limit is taken, chunked or not", async () => {
  const session = await newSession();
  standin.script(text("Long."), text("Long."));
  const body = JSON.stringify({ input: "word ".repeat(100_000) });
  const chunked = new Blob([body]).stream();
  expect((await SMALL("POST", `${session}/turns`, body)).status).toBe(200);
  expect((await SMALL("POST", `${session}/turns`, chunked)).status).toBe(200);
});

test("lone surrogates are replaced before anything is kept or sent", async () => {
  const session = await newSession();
  standin.script(text("Well."));
  const response = await post(`${session}/turns`, '{"input":"a\\ud800b \\ud83d\\ude00"}');
  expect(response.status).toBe(200);
  expect(modelCall(0).messages).toMatchObject([{ content: [{ text: "a\ufffdb 😀" }] }]);
});

test("a wrong content type and a strange Accept do not matter", async () => {
  const session = await newSession();
  standin.script(text("Well."));
  const headers = { "content-type": "text/plain", accept: "image/png" };
  const response = await post(`${session}/turns`, { input: "Hi" }, headers);
  expect(response.status).toBe(200);
});

test("results that name a call twice are refused, and the call stays open", async () => {
  const session = await newSession();
  standin.script(toolUse("look", {}));
  await post(`${session}/turns`, { input: "Look", tools: [tool] });
  const one = { tool_call_id: "call_3_0", content: "x" };
  const response = await post(`${session}/tool-results`, { results: [one, one] });
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({
    errors: [{ field: "body -> results -> 1 -> tool_call_id", type: "duplicate_tool_call" }],
  });
  expect(await (await get(session)).json()).toMatchObject({
    pending_tool_calls: [{ id: "call_3_0" }],
  });
});

test("results of which one names no call are refused as a whole", async () => {
  const session = await newSession();
  standin.script(toolUse("look", {}));
  await post(`${session}/turns`, { input: "Look", tools: [tool] });
  const body = {
    results: [
      { tool_call_id: "call_3_0", content: "x" },
      { tool_call_id: "call_3_7", content: "x" },
    ],
  };
  const response = await post(`${session}/tool-results`, body);
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({
    errors: [{ field: "body -> results -> 1 -> tool_call_id", type: "unknown_tool_call" }],
  });
  expect(await (await get(session)).json()).toMatchObject({ status: "awaiting_tool_results" });
  expect(standin.requests.length).toBe(1);
});

test("images beyond what a context may hold are refused, and the next turn runs", async () => {
  const session = await newSession();
  const block = () => imageBlock(pngBytes(3_700_000));
  standin.script(text("One."), text("Two."));
  const first = await post(`${session}/turns`, { input: [block(), block(), block()] });
  expect(first.status).toBe(200);
  const second = await post(`${session}/turns`, { input: [block(), block(), block()] });
  expect(second.status).toBe(413);
  expect(await second.json()).toMatchObject({ error: { code: "media_limit" } });
  expect((await post(`${session}/turns`, { input: "Without" })).status).toBe(200);
});
