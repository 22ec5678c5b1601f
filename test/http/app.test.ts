import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { authentication } from "../../src/http/auth.ts";
import { readJson } from "../../src/http/body.ts";
import * as problems from "../../src/http/problems.ts";
import { VARIABLES } from "../../src/shared/config.ts";
import { WRONG_VALUES } from "../support/wrong-values.ts";

interface ProblemBody {
  status: number;
  request_id: string;
  error: { code: string; message: string };
  [member: string]: unknown;
}

const KEY = { CC_API_KEY: "k3y" };
const AUTH = { "x-api-key": "k3y" };

function thingsApp() {
  const app = createApp();
  app.use("/api/*", authentication());
  app.get("/", (c) => c.json({ open: true }));
  app.get("/api/things", (c) => c.json({ account: c.get("account") }));
  app.post("/api/things", async (c) => c.json(await readJson(c.req.raw, 5), 201));
  app.get("/api/things/:id", (c) =>
    problems.respond(c, { ...problems.notFound("Thing"), extra: { turn: "turn_2", status: 7 } }),
  );
  app.get("/api/raw", () => new Response("raw", { headers: { "cache-control": "max-age=9" } }));
  app.get("/api/broken", () => {
    throw new TypeError("the key sk-ant-secret is wrong");
  });
  return app;
}

const get = (path: string, init: RequestInit = {}, env: object = KEY): Promise<Response> =>
  Promise.resolve(thingsApp().request(`http://localhost${path}`, { headers: AUTH, ...init }, env));

let logged: string[] = [];
beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((line) => {
    logged.push(String(line));
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

test("a problem has all members of its form, and none that an extra could replace", async () => {
  const response = await get("/api/things/7?x=1", {
    headers: { ...AUTH, "x-request-id": "abc-1" },
  });
  expect(response.status).toBe(404);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(await response.json()).toEqual({
    type: "about:blank",
    title: "Not Found",
    status: 404,
    detail: "Thing not found",
    instance: "http://localhost/api/things/7?x=1",
    request_id: "abc-1",
    error: { code: "not_found", message: "Thing not found" },
    turn: "turn_2",
  });
});

test("a ticket in the address is left out of the problem", async () => {
  const response = await get("/api/things/7?ticket=acct.sess.9.mac&after=3");
  expect(await response.json()).toMatchObject({
    instance: "http://localhost/api/things/7?after=3",
  });
});

test("an unknown path is 404 in the same form", async () => {
  const response = await get("/nowhere");
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({
    title: "Not Found",
    error: { code: "not_found", message: "Path not found" },
  });
});

test("a wrong method is 405 with the methods that the path has", async () => {
  const response = await get("/api/things", { method: "DELETE" });
  expect(response.status).toBe(405);
  expect(response.headers.get("allow")).toBe("GET, HEAD, POST");
  expect(await response.json()).toMatchObject({ error: { code: "method_not_allowed" } });
});

test("a thing that is not found stays 404, although its path has other methods", async () => {
  expect((await get("/api/things/7")).status).toBe(404);
});

test("an unknown error is a generic 500 whose id is in the log, and its message is in neither", async () => {
  const response = await get("/api/broken");
  expect(response.status).toBe(500);
  const text = await response.text();
  const body: ProblemBody = JSON.parse(text);
  expect(body.error).toEqual({
    code: "internal_error",
    message: "An unexpected error occurred",
  });
  expect(response.headers.get("x-request-id")).toBe(body.request_id);
  expect(logged).toHaveLength(1);
  expect(JSON.parse(logged[0] ?? "")).toMatchObject({
    event: "error",
    what: "a request",
    request_id: body.request_id,
    method: "GET",
    path: "/api/broken",
    error: { name: "TypeError", frames: expect.arrayContaining([expect.stringContaining("at ")]) },
  });
  expect(text + logged.join()).not.toContain("sk-ant-secret");
});

test("a thrown problem is answered and not logged", async () => {
  const response = await get("/api/things", { method: "POST", body: "123456" });
  expect(response.status).toBe(413);
  expect(logged).toEqual([]);
});

test("503 says when to come back where waiting helps", () => {
  const place = { instance: "http://x/", requestId: "r" };
  const later = problems.problemResponse(problems.unavailable("busy", "Busy", 1.2), place);
  expect(later.headers.get("retry-after")).toBe("2");
  const never = problems.problemResponse(problems.unavailable("no_key", "No key"), place);
  expect(never.headers.has("retry-after")).toBe(false);
});

test("a usable request id of the client's is kept, others are replaced", async () => {
  const idOf = async (id: string) => {
    const response = await get("/", { headers: { "x-request-id": id } });
    return response.headers.get("x-request-id");
  };
  expect(await idOf("a_b-C=9")).toBe("a_b-C=9");
  for (const bad of ["a b", "<x>", "x".repeat(129)]) {
    expect(await idOf(bad)).toMatch(/^req_[0-9A-HJKMNP-TV-Z]{26}$/);
  }
});

test.each(["/", "/api/things", "/api/things/7", "/api/broken", "/nowhere", "/api/raw"])(
  "%s answers with the security headers and a request id",
  async (path) => {
    const { headers } = await get(path);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'none'; frame-ancestors 'none'",
    );
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("x-request-id")).toMatch(/^req_/);
    expect(headers.get("cache-control")).toBe(path === "/api/raw" ? "max-age=9" : "no-store");
  },
);

test("a wrong configuration answers 503 on every path and names variable and rule, not the value", async () => {
  const env = { ...KEY, MAX_BODY_MB: "plenty", STANDIN: "maybe" };
  for (const path of ["/", "/api/things"]) {
    const response = await get(path, {}, env);
    expect(response.status).toBe(503);
    const { detail, error }: ProblemBody = await response.json();
    expect(error.code).toBe("misconfigured");
    expect(detail).toBe(
      "The server's configuration is wrong: STANDIN must be `true` or `false`; MAX_BODY_MB must be a whole number from 1 to 16",
    );
  }
});

test.each(WRONG_VALUES)("a deployed Worker with a wrong %s says so", async (name, value) => {
  const response = await get("/healthz", {}, { [name]: value });
  expect(response.status).toBe(503);
  const { detail, error }: ProblemBody & { detail?: string } = await response.json();
  expect(error.code).toBe("misconfigured");
  expect(detail).toContain(`${name} must be ${VARIABLES[name].rule}`);
});

test("without CORS_ORIGINS there is no CORS", async () => {
  const headers = { ...AUTH, origin: "https://app.example" };
  expect((await get("/api/things", { headers })).headers.has("access-control-allow-origin")).toBe(
    false,
  );
  const preflight = await get("/api/things", { method: "OPTIONS", headers });
  expect(preflight.headers.has("access-control-allow-origin")).toBe(false);
  expect(preflight.ok).toBe(false);
});

test("an allowed origin gets its preflight answered without a key", async () => {
  const response = await get(
    "/api/things",
    {
      method: "OPTIONS",
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,idempotency-key",
      },
    },
    { ...KEY, CORS_ORIGINS: "https://app.example" },
  );
  expect(response.status).toBe(204);
  expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example");
  const allowed = response.headers.get("access-control-allow-headers");
  for (const header of [
    "authorization",
    "x-api-key",
    "content-type",
    "last-event-id",
    "idempotency-key",
    "prefer",
  ]) {
    expect(allowed).toContain(header);
  }
  expect(response.headers.get("access-control-allow-methods")).toContain("POST");
  expect(response.headers.has("access-control-allow-credentials")).toBe(false);
});

test.each(["/api/things", "/api/things/7", "/api/broken", "/nowhere"])(
  "%s may be read by a page of an allowed origin, and only by such",
  async (path) => {
    const env = { ...KEY, CORS_ORIGINS: "https://app.example,https://b.example" };
    const allowOf = async (origin: string) => {
      const { headers } = await get(path, { headers: { ...AUTH, origin } }, env);
      expect(headers.get("vary")).toContain("Origin");
      return headers.get("access-control-allow-origin");
    };
    expect(await allowOf("https://b.example")).toBe("https://b.example");
    expect(await allowOf("https://evil.example")).toBeNull();
  },
);

test("pages may read the headers that we set", async () => {
  const env = { ...KEY, CORS_ORIGINS: "*" };
  const { headers } = await get(
    "/api/things",
    { headers: { ...AUTH, origin: "https://any.example" } },
    env,
  );
  expect(headers.get("access-control-allow-origin")).toBe("*");
  for (const name of ["x-request-id", "idempotency-replayed", "location", "retry-after"]) {
    expect(headers.get("access-control-expose-headers")).toContain(name);
  }
});
