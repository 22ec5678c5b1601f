/** Calls that come late, twice or in the moment between two things: each has one answer. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { expect, onTestFinished, test } from "vitest";
import { httpError, text, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { held, TestSession, toolset, useSessions } from "../support/sessions.ts";
import { interrupt, message, rest, results, submissionOf } from "./commands.ts";

const sessions = useSessions();
const config = {
  model: "claude-sonnet-5-5",
  title: null,
  system_prompt: null,
  metadata: {},
  toolset: { tools: {} },
};

function fake(): FakeClock {
  const clock = new FakeClock(FAR_FUTURE);
  onTestFinished(() => clock.restore());
  return clock;
}

test("a creation that is delivered again after the session was erased makes nothing", async () => {
  fake();
  const session = new TestSession({});
  await session.stub.create("01HC", config);
  expect(await session.stub.remove("01HR")).toBe(true);
  await expect(runDurableObjectAlarm(session.object)).rejects.toThrow("deleted");
  expect(await session.stub.create("01HC", config)).toEqual({ ok: false });
  expect(await session.stub.describe()).toBeNull();
  const left = await session.inside(async ({ storage }) => [
    storage.sql
      .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_%' ESCAPE '\\'")
      .toArray(),
    await storage.getAlarm(),
  ]);
  expect(left).toEqual([[], null]);
});

test("a repetition that attached to a running turn, delivered again after its end, writes nothing", async () => {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply);
  const first = await session.send("one", { hash: "h" });
  await session.reader.until(() => session.reader.previewed === "o");
  const attached = await session.send("one", { hash: "h", submission: "01HA" });
  expect(attached.input).toBe(first.input);
  await session.open(gate);
  await session.outcome(first);
  expect(await session.send("one", { hash: "h", submission: "01HA" })).toEqual(attached);
  await session.crash();
  expect(await session.send("one", { hash: "h", submission: "01HA" })).toEqual(attached);
});

test("results sent again while, or after, the failed turn is tried again are answered with that", async () => {
  const session = await sessions.create();
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("done", { deltas: ["do", "ne"] })]);
  sessions.script(toolUse("a", {}), httpError(401), reply);
  await session.turn("go", { tools: toolset("a") });
  const again = () => session.results({ call_3_0: "one" }, { hash: "h" });
  expect(await session.outcome(await again())).toMatchObject({ outcome: "failed" });
  const retried = await again();
  await session.reader.until(() => session.reader.previewed === "do");
  expect(await again()).toEqual({ ...retried, replayed: true });
  await session.open(gate);
  expect(await session.outcome(retried)).toMatchObject({ outcome: "completed" });
  expect(await again()).toEqual({ ...retried, replayed: true });
});

test("the turn of a session whose clock went back is stopped like any other", async () => {
  const clock = fake();
  const session = await sessions.create();
  sessions.script(text("one"));
  await session.turn("one");
  clock.jump(clock.now - 60_000);
  const { reply } = held({ block: 0, delta: 1 }, [text("two", { deltas: ["t", "wo"] })]);
  sessions.script(reply);
  const sent = await session.send("two");
  await session.reader.until(() => session.reader.previewed === "t");
  expect((await session.interrupt()).accepted.turn).toBe(sent.turn);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "interrupted" });
});

test("two calls in one turn of the event loop: the second finds the loop running, or starts it", async () => {
  const session = await sessions.create();
  sessions.script([toolUse("a", {}), toolUse("a", {})], text("done"));
  await session.turn("go", { tools: toolset("a") });
  await session.inside((_, object) =>
    Promise.all(
      [{ call_3_0: "one" }, { call_3_1: "two" }].map((one) =>
        object.submit(submissionOf(results(one))),
      ),
    ),
  );
  await rest(session);
  expect(sessions.requests).toHaveLength(2);
});

test("a late interrupt that only cancels what waited is answered the same again", async () => {
  const clock = fake();
  const session = await sessions.create();
  const first = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  const second = held({ block: 0, delta: 1 }, [text("two", { deltas: ["t", "wo"] })]);
  sessions.script(first.reply, second.reply);
  await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  const waits = await session.send("waits");
  const sent = submissionOf(interrupt(true));
  clock.jump(clock.now + 1);
  await session.stub.submit(submissionOf(message("now", "interrupt")));
  await session.reader.until(() => session.reader.previewed === "t");
  const answers = [await session.stub.submit(sent), await session.stub.submit(sent)];
  expect(answers).toMatchObject([{ cancelled: [waits.input] }, { cancelled: [waits.input] }]);
  await session.open(second.gate);
  await rest(session);
});

test("two halves of the results, each delivered twice at once, go on with the turn", async () => {
  fake();
  for (let run = 0; run < 30; run++) {
    const session = await sessions.create();
    sessions.script([toolUse("a", {}), toolUse("a", {})], text("done"));
    await session.turn("go", { tools: toolset("a") });
    const halves = [results({ call_3_0: "one" }), results({ call_3_1: "two" })];
    const sent = [...halves, ...halves].map((one) => session.stub.submit(submissionOf(one)));
    await Promise.all(sent);
    // No alarm comes in this time, so whoever was last has to have started the loop.
    await rest(session);
    await sessions.check();
  }
});
