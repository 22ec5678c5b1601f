/** `Idempotency-Key`: the same request again does nothing twice. */
import { expect, test } from "vitest";
import { text, toolUse } from "../../../src/standin/replies.ts";
import {
  allFrames,
  functionTool,
  get,
  newSession,
  post,
  send,
  standin,
  withStandin,
} from "./server.ts";

withStandin();

const key = (value: string) => ({ "idempotency-key": value });
const tool = functionTool("look");

test("the same turn again is answered with the same turn", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  const first = await post(`${session}/turns`, { input: "Hi" }, key("k"));
  const again = await post(`${session}/turns`, { input: "Hi" }, key("k"));
  expect(first.headers.has("idempotency-replayed")).toBe(false);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await again.json()).toEqual(await first.json());
  expect(standin.requests.length).toBe(1);
});

test("two at once are one turn", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  const both = await Promise.all(
    ["a", "b"].map(() => post(`${session}/turns`, { input: "Hi" }, key("k"))),
  );
  const [first, second] = await Promise.all(both.map((response) => response.json()));
  expect(first).toEqual(second);
  expect(standin.requests.length).toBe(1);
});

test("the same key with another body is 409, and runs nothing", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  await post(`${session}/turns`, { input: "Hi" }, key("k"));
  const other = await post(`${session}/turns`, { input: "Ho" }, key("k"));
  expect(other.status).toBe(409);
  expect(await other.json()).toMatchObject({ error: { code: "idempotency_key_conflict" } });
  expect(standin.requests.length).toBe(1);
});

test("without a key the same message is said twice", async () => {
  const session = await newSession();
  standin.script(text("Hello."), text("Hello again."));
  await post(`${session}/turns`, { input: "Hi" });
  const again = await post(`${session}/turns`, { input: "Hi" });
  expect(await again.json()).toMatchObject({ output_text: "Hello again." });
});

test("a key belongs to its session and its route", async () => {
  const [one, two] = [await newSession(), await newSession()];
  standin.script(toolUse("look", {}), text("Two."), text("Blue."));
  await post(`${one}/turns`, { input: "Hi", tools: [tool] }, key("k"));
  const elsewhere = await post(`${two}/turns`, { input: "Ho" }, key("k"));
  expect(elsewhere.status).toBe(200);
  const results = [{ tool_call_id: "call_3_0", content: "blue" }];
  const other = await post(`${one}/tool-results`, { results }, key("k"));
  expect(await other.json()).toMatchObject({ output_text: "Blue." });
});

test("the same results again are answered with the same turn, as JSON or as a stream", async () => {
  const session = await newSession();
  standin.script(toolUse("look", {}), text("Blue."));
  await post(`${session}/turns`, { input: "Look", tools: [tool] });
  const body = { results: [{ tool_call_id: "call_3_0", content: "blue" }] };
  const first = await (await post(`${session}/tool-results`, body, key("r"))).json();
  const accept = { accept: "text/event-stream", ...key("r") };
  const again = await allFrames(await post(`${session}/tool-results`, body, accept));
  expect(again.find(({ event }) => event === "turn.response")?.data).toEqual(first);
  expect(standin.requests.length).toBe(2);
});

test("an interrupt sent again does not stop a later turn", async () => {
  const session = await newSession();
  standin.script(toolUse("look", {}), toolUse("look", {}));
  await post(`${session}/turns`, { input: "1", tools: [tool] });
  const first = await post(`${session}/interrupt`, {}, key("i"));
  expect(await first.json()).toMatchObject({ interrupted: true, turn: "turn_2" });
  await post(`${session}/turns`, { input: "2", tools: [tool] });
  const again = await post(`${session}/interrupt`, {}, key("i"));
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await again.json()).toMatchObject({ interrupted: true, turn: "turn_2" });
  expect(await (await get(session)).json()).toMatchObject({ status: "awaiting_tool_results" });
});

test("a deleted session is not made again by the key that made it", async () => {
  const made = await post("/api/sessions", {}, key("born"));
  const { id } = await made.json<{ id: string }>();
  await send("DELETE", `/api/sessions/${id}`);
  const again = await post("/api/sessions", {}, key("born"));
  expect(again.status).toBe(409);
  expect(await again.json()).toMatchObject({ error: { code: "session_deleted" } });
  expect((await get(`/api/sessions/${id}`)).status).toBe(404);
});

test("a tool_choice that names a tool which the turn does not have is refused", async () => {
  const session = await newSession({ tools: [functionTool("look")] });
  const body = { input: "Hi", tool_choice: { type: "function", function: { name: "hear" } } };
  const response = await post(`${session}/turns`, body);
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ errors: [{ field: "body -> tool_choice" }] });
  expect(standin.requests.length).toBe(0);
});
