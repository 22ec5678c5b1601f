/** `POST /v1/chat` and `GET /v1/health` of the Claude CLI server. */
import { expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text, toolUse } from "../../src/standin/replies.ts";
import {
  framesUntil,
  get,
  idOf,
  inside,
  modelCall,
  newSession,
  post,
  rowsOf,
  send,
  serverWith,
  standin,
  withStandin,
} from "../api/cc/server.ts";
import { answered, chat, sessionPath } from "../api/chat/client.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { reached } from "../support/sessions.ts";

withStandin();

test("the health says ok and a version, to everybody", async () => {
  const locked = serverWith({ API_KEYS: "k3y", ALLOW_ANONYMOUS: "false" });
  const response = await locked("GET", "/v1/health");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({
    status: "ok",
    claude_version: expect.stringMatching(/^\d+\.\d+\.\d+ \(Ledge\)$/),
  });
});

test.each([
  ["no key for the model", { STANDIN: "false" }, /ANTHROPIC_API_KEY/],
  ["a wrong configuration", { CC_API_MAX_TURNS: "many" }, /CC_API_MAX_TURNS/],
])("the health is 503 with %s, and says so", async (_, variables, says) => {
  const response = await serverWith(variables)("GET", "/v1/health");
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({
    status: "error",
    error: expect.stringMatching(says),
  });
});

test("an answer has the five fields, in that server's order", async () => {
  standin.script(text("It is 4."));
  const response = await chat({ prompt: "2 + 2?" });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^application\/json/);
  const answer = await response.json<object>();
  expect(Object.keys(answer)).toEqual(["cost_usd", "model", "result", "session_id", "usage"]);
  expect(answer).toEqual({
    result: "It is 4.",
    session_id: expect.stringMatching(/^sess_/),
    cost_usd: expect.any(Number),
    model: "claude-sonnet-5-5",
    usage: {
      input_tokens: expect.any(Number),
      output_tokens: expect.any(Number),
      cache_creation_input_tokens: expect.any(Number),
      cache_read_input_tokens: 0,
    },
  });
});

test.each(["", "text/plain", "application/x-www-form-urlencoded", "application/xml; charset=x"])(
  "the body is read as JSON under the content type %j",
  async (type) => {
    standin.script(text("Hello."));
    const answer = await answered(JSON.stringify({ prompt: "Hi" }), { "content-type": type });
    expect(answer.result).toBe("Hello.");
  },
);

test("fields that it does not know are ignored, and null is as if a field were left out", async () => {
  standin.script(text("Hello."));
  const nulls = Object.fromEntries(
    [
      "session_id",
      "model",
      "system_prompt",
      "max_budget_usd",
      "permission_mode",
      "allowed_tools",
      "cwd",
    ].map((name) => [name, null]),
  );
  await answered({ prompt: "Hi", ...nulls, stream: true, anything: { deep: [1] } });
});

test("fields without content are left out as well", async () => {
  standin.script(text("Hello."));
  const empty = { session_id: "", model: "", system_prompt: "", permission_mode: "", cwd: "" };
  const answer = await answered({ prompt: "Hi", ...empty, allowed_tools: [] });
  expect(answer.model).toBe("claude-sonnet-5-5");
});

test("a call goes on in the session that an earlier one returned", async () => {
  standin.script(text("Noted."), text("Blue."));
  const first = await answered({ prompt: "My colour is blue." });
  const second = await answered({ prompt: "Which one?", session_id: first.session_id });
  expect(second).toMatchObject({ result: "Blue.", session_id: first.session_id });
  const { messages } = modelCall(-1);
  expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
  expect(JSON.stringify(messages)).toContain("My colour is blue.");
  expect(await rowsOf(sessionPath(first), "session.created")).toMatchObject([
    { body: { surface: "chat" } },
  ]);
});

test("calls without a session are strangers to one another", async () => {
  standin.script(text("One."), text("Two."));
  const first = await answered({ prompt: "a" });
  const second = await answered({ prompt: "b" });
  expect(second.session_id).not.toBe(first.session_id);
  expect(modelCall(-1).messages).toHaveLength(1);
});

test("a session of the native API goes on here, and one from here goes on there", async () => {
  const session = await newSession();
  standin.script(text("Here."), text("There."));
  const here = await answered({ prompt: "a", session_id: idOf(session) });
  const there = await post(`${sessionPath(here)}/turns`, { input: "b" });
  expect(await there.json()).toMatchObject({ output_text: "There." });
  expect(modelCall(-1).messages).toHaveLength(3);
});

test("two calls at once in one session run one after the other", async () => {
  standin.script(text("One."), text("Two."), text("Three."));
  const { session_id } = await answered({ prompt: "a" });
  const both = await Promise.all([
    answered({ prompt: "b", session_id }),
    answered({ prompt: "c", session_id }),
  ]);
  expect(both.map(({ result }) => result).toSorted()).toEqual(["Three.", "Two."]);
  expect(modelCall(-1).messages).toHaveLength(5);
});

test("the result is the last message's text; what was said before a tool call is none of it", async () => {
  standin.script([text("I look. "), toolUse("LS", { path: "." })], text("  There is nothing.\n"));
  const { result } = await answered({ prompt: "What is here?" });
  expect(result).toBe("There is nothing.");
});

test("usage and cost are those of all calls of the turn", async () => {
  standin.script(toolUse("LS", { path: "." }), text("Nothing."));
  const answer = await answered({ prompt: "What is here?" });
  const turns = await get(`${sessionPath(answer)}/turns`);
  const { data } = await turns.json<{ data: { cost_usd: number; usage: { billed: object } }[] }>();
  expect([answer.cost_usd, answer.usage]).toEqual([data[0]?.cost_usd, data[0]?.usage.billed]);
  expect(standin.requests).toHaveLength(2);
});

test("without a word from the model the result is empty", async () => {
  standin.script([]);
  expect((await answered({ prompt: "Hi" })).result).toBe("");
});

test("a turn that failed is 502 as a program that failed", async () => {
  standin.script(httpError(401));
  const response = await chat({ prompt: "Hi" });
  expect(response.status).toBe(502);
  expect(await response.json()).toEqual({
    error: "claude CLI failed",
    stderr: expect.stringMatching(/ANTHROPIC_API_KEY/),
    returncode: 1,
    code: "authentication",
    session_id: expect.stringMatching(/^sess_/),
    turn: "turn_2",
  });
});

test("a session that is not there is 502 too", async () => {
  const never = "sess_01J0000000000000000000000A";
  standin.script(text("Hello."));
  const { session_id } = await answered({ prompt: "Hi" });
  expect((await send("DELETE", `/api/sessions/${session_id}`)).status).toBe(200);
  for (const id of [never, session_id, "--dangerously-skip-permissions", "x".repeat(256)]) {
    for (const path of ["/v1/chat", "/v1/chat/stream"]) {
      const response = await post(path, { prompt: "Hi", session_id: id });
      expect([id, response.status]).toEqual([id, 502]);
      expect(await response.json()).toEqual({
        error: "claude CLI failed",
        stderr: "No conversation found with this session_id.",
        returncode: 1,
        code: "not_found",
      });
    }
  }
});

test("a turn that takes too long is 504 and goes on", async () => {
  const clock = new FakeClock(FAR_FUTURE);
  try {
    const session = await newSession();
    const session_id = idOf(session);
    const gate = createGate();
    standin.script(
      reply({ blocks: [text("Late.")], acts: [holdAt({ block: 0, delta: 1 }, gate)] }),
    );
    const waits = clock.nextTimer(7_000);
    const impatient = serverWith({ CLAUDE_TIMEOUT_SECONDS: "7" });
    const answer = impatient("POST", "/v1/chat", { prompt: "Hi", session_id });
    await Promise.all([waits, reached(gate)]);
    clock.advance(7_000);
    const response = await answer;
    expect(response.status).toBe(504);
    const url = `${session}/turns/turn_2`;
    expect(response.headers.get("location")).toBe(url);
    expect(await response.json()).toEqual({
      error: "Request timed out",
      code: "turn_still_running",
      session_id,
      turn: "turn_2",
      url,
    });
    await inside(session, () => gate.open());
    standin.script(text("Yes."));
    expect(await answered({ prompt: "Are you there?", session_id })).toMatchObject({
      result: "Yes.",
    });
    expect(await (await get(url)).json()).toMatchObject({ output_text: "Late." });
  } finally {
    clock.restore();
  }
});

test("a client that does not want to wait is told where the answer will be", async () => {
  standin.script(text("Later."));
  const response = await chat({ prompt: "Hi" }, { prefer: "wait=0" });
  expect(response.status).toBe(202);
  const { session_id, url, status } = await response.json<Record<string, string>>();
  expect([status, url]).toEqual(["accepted", `/api/sessions/${session_id}/turns/turn_2`]);
  await framesUntil(await get(`/api/sessions/${session_id}/events/stream`), "turn.completed");
  expect(await (await get(String(url))).json()).toMatchObject({ output_text: "Later." });
});

test("a turn that somebody else stops is answered with what there is", async () => {
  const session = await newSession();
  const gate = createGate();
  const deltas = ["One. ", "Two."];
  standin.script(
    reply({
      blocks: [text(deltas.join(""), { deltas })],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
  );
  const answer = chat({ prompt: "Count.", session_id: idOf(session) });
  await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
  await post(`${session}/interrupt`);
  const response = await answer;
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ result: "One.", outcome: "interrupted" });
});
