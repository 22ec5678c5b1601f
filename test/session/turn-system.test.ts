/** An instruction that comes with one message stands behind it, and holds for nothing else. */
import { expect, test } from "vitest";
import {
  compaction,
  httpError,
  reply,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { conversation, done, ended, large, PLAIN } from "../support/compactions.ts";
import { held, reached, type TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const { talk } = conversation(sessions);
const A = toolset("a");

const reminder = (own: string): string =>
  `<system-reminder>For this message only: ${own}</system-reminder>`;

/** The request's messages, each as its role and texts. */
const spoken = (i: number): string[] =>
  sessions
    .messages(i)
    .map(({ role, content }) =>
      [role, ...content.map((block) => block.text ?? block.type)].join("|"),
    );

const FRENCH = reminder("French.");

test("it is a message of the system behind the user's, and stays where it was said", async () => {
  const session = await sessions.create();
  sessions.script(text("oui"), text("yes"));
  await session.turn("one", { own: "French." });
  await session.turn("two");
  expect(spoken(0)).toEqual(["user|one", `system|${FRENCH}`]);
  expect(spoken(1)).toEqual(["user|one", `system|${FRENCH}`, "assistant|oui", "user|two"]);
});

test("where the model has no such role it is a reminder in the user's message", async () => {
  const session = await sessions.create({ model: PLAIN });
  sessions.script(text("oui"), text("yes"));
  await session.turn("one", { own: "French." });
  await session.turn("two", { own: "Short." });
  expect(spoken(1)).toEqual([
    `user|one|${FRENCH}`,
    "assistant|oui",
    `user|two|${reminder("Short.")}`,
  ]);
});

test("through the rounds of a turn it stays behind the message", async () => {
  const session = await sessions.create();
  sessions.script(toolUse("a", {}), text("oui"));
  await session.turn("one", { own: "French.", tools: A });
  const [call = ""] = await session.pending();
  await session.outcome(await session.results({ [call]: "x" }));
  expect(spoken(1)).toEqual([
    "user|one",
    `system|${FRENCH}`,
    "assistant|tool_use",
    "user|tool_result",
  ]);
});

test("together with a change of tools it makes one message", async () => {
  const session = await sessions.create();
  sessions.script(text("ok"), text("oui"));
  await session.turn("one");
  await session.turn("two", { own: "French.", tools: A });
  expect(spoken(1).slice(-2)).toEqual(["user|two", `system|${FRENCH}|tool_addition`]);
});

test("a message that joins a turn brings its own along", async () => {
  const session = await sessions.create({ tools: A });
  const { reply: held1, gate } = held({ block: 0, delta: 1 }, [
    text("hm", { deltas: ["h", "m"] }),
    toolUse("a", {}),
  ]);
  sessions.script(held1, text("oui"));
  await session.send("one");
  await session.reader.until(() => session.reader.previewed === "h");
  await session.send("more", { on_busy: "steer", own: "French." });
  await session.open(gate);
  await session.reader.row("outcome");
  const [call = ""] = await session.pending();
  await session.outcome(await session.results({ [call]: "x" }));
  expect(spoken(1).slice(-2)).toEqual(["user|tool_result|more", `system|${FRENCH}`]);
});

test("a message that waits brings it when it is taken", async () => {
  const session = await sessions.create();
  const { reply: held1, gate } = held({ block: 0, delta: 1 }, [
    text("one", { deltas: ["o", "ne"] }),
  ]);
  sessions.script(held1, text("oui"));
  await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  const second = await session.send("two", { own: "French." });
  await session.open(gate);
  await session.outcome(second);
  expect(spoken(1)).toEqual(["user|one", "assistant|one", "user|two", `system|${FRENCH}`]);
});

test("once another message follows without an answer it stands in its own", async () => {
  const session = await sessions.create();
  sessions.script(httpError(402, { type: "billing_error", message: "none" }), text("two"));
  expect(await session.turn("one", { own: "French." })).toMatchObject({ outcome: "failed" });
  await session.turn("two", { own: "Short." });
  expect(spoken(0)).toEqual(["user|one", `system|${FRENCH}`]);
  expect(spoken(1)).toEqual([`user|one|${FRENCH}|two`, `system|${reminder("Short.")}`]);
});

test("an interrupt before the first word leaves it with its message", async () => {
  const session = await sessions.create();
  const { reply: held1, gate } = held("headers", [text("one")]);
  sessions.script(held1, text("two"));
  const first = await session.send("one", { own: "French." });
  await reached(gate);
  await session.interrupt();
  await session.outcome(first);
  await session.turn("two");
  expect(spoken(1)).toEqual([`user|one|${FRENCH}|[The user interrupted the previous reply.]|two`]);
});

test("the same message again, after a failure, brings it once", async () => {
  const session = await sessions.create();
  sessions.script(httpError(402, { type: "billing_error", message: "none" }), text("oui"));
  await session.turn("one", { own: "French.", hash: "same" });
  await session.turn("one", { own: "French.", hash: "same" });
  expect(spoken(1)).toEqual(["user|one", `system|${FRENCH}`]);
});

test("the same words with another instruction are another message", async () => {
  const session = await sessions.create();
  sessions.script(httpError(402, { type: "billing_error", message: "none" }), text("si"));
  await session.turn("one", { own: "French.", hash: "1" });
  await session.turn("one", { own: "Italian.", hash: "2" });
  expect(spoken(1)).toEqual([`user|one|${FRENCH}|one`, `system|${reminder("Italian.")}`]);
});

test("a message that the model refused goes with its instruction", async () => {
  const session = await sessions.create();
  sessions.script(reply({ blocks: [], stop_reason: "refusal" }), text("two"));
  expect(await session.turn("one", { own: "French." })).toMatchObject({ outcome: "refused" });
  await session.turn("two");
  expect(spoken(1)).toEqual(["user|two"]);
});

test("a whole transcript that is sent again brings its own", async () => {
  const session = await sessions.create();
  await talk(session, "one");
  sessions.script(text("oui"));
  await session.turn("all of it", { replay: true, own: "French." });
  expect(spoken(1)).toEqual(["user|all of it", `system|${FRENCH}`]);
});

test("another epoch has it where it was", async () => {
  const session = await sessions.create();
  sessions.script([thinking("hm"), text("oui")], text("yes"), text("again"));
  await session.turn("one", { own: "French." });
  await session.switchModel(PLAIN);
  await session.turn("two");
  expect(spoken(1)).toEqual([`user|one|${FRENCH}`, "assistant|oui", "user|two"]);
  await session.switchModel("claude-opus-5-5");
  await session.turn("three");
  expect(spoken(2).slice(0, 3)).toEqual(["user|one", `system|${FRENCH}`, "assistant|oui"]);
});

/** Requests for a summary end with the conversation, in which nothing may hold for the summary. */
async function failedTurn(): Promise<TestSession> {
  const session = await sessions.create();
  await talk(session, "one");
  sessions.script(httpError(402, { type: "billing_error", message: "none" }));
  await session.turn("two", { own: "French." });
  return session;
}

test("a summary of our own is not asked for under it", async () => {
  const session = await failedTurn();
  sessions.script(httpError(400, { message: "no" }), text("They said one and two."));
  expect(await done(session)).toMatchObject({ type: "context.compacted" });
  const last = spoken(3).at(-1) ?? "";
  expect(last).toMatch(/^user\|two\|<system-reminder>For this message only: French\./);
  expect(last).toContain("what was said to hold for one message only");
  await talk(session, "three");
  expect(JSON.stringify(sessions.messages(4))).not.toContain("French.");
});

test("nor one of the API", async () => {
  const session = await failedTurn();
  sessions.script(compaction("They said one and two."));
  expect(await done(session)).toMatchObject({ type: "context.compacted" });
  expect(spoken(2).at(-1)).toBe(`user|two|${FRENCH}`);
  await talk(session, "three");
  expect(JSON.stringify(sessions.messages(3))).not.toContain("French.");
});

test("what a compaction keeps has it, and what it covers does not come back", async () => {
  const session = await sessions.create();
  sessions.script(text("oui"), text("si"));
  await session.turn("one", { own: "French." });
  await session.turn("two", { own: "Italian." });
  sessions.script(compaction("They said one."));
  expect(await done(session, { keep: 2 })).toMatchObject({ type: "context.compacted" });
  await talk(session, "three");
  const said = JSON.stringify(sessions.messages(3));
  expect(said).toContain("For this message only: Italian.");
  expect(said).not.toContain("French.");
});

test("a context that is compacted before a turn's first call keeps that turn's own", async () => {
  const session = await sessions.create();
  sessions.script(large("one"));
  await session.turn("one", { own: "French." });
  sessions.script(compaction("They said one."), text("si"));
  const second = await session.send("two", { own: "Italian." });
  await session.outcome(second);
  const request = session.reader.rows.find(({ type }) => type === "compaction.requested");
  await ended(session, request?.seq ?? 0);
  const said = JSON.stringify(sessions.messages(2));
  expect(said).toContain("For this message only: Italian.");
  expect(said).not.toContain("French.");
});

test("an object that died sends the same request again", async () => {
  const session = await sessions.create();
  const { reply: first } = held({ block: 0, delta: 1 }, [text("oui", { deltas: ["o", "ui"] })]);
  sessions.script(first, text("oui"));
  const sent = await session.send("one", { own: "French." });
  await session.reader.until(() => session.reader.previewed === "o");
  await session.crash();
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(spoken(1)).toEqual(spoken(0));
});

test("the folded state does not hold its text", async () => {
  const session = await sessions.create();
  const { reply: held1, gate } = held({ block: 0, delta: 1 }, [
    text("one", { deltas: ["o", "ne"] }),
  ]);
  sessions.script(held1, text("two"));
  await session.send("one", { own: "A running secret." });
  await session.reader.until(() => session.reader.previewed === "o");
  const second = await session.send("two", { own: "A waiting secret." });
  await session.open(gate);
  await session.outcome(second);
  const states = await session.inside(({ storage }) =>
    storage.sql.exec<{ state: string }>("SELECT state FROM head").toArray(),
  );
  expect(JSON.stringify(states)).not.toContain("secret");
});
