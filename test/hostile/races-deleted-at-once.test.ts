/** What reaches a session at once with its deletion: it is done before or not at all, and nothing is left. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { expect, test } from "vitest";
import { text, toolUse } from "../../src/standin/replies.ts";
import {
  functionTool,
  get,
  newSession,
  objectOf,
  post,
  send,
  standin,
  withStandin,
} from "../api/cc/server.ts";
import { useFakeClock } from "../support/fake-clock.ts";
import { codeOf, FORM, FORM_TYPE, left, NOTHING } from "./deleted.ts";

withStandin();
// In real time the alarm that erases the data fires at once.
useFakeClock();

const tools = [functionTool("look")];

const RACED: [name: string, status: number[], ask: (session: string) => Promise<Response>][] = [
  ["a turn", [200, 404], (session) => post(`${session}/turns`, { input: "Ho" })],
  [
    "a turn for later",
    [202, 404],
    (session) => post(`${session}/turns`, { input: "Ho" }, { prefer: "wait=0" }),
  ],
  [
    "results",
    [200, 404],
    (session) =>
      post(`${session}/tool-results`, { results: [{ tool_call_id: "call_3_0", content: "x" }] }),
  ],
  ["an interrupt", [200, 404], (session) => post(`${session}/interrupt`)],
  ["a change", [200, 404], (session) => send("PATCH", session, { title: "x" })],
  ["another deletion", [200, 404], (session) => send("DELETE", session)],
  ["a ticket", [200, 404], (session) => post(`${session}/stream-ticket`)],
  ["a page", [200, 404], (session) => get(`${session}/events`)],
  ["an upload", [201, 404], (session) => send("PUT", `${session}/files/b.txt`, "x")],
  [
    "a large upload",
    [201, 404],
    (session) => send("PUT", `${session}/files/b.txt`, "long text ".repeat(200_000)),
  ],
  ["a folder", [201, 404], (session) => post(`${session}/files/directories`, { path: "a" })],
  ["an archive of the files", [200, 404], (session) => get(`${session}/files.zip`)],
  ["a chat", [200, 404], (session) => post(`${codeOf(session)}/chat`, { message: "Ho" })],
  ["a job", [202, 404], (session) => post(`${codeOf(session)}/jobs`, { message: "Ho" })],
  ["a history", [200, 404], (session) => get(`${codeOf(session)}/history`)],
  ["a deletion by claude-code-api", [204, 404], (session) => send("DELETE", codeOf(session))],
  [
    "an upload of claude-code-api",
    [201, 404],
    (session) => post(`${codeOf(session)}/files`, FORM, FORM_TYPE),
  ],
];

test.each(RACED)("%s at once with the deletion", async (_, expected, ask) => {
  const session = await newSession();
  standin.respond(() => toolUse("look", {}));
  await post(`${session}/turns`, { input: "Look", tools });
  standin.respond(() => text("Hello."));
  const both = await Promise.all([ask(session), send("DELETE", session)]);
  expect(expected).toContain(both[0].status);
  expect(both.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
  await runDurableObjectAlarm(await objectOf(session)).catch(() => {});
  expect((await get(session)).status).toBe(404);
  expect(await left(session)).toEqual(NOTHING);
});

test("the deletion at once with the creation's own repetition", async () => {
  const key = { "idempotency-key": crypto.randomUUID() };
  const made = await post("/api/sessions", {}, key);
  const { id } = await made.json<{ id: string }>();
  const session = `/api/sessions/${id}`;
  const [again, removed] = await Promise.all([
    post("/api/sessions", {}, key),
    send("DELETE", session),
  ]);
  expect(removed.status).toBe(200);
  // Made and then deleted, deleted already, or deleted before it could be described.
  expect([201, 409, 404]).toContain(again.status);
  await runDurableObjectAlarm(await objectOf(session)).catch(() => {});
  expect((await post("/api/sessions", {}, key)).status).toBe(409);
  expect(await left(session)).toEqual(NOTHING);
});
