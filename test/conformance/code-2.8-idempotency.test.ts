/** `Idempotency-Key` on all that starts something: a repetition is answered like the first. */
import { expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, httpError, reply, text } from "../../src/standin/replies.ts";
import { type Headers, inside, serverWith, standin, withStandin } from "../api/cc/server.ts";
import {
  BASE,
  dataOf,
  get,
  historyOf,
  nativeOf,
  newName,
  newSession,
  post,
  problemOf,
  send,
  turnsEnded,
} from "../api/code/client.ts";
import { reached } from "../support/sessions.ts";

withStandin();

const KEY: Headers = { "idempotency-key": "k-1" };

test("a chat with a known key is answered again: the same data, fresh meta, and it says so", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  const first = await post(`${session}/chat`, { message: "Hi" }, KEY);
  const again = await post(`${session}/chat`, { message: "Hi" }, KEY);
  expect(first.headers.has("idempotency-replayed")).toBe(false);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  const [one, two] = [await first.json<Answer>(), await again.json<Answer>()];
  expect(two.data).toEqual(one.data);
  expect(two.meta.request_id).not.toBe(one.meta.request_id);
  expect(await historyOf(session)).toHaveLength(2);
});

interface Answer {
  data: object;
  meta: { request_id: string };
}

test("two at the same time are one turn", async () => {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("Hello there.")], acts }));
  const both = [1, 2].map(() => dataOf(post(`${session}/chat`, { message: "Hi" }, KEY)));
  await reached(gate);
  await inside(nativeOf(session), () => gate.open());
  const [one, two] = await Promise.all(both);
  expect(one).toMatchObject({ content: "Hello there." });
  expect(two).toEqual(one);
});

test("a key with another body is 409, and nothing happens", async () => {
  const session = await newSession();
  standin.script(text("Hello."));
  await post(`${session}/chat`, { message: "Hi" }, KEY);
  for (const path of ["chat", "chat/stream"]) {
    const problem = await problemOf(post(`${session}/${path}`, { message: "Other" }, KEY));
    expect(problem).toMatchObject({ status: 409, error: { code: "idempotency_key_conflict" } });
  }
  expect(await historyOf(session)).toHaveLength(2);
});

test("a key is the session's own, and the account's", async () => {
  const server = serverWith({ API_KEYS: "kim:key-of-kim,leo:key-of-leo" });
  const said: string[] = [];
  for (const [key, answer] of [
    ["key-of-kim", "For Kim."],
    ["key-of-leo", "For Leo."],
  ] as const) {
    const headers = { ...KEY, "x-api-key": key };
    const body = { name: "same-name" };
    const created = await server("POST", `${BASE}/sessions`, body, { "x-api-key": key });
    expect(created.status).toBe(201);
    standin.script(text(answer));
    const path = `${BASE}/sessions/same-name/chat`;
    said.push(String((await dataOf(server("POST", path, { message: "Hi" }, headers))).content));
  }
  expect(said).toEqual(["For Kim.", "For Leo."]);
  const [one, other] = [await newSession(), await newSession()];
  standin.script(text("One."), text("Other."));
  const answers = [one, other].map((path) => post(`${path}/chat`, { message: "Hi" }, KEY));
  const contents = await Promise.all(answers.map(async (one) => (await dataOf(one)).content));
  expect(contents.toSorted()).toEqual(["One.", "Other."]);
});

test("a failure is the answer of its key too: the message is not sent twice", async () => {
  const session = await newSession();
  standin.script(httpError(400, { message: "no" }));
  const first = await problemOf(post(`${session}/chat`, { message: "Hi" }, KEY));
  const again = await problemOf(post(`${session}/chat`, { message: "Hi" }, KEY));
  expect(again).toMatchObject({ status: first.status, detail: first.detail, type: first.type });
});

test("a job with a known key is that job, as it is by now", async () => {
  const session = await newSession();
  standin.script(text("Done."));
  const body = { message: "Work" };
  const { id } = await dataOf(post(`${session}/jobs`, body, KEY));
  await turnsEnded(session, 1);
  const again = await post(`${session}/jobs`, body, KEY);
  expect(again.status).toBe(202);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await dataOf(again)).toMatchObject({ id, status: "done" });
  expect(await dataOf<unknown[]>(get(`${session}/jobs`))).toHaveLength(1);
  // A key of a chat is another one.
  standin.script(text("Hello."));
  expect((await post(`${session}/chat`, { message: "Hi" }, KEY)).status).toBe(200);
  const other = await problemOf(post(`${session}/jobs`, { message: "Other" }, KEY));
  expect(other.status).toBe(409);
});

test("a session with a known key is that session", async () => {
  const name = newName();
  const create = (body: object) => post(`${BASE}/sessions`, body, { "idempotency-key": name });
  const first = await create({ name });
  const again = await create({ name });
  expect([first.status, again.status]).toEqual([201, 201]);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(again.headers.get("location")).toBe(first.headers.get("location"));
  expect(await dataOf(again)).toEqual(await dataOf(first));
  expect((await create({ name, model: "opus" })).status).toBe(409);
  // Only one was made, so that after it there is none of the name.
  expect((await send("DELETE", `${BASE}/sessions/${name}`)).status).toBe(204);
  expect((await get(`${BASE}/sessions/${name}`)).status).toBe(404);
  expect(await problemOf(create({ name }))).toMatchObject({
    status: 409,
    error: { code: "session_deleted" },
  });
});

test("what is no key is 400", async () => {
  const session = await newSession();
  for (const key of ["", "two words", "x".repeat(256)]) {
    for (const path of [`${session}/chat`, `${session}/chat/stream`, `${session}/jobs`]) {
      const problem = await problemOf(post(path, { message: "Hi" }, { "idempotency-key": key }));
      expect(problem).toMatchObject({ status: 400, error: { code: "invalid_idempotency_key" } });
    }
  }
});

test("cancelling a job twice with one key is answered twice", async () => {
  const session = await newSession();
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("Hello there.")], acts }));
  const { id } = await dataOf(post(`${session}/jobs`, { message: "Work" }));
  await reached(gate);
  const cancel = () => post(`${session}/jobs/${id}/cancel`, undefined, KEY);
  expect((await cancel()).status).toBe(200);
  const again = await cancel();
  expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([200, "true"]);
  await inside(nativeOf(session), () => gate.open());
});
