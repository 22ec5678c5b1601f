/** Older messages become a summary, because the client asks for it. */
import { expect, test, vi } from "vitest";
import {
  compaction,
  httpError,
  refusal,
  reply,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import {
  API,
  compact,
  conversation,
  done,
  ended,
  OVERFLOW,
  PLAIN,
} from "../support/compactions.ts";
import { held, reached, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const { talk, last, said } = conversation(sessions);
const A = toolset("a");

const betas = () => sessions.requests.at(-1)?.headers["anthropic-beta"] ?? "";

test("the API's block takes the place of the conversation, and comes first, as it was", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one", "two");
  sessions.script(compaction("They counted to two."));
  const row = await done(session, { instructions: "Keep the numbers." });
  expect(sessions.requests.at(-1)?.body).toMatchObject({
    compaction: { type: "summarize", instructions: "Keep the numbers." },
  });
  expect(betas()).toContain("compact-2026-09-04");
  expect(row).toMatchObject({
    type: "context.compacted",
    body: { method: "api", messages_before: 4, messages_after: 1, strip_thinking: false },
  });
  await talk(session, "three");
  expect(last().map(({ role }) => role)).toEqual(["assistant", "user"]);
  expect(last()[0]?.content).toMatchObject([
    { type: "compaction", content: "They counted to two." },
  ]);
  await talk(session, "four");
  expect(last()).toHaveLength(4);
});

test("the request of a compaction reads the cache, and writes nothing into it", async () => {
  const session = await sessions.create({ model: API, system: "Long. ".repeat(2_000) });
  await talk(session, "one", "two");
  sessions.script(compaction("Short."));
  await done(session);
  const [call] = session.reader.rows.filter(
    (row) => row.type === "call.ended" && row.body.purpose === "compact",
  );
  if (call?.type !== "call.ended") throw new Error("no call");
  const prompt = session.reader.rows.findLast(({ type }) => type === "outcome");
  if (prompt?.type !== "outcome") throw new Error("no turn");
  expect(call.body.usage).toMatchObject({
    cache_creation_input_tokens: 0,
    // All that the last turn has sent; its answer is new.
    cache_read_input_tokens: prompt.body.totals.prompt_tokens,
  });
});

test("recent messages stay with their thinking, from the start of a turn on", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one", "two", "three");
  sessions.script(compaction("One."));
  const row = await done(session, { keep: 3 });
  expect(row.body).toMatchObject({ messages_before: 6, messages_after: 5 });
  await talk(session, "four");
  expect(said()).toContain("hm two");
  expect(said()).toContain("hm three");
  expect(said()).not.toContain("yes one");
});

test("a second compaction covers the first one's summary", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one", "two");
  sessions.script(compaction("First."));
  await done(session, { keep: 1 });
  await talk(session, "three");
  sessions.script(compaction("Second."));
  const row = await done(session, { keep: 2 });
  expect(row.body).toMatchObject({ messages_before: 5, messages_after: 3 });
  expect(sessions.messages(sessions.requests.length - 1)[0]?.content).toMatchObject([
    { content: "First." },
  ]);
  await talk(session, "four");
  expect(said()).toContain("Second.");
  expect(said()).not.toContain("First.");
});

test("an answer that was continued stays whole", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script(reply({ blocks: [text("a")], stop_reason: "max_tokens" }), text("b"));
  await session.turn("two");
  sessions.script(compaction("One."));
  const row = await done(session, { keep: 2 });
  expect(row.body).toMatchObject({ messages_before: 6, messages_after: 5 });
});

test("what stays behind an interrupted answer is what was sent", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  const { reply: answer } = held({ block: 0, delta: 1 }, [text("two", { deltas: ["t", "wo"] })]);
  sessions.script(answer);
  const second = await session.send("two");
  await session.reader.until(() => session.reader.previewed === "t");
  await session.interrupt();
  await session.outcome(second);
  await talk(session, "three");
  sessions.script(compaction("One and two."));
  const row = await done(session, { keep: 2 });
  expect(row.body).toMatchObject({ messages_before: 6, messages_after: 3 });
  await talk(session, "four");
  expect(said()).toContain("hm three");
  expect(said()).toContain("The user interrupted");
});

test("on a model without it the summary is asked for, and all thinking goes", async () => {
  const session = await sessions.create({ model: "claude-opus-4-5" });
  await talk(session, "one", "two");
  sessions.script(text("They counted."));
  const row = await done(session, { keep: 1, instructions: "Briefly." });
  expect(row.body).toMatchObject({ method: "summary", summary: "They counted." });
  expect(said()).toContain("Briefly.");
  await talk(session, "three");
  expect(last()[0]).toMatchObject({ role: "user" });
  expect(JSON.stringify(last()[0])).toMatch(/Summary of the conversation so far.*They counted/);
  expect(last()).toHaveLength(3);
  expect(said()).not.toContain("hm two");
  await talk(session, "four");
});

test.each([
  ["an error of compaction", httpError(400, { errorCode: "compaction_too_many_tool_references" })],
  ["a gateway that knows none", httpError(400, { message: "compaction: Extra inputs" })],
  ["none to be had", httpError(529, { errorCode: "compaction_unavailable" })],
  ["no summary", text("I would rather not.")],
  ["an empty one", compaction(null)],
])("after %s the model is asked for a summary", async (_, failed) => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script(failed, text("They counted."));
  expect((await done(session)).body).toMatchObject({ method: "summary" });
  await talk(session, "two", "three");
  const shown = session.reader.frames.filter(({ event }) => event === "assistant.completed");
  expect(shown.map(({ data }) => JSON.parse(data).data.output_text)).toEqual([
    "yes one",
    "yes two",
    "yes three",
  ]);
  const previewed = session.reader.items.some(
    (item) => item.kind === "preview" && item.preview.text.includes("counted"),
  );
  expect(previewed).toBe(false);
});

test("a model that calls a tool instead is asked once more, without any", async () => {
  const session = await sessions.create({ model: PLAIN, tools: A });
  sessions.script(text("yes"), toolUse("a", {}), text("They counted."));
  await session.turn("one");
  expect((await done(session)).type).toBe("context.compacted");
  expect(sessions.requests.at(-2)?.body).not.toHaveProperty("tool_choice");
  expect(sessions.requests.at(-1)?.body).toMatchObject({ tool_choice: { type: "none" } });
});

test.each([
  ["a refusal", () => [refusal("cyber")], "refusal"],
  ["a key that is not taken", () => [httpError(401)], "authentication"],
  [
    "a conversation that is too long",
    () => [httpError(400, { message: OVERFLOW })],
    "context_overflow",
  ],
  ["no summary at all", () => [text(" "), toolUse("a", {}), text(" ")], "no_summary"],
])("after %s the conversation stays as it was, and a notice says why", async (_, replies, code) => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script(...replies());
  expect((await done(session)).body).toMatchObject({ code, message: expect.any(String) });
  const notice = session.reader.frames.find(({ event }) => event === "notice");
  expect(JSON.parse(notice?.data ?? "{}").data).toMatchObject({ code: "compaction_failed" });
  await talk(session, "two");
  expect(said()).toContain("hm one");
});

test("what the API cannot do now is tried again", async () => {
  const random = vi.spyOn(Math, "random").mockReturnValue(0);
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script(httpError(529), httpError(500), compaction("One."));
  expect((await done(session)).type).toBe("context.compacted");
  random.mockRestore();
  // It is nothing that a turn would tell.
  expect(session.reader.frames.some(({ event }) => event === "turn.retrying")).toBe(false);
});

test("where there is nothing to cover nothing is asked", async () => {
  const session = await sessions.create({ model: API });
  expect((await done(session)).body).toMatchObject({ code: "nothing" });
  await talk(session, "one");
  expect((await done(session, { keep: 2 })).body).toMatchObject({ code: "nothing", messages: 2 });
  sessions.script(compaction("One."));
  await done(session);
  expect((await done(session)).body).toMatchObject({ code: "nothing" });
  expect(session.reader.frames.some(({ event }) => event === "notice")).toBe(false);
});

test("while calls wait for the client, what lies before their turn is covered at once", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one", "two");
  sessions.script([thinking("which"), toolUse("a", {}), toolUse("a", {})]);
  const { pending } = await session.turn("three", { tools: A });
  sessions.script(compaction("One and two."));
  const row = await done(session);
  expect(row.body).toMatchObject({ turn: row.body.turn, messages_before: 6, messages_after: 3 });
  sessions.script([thinking("so"), text("done")]);
  const results = Object.fromEntries(pending.map(({ id }) => [id, "x"]));
  const outcome = await session.outcome(await session.results(results, { tools: A }));
  expect(outcome).toMatchObject({ outcome: "completed" });
  expect(said()).toContain('"thinking":"which"');
  expect(said()).not.toContain("yes one");
});

test("on a model without it that waits for the end of the turn", async () => {
  const session = await sessions.create({ model: PLAIN });
  sessions.script(text("yes"), toolUse("a", {}), text("done"), text("All of it."));
  await session.turn("one");
  const { pending } = await session.turn("two", { tools: A });
  const { s } = await compact(session);
  await session.reader.row("compaction.deferred");
  await session.results({ [pending[0]?.id ?? ""]: "x" }, { tools: A });
  expect((await ended(session, s)).body).toMatchObject({ method: "summary", messages_before: 6 });
  const types = session.reader.rows.slice(s).map(({ type }) => type);
  expect(types.indexOf("context.compacted")).toBeGreaterThan(types.indexOf("outcome"));
});

test("with nothing before the open turn it waits for the end of that", async () => {
  const session = await sessions.create({ model: API });
  sessions.script([thinking("t"), toolUse("a", {})], [thinking("u"), text("done")]);
  const { pending } = await session.turn("one", { tools: A });
  const { s } = await compact(session);
  await session.reader.row("compaction.deferred");
  sessions.script(compaction("One."));
  await session.results({ [pending[0]?.id ?? ""]: "x" }, { tools: A });
  expect((await ended(session, s)).type).toBe("context.compacted");
});

test("while a turn runs it waits for the end, and comes before the messages that wait", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  const { reply: answer, gate } = held({ block: 0, delta: 1 }, [
    text("two", { deltas: ["t", "wo"] }),
  ]);
  sessions.script(answer, compaction("Both."), [thinking("hm"), text("three")]);
  await session.send("two");
  await session.reader.until(() => session.reader.previewed === "t");
  expect(await compact(session)).toMatchObject({ scheduled: true });
  const third = await session.send("three");
  await session.open(gate);
  expect(await session.outcome(third)).toMatchObject({ outcome: "completed" });
  expect(last().map(({ role }) => role)).toEqual(["assistant", "user"]);
  expect(said()).toContain("three");
});

test("a message that comes while it runs waits for it, and stands behind the summary", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  const { reply: summary, gate } = held(2, [compaction("One.")]);
  sessions.script(summary, [thinking("hm"), text("two")]);
  const { s } = await compact(session);
  await reached(gate);
  const second = await session.send("two");
  await session.open(gate);
  expect((await ended(session, s)).type).toBe("context.compacted");
  await session.outcome(second);
  expect(last()).toMatchObject([
    { role: "assistant" },
    { role: "user", content: [{ text: "two" }] },
  ]);
});

test("a whole transcript that comes while it runs makes it void", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  const { reply: summary, gate } = held(2, [compaction("One.")]);
  sessions.script(summary, text("fresh"));
  const { s } = await compact(session);
  await reached(gate);
  const second = await session.send("all of it", { replay: true });
  await session.open(gate);
  expect((await ended(session, s)).body).toMatchObject({ code: "superseded" });
  await session.outcome(second);
  expect(last()).toHaveLength(1);
});

test("an interrupt stops it, also outside a turn, and says so when it comes again", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  const { reply: summary, gate } = held(2, [compaction("One.")]);
  sessions.script(summary);
  const { s } = await compact(session);
  await reached(gate);
  const first = await session.interrupt({ submission: "S".repeat(26) });
  const second = await session.interrupt({ submission: "S".repeat(26) });
  expect(first.accepted).toMatchObject({ turn: null, stopped: "compaction", replayed: false });
  expect(second.accepted).toMatchObject({ turn: null, stopped: "compaction", replayed: true });
  expect((await ended(session, s)).body).toMatchObject({ code: "interrupted" });
  expect(await sessions.settled(1)).toMatchObject({ state: "aborted" });
  await talk(session, "two");
});

test("a deletion ends it", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  const { reply: summary, gate } = held(2, [compaction("One.")]);
  sessions.script(summary);
  const { s } = await compact(session);
  await reached(gate);
  expect(await session.stub.remove("R".repeat(26))).toBe(true);
  expect((await ended(session, s)).body).toMatchObject({ code: "deleted" });
});
