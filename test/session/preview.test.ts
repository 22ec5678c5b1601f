/** Previews: how they are joined, and that resuming anywhere gives exactly the rest. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Follower } from "../../src/http/follow.ts";
import { parseCursor } from "../../src/shared/cursor.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { held, reached, type TestSession, toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock(FAR_FUTURE);
});
afterEach(() => clock.restore());

/** The texts of the preview frames that a client has got. */
const pieces = ({ reader }: TestSession): string[] =>
  reader.items.flatMap((item) => (item.kind === "preview" ? [item.preview.text] : []));

/** What a client that comes with this cursor gets of the open call. */
async function rest(session: TestSession, cursor: string): Promise<string> {
  const from = parseCursor(cursor);
  if (!from) throw new Error("not a cursor");
  const left = new AbortController();
  let text = "";
  for await (const item of new Follower(session.stub, { from, signal: left.signal }).read()) {
    if (item.kind === "preview") text += item.preview.text;
    if (item.kind === "caught_up") left.abort();
  }
  return text;
}

test("the first delta of a block leaves at once, later ones together after 30 ms", async () => {
  const session = await sessions.create();
  const gates = [createGate(), createGate(), createGate()];
  const [a, b, c] = gates;
  if (!a || !b || !c) throw new Error("three gates");
  sessions.script(
    reply({
      blocks: [text("abcdef", { deltas: ["a", "b", "c", "d", "e", "f"] }), text("!")],
      acts: [
        holdAt({ block: 0, delta: 3 }, a),
        holdAt({ block: 0, delta: 5 }, b),
        holdAt({ block: 0, delta: 6 }, c),
      ],
    }),
  );
  const armed = clock.nextTimer(30);
  const sent = await session.send("hi");
  await session.reader.until(() => pieces(session).length === 1);
  await armed;
  await reached(a);
  await session.inside(() => clock.advance(29));
  expect(pieces(session)).toEqual(["a"]);
  await session.inside(() => clock.advance(1));
  await session.reader.until(() => pieces(session).length === 2);
  await session.open(a);
  await reached(b);
  await session.inside(() => clock.advance(30));
  await session.reader.until(() => pieces(session).length === 3);
  await session.open(b);
  await reached(c);
  await session.open(c);
  await session.outcome(sent);
  // What was left of the block leaves with the first delta of the next.
  expect(pieces(session)).toEqual(["a", "bc", "de", "f", "!"]);
});

test("a client that comes back at any offset gets exactly the rest", async () => {
  const session = await sessions.create();
  const { reply: answer, gate } = held({ block: 2, delta: 2 }, [
    thinking("let me", { deltas: ["let", " me"] }),
    text("Grüße 🙂!", { deltas: ["Grüße ", "🙂!"] }),
    toolUse("a", { x: 1 }, { deltas: ['{"x"', ":1", "}"] }),
  ]);
  sessions.script(answer, text("done"), text("bye"));
  const sent = await session.send("hi", { tools: toolset("a") });
  await session.reader.until(() => session.reader.previewed.endsWith('{"x"'));
  await reached(gate);
  await session.inside(() => clock.advance(30));
  const whole = 'let meGrüße 🙂!{"x":1';
  await session.reader.until(() => session.reader.previewed === whole);
  for (let offset = 0; offset <= whole.length; offset++) {
    // A cursor never lies inside a surrogate pair.
    if (/[\udc00-\udfff]/.test(whole.charAt(offset))) continue;
    expect(await rest(session, `3:${offset}`), `from ${offset}`).toBe(whole.slice(offset));
  }
  expect(await rest(session, "3"), "from the row of the call").toBe(whole);
  expect(await rest(session, "2"), "from a row before it").toBe(whole);
  expect(await rest(session, "2:7"), "an offset of another call").toBe(whole);
  const queued = await session.send("more");
  await session.reader.row("input", ({ seq }) => seq === 4);
  expect(session.reader.cursor, "the row's id keeps it").toBe(`4:${whole.length}`);
  expect(await rest(session, "4:9"), "the offset goes on over a row").toBe(whole.slice(9));
  expect(await rest(session, "3:9")).toBe(whole.slice(9));
  expect(await rest(session, "4")).toBe(whole);
  await session.open(gate);
  const first = await session.outcome(sent);
  await session.outcome(await session.results({ [first.pending[0]?.id ?? ""]: "x" }));
  await session.outcome(queued);
});

test("no frame ends inside a surrogate pair", async () => {
  const session = await sessions.create();
  const { reply: answer, gate } = held({ block: 0, delta: 2 }, [
    // A model streams whole characters; a proxy or another API may not.
    text("a🙂b", { deltas: ["a\ud83d", "\ude42", "b"] }),
  ]);
  sessions.script(answer);
  const sent = await session.send("hi");
  await reached(gate);
  await session.inside(() => clock.advance(30));
  await session.reader.until(() => session.reader.previewed.length === 3);
  await session.open(gate);
  await session.outcome(sent);
  const frames = session.reader.frames.filter(({ event }) => event === "assistant.delta");
  expect(
    frames.map(({ data }) => JSON.parse(data).data.text).every((one) => one.isWellFormed()),
  ).toBe(true);
});

test("a cursor beyond the head is refused, and says where the head is", async () => {
  const session = await sessions.create();
  const follower = new Follower(session.stub, {
    from: { kind: "row", seq: 2 },
    signal: new AbortController().signal,
  });
  expect(await follower.read().next()).toEqual({
    done: true,
    value: { kind: "cursor_ahead", head: 1 },
  });
});

test("ids of blocks are known while previewing and are the same in the rows", async () => {
  const session = await sessions.create();
  sessions.script([thinking("t"), text("x"), toolUse("a", { x: 1 })], text("done"));
  const first = await session.turn("go", { tools: toolset("a") });
  await session.outcome(await session.results({ [first.pending[0]?.id ?? ""]: "x" }));
  const ids = (suffix: string) =>
    session.reader.frames
      .filter(
        ({ event }) => event?.endsWith(suffix) && /^(thinking|assistant|tool_call)\./.test(event),
      )
      .map(({ data }) => JSON.parse(data).data.id);
  const known = new Set(ids(".delta"));
  expect([...known]).toEqual(["msg_3_0", "msg_3_1", "call_3_2", "msg_11_0"]);
  expect(new Set([...ids(".completed"), ...ids(".requested")])).toEqual(known);
});
