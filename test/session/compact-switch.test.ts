/** A new model that cannot hold the conversation gets it from the one before as a summary. */
import { env } from "cloudflare:workers";
import { ulid } from "ulid";
import { afterEach, expect, test } from "vitest";
import { repeatedly } from "../../src/http/submit.ts";
import { PRICES } from "../../src/model/prices.ts";
import { onFaultPoint } from "../../src/session/fault-points.ts";
import { Log } from "../../src/session/log.ts";
import { next } from "../../src/session/next.ts";
import { clock } from "../../src/shared/clock.ts";
import { compaction, httpError, reply, text, thinking } from "../../src/standin/replies.ts";
import { API, conversation, done, large, OVERFLOW, PLAIN } from "../support/compactions.ts";
import { foldAll } from "../support/laws.ts";
import { accepted, held, reached, type TestSession, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
afterEach(() => onFaultPoint(null));
const { talk, said } = conversation(sessions);
/** The test plugin would print any other reason as an error of the runtime. */
const REASON = "Instance disposed by a test";
/** More than the new model's window has. */
const TOKENS = 300_000;

/** The model of each request, and whether it asks the API for a summary. */
const asked = (): string[] =>
  sessions.requests.map(({ body }) => {
    // The stand-in has checked its form.
    const { model, compaction: summary } = body as { model: string; compaction?: unknown };
    return summary ? `${model} compacts` : model;
  });

const types = (session: TestSession, from: number): string[] =>
  session.reader.rows.slice(from - 1).map(({ type }) => type);

async function switched(model = PLAIN, tokens = TOKENS): Promise<TestSession> {
  const session = await sessions.create({ model: API, system: "Long. ".repeat(2_000) });
  sessions.script(large("one", tokens));
  await session.turn("one");
  await session.switchModel(model);
  return session;
}

test("the model before compacts it through its cache, and the turn goes on with the new one", async () => {
  const session = await switched();
  sessions.script(compaction("They said one."), text("two"));
  const sent = await session.send("two", { settings: { effort: "low" } });
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(asked()).toEqual([API, `${API} compacts`, PLAIN]);
  // What belongs to the new turn would make the cache of the old ones useless.
  expect(sessions.requests[1]?.body).not.toHaveProperty("output_config");
  expect(types(session, sent.s)).toEqual([
    "input",
    "compaction.requested",
    "call.started",
    "call.ended",
    "context.compacted",
    "context.cut",
    // The new one has no levels of effort.
    "notice",
    "call.started",
    "block.text",
    "call.ended",
    "outcome",
  ]);
  const call = session.reader.rows.find(
    (row) => row.type === "call.ended" && row.body.purpose === "compact",
  );
  if (call?.type !== "call.ended") throw new Error("no call");
  expect(call.body.usage?.cache_read_input_tokens).toBeGreaterThan(1_000);
  expect(said()).toContain("They said one.");
  expect(said()).not.toContain("yes one");
  const told = session.reader.frames.map(({ event }) => event);
  expect(told.indexOf("session.compacted")).toBeLessThan(told.indexOf("session.context_changed"));
  await talk(session, "three");
});

test("a conversation that it can hold is only sent without thinking", async () => {
  const session = await switched(PLAIN, 100_000);
  await talk(session, "two");
  expect(asked()).toEqual([API, PLAIN]);
  expect(said()).toContain("yes one");
});

test("a message that has waited is compacted for as well", async () => {
  const session = await sessions.create({ model: API });
  const { reply: answer, gate } = held(
    { block: 0, delta: 1 },
    [text("one", { deltas: ["o", "ne"] })],
    { usage: { input_tokens: TOKENS } },
  );
  sessions.script(answer, compaction("One."), text("two"));
  const first = await session.send("one");
  await session.reader.until(() => session.reader.previewed === "o");
  const second = await session.send("two");
  await session.switchModel(PLAIN);
  await session.open(gate);
  await session.outcome(first);
  expect(await session.outcome(second)).toMatchObject({ outcome: "completed" });
  expect(asked()).toEqual([API, `${API} compacts`, PLAIN]);
});

test("where the model before is gone the new one compacts as much at once as it takes", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one", "two", "three");
  sessions.script(large("four", TOKENS));
  await session.turn("four");
  await session.switchModel(PLAIN);
  sessions.script(
    httpError(404, { type: "not_found_error", message: `model: ${API}` }),
    httpError(400, { message: OVERFLOW }),
    reply({ blocks: [text("One and two.")], usage: { input_tokens: 1_000_000 } }),
    text("All but the last."),
    text("five"),
  );
  const sent = await session.send("five");
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(asked().slice(4)).toEqual([`${API} compacts`, PLAIN, PLAIN, PLAIN, PLAIN]);
  const made = session.reader.rows.flatMap((row) =>
    row.type === "context.compacted" ? [row.body.part ?? false] : [],
  );
  expect(made).toEqual([true, false]);
  // The first summary is a part of what the second one covers.
  expect(JSON.stringify(sessions.messages(sessions.requests.length - 2))).toContain("One and two.");
  expect(said()).toContain("All but the last.");
  expect(said()).toContain("five");
  await talk(session, "six");
});

test("where nothing helps the turn fails, and another model goes on with all of it", async () => {
  const session = await switched();
  const full = httpError(400, { message: OVERFLOW });
  const gone = httpError(404, { type: "not_found_error", message: `model: ${API}` });
  // The threshold, the overflow, and the call before and after that.
  sessions.script(gone, full, full, full, full);
  expect(await session.turn("two")).toMatchObject({ outcome: "failed", code: "context_overflow" });
  await session.switchModel("claude-opus-5-5");
  await talk(session, "three");
  expect(said()).toContain("yes one");
  expect(said()).not.toContain("two");
});

test("while the model before only cannot be asked now, the turn fails and the next one asks it again", async () => {
  const session = await switched();
  sessions.script(httpError(401));
  const failed = await session.turn("two", { hash: "same" });
  expect(failed).toMatchObject({ outcome: "failed", code: "authentication" });
  expect(failed.message).toContain(PLAIN);
  sessions.script(compaction("One."), text("two"));
  expect(await session.turn("two", { hash: "same" })).toMatchObject({ outcome: "completed" });
  expect(asked()).toEqual([API, `${API} compacts`, `${API} compacts`, PLAIN]);
  expect(said().split('"two"')).toHaveLength(2);
});

test("without the money for it the turn ends, and goes on when there is some", async () => {
  const session = await switched();
  const spent = (await session.stub.describe())?.session.spent_usd ?? 0;
  await session.update({ max_budget_usd: spent });
  expect(await session.turn("two")).toMatchObject({
    outcome: "budget_reached",
    code: "session_budget",
  });
  await session.update({ max_budget_usd: null });
  sessions.script(compaction("One."), text("three"));
  expect(await session.turn("three")).toMatchObject({ outcome: "completed" });
  expect(asked()).toEqual([API, `${API} compacts`, PLAIN]);
});

test("while a key of one's own cannot be read, it is asked again as well", async () => {
  const session = await switched();
  accepted(await session.submit({ kind: "update", config: {}, own_key: "not sealed" }));
  const failed = await session.turn("two", { hash: "same" });
  expect(failed).toMatchObject({ outcome: "failed", code: "own_key_locked" });
  expect(failed.message).toContain(PLAIN);
  accepted(await session.submit({ kind: "update", config: {}, own_key: null }));
  sessions.script(compaction("One."), text("two"));
  expect(await session.turn("two", { hash: "same" })).toMatchObject({ outcome: "completed" });
  expect(asked()).toEqual([API, `${API} compacts`, PLAIN]);
});

test("where a budget is set and only the model before has no price, the new one compacts it", async () => {
  const session = await sessions.create({ model: API });
  const price = PRICES[API];
  Reflect.deleteProperty(PRICES, API);
  try {
    // Another object of variables, for which the table is made anew.
    await session.inside((_, object) => {
      Object.defineProperty(object, "env", { configurable: true, value: { ...env } });
    });
    sessions.script(text("one"), large("two", TOKENS));
    await session.turn("one");
    await session.turn("two");
    await session.switchModel(PLAIN);
    await session.update({ max_budget_usd: 50 });
    sessions.script(text("They said one and two."), text("three"));
    expect(await session.turn("three")).toMatchObject({ outcome: "completed" });
  } finally {
    Object.assign(PRICES, { [API]: price });
  }
  expect(asked()).toEqual([API, API, PLAIN, PLAIN]);
  const ends = session.reader.rows.flatMap((row) =>
    row.type === "compaction.ended" ? [row.body.code] : [],
  );
  expect(ends).toEqual(["unpriced_model"]);
  expect(said()).toContain("They said one and two.");
});

test("an interrupt stops it, and the next message asks for it again", async () => {
  const session = await switched();
  const { reply: summary, gate } = held(2, [compaction("One.")]);
  sessions.script(summary);
  const second = await session.send("two");
  await reached(gate);
  await session.interrupt();
  expect(await session.outcome(second)).toMatchObject({ outcome: "interrupted" });
  sessions.script(compaction("One."), text("three"));
  expect(await session.turn("three")).toMatchObject({ outcome: "completed" });
  expect(asked()).toEqual([API, `${API} compacts`, `${API} compacts`, PLAIN]);
});

test("a model that is set meanwhile waits for the next message", async () => {
  const session = await switched();
  const { reply: summary, gate } = held(2, [compaction("One.")]);
  sessions.script(summary, text("two"), text("three"));
  const second = await session.send("two");
  await reached(gate);
  await session.switchModel("claude-opus-5-5");
  await session.open(gate);
  await session.outcome(second);
  await session.turn("three");
  expect(asked()).toEqual([API, `${API} compacts`, PLAIN, "claude-opus-5-5"]);
});

test.each(["call.started", "context.compacted", "context.cut"] as const)(
  "an object that dies with the row %s goes on from there",
  async (type) => {
    const session = await switched();
    sessions.answer(({ text: body }) =>
      body.includes('"compaction":{"type":"summarize"') ? compaction("One.") : text("two"),
    );
    let died = false;
    onFaultPoint((object, point) => {
      if (died || point !== "commit") return;
      const rows = new Log(object.storage.sql).range(1, Number.MAX_SAFE_INTEGER);
      if (rows.at(-1)?.type !== type) return;
      died = true;
      object.abort(REASON);
    });
    // The Worker sends again what an object died over.
    const once = { submission: ulid(), hash: ulid() };
    const sent = await repeatedly(() => session.send("two", once));
    expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
    expect(died).toBe(true);
    const counted = (one: string) => types(session, 1).filter((other) => other === one).length;
    expect(["compaction.requested", "context.compacted", "context.cut"].map(counted)).toEqual([
      1, 1, 1,
    ]);
    expect(said()).toContain("One.");
    // Also where it dies between the two last ones.
    const { rows } = session.reader;
    const behind = rows.findIndex((row) => row.type === "context.compacted") + 1;
    expect(next(foldAll(rows.slice(0, behind)), clock.now())).toEqual({ do: "switch" });
  },
);

test("a conversation that the client wants compacted is, as far as its model takes it", async () => {
  const session = await sessions.create({ model: API });
  await talk(session, "one", "two", "three", "four");
  sessions.script(httpError(400, { message: OVERFLOW }), compaction("One and two."));
  const row = await done(session);
  expect(row.body).toMatchObject({ part: true, messages_before: 8, messages_after: 5 });
  sessions.script([thinking("hm"), text("five")]);
  await session.turn("five");
  expect(said()).toContain("hm three");
  expect(said()).not.toContain("hm two");
});
