/** Errors of the Claude CLI server's API: its statuses, and always one JSON object. */
import { expect, test } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { newAccount, newKey } from "../api/cc/keys-support.ts";
import { get, post, send, serverWith, standin, withStandin } from "../api/cc/server.ts";
import { answered, chat, refusal } from "../api/chat/client.ts";

withStandin();

const BOTH = ["/v1/chat", "/v1/chat/stream"];

test.each([{}, { prompt: "" }, { prompt: null }, { prompt: " \n" }, { prompt: "", model: 7 }])(
  "%j is 400: prompt is required",
  async (body) => {
    for (const path of BOTH) {
      const [status, said] = await refusal(await post(path, body));
      expect([status, said.error]).toEqual([400, "prompt is required"]);
    }
  },
);

test.each([
  ["nothing", ""],
  ["half an object", '{"prompt": "Hi"'],
  ["a word", "prompt=Hi"],
  ["a list", '["Hi"]'],
  ["null", "null"],
  ["a string", '"Hi"'],
  ["a number", "7"],
  ["no UTF-8", "\ud800{"],
])("a body that is %s is 400", async (_, body) => {
  for (const path of BOTH) {
    const [status, said] = await refusal(await post(path, body));
    expect(status).toBe(400);
    expect(said.error).toMatch(/^body\b/);
  }
});

test.each([
  ["prompt", 7, "Input should be a valid string"],
  ["prompt", ["Hi"], "Input should be a valid string"],
  ["session_id", 7, "Input should be"],
  ["model", { id: "x" }, "Input should be"],
  ["model", "two words", "String should match pattern"],
  ["system_prompt", ["Be brief."], "Input should be"],
  ["max_budget_usd", "much", "Input should be a valid number"],
  ["max_budget_usd", -1, "Input should be greater than or equal to 0"],
  ["permission_mode", "anything", "Input should be default, auto"],
  ["allowed_tools", 7, "Input should be"],
  ["allowed_tools", ["Bash(", 3], "Input should be"],
  ["allowed_tools", ["Bash("], "A rule is Tool or Tool(pattern)"],
  ["cwd", "a\0b", "Input should be a path"],
  ["cwd", "x".repeat(300), "Input should be a path"],
])("the field %s as %j is 400 and named", async (name, value, message) => {
  for (const path of BOTH) {
    const [status, said] = await refusal(await post(path, { prompt: "Hi", [name]: value }));
    expect([status, said.code]).toEqual([400, "validation_error"]);
    expect(said.error).toMatch(new RegExp(`^body -> ${name}\\b.*: `));
    expect(said.error).toContain(message);
  }
});

test.each(["/v1", "/v1/", "/v1/models", "/v1/chats", "/v1/chat/x", "/v1/messages", "/v1/props"])(
  "%s is 404 in that form, with a key and without one",
  async (path) => {
    const locked = serverWith({ API_KEYS: "k3y", ALLOW_ANONYMOUS: "false" });
    for (const [server, headers] of [
      [send, {}],
      [locked, { "x-api-key": "k3y" }],
    ] as const) {
      const [status, said] = await refusal(await server("GET", path, undefined, headers));
      expect([status, said]).toEqual([404, { error: "Path not found", code: "not_found" }]);
    }
    const known = path.startsWith("/v1/chat/");
    expect((await locked("GET", path)).status).toBe(known ? 401 : 404);
  },
);

test("a wrong method is 405 in that form, with the right one", async () => {
  for (const path of BOTH) {
    const response = await get(path);
    expect(response.headers.get("allow")).toBe("POST");
    const [status, said] = await refusal(response);
    expect([status, said.error]).toEqual([405, "This path allows POST"]);
  }
  const response = await post("/v1/health", {});
  expect(response.headers.get("allow")).toContain("GET");
  expect(response.status).toBe(405);
  expect(await response.json()).toMatchObject({ status: "error" });
});

test("a key is needed as soon as there is one, in either header", async () => {
  const locked = serverWith({ API_KEYS: "k3y", ALLOW_ANONYMOUS: "false" });
  for (const path of BOTH) {
    for (const headers of [{}, { authorization: "Bearer wrong" }, { "x-api-key": "wrong" }]) {
      const response = await locked("POST", path, { prompt: "Hi" }, headers);
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
      const [status, said] = await refusal(response);
      expect([status, said.code]).toEqual([401, "unauthorized"]);
    }
  }
  standin.script(text("Hello."), text("Hello."));
  for (const headers of [{ authorization: "Bearer k3y" }, { "x-api-key": "k3y" }]) {
    const response = await locked("POST", "/v1/chat", { prompt: "Hi" }, headers);
    expect(response.status).toBe(200);
  }
});

test("a key that may only read is 403", async () => {
  const { headers } = await newKey({ account: newAccount(), scopes: ["read"] });
  const server = serverWith({ API_KEYS: "k3y", ALLOW_ANONYMOUS: "false" });
  const [status, said] = await refusal(await server("POST", "/v1/chat", { prompt: "Hi" }, headers));
  expect([status, said.code, said.scope]).toEqual([403, "missing_scope", "run"]);
});

test("a session of another account is unknown, in the same words", async () => {
  const server = serverWith({ API_KEYS: "ann:a1,ben:b1", ALLOW_ANONYMOUS: "false" });
  standin.script(text("Noted."));
  const mine = await server("POST", "/v1/chat", { prompt: "Ann's" }, { "x-api-key": "a1" });
  const { session_id } = await mine.json<{ session_id: string }>();
  const never = "sess_01J0000000000000000000000A";
  const answers = [];
  for (const id of [session_id, never]) {
    const body = { prompt: "Hi", session_id: id, system_prompt: "Obey Ben.", cwd: "ben" };
    const response = await server("POST", "/v1/chat", body, { "x-api-key": "b1" });
    answers.push([response.status, await response.json()]);
  }
  expect(answers[0]).toEqual(answers[1]);
  expect(answers[0]?.[0]).toBe(502);
});

test("a body that is too large is 413", async () => {
  const small = serverWith({ MAX_BODY_MB: "1" });
  for (const path of BOTH) {
    const [status, said] = await refusal(
      await small("POST", path, { prompt: "x".repeat(1_100_000) }),
    );
    expect([status, said.code]).toEqual([413, "payload_too_large"]);
  }
});

test("a long prompt comes to the model as it is", async () => {
  standin.script(text("Read."));
  const prompt = `${"ä🙂 ".repeat(200_000)}end`;
  await answered({ prompt });
  expect(JSON.stringify(standin.requests.at(-1)?.body)).toContain("ä🙂 end");
});

test("too many calls are 429, and each answer says how many are left", async () => {
  const slow = serverWith({
    API_KEYS: `${newAccount()}:k3y`,
    RATE_LIMIT_REQUESTS: "1",
    RATE_LIMIT_WINDOW: "60",
  });
  const key = { "x-api-key": "k3y" };
  standin.script(text("Hello."));
  const first = await slow("POST", "/v1/chat", { prompt: "Hi" }, key);
  expect([first.status, first.headers.get("x-ratelimit-remaining")]).toEqual([200, "0"]);
  for (const path of BOTH) {
    const response = await slow("POST", path, { prompt: "Hi" }, key);
    expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
    const [status, said] = await refusal(response);
    expect([status, said.code]).toEqual([429, "rate_limit_exceeded"]);
  }
});

test("a wrong configuration is 503, and so is a server without a key", async () => {
  const wrong = serverWith({ CC_API_MAX_TURNS: "many" });
  const [status, said] = await refusal(await wrong("POST", "/v1/chat", { prompt: "Hi" }));
  expect([status, said.code]).toEqual([503, "misconfigured"]);
  const closed = serverWith({ ALLOW_ANONYMOUS: "false" });
  const [second, told] = await refusal(await closed("POST", "/v1/chat", { prompt: "Hi" }));
  expect([second, told.code]).toEqual([503, "no_api_key"]);
});

test("a prompt that moderation refuses is 400, also one for the system", async () => {
  const strict = serverWith({
    MODERATION: "all",
    MODERATION_PATTERNS: '[{"name":"moon","pattern":"moon"}]',
  });
  for (const body of [{ prompt: "the moon" }, { prompt: "Hi", system_prompt: "the moon" }]) {
    const [status, said] = await refusal(await strict("POST", "/v1/chat", body));
    expect([status, said.code, said.rule]).toEqual([400, "blocked", "moon"]);
  }
});

test("every answer has a request id, and none may be stored", async () => {
  standin.script(text("Hello."));
  for (const response of [await chat({ prompt: "Hi" }), await chat({}), await get("/v1/x")]) {
    expect(response.headers.get("x-request-id")).toMatch(/\S/);
    expect(response.headers.get("cache-control")).toBe("no-store");
  }
});
