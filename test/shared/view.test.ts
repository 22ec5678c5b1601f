/** The reducer: what a client knows after each event. */
import { expect, test } from "vitest";
import type { Event, EventData, EventType } from "../../src/shared/events.ts";
import { EMPTY_VIEW, reduce, type View } from "../../src/shared/view.ts";

// The pair of a type and its data is an event; the union does not survive the generic.
const event = <T extends EventType>(type: T, data: EventData[T]): Event =>
  ({ type, turn: "turn" in data ? data.turn : "turn_2", data }) as unknown as Event;

const after = (...events: Event[]): View => events.reduce(reduce, EMPTY_VIEW);

const started = event("turn.started", { turn: "turn_2", input_id: "input_2", input: null });

const ended = (end: "ok" | "failed" | "interrupted", stop_reason: string | null = null): Event =>
  event("call.completed", {
    call: 3,
    end,
    stop_reason,
    usage: null,
    estimated: false,
    cost_usd: 0,
    request_id: null,
    ms: 0,
  });

const said = (id: string, output_text: string): Event =>
  event("assistant.completed", { id, output_text });

test("deltas grow a block, and its end replaces it", () => {
  const view = after(
    started,
    event("thinking.delta", { id: "msg_3_0", text: "h" }),
    event("thinking.delta", { id: "msg_3_0", text: "m" }),
    event("assistant.delta", { id: "msg_3_1", text: "Hel" }),
    event("tool_call.delta", { id: "call_3_2", name: "a", arguments: "{" }),
    event("thinking.delta", { id: "msg_3_0", text: "!" }),
  );
  expect(view.blocks).toEqual([
    { id: "msg_3_0", kind: "thinking", text: "hm!", name: "", done: false },
    { id: "msg_3_1", kind: "text", text: "Hel", name: "", done: false },
    { id: "call_3_2", kind: "tool", text: "{", name: "a", done: false },
  ]);
  const done = reduce(view, said("msg_3_1", "Hello"));
  expect(done.blocks[1]).toEqual({
    id: "msg_3_1",
    kind: "text",
    text: "Hello",
    name: "",
    done: true,
  });
});

test("the end of a call drops what was left without a row", () => {
  const delta = event("assistant.delta", { id: "msg_3_1", text: "lost" });
  const view = after(started, said("msg_3_0", "kept"), delta, ended("failed"));
  expect(view.blocks.map(({ id }) => id)).toEqual(["msg_3_0"]);
});

test("texts of one message join directly, those of the next after a blank line", () => {
  const one = [said("msg_3_0", "a"), said("msg_3_2", "b"), ended("ok", "tool_use")];
  expect(after(started, ...one).output_text).toBe("ab");
  expect(after(started, ...one, said("msg_9_0", "c")).output_text).toBe("ab\n\nc");
});

test.each(["max_tokens", "pause_turn"])("after %s the next message goes on directly", (stop) => {
  const view = after(
    started,
    said("msg_3_0", "a"),
    ended("ok", stop),
    ended("failed"),
    said("msg_9_0", "b"),
    ended("ok", "end_turn"),
    said("msg_12_0", "c"),
  );
  expect(view.output_text).toBe("ab\n\nc");
});

test("an empty text opens no gap", () => {
  expect(after(started, said("msg_3_0", "a"), said("msg_9_0", "")).output_text).toBe("a");
  expect(after(started, said("msg_3_0", ""), said("msg_9_0", "b")).output_text).toBe("b");
});

test("a call waits until it has its result, whoever gave it", () => {
  const call = (id: string) => event("tool_call.requested", { id, name: "a", arguments: "{}" });
  const open = after(started, call("call_3_0"), call("call_3_1"));
  expect(open.pending.map(({ id }) => id)).toEqual(["call_3_0", "call_3_1"]);
  const result = event("tool_result.accepted", { tool_call_id: "call_3_0", is_error: false });
  const settled = event("tool.completed", {
    id: "call_3_1",
    status: "skipped",
    content: [],
    is_error: true,
  });
  expect(reduce(open, result).pending.map(({ id }) => id)).toEqual(["call_3_1"]);
  expect([result, settled].reduce(reduce, open).pending).toEqual([]);
});

test("a queued input leaves the queue when it is taken or cancelled", () => {
  const queued = (id: string) =>
    event("input.queued", { input_id: id, input: [], start: "queued" });
  const waiting = after(started, queued("input_4"), queued("input_5"), queued("input_6"));
  expect(waiting.queue).toEqual(["input_4", "input_5", "input_6"]);
  const view = [
    event("input.cancelled", { input_id: "input_5", reason: "client" }),
    event("input.taken", { input_id: "input_6", as: "steer" }),
    event("turn.started", { turn: "turn_4", input_id: "input_4", input: null }),
  ].reduce(reduce, waiting);
  expect(view).toMatchObject({ queue: [], status: "running", turn: "turn_4" });
});

test("a deleted session shows nothing any more", () => {
  expect(after(started, said("msg_3_0", "a"), event("session.deleted", {}))).toEqual({
    ...EMPTY_VIEW,
    status: "deleted",
  });
});

test("an event of a newer server changes nothing", () => {
  const view = after(started, said("msg_3_0", "a"));
  // A newer server may send types that this reducer does not know.
  expect(reduce(view, { type: "news", turn: null, data: {} } as unknown as Event)).toEqual(view);
});
