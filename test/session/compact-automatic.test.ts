/** A context is compacted by itself: by its size, and because the window is full. */
import { expect, test } from "vitest";
import { addUsage, NO_USAGE, promptTokens } from "../../src/shared/usage.ts";
import {
  compaction,
  httpError,
  refusal,
  reply,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { API, conversation, large, OVERFLOW, PLAIN } from "../support/compactions.ts";
import { held, reached, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const { talk, last, said } = conversation(sessions);
const A = toolset("a");

test("a context above the threshold is compacted before the next turn's first call", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one"), compaction("One."), [thinking("hm"), text("two")]);
  await session.turn("one");
  expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
  const row = await session.reader.row("context.compacted");
  expect(row.body).toMatchObject({ messages_before: 3, messages_after: 2, tokens_before: 900_000 });
  expect(row.body.tokens_after).toBeLessThan(1_000);
  expect(last()).toMatchObject([
    { role: "assistant" },
    { role: "user", content: [{ text: "two" }] },
  ]);
});

test("a context below it is not", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one", 700_000), text("two"));
  await session.turn("one");
  await session.turn("two");
  expect(last()).toHaveLength(3);
});

test("where that fails the turn goes on with the whole conversation", async () => {
  const session = await sessions.create({ model: API });
  sessions.script(large("one"), httpError(401), [thinking("hm"), text("two")]);
  await session.turn("one");
  expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
  expect(last()).toHaveLength(3);
});

test.each([API, PLAIN])(
  "on %s an overflow is answered with a compaction, and the turn goes on",
  async (model) => {
    const session = await sessions.create({ model });
    const summary = model === API ? compaction("One.") : text("One.");
    sessions.script(text("yes one"), httpError(400, { message: OVERFLOW }), summary, text("two"));
    await session.turn("one");
    expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
    expect(said()).not.toContain("yes one");
    expect(said()).toContain("two");
    expect(session.reader.rows.some(({ type }) => type === "context.cut")).toBe(false);
  },
);

test("only once in a turn; then it fails as before, and the next message works", async () => {
  const session = await sessions.create({ model: API });
  const full = httpError(400, { message: OVERFLOW });
  await talk(session, "one");
  sessions.script(full, compaction("One."), full, text("small"));
  expect(await session.turn("huge")).toMatchObject({ outcome: "failed", code: "context_overflow" });
  expect(await session.turn("small")).toMatchObject({ outcome: "completed" });
  expect(said()).not.toContain("huge");
});

test("where no compaction helps against an overflow the turn fails as before", async () => {
  const session = await sessions.create({ model: API });
  const full = httpError(400, { message: OVERFLOW });
  await talk(session, "one");
  sessions.script(full, httpError(401), full);
  expect(await session.turn("huge")).toMatchObject({ outcome: "failed", code: "context_overflow" });
  sessions.script(
    reply({ blocks: [text("as far")], stop_reason: "model_context_window_exceeded" }),
  );
  sessions.script(refusal("cyber"));
  expect(await session.turn("two")).toMatchObject({ outcome: "failed", code: "context_full" });
  await talk(session, "three");
  expect(said()).toContain("hm one");
});

test("an answer that fills the window goes on behind the compaction", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script(
    reply({ blocks: [text("as far ")], stop_reason: "model_context_window_exceeded" }),
    compaction("One."),
    text("as it goes"),
  );
  expect(await session.turn("two")).toMatchObject({ outcome: "completed" });
  const completed = session.reader.frames.findLast(({ event }) => event === "turn.completed");
  expect(JSON.parse(completed?.data ?? "{}").data.output_text).toBe("as far as it goes");
  expect(last().map(({ role }) => role)).toEqual(["assistant", "user", "assistant", "user"]);
});

test("an overflow in a round of tools keeps the round", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script([thinking("which"), toolUse("a", {})]);
  const { pending } = await session.turn("two", { tools: A });
  sessions.script(httpError(400, { message: OVERFLOW }), compaction("One."), [
    thinking("u"),
    text("done"),
  ]);
  const sent = await session.results({ [pending[0]?.id ?? ""]: "x" }, { tools: A });
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(said()).toContain('"thinking":"which"');
  expect(said()).not.toContain("yes one");
});

test("what it cost is the session's and its turn's, but its prompt is not the turn's", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one");
  sessions.script(large("two"), compaction("Both."), [thinking("hm"), text("three")]);
  await session.turn("two");
  const outcome = await session.turn("three");
  const [summary, turn] = session.reader.rows.filter(({ type }) => type === "call.ended").slice(-2);
  if (summary?.type !== "call.ended" || turn?.type !== "call.ended") throw new Error("no calls");
  expect(outcome.totals).toMatchObject({
    calls: 2,
    prompt_tokens: promptTokens(turn.body.usage ?? NO_USAGE),
    billed: addUsage(summary.body.usage ?? NO_USAGE, turn.body.usage ?? NO_USAGE),
    cost_usd: (summary.body.cost_usd ?? 0) + (turn.body.cost_usd ?? 0),
  });
  const row = session.reader.rows.find(({ type }) => type === "context.compacted");
  expect(row?.body).toMatchObject({ cost_usd: summary.body.cost_usd });
});

test("an interrupt of a turn ends the compaction that it waits for", async () => {
  const session = await sessions.create({ model: API });
  const { reply: summary, gate } = held(2, [compaction("One.")]);
  sessions.script(large("one"), summary);
  await session.turn("one");
  const second = await session.send("two");
  await reached(gate);
  await session.interrupt();
  expect(await session.outcome(second)).toMatchObject({ outcome: "interrupted" });
  expect(await session.reader.row("compaction.ended")).toMatchObject({
    body: { code: "interrupted" },
  });
  sessions.script(compaction("One and two."), [thinking("hm"), text("three")]);
  expect(await session.turn("three")).toMatchObject({ outcome: "completed" });
  expect(sessions.requests.map(({ body }) => Object.hasOwn(Object(body), "compaction"))).toEqual([
    false,
    true,
    true,
    false,
  ]);
});
