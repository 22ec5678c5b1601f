/** Keys: one for all of `/api/`, and another account's session does not exist. */
import { expect, test } from "vitest";
import { serverWith, withStandin } from "../api/cc/server.ts";

withStandin();

const server = serverWith({ API_KEYS: "ann:a1,ben:b1" });
const ann = { authorization: "Bearer a1" };
const ben = { "x-api-key": "b1" };

const ID = "sess_01J0000000000000000000000A";

/** Every route with a session in its path, and a body that is right. */
const SESSION_ROUTES: readonly [method: string, path: string, body?: unknown][] = [
  ["GET", ""],
  ["PATCH", "", { title: "x" }],
  ["DELETE", ""],
  ["POST", "/interrupt"],
  ["POST", "/compact", { keep_recent_messages: 20 }],
  ["GET", "/events"],
  ["GET", "/events?wait=1"],
  ["GET", "/events/stream"],
  ["POST", "/turns", { input: "hi" }],
  ["POST", "/turns", { input: "hi", stream: true }],
  ["GET", "/turns"],
  ["GET", "/turns/turn_2"],
  ["POST", "/tool-results", { results: [{ tool_call_id: "call_3_0", content: "x" }] }],
  ["GET", "/queue"],
  ["DELETE", "/queue/input_2"],
  ["POST", "/stream-ticket"],
  ["GET", `/media/${"0".repeat(64)}`],
  ["GET", "/export"],
  ["GET", "/files"],
  ["GET", "/files.zip"],
  ["GET", "/files/a.txt"],
  ["PUT", "/files/a.txt", "text"],
  ["DELETE", "/files/a.txt"],
  ["POST", "/files/move", { from: "a", to: "b" }],
  ["POST", "/files/directories", { path: "a" }],
  ["POST", "/files/git", { url: "https://git.example/a.git" }],
];

test.each<[method: string, path: string]>([
  ["GET", "/api/models"],
  ["GET", "/api/sessions"],
  ["POST", "/api/sessions"],
  ["GET", "/api/nothing"],
  ...SESSION_ROUTES.map(([method, path]): [string, string] => [
    method,
    `/api/sessions/${ID}${path}`,
  ]),
])("%s %s without a key is 401", async (method, path) => {
  const response = await server(method, path);
  expect(response.status).toBe(401);
  expect(response.headers.get("www-authenticate")).toBe("Bearer");
  expect(await response.json()).toMatchObject({ status: 401, detail: expect.any(String) });
});

test("another account's session is 404 on every route, and stays as it was", async () => {
  const created = await server("POST", "/api/sessions", { title: "Ann's" }, ann);
  const { id } = await created.json<{ id: string }>();
  for (const [method, path, body] of SESSION_ROUTES) {
    const response = await server(method, `/api/sessions/${id}${path}`, body, ben);
    expect([path, response.status]).toEqual([path, 404]);
    expect(await response.text()).not.toContain("Ann");
  }
  const mine = await server("GET", `/api/sessions/${id}`, undefined, ann);
  expect(await mine.json()).toMatchObject({ title: "Ann's", last_event_id: 1, turn_count: 0 });
  const list = await server("GET", "/api/sessions", undefined, ben);
  expect(await list.json()).toEqual({ data: [], has_more: false, next_cursor: null });
});

test("a session that never was is 404 on every route", async () => {
  for (const [method, path, body] of SESSION_ROUTES) {
    const response = await server(method, `/api/sessions/${ID}${path}`, body, ann);
    expect([path, response.status]).toEqual([path, 404]);
  }
});

test.each([
  "sess_",
  "sess_01J0000000000000000000000",
  "sess_01j0000000000000000000000a",
  "sess_81J0000000000000000000000A",
  "01J0000000000000000000000A",
  "sess_01J0000000000000000000000A%2Fx",
  "%zz",
])("the ill-formed session id %s is 404", async (id) => {
  for (const [method, path, body] of SESSION_ROUTES) {
    const response = await server(method, `/api/sessions/${id}${path}`, body, ann);
    expect([path, response.status]).toEqual([path, 404]);
  }
});
