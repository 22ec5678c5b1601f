/**
 * What waits, against what takes it: the end of the turn before, a cancellation, an interrupt. Each
 * message runs once, or is cancelled once, and everybody is told which.
 */
import { afterEach, describe, expect, test } from "vitest";
import type { Command, SubmitAnswer } from "../../src/session/commands.ts";
import { onFaultPoint } from "../../src/session/fault-points.ts";
import type { RowType } from "../../src/shared/rows.ts";
import { type ReplyBlock, text, toolUse } from "../../src/standin/replies.ts";
import {
  accepted,
  held,
  reached,
  refusalOf,
  type TestSession,
  toolset,
  useSessions,
} from "../support/sessions.ts";
import { cancel, inStep, interrupt, message, rest, results, submissionOf } from "./commands.ts";

const sessions = useSessions();
const A = toolset("a");
afterEach(() => onFaultPoint(null));

/** An interrupt that was sent then was sent after all that had come before it. */
const SENT_LAST = Number.MAX_SAFE_INTEGER;

/** A session at the last event of its first answer, while the message `waits` does. */
async function busy(on_busy: "queue" | "steer" = "queue", blocks: ReplyBlock[] = [text("one")]) {
  const session = await sessions.create();
  // The events of one block in one delta are six, before message_stop.
  const { reply, gate } = held(blocks.length === 1 ? 5 : 8, blocks);
  let first = true;
  sessions.answer(() => {
    if (!first) return text("later");
    first = false;
    return reply;
  });
  const one = await session.send("one", { tools: A });
  await reached(gate);
  const waits = await session.send("waits", { tools: A, on_busy });
  return { session, one, waits, finish: () => session.open(gate) };
}

const submit = (session: TestSession, command: Command): Promise<SubmitAnswer> =>
  session.stub.submit(submissionOf(command));

const ran = async (session: TestSession) =>
  (await session.rows()).flatMap((row) => (row.type === "outcome" ? row.body.inputs : []));

const count = async (session: TestSession, type: RowType): Promise<number> =>
  (await session.rows()).filter((row) => row.type === type).length;

/** Submits right behind the step that writes the next row of this type, before the loop goes on. */
async function behind(
  session: TestSession,
  type: RowType,
  ...commands: Command[]
): Promise<() => Promise<SubmitAnswer[]>> {
  const answers = Promise.withResolvers<SubmitAnswer[]>();
  await session.inside((own, object) => {
    onFaultPoint((state, point) => {
      if (point !== "commit" || state.id.toString() !== own.id.toString()) return;
      const query = "SELECT type FROM log ORDER BY seq DESC LIMIT 1";
      if (state.storage.sql.exec(query).one().type !== type) return;
      onFaultPoint(null);
      queueMicrotask(() => {
        const sent = commands.map((command) => object.submit(submissionOf(command)));
        answers.resolve(Promise.all(sent));
      });
    });
  });
  return () => answers.promise;
}

describe("a cancellation", () => {
  test("before the turn's end: the message never runs", async () => {
    const { session, one, waits, finish } = await busy();
    expect(refusalOf(await submit(session, cancel(waits.input)))).toBeNull();
    await finish();
    await rest(session);
    expect(await ran(session)).toEqual([one.input]);
    expect(sessions.requests).toHaveLength(1);
  });

  test("between the turn's end and the take: the message never runs", async () => {
    const { session, one, waits, finish } = await busy();
    const answers = await behind(session, "outcome", cancel(waits.input), cancel(waits.input));
    await finish();
    expect((await answers()).map(refusalOf)).toEqual([null, "not_queued"]);
    await rest(session);
    expect(await ran(session)).toEqual([one.input]);
    expect(sessions.requests).toHaveLength(1);
  });

  test("behind the take: the message runs", async () => {
    const { session, one, waits, finish } = await busy();
    const answers = await behind(session, "input.taken", cancel(waits.input));
    await finish();
    expect((await answers()).map(refusalOf)).toEqual(["not_queued"]);
    await rest(session);
    expect(await ran(session)).toEqual([one.input, waits.input]);
  });

  test("twice at once from two Workers: one of them did it", async () => {
    const { session, waits, finish } = await busy();
    const both = await Promise.all([1, 2].map(() => submit(session, cancel(waits.input))));
    expect(both.map(refusalOf).toSorted()).toEqual([null, "not_queued"].toSorted());
    await finish();
    await rest(session);
    expect(await count(session, "input.cancelled")).toBe(1);
  });

  test("of a steer that has joined its turn: it runs with it", async () => {
    const { session, one, waits, finish } = await busy("steer", [toolUse("none", {})]);
    const answers = await behind(session, "input.taken", cancel(waits.input));
    await finish();
    expect((await answers()).map(refusalOf)).toEqual(["not_queued"]);
    await rest(session);
    expect(await ran(session)).toEqual([one.input, waits.input]);
    expect(sessions.requests).toHaveLength(2);
  });

  test("of what is no input, or is none that waits, is refused and writes nothing", async () => {
    const { session, one, finish } = await busy();
    const rows = (await session.rows()).length;
    expect(refusalOf(await submit(session, cancel(one.input)))).toBe("not_queued");
    for (const input of [0, 1, 3, 99]) {
      expect(refusalOf(await submit(session, cancel(input)))).toBe("unknown_input");
    }
    expect(await session.rows()).toHaveLength(rows);
    await finish();
    await rest(session);
  });
});

describe("a steer", () => {
  test("behind the turn's last step it has a turn of its own", async () => {
    const { session, one, waits, finish } = await busy();
    const answers = await behind(session, "outcome", message("steer", "steer"));
    await finish();
    const [steer] = (await answers()).map(accepted);
    await rest(session);
    expect(await ran(session)).toEqual([one.input, waits.input, steer?.input]);
  });

  test("right before the turn's last event it has a turn of its own", async () => {
    const { session, one, waits, finish } = await busy("steer");
    await finish();
    await rest(session);
    expect(await ran(session)).toEqual([one.input, waits.input]);
    expect(await session.outcome(waits)).toMatchObject({ turn: waits.input });
  });

  test("right before a last event that is not the turn's it joins the turn", async () => {
    const { session, one, waits, finish } = await busy("steer", [toolUse("none", {})]);
    await finish();
    await rest(session);
    expect(await session.outcome(waits)).toMatchObject({
      turn: one.turn,
      inputs: [one.input, waits.input],
    });
  });

  test("with the results that resume its turn, in either order", async () => {
    const first = await busy("queue", [toolUse("a", {})]);
    await first.finish();
    await rest(first.session);
    const answers = await inStep(
      first.session,
      results({ call_3_0: "x" }),
      message("steer", "steer"),
    );
    expect(answers.map(refusalOf)).toEqual([null, null]);
    await rest(first.session);
    const second = await busy("queue", [toolUse("a", {})]);
    await second.finish();
    await rest(second.session);
    const other = await inStep(
      second.session,
      message("steer", "steer"),
      results({ call_3_0: "x" }),
    );
    expect(other.map(refusalOf)).toEqual([null, "call_settled"]);
    await rest(second.session);
  });
});

describe("while nothing runs and a message is about to", () => {
  test("reject is refused, and a message waits behind", async () => {
    const { session, one, waits, finish } = await busy();
    const answers = await behind(session, "outcome", message("no", "reject"), message("third"));
    await finish();
    const [rejected, third] = await answers();
    expect(rejected && refusalOf(rejected)).toBe("busy");
    await rest(session);
    expect(await ran(session)).toEqual([
      one.input,
      waits.input,
      third?.ok ? third.accepted.input : null,
    ]);
  });

  test("a message that interrupts goes first", async () => {
    const { session, one, waits, finish } = await busy();
    const answers = await behind(session, "outcome", message("now", "interrupt"));
    await finish();
    const [now] = (await answers()).map(accepted);
    await rest(session);
    expect(await ran(session)).toEqual([one.input, now?.input, waits.input]);
  });
});

describe("an interrupt with the queue", () => {
  test("behind a message it cancels that, and before it not", async () => {
    const { session, one, waits } = await busy();
    const [before, stopped, after] = await inStep(
      session,
      message("before"),
      interrupt(true, SENT_LAST),
      message("after"),
    );
    if (!before?.ok || !stopped?.ok || !after?.ok) throw new Error("all are accepted");
    expect(stopped.cancelled).toEqual([waits.input, before.accepted.input]);
    await rest(session);
    expect(await ran(session)).toEqual([one.input, after.accepted.input]);
  });

  test("with a cancellation of the same message, in either order", async () => {
    for (const first of [true, false]) {
      const { session, waits } = await busy();
      const both = [cancel(waits.input), interrupt(true)];
      const answers = await inStep(session, ...(first ? both : both.toReversed()));
      expect(answers.map(refusalOf)).toEqual(first ? [null, null] : [null, "not_queued"]);
      await rest(session);
      expect(await count(session, "input.cancelled")).toBe(1);
    }
  });

  test("behind the take it stops the turn that was taken", async () => {
    const { session, one, waits, finish } = await busy();
    const answers = await behind(session, "input.taken", interrupt(true, SENT_LAST));
    await finish();
    expect(await answers()).toMatchObject([{ accepted: { turn: waits.input }, cancelled: [] }]);
    await rest(session);
    expect(await session.outcome(one)).toMatchObject({ outcome: "completed" });
    expect(await session.outcome(waits)).toMatchObject({ outcome: "interrupted" });
  });

  test("twice at once from two Workers: one of them cancels, and one end for each", async () => {
    const { session, waits } = await busy();
    const both = await Promise.all([1, 2].map(() => submit(session, interrupt(true))));
    const cancelled = both.flatMap((answer) => (answer.ok ? answer.cancelled : []));
    expect(cancelled).toEqual([waits.input]);
    await rest(session);
    expect(await count(session, "interrupt")).toBe(1);
  });
});
