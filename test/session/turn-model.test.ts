/** A turn's own model: it answers this one turn, and nothing else of the session changes. */
import { expect, test } from "vitest";
import { compaction, httpError, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { API, conversation, large, OVERFLOW, PLAIN } from "../support/compactions.ts";
import { held, type TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const { talk, said } = conversation(sessions);
const OTHER = "claude-opus-5-5";
const A = toolset("a");

/** The model of each request, and whether it asks the API for a summary. */
const asked = (): string[] =>
  sessions.requests.map(({ body }) => {
    // The stand-in has checked its form.
    const { model, compaction: summary } = body as { model: string; compaction?: unknown };
    return summary ? `${model} compacts` : model;
  });

const cuts = ({ reader }: TestSession): string[] =>
  reader.rows.flatMap((row) =>
    row.type === "context.cut" ? [`${row.body.reason}: ${row.body.message}`] : [],
  );

const thoughts = (i: number): number =>
  sessions.messages(i).flatMap(({ content }) => content.filter(({ type }) => type === "thinking"))
    .length;

test("a turn's model answers that turn, and the next one goes back to the session's", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script([thinking("t"), text("two")]);
  const outcome = await session.turn("two", { model: { id: OTHER } });
  expect(outcome.totals.model).toBe(OTHER);
  expect((await session.stub.describe())?.session.model).toBe(API);
  await talk(session, "three", "four");
  expect(asked()).toEqual([API, OTHER, API, API]);
  expect([0, 1, 2, 3].map(thoughts)).toEqual([0, 0, 0, 1]);
  expect(cuts(session)).toEqual([
    `model: The model is now ${OTHER}; earlier thinking was left out.`,
    `model: The model is now ${API}; earlier thinking was left out.`,
  ]);
});

test("the session's own model, named by a turn, is no other one", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script(text("two"));
  await session.turn("two", { model: { id: API } });
  expect(cuts(session)).toEqual([]);
});

test("a first turn with a model of its own opens the first epoch with it", async () => {
  const session = await sessions.create({ model: API });
  sessions.script([thinking("t"), text("one")]);
  await session.turn("one", { model: { id: OTHER } });
  await talk(session, "two");
  expect(asked()).toEqual([OTHER, API]);
});

test("results, and a message that joins the turn, keep the turn's model", async () => {
  const session = await sessions.create({ model: API, tools: A });
  await talk(session, "one");
  const { reply, gate } = held({ block: 0, delta: 1 }, [
    text("hm", { deltas: ["h", "m"] }),
    toolUse("a", {}),
  ]);
  sessions.script(reply, text("done"), text("after"));
  const first = await session.send("two", { model: { id: OTHER } });
  await session.reader.until(() => session.reader.previewed === "h");
  const steer = await session.send("more", { on_busy: "steer", model: { id: PLAIN } });
  await session.open(gate);
  expect(await session.outcome(first)).toMatchObject({ outcome: "requires_action" });
  const [call = ""] = await session.pending();
  const joined = await session.results({ [call]: "x" });
  expect((await session.outcome(joined)).inputs).toContain(steer.input);
  expect((await session.outcome(joined)).totals.model).toBe(OTHER);
  await session.turn("three");
  expect(asked()).toEqual([API, OTHER, OTHER, API]);
});

test("a message that waits brings its model along, and one that follows does not have it", async () => {
  const session = await sessions.create({ model: API });
  const { reply, gate } = held({ block: 0, delta: 1 }, [text("one", { deltas: ["o", "ne"] })]);
  sessions.script(reply, text("two"), text("three"));
  await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  await session.send("two", { model: { id: OTHER } });
  const last = await session.send("three");
  await session.open(gate);
  await session.outcome(last);
  expect(asked()).toEqual([API, OTHER, API]);
});

test("a session's model that changes meanwhile is that of the next turn", async () => {
  const session = await sessions.create({ model: API, tools: A });
  sessions.script(toolUse("a", {}), text("done"), text("after"));
  await session.turn("one", { model: { id: OTHER } });
  await session.switchModel(PLAIN);
  const [call = ""] = await session.pending();
  await session.outcome(await session.results({ [call]: "x" }));
  await session.turn("two");
  expect(asked()).toEqual([OTHER, OTHER, PLAIN]);
  expect((await session.stub.describe())?.session.model).toBe(PLAIN);
});

test("a conversation that is too large for a turn's model is compacted by the one before", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one", 300_000));
  await session.turn("one");
  sessions.script(compaction("They said one."), text("two"));
  const outcome = await session.turn("two", { model: { id: PLAIN } });
  expect(outcome).toMatchObject({ outcome: "completed", totals: { model: PLAIN } });
  expect(said()).toContain("They said one.");
  await talk(session, "three");
  expect(asked()).toEqual([API, `${API} compacts`, PLAIN, API]);
  expect(said()).toContain("They said one.");
});

test("an object that dies over that compaction goes on to the turn's model", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one", 300_000));
  await session.turn("one");
  const { reply: lost } = held("request", [compaction("Never read.")]);
  sessions.script(lost, compaction("They said one."), text("two"));
  const sent = await session.send("two", { model: { id: PLAIN }, cwd: "/workspace/b" });
  await sessions.arrived(2);
  await session.crash();
  expect(await session.outcome(sent)).toMatchObject({ totals: { model: PLAIN } });
  expect(asked()).toEqual([API, `${API} compacts`, `${API} compacts`, PLAIN]);
});

test("where such a turn fails, the session goes on with its own model and all of it", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one", 300_000));
  await session.turn("one");
  const full = httpError(400, { message: OVERFLOW });
  const gone = httpError(404, { type: "not_found_error", message: `model: ${API}` });
  sessions.script(gone, full, full, full, full);
  const failed = await session.turn("two", { model: { id: PLAIN } });
  expect(failed).toMatchObject({ outcome: "failed", code: "context_overflow" });
  await talk(session, "three");
  expect(asked().at(-1)).toBe(API);
  expect(said()).toContain("yes one");
});

test("a turn whose model nobody knows fails, and the next one runs", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.standin.expectRefusal();
  const failed = await session.turn("two", { model: { id: "claude-none" } });
  expect(failed).toMatchObject({ outcome: "failed", code: "model_not_found" });
  await talk(session, "three");
  expect(asked()).toEqual([API, API]);
});

test("the same message again, after a failure, goes on with its model", async () => {
  const session = await sessions.create({ model: API });
  const missing = httpError(402, { type: "billing_error", message: "no money" });
  sessions.script(missing, text("one"));
  const sent = { hash: "same", model: { id: OTHER } };
  expect(await session.turn("one", sent)).toMatchObject({ outcome: "failed" });
  expect(await session.turn("one", sent)).toMatchObject({ outcome: "completed" });
  expect(asked()).toEqual([OTHER, OTHER]);
  expect(cuts(session)).toEqual([]);
  expect(sessions.messages(1)).toHaveLength(1);
  expect(sessions.asked(1)).toHaveLength(1);
});

test("results that are sent again after a failure go on with the turn's model", async () => {
  const session = await sessions.create({ model: API, tools: A });
  const broke = httpError(402, { type: "billing_error", message: "no money" });
  sessions.script(toolUse("a", {}), broke, text("done"));
  await session.turn("one", { model: { id: OTHER } });
  const [call = ""] = await session.pending();
  const sent = { hash: "same" };
  expect(await session.outcome(await session.results({ [call]: "x" }, sent))).toMatchObject({
    outcome: "failed",
  });
  await session.outcome(await session.results({ [call]: "x" }, sent));
  expect(asked()).toEqual([OTHER, OTHER, OTHER]);
});

test("what the API said of a turn's model shapes its requests, and not those of the session", async () => {
  const session = await sessions.create({ model: API });
  const facts = {
    name: "Large",
    max_input_tokens: 500_000,
    max_tokens: 4_321,
    thinking: null,
    effort: [],
    server_tools: false,
    structured_outputs: false,
  };
  // The stand-in does not have it.
  sessions.standin.expectRefusal();
  await session.turn("one", { model: { id: "claude-next", facts } });
  sessions.script(text("two"));
  await session.turn("two");
  const [first, second] = sessions.standin.requests;
  expect(first?.body).toMatchObject({ model: "claude-next", max_tokens: 4_321 });
  expect(second?.body).toMatchObject({ model: API, max_tokens: 128_000 });
});

test("the size of the next call is that of the session's model", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(text("one"));
  await session.turn("one", { model: { id: PLAIN } });
  expect(await session.stub.context(false)).toMatchObject({ model: API });
});
