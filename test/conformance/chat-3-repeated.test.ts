/** The same call twice, on the Claude CLI server's routes: an `Idempotency-Key` makes it one. */
import { expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text } from "../../src/standin/replies.ts";
import {
  framesUntil,
  get,
  idOf,
  inside,
  modelCall,
  newSession,
  rowsOf,
  standin,
  withStandin,
} from "../api/cc/server.ts";
import { answered, chat, framesIn, refusal, sessionPath, stream } from "../api/chat/client.ts";

withStandin();

const newKey = () => ({ "idempotency-key": crypto.randomUUID() });

test("a call without a session makes one session and one turn", async () => {
  standin.script(text("Hello."));
  const key = newKey();
  const first = await chat({ prompt: "Hi" }, key);
  const second = await chat({ prompt: "Hi" }, key);
  expect(await second.json()).toEqual(await first.json());
  expect(first.headers.get("idempotency-replayed")).toBeNull();
  expect(second.headers.get("idempotency-replayed")).toBe("true");
  expect(standin.requests).toHaveLength(1);
});

test("at once as well", async () => {
  standin.script(text("Hello."));
  const key = newKey();
  const both = await Promise.all([
    answered({ prompt: "Hi" }, key),
    answered({ prompt: "Hi" }, key),
  ]);
  expect(both[0]).toEqual(both[1]);
  expect(standin.requests).toHaveLength(1);
});

test("a stream is answered with all of its frames again, and is joined while it runs", async () => {
  const session = await newSession();
  const session_id = idOf(session);
  const gate = createGate();
  const deltas = ["One. ", "Two."];
  standin.script(
    reply({
      blocks: [text(deltas.join(""), { deltas })],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
  );
  const key = newKey();
  const body = { prompt: "Count.", session_id };
  const first = await stream(body, key);
  await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
  const second = await stream(body, key);
  expect(second.headers.get("idempotency-replayed")).toBe("true");
  const texts = Promise.all([first.text(), second.text()]);
  await inside(session, () => gate.open());
  const said = (await texts).map((one) => framesIn(one).filter(({ type }) => type !== "delta"));
  expect(said[0]).toEqual(said[1]);
  const third = framesIn(await (await stream(body, key)).text());
  expect(third).toEqual([said[0]?.[0], { type: "delta", text: "One. Two." }, said[0]?.[1]]);
  expect(await rowsOf(session, "input")).toHaveLength(1);
});

test("another body under the same key is 409", async () => {
  standin.script(text("Hello."));
  const key = newKey();
  const { session_id } = await answered({ prompt: "Hi" }, key);
  const [status, said] = await refusal(await chat({ prompt: "Hello" }, key));
  expect([status, said.code]).toEqual([409, "idempotency_key_conflict"]);
  const [again, told] = await refusal(await chat({ prompt: "Hi", session_id }, key));
  expect([again, told.code]).toEqual([409, "idempotency_key_conflict"]);
});

test("a key of one route is none of the other", async () => {
  standin.script(text("One."), text("Two."));
  const key = newKey();
  const { session_id } = await answered({ prompt: "Hi" }, key);
  const list = framesIn(await (await stream({ prompt: "Hi" }, key)).text());
  expect(list[0]?.session_id).not.toBe(session_id);
});

test("a repetition does not bring back a system prompt that another call has replaced", async () => {
  standin.script(text("One."), text("Two."), text("Three."), text("Four."));
  const first = await answered({ prompt: "a" });
  const { session_id } = first;
  const key = newKey();
  const cat = { prompt: "b", session_id, system_prompt: "Be a cat." };
  await answered(cat, key);
  await answered({ prompt: "c", session_id, system_prompt: "Be a dog." });
  expect(await answered(cat, key)).toMatchObject({ result: "Two." });
  await answered({ prompt: "d", session_id });
  expect(JSON.stringify(modelCall(-1).system)).toContain("Be a dog.");
  expect(await rowsOf(sessionPath(first), "context.cut")).toHaveLength(2);
});

test("a key that is none is 400", async () => {
  const [status, said] = await refusal(await chat({ prompt: "Hi" }, { "idempotency-key": "a b" }));
  expect([status, said.code]).toEqual([400, "invalid_idempotency_key"]);
});
