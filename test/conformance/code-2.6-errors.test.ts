/** Problems of `/api/v1`: the fields, types and texts that clients of the original know. */
import { expect, test } from "vitest";
import { serverWith, withStandin } from "../api/cc/server.ts";
import { BASE, get, newSession, post, problemOf } from "../api/code/client.ts";

withStandin();

const firstError = async (response: Promise<Response>) => {
  const problem = await problemOf(response);
  expect(problem).toMatchObject({
    type: "about:blank",
    title: "Validation Error",
    status: 422,
    detail: `${problem.errors?.length} validation error(s)`,
  });
  return problem.errors?.[0];
};

const LONG = "x".repeat(50_001);

test.each<[string, unknown, string, string, string | undefined]>([
  ["missing", {}, "body -> message", "missing", "Field required"],
  ["empty", { message: "" }, "body -> message", "string_too_short", undefined],
  ["null", { message: null }, "body -> message", "string_type", undefined],
  ["wrong type", { message: 3 }, "body -> message", "string_type", undefined],
  ["long", { message: "Hi", system: LONG }, "body -> system", "string_too_long", undefined],
  [
    "long",
    { message: "Hi", model: "m".repeat(101) },
    "body -> model",
    "string_too_long",
    undefined,
  ],
  ["unknown field", { message: "Hi", x: 1 }, "body -> x", "extra_forbidden", undefined],
  [
    "no object",
    { message: "Hi", output_format: [] },
    "body -> output_format",
    "value_error",
    undefined,
  ],
  ["array body", [], "body", "model_attributes_type", undefined],
  ["text body", '"text"', "body", "model_attributes_type", undefined],
  ["empty body", "", "body", "missing", "Field required"],
  ["bad JSON", '{"message": }', "body -> 12", "json_invalid", undefined],
  ["cut JSON", '{"message": "Hi"', "body -> 16", "json_invalid", undefined],
])("a chat's body: %s %j", async (_, body, field, type, message) => {
  const session = await newSession();
  for (const path of ["chat", "chat/stream", "jobs"]) {
    const error = await firstError(post(`${session}/${path}`, body));
    expect(error).toEqual({ field, type, message: message ?? expect.stringMatching(/./) });
  }
});

test("a message has 1 to 1,000,000 characters, which are no UTF-16 units", async () => {
  const session = await newSession();
  const error = await firstError(post(`${session}/jobs`, { message: "x".repeat(1_000_001) }));
  expect(error).toMatchObject({ field: "body -> message", type: "string_too_long" });
  // Two units each, and still few enough.
  const long = await post(`${session}/jobs`, { message: "😀".repeat(600_000), nothing: 1 });
  expect((await problemOf(long)).errors).toMatchObject([{ field: "body -> nothing" }]);
});

test.each<[string, unknown, string, string]>([
  ["no name", {}, "body -> name", "missing"],
  ["empty name", { name: "" }, "body -> name", "string_too_short"],
  ["long name", { name: "x".repeat(129) }, "body -> name", "string_too_long"],
  ["label", { name: "x", user_id: "x".repeat(129) }, "body -> user_id", "string_too_long"],
  ["null label", { name: "x", user_id: null }, "body -> user_id", "string_type"],
  ["prompt", { name: "x", system_prompt: LONG }, "body -> system_prompt", "string_too_long"],
  ["model", { name: "x", model: "m".repeat(101) }, "body -> model", "string_too_long"],
  ["no turns", { name: "x", max_turns: 0 }, "body -> max_turns", "greater_than_equal"],
  ["no turns", { name: "x", max_turns: "0" }, "body -> max_turns", "greater_than_equal"],
  ["many turns", { name: "x", max_turns: 101 }, "body -> max_turns", "less_than_equal"],
  ["half a turn", { name: "x", max_turns: 1.5 }, "body -> max_turns", "int_type"],
  ["no number", { name: "x", max_turns: "many" }, "body -> max_turns", "int_parsing"],
  ["unknown field", { name: "x", cwd: "/" }, "body -> cwd", "extra_forbidden"],
])("a session's body: %s", async (_, body, field, type) => {
  const error = await firstError(post(`${BASE}/sessions`, body));
  expect(error).toMatchObject({ field, type });
});

test("every wrong and every unknown field is named", async () => {
  const body = { name: 1, max_turns: 0, one: 1, other: 2 };
  const problem = await problemOf(post(`${BASE}/sessions`, body));
  expect(problem.detail).toBe("4 validation error(s)");
  expect(problem.errors?.map(({ field }) => field)).toEqual([
    "body -> name",
    "body -> max_turns",
    "body -> one",
    "body -> other",
  ]);
});

test("a body that is not said to be JSON is taken for a text", async () => {
  const session = await newSession();
  const types = ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"];
  for (const type of types) {
    const sent = post(`${session}/chat`, '{"message": "Hi"}', { "content-type": type });
    expect(await firstError(sent)).toMatchObject({ field: "body", type: "model_attributes_type" });
  }
  const json = { "content-type": "application/vnd.client+json; charset=utf-8" };
  const error = await firstError(post(`${session}/chat`, "{}", json));
  expect(error).toMatchObject({ field: "body -> message" });
});

test("numbers in a query that are none", async () => {
  const session = await newSession();
  const lists = [`${BASE}/sessions`, `${session}/history`, `${session}/jobs`, `${session}/files`];
  for (const list of [...lists, `${BASE}/audit`]) {
    for (const value of ["abc", "", "1.5", "1e2"]) {
      const page = await firstError(get(`${list}?page=${value}`));
      expect(page).toMatchObject({ field: "query -> page", type: "int_parsing" });
      const limit = await firstError(get(`${list}?limit=${value}`));
      expect(limit).toMatchObject({ field: "query -> limit", type: "int_parsing" });
    }
  }
});

test("numbers in a query that are out of range are brought into it", async () => {
  const session = await newSession();
  const most = { "/sessions": 100, [`${session}/jobs`]: 200, [`${session}/files`]: 1000 };
  for (const [list, limit] of Object.entries({ ...most, "/audit": 200 })) {
    const path = list.startsWith("/api") ? list : BASE + list;
    const response = await get(`${path}?page=-3&limit=5000`);
    expect(await response.json()).toMatchObject({ pagination: { page: 1, limit } });
    const none = await get(`${path}?page=0&limit=0`);
    expect(none.status).toBe(200);
    expect(await none.json()).toMatchObject({ pagination: { page: 1, limit: 1 } });
  }
});

test("a problem has the request's whole address, and its id", async () => {
  const response = await get(`${BASE}/sessions/nobody?user_id=x&page=2`);
  expect(await response.json()).toEqual({
    type: "about:blank",
    title: "Not Found",
    status: 404,
    detail: "Session not found",
    instance: `http://localhost${BASE}/sessions/nobody?user_id=x&page=2`,
    request_id: response.headers.get("x-request-id"),
    error: { code: "not_found", message: "Session not found" },
  });
});

test("a body that is too large is a problem like any other, also without a length", async () => {
  const server = serverWith({ MAX_BODY_MB: "1" });
  const session = await newSession();
  const text = `{"message": "${"x".repeat(1_100_000)}"}`;
  const pieces = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });
  for (const body of [text, pieces]) {
    expect(await problemOf(server("POST", `${session}/chat`, body))).toMatchObject({
      title: "Payload Too Large",
      status: 413,
      error: { code: "payload_too_large" },
    });
  }
});

test("what nobody foresaw is 500 without its cause, and with all headers", async () => {
  // What an account never answers.
  const broken = { getByName: () => ({ templates: async () => "the secret cause" }) };
  const response = await serverWith({ ACCOUNT: broken })("GET", `${BASE}/templates`);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "x-request-id": expect.stringMatching(/./),
    "x-response-time": expect.stringMatching(/ms$/),
  });
  const problem = await problemOf(response);
  expect(problem).toMatchObject({
    title: "Internal Server Error",
    status: 500,
    detail: "An unexpected error occurred",
  });
  expect(JSON.stringify(problem)).not.toContain("secret");
});
