/** Errors in the form of the surface whose path was asked for. */
import { afterEach, expect, test, vi } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { authentication } from "../../src/http/auth.ts";
import { readJson } from "../../src/http/body.ts";
import { type ErrorForm, formOn, type Problem } from "../../src/http/problems.ts";

const form = (path: string): ErrorForm => ({
  path,
  response: ({ status, code }: Problem, { requestId }) =>
    Response.json({ form: path, code, request: requestId }, { status }),
});

const FORMS = [form("/v1"), form("/v1/health"), form("/api/v1")];

afterEach(() => vi.restoreAllMocks());

test.each([
  ["/v1", "/v1"],
  ["/v1/", "/v1"],
  ["/v1/chat/stream", "/v1"],
  ["/v1/health", "/v1/health"],
  ["/v1/health/x", "/v1/health"],
  ["/v1/healthy", "/v1"],
  ["/api/v1/sessions", "/api/v1"],
  ["/v10", undefined],
  ["/v1.0/chat", undefined],
  ["/api/v10", undefined],
  ["/api/sessions/v1", undefined],
  ["/", undefined],
])("the form on %s is that of %s, in whatever order they are given", (path, expected) => {
  expect(formOn(FORMS, path)?.path).toBe(expected);
  expect(formOn(FORMS.toReversed(), path)?.path).toBe(expected);
});

function app() {
  const made = createApp(FORMS);
  made.use("/api/*", authentication());
  made.post("/v1/chat", async (c) => c.json(await readJson(c.req.raw, 5)));
  made.get("/v1/broken", () => {
    throw new TypeError("the key sk-ant-secret is wrong");
  });
  return made;
}

const ask = (method: string, path: string, body?: string, env: object = { CC_API_KEY: "k" }) =>
  Promise.resolve(
    app().request(`http://localhost${path}`, { method, ...(body ? { body } : {}) }, env),
  );

test.each<[string, string, string | undefined, object | undefined, number, string]>([
  ["GET", "/v1/nothing", undefined, undefined, 404, "not_found"],
  ["PUT", "/v1/chat", undefined, undefined, 405, "method_not_allowed"],
  ["POST", "/v1/chat", "{}{}{}{}", undefined, 413, "payload_too_large"],
  ["POST", "/v1/chat", "{", undefined, 422, "validation_error"],
  ["GET", "/v1/broken", undefined, undefined, 500, "internal_error"],
  ["GET", "/v1/broken", undefined, { MAX_BODY_MB: "x" }, 503, "misconfigured"],
])("%s %s %s with %j: %d %s", async (method, path, body, env, status, code) => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const response = await ask(method, path, body, env);
  expect(response.status).toBe(status);
  expect(await response.json()).toEqual({
    form: "/v1",
    code,
    request: response.headers.get("x-request-id"),
  });
});

test("what lies elsewhere keeps the usual form", async () => {
  for (const path of ["/nothing", "/v10", "/api/things"]) {
    const response = await ask("GET", path);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
  }
  const response = await ask("GET", "/api/v1/things");
  expect([response.status, await response.json()]).toMatchObject([401, { form: "/api/v1" }]);
});
