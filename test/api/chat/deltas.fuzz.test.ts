/** The pure rule by which a turn's text becomes deltas, over attempts that are lost anywhere. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { openDeltas } from "../../../src/api/chat/deltas.ts";
import type { Row } from "../../../src/shared/rows.ts";
import { NO_USAGE } from "../../../src/shared/usage.ts";

/** One attempt at a message: what of it comes as previews, and whether its rows follow. */
interface Attempt {
  text: string;
  /** Where its text is cut into blocks and pieces. */
  cuts: number[];
  /** Characters that were seen before it was lost; beyond the text: all of them. */
  seen: number;
}

interface Message {
  lost: Attempt[];
  last: Attempt;
  stop_reason: string;
}

const CALL = {
  turn: 2,
  model: "m",
  epoch: 1,
  max_tokens: 1,
  marks: [],
  ttl: "5m" as const,
};

const started = (seq: number, n: number, purpose: "turn" | "compact" = "turn"): Row => ({
  seq,
  at: 0,
  type: "call.started",
  body: { ...CALL, n, attempt: 1, purpose },
});

const ended = (call: number, end: "ok" | "lost", stop_reason: string | null): Row => ({
  seq: call + 9,
  at: 0,
  type: "call.ended",
  body: {
    call,
    turn: 2,
    end,
    accepted: true,
    stop_reason,
    usage: NO_USAGE,
    estimated: false,
    cost_usd: 0,
    request_id: null,
    ms: 0,
    blocks: 0,
  },
});

const block = (call: number, i: number, text: string): Row => ({
  seq: call + 1 + i,
  at: 0,
  type: "block.text",
  body: { call, turn: 2, i, block: { type: "text", text } },
});

function piecesOf({ text, cuts }: Attempt): string[] {
  const places = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length].toSorted(
    (a, b) => a - b,
  );
  return places.slice(1).map((to, i) => text.slice(places[i], to));
}

/** The texts that are sent of a message, as they are sent. */
function sentOf(deltas: ReturnType<typeof openDeltas>, n: number, message: Message): string[] {
  const out: string[] = [];
  let seq = n * 1_000;
  const write = (attempt: Attempt, end: "ok" | "lost") => {
    seq += 50;
    const call = seq;
    out.push(deltas.row(started(call, n)));
    const pieces = piecesOf(attempt);
    let offset = 0;
    for (const [i, piece] of pieces.entries()) {
      const text = end === "lost" ? piece.slice(0, Math.max(0, attempt.seen - offset)) : piece;
      const preview = { call, turn: 2, i, kind: "text" as const, name: "", text, offset };
      // Of the last attempt a client may have missed previews: the rows have all of it.
      if (end === "lost" || offset < attempt.seen) out.push(deltas.preview(preview));
      offset += piece.length;
      // What it thinks in between is not said.
      out.push(deltas.preview({ ...preview, kind: "thinking", text: "hm" }));
    }
    const rows = end === "ok" ? pieces.map((piece, i) => block(call, i, piece)) : [];
    out.push(...rows.map((row) => deltas.row(row)));
    out.push(deltas.row(ended(call, end, end === "ok" ? message.stop_reason : null)));
  };
  for (const attempt of message.lost) write(attempt, "lost");
  write(message.last, "ok");
  return out;
}

/** Few letters, so that attempts often begin alike. */
const words = fc.string({ unit: fc.constantFrom("a", "b", "🙂"), maxLength: 8 });
const attempt: fc.Arbitrary<Attempt> = fc.record({
  text: words,
  cuts: fc.array(fc.nat(20), { maxLength: 3 }),
  seen: fc.nat(20),
});
const message: fc.Arbitrary<Message> = fc.record({
  lost: fc.array(attempt, { maxLength: 3 }),
  last: attempt,
  stop_reason: fc.constantFrom("end_turn", "tool_use", "max_tokens"),
});

/** What the rule allows, written down directly: the longest text that each attempt goes on with. */
function expected({ lost, last }: Message): string {
  let sent = "";
  for (const { text, seen } of [...lost, { ...last, seen: last.text.length }]) {
    const shown = text.slice(0, Math.max(0, seen));
    if (shown.startsWith(sent)) sent = shown;
  }
  return sent;
}

test("nothing is sent that the rule forbids, nothing is sent twice, and nothing is left out", () => {
  let diverged = 0;
  let continued = 0;
  const law = fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), (messages) => {
    const deltas = openDeltas();
    let spoken = false;
    let continues = false;
    for (const [i, one] of messages.entries()) {
      const sent = sentOf(deltas, i + 1, one).join("");
      const text = expected(one);
      const gap = spoken && !continues && text !== "" ? "\n\n" : "";
      expect(sent).toBe(gap + text);
      if (text !== one.last.text) diverged += 1;
      if (continues && text !== "") continued += 1;
      spoken ||= text !== "";
      continues = one.stop_reason === "max_tokens";
    }
  });
  fc.assert(law, { seed: 7, numRuns: 2_000 });
  // The generator reaches what the rule is about.
  expect([diverged > 500, continued > 100]).toEqual([true, true]);
});

test("another attempt that begins with what was sent goes on with the rest", () => {
  const lost = { text: "Hello wor", cuts: [5], seen: 9 };
  const last = { text: "Hello world.", cuts: [2], seen: 99 };
  const sent = sentOf(openDeltas(), 1, { lost: [lost], last, stop_reason: "end_turn" });
  expect(sent.filter((text) => text !== "")).toEqual(["Hello", " wor", "ld."]);
});

test("one that says something else sends nothing, and the next message does", () => {
  const deltas = openDeltas();
  const lost = { text: "Hello wor", cuts: [], seen: 9 };
  const last = { text: "Good day.", cuts: [], seen: 99 };
  const said = [
    ...sentOf(deltas, 1, { lost: [lost], last, stop_reason: "tool_use" }),
    ...sentOf(deltas, 2, { lost: [], last, stop_reason: "end_turn" }),
  ];
  expect(said.filter((text) => text !== "")).toEqual(["Hello wor", "\n\nGood day."]);
});

test("a call that compacts the conversation says nothing", () => {
  const deltas = openDeltas();
  const preview = { turn: 2, i: 0, kind: "text" as const, name: "", offset: 0 };
  deltas.row(started(10, 1));
  const own = deltas.preview({ ...preview, call: 10, text: "A" });
  deltas.row(started(20, 1, "compact"));
  const other = deltas.preview({ ...preview, call: 20, text: "B" });
  expect([own, other, deltas.row(block(20, 0, "B"))]).toEqual(["A", "", ""]);
});
