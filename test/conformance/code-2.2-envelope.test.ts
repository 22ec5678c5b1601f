/** The envelope of answers, and what every response of `/api/v1` has. */
import { expect, test } from "vitest";
import { ROUTES } from "../../src/api/code/routes.ts";
import { text } from "../../src/standin/replies.ts";
import { serverWith, standin, withStandin } from "../api/cc/server.ts";
import { BASE, get, newSession, post, send } from "../api/code/client.ts";

withStandin();

/** Without the platform's client, which follows redirects. */
const direct = serverWith({});

test("data and meta, with a time that has its offset and microseconds", async () => {
  const response = await get(`${BASE}/usage`);
  expect(await response.json()).toMatchObject({
    data: expect.any(Object),
    meta: {
      request_id: response.headers.get("x-request-id"),
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/),
      version: "v1",
    },
  });
});

test("the client's own X-Request-ID is any text, without what no header may have", async () => {
  const given = { "x-request-id": "  build #7 / wörk  " };
  const response = await get(`${BASE}/usage`, given);
  expect(response.headers.get("x-request-id")).toBe("build #7 / wrk");
  expect(await response.json()).toMatchObject({ meta: { request_id: "build #7 / wrk" } });
  const long = await get(`${BASE}/usage`, { "x-request-id": "x".repeat(1000) });
  expect(long.headers.get("x-request-id")).toBe("x".repeat(128));
  const problem = await get(`${BASE}/sessions/nobody`, given);
  expect(await problem.json()).toMatchObject({ request_id: "build #7 / wrk" });
});

test("without one of the client's there is one of ours", async () => {
  const [one, other] = [await get(`${BASE}/health`), await get(`${BASE}/health`)];
  const ids = [one, other].map(({ headers }) => headers.get("x-request-id") ?? "");
  expect(ids[0]?.length).toBeGreaterThan(15);
  expect(ids[0]).not.toBe(ids[1]);
});

test("every response has its headers: answers, problems, streams, redirects, empty ones", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  const stream = await post(`${session}/chat/stream`, { message: "Hi" });
  const responses: [number, Response][] = [
    [200, stream],
    [200, await get(`${BASE}/health`)],
    [200, await get(session)],
    [307, await direct("GET", `${BASE}/health/`)],
    [404, await get(`${BASE}/nothing`)],
    [404, await get(`${BASE}/sessions/nobody`)],
    [405, await send("PUT", session, {})],
    [422, await post(`${session}/chat`, {})],
    [422, await post(`${session}/chat`, "{")],
    [401, await serverWith({ CC_API_KEY: "k" })("GET", session)],
    [204, await send("DELETE", session)],
  ];
  await stream.text();
  for (const [status, response] of responses) {
    const headers = Object.fromEntries(response.headers);
    expect([status, response.status]).toEqual([status, status]);
    expect(headers).toMatchObject({
      "x-request-id": expect.stringMatching(/./),
      "x-response-time": expect.stringMatching(/^\d+ms$/),
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    });
  }
});

test("a slash at the end of a path leads to the one without it, on every route", async () => {
  const paths = new Set(ROUTES.map(({ path }) => path).filter((path) => !path.includes("*")));
  for (const path of paths) {
    const address = path.replace(/:\w+/g, "x");
    const response = await direct("POST", `${address}/?page=2&q=%2F`);
    expect([path, response.status]).toEqual([path, 307]);
    expect(response.headers.get("location")).toBe(`${address}?page=2&q=%2F`);
  }
  // A path that is none is not found either way.
  expect((await get(`${BASE}/nothing/`)).status).toBe(404);
});

test("a wrong method is 405 with the methods that there are", async () => {
  const response = await send("PATCH", `${BASE}/sessions`, {});
  expect(response.status).toBe(405);
  expect(response.headers.get("allow")?.split(", ").sort()).toEqual(["GET", "HEAD", "POST"]);
  expect(await response.json()).toMatchObject({ title: "Method Not Allowed", status: 405 });
});

test("paths that clients of other servers probe are not there", async () => {
  for (const path of ["/models", "", "/chat", "/messages"]) {
    expect((await get(BASE + path)).status).toBe(404);
  }
});

test("GET /health is 200 in every state, and says what there is", async () => {
  const good = await serverWith({ CC_API_KEY: "k" })("GET", `${BASE}/health`);
  expect(await good.json()).toEqual({
    status: "ok",
    checks: { database: "ok", claude_cli: "ok", anthropic_api: "ok" },
    meta: expect.objectContaining({ version: "v1" }),
  });
  const keyless = await serverWith({ STANDIN: "false" })("GET", `${BASE}/health`);
  expect(keyless.status).toBe(200);
  expect(await keyless.json()).toMatchObject({
    status: "degraded",
    checks: { database: "ok", claude_cli: "not_found", anthropic_api: "no_key" },
  });
  const broken = { getByName: () => ({ sessionNamed: () => Promise.reject(new Error("gone")) }) };
  const lost = await serverWith({ ACCOUNT: broken })("GET", `${BASE}/health`);
  expect(lost.status).toBe(200);
  expect(await lost.json()).toMatchObject({
    status: "degraded",
    checks: { database: "error", claude_cli: "ok" },
  });
});
