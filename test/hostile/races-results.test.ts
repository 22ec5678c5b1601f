/**
 * Results against everything that may come beside them: a message, an interrupt, other results. Each
 * call has one result, each submission one end, and who comes too late is told so.
 */
import { describe, expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text, toolUse } from "../../src/standin/replies.ts";
import {
  held,
  reached,
  refusalOf,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";
import { inStep, interrupt, message, rest, results, submissionOf, told } from "./commands.ts";

const sessions = useSessions();
const A = toolset("a");

/** A session whose calls `call_3_0` and `call_3_1` wait for their results. */
async function awaiting(...then: Parameters<typeof sessions.script>): Promise<TestSession> {
  const session = await sessions.create();
  sessions.script([toolUse("a", {}), toolUse("a", {})], ...then);
  await session.turn("go", { tools: A });
  return session;
}

const both = (one = "one", two = "two") => results({ call_3_0: one, call_3_1: two });

/** The results in the log: call, who gave it, and its text. */
const given = async (session: TestSession) =>
  (await session.rows()).flatMap((row) => {
    if (row.type !== "tool.ended") return [];
    const [block] = row.body.content;
    return [[row.body.tool, row.body.by, block?.type === "text" ? block.text : ""]];
  });

/** How the turns ended, in order. */
const outcomes = async (session: TestSession) =>
  (await session.rows()).flatMap((row) => (row.type === "outcome" ? [row.body.outcome] : []));

const BY_CLIENT = [
  ["call_3_0", "client", "one"],
  ["call_3_1", "client", "two"],
];

const codes = (answers: Parameters<typeof refusalOf>[0][]) => answers.map(refusalOf);

describe("with a new message", () => {
  test("the results come first: the message waits for the turn that they resume", async () => {
    const session = await awaiting(text("done"), text("next"));
    const answers = await inStep(session, both(), message("next"));
    expect(codes(answers)).toEqual([null, null]);
    await rest(session);
    expect(await given(session)).toEqual(BY_CLIENT);
    expect(await outcomes(session)).toEqual(["requires_action", "completed", "completed"]);
  });

  test("the message comes first: it settles the calls, and the results are too late", async () => {
    const session = await awaiting(text("next"));
    const answers = await inStep(session, message("next"), both());
    expect(codes(answers)).toEqual([null, "call_settled"]);
    await rest(session);
    expect((await given(session)).map(([, by]) => by)).toEqual(["ledge", "ledge"]);
    expect(await outcomes(session)).toEqual(["requires_action", "completed"]);
  });

  test("the message comes between two halves: the first half stays, the second is too late", async () => {
    const session = await awaiting(text("next"));
    const answers = await inStep(
      session,
      results({ call_3_1: "two" }),
      message("next"),
      results({ call_3_0: "one" }),
    );
    expect(codes(answers)).toEqual([null, null, "call_settled"]);
    await rest(session);
    expect(sessions.asked(1)).toMatchObject([
      { type: "tool_result", is_error: true },
      { type: "tool_result", content: [{ text: "two" }] },
      { text: "next" },
    ]);
  });

  test.each(["queue", "steer", "interrupt"] as const)(
    "at once from two Workers, on_busy: %s",
    async (on_busy) => {
      const session = await awaiting();
      sessions.answer(() => text("done"));
      const [given, sent] = await Promise.all([
        session.stub.submit(submissionOf(both())),
        session.stub.submit(submissionOf(message("next", on_busy))),
      ]);
      expect(sent.ok).toBe(true);
      expect([null, "call_settled"]).toContain(refusalOf(given));
      await rest(session);
    },
  );
});

describe("with an interrupt", () => {
  test("the results come first: they are kept, and the turn that they resume is stopped", async () => {
    const session = await awaiting();
    const never = reply({ blocks: [], acts: [holdAt("request", createGate())] });
    sessions.answer(({ text: body }) => (body.includes('"next"') ? text("next") : never));
    const answers = await inStep(session, both(), interrupt());
    expect(codes(answers)).toEqual([null, null]);
    await rest(session);
    expect(await given(session)).toEqual(BY_CLIENT);
    expect(await outcomes(session)).toEqual(["requires_action", "interrupted"]);
    await session.turn("next", { tools: A });
    expect(sessions.asked(sessions.requests.length - 1)).toMatchObject([
      { content: [{ text: "one" }] },
      { content: [{ text: "two" }] },
      { text: "[The user interrupted the previous reply.]" },
      { text: "next" },
    ]);
  });

  test("the interrupt comes first: the results are too late, then and for good", async () => {
    const session = await awaiting(text("next"));
    const answers = await inStep(session, interrupt(), both(), results({ call_3_1: "two" }));
    expect(codes(answers)).toEqual([null, "call_settled", "call_settled"]);
    await session.turn("next", { tools: A });
    expect(refusalOf(await session.tryResults({ call_3_0: "late" }))).toBe("call_settled");
    expect(await outcomes(session)).toEqual(["requires_action", "interrupted", "completed"]);
  });
});

describe("with other results", () => {
  test("two different ones for the same calls: the first are taken, both are answered", async () => {
    const session = await awaiting(text("done"));
    const [first, second] = await inStep(session, both(), both("other", "another"));
    if (!first || !second) throw new Error("two answers");
    expect(told(second)).toEqual(told(first));
    await rest(session);
    expect(await given(session)).toEqual(BY_CLIENT);
    expect(await outcomes(session)).toEqual(["requires_action", "completed"]);
  });

  test("at once from two Workers one of them wins, whole", async () => {
    const session = await awaiting(text("done"));
    await Promise.all(
      [both(), both("other", "another")].map((one) => session.stub.submit(submissionOf(one))),
    );
    await rest(session);
    const texts = (await given(session)).map(([, , text]) => text).join();
    expect(["one,two", "other,another"]).toContain(texts);
  });

  const halves = [results({ call_3_0: "one" }), results({ call_3_1: "two" })];

  test.each([
    ["in the order of the calls", halves],
    ["in the other order", halves.toReversed()],
  ])("two halves from two clients, %s", async (_, order) => {
    const session = await awaiting(text("done"));
    const answers = await inStep(session, ...order);
    expect(codes(answers)).toEqual([null, null]);
    await rest(session);
    const [half, whole] = answers.map((answer) => (answer.ok ? answer.accepted.input : null));
    expect(await session.outcome({ input: half ?? null })).toMatchObject({
      outcome: "requires_action",
      inputs: [half],
    });
    expect(await session.outcome({ input: whole ?? null })).toMatchObject({
      outcome: "completed",
      inputs: [whole],
    });
    expect(sessions.requests).toHaveLength(2);
    expect(sessions.asked(1)).toMatchObject([
      { content: [{ text: "one" }] },
      { content: [{ text: "two" }] },
    ]);
  });

  test("two halves in one turn of the event loop: the second one resumes the turn", async () => {
    const session = await awaiting(text("done"));
    await session.inside((_, object) =>
      Promise.all(halves.map((half) => object.submit(submissionOf(half)))),
    );
    await rest(session);
    expect(await outcomes(session)).toEqual(["requires_action", "requires_action", "completed"]);
  });

  test("a half and the whole: the whole brings what is missing", async () => {
    const session = await awaiting(text("done"));
    const answers = await inStep(session, results({ call_3_1: "half" }), both());
    expect(codes(answers)).toEqual([null, null]);
    await rest(session);
    expect(await given(session)).toEqual([
      ["call_3_1", "client", "half"],
      ["call_3_0", "client", "one"],
    ]);
  });
});

describe("too late", () => {
  test("after the turn has ended they are answered with it, whatever they say now", async () => {
    const session = await awaiting(text("done"));
    const first = await session.stub.submit(submissionOf(both()));
    const rows = await rest(session);
    for (const again of [both(), both("other"), results({ call_3_1: "two" })]) {
      expect(told(await session.stub.submit(submissionOf(again)))).toEqual(told(first));
    }
    const keyed = { ...submissionOf(both()), key: { id: "tool-results k", hash: "h" } };
    expect(told(await session.stub.submit(keyed))).toEqual(told(first));
    expect(await session.rows()).toEqual(rows);
  });

  test("those of a turn before, while another one awaits its own", async () => {
    const session = await awaiting(text("done"), toolUse("a", {}), text("done too"));
    const first = await session.stub.submit(submissionOf(both()));
    await rest(session);
    const second = await session.turn("again", { tools: A });
    const [call] = second.pending;
    if (!call) throw new Error("one call waits");
    expect(told(await session.stub.submit(submissionOf(both("other"))))).toEqual(told(first));
    expect(await session.pending()).toEqual([call.id]);
    const mixed = results({ call_3_0: "old", [call.id]: "new" });
    const answer = await session.stub.submit(submissionOf(mixed));
    expect(answer).toMatchObject({ accepted: { turn: second.turn, replayed: false } });
    await rest(session);
    expect((await given(session)).slice(2)).toEqual([[call.id, "client", "new"]]);
  });

  test("those of a turn before, while another one runs", async () => {
    const { reply: answer, gate } = held({ block: 0, delta: 1 }, [
      text("one", { deltas: ["o", "ne"] }),
    ]);
    const session = await awaiting(text("done"), answer);
    const first = await session.stub.submit(submissionOf(both()));
    await rest(session);
    const next = await session.send("next", { tools: A });
    await reached(gate);
    const rows = await session.rows();
    expect(told(await session.stub.submit(submissionOf(both("other"))))).toEqual(told(first));
    expect(refusalOf(await session.tryResults({ call_3_2: "?" }))).toBe("unknown_tool_call");
    expect(await session.rows()).toEqual(rows);
    await session.open(gate);
    expect(await session.outcome(next)).toMatchObject({ outcome: "completed" });
  });

  test("those for calls that nobody was asked to answer", async () => {
    const session = await sessions.create();
    sessions.script([toolUse("a", {}), toolUse("none", {})], text("done"));
    const first = await session.turn("go", { tools: A });
    expect(first.pending.map(({ id }) => id)).toEqual(["call_3_0"]);
    expect(refusalOf(await session.tryResults({ call_3_1: "x" }))).toBe("call_settled");
    await session.outcome(await session.results({ call_3_0: "one", call_3_1: "x" }));
    expect((await given(session)).map(([tool, by]) => [tool, by])).toEqual([
      ["call_3_1", "ledge"],
      ["call_3_0", "client"],
    ]);
  });

  test("in an object that died over them they are taken when they come again", async () => {
    const session = await awaiting(text("done"));
    const sent = submissionOf(both());
    const lost = session.inside((state, object) => {
      void object.submit(sent).catch(() => {});
      state.abort("crash");
    });
    await expect(lost).rejects.toThrow("crash");
    expect(await given(session)).toEqual([]);
    await session.stub.submit(sent);
    await session.crash();
    await session.stub.submit(sent);
    await rest(session);
    expect(await given(session)).toEqual(BY_CLIENT);
  });
});
