/**
 * Fills a session's log with turns, through the rules of the session itself: every row is one that
 * it would have written, and the state is folded from them.
 */

import { MessageAccumulator, type StreamEvent } from "../../src/model/message.ts";
import { admit } from "../../src/session/admit.ts";
import { addAnswer } from "../../src/session/answer.ts";
import { endTurn } from "../../src/session/settle.ts";
import { Store } from "../../src/session/store.ts";

export interface Filling {
  /** Turns to add, five rows each. */
  turns: number;
  /** Characters of each answer. */
  characters: number;
  /** The first of them brings the client's whole transcript: the context begins anew with it. */
  replay: boolean;
}

const NOBODY = { cut: () => [], settled: () => null, read: () => true, isInput: () => false };

/** Adds the turns and returns the seq of the last row. */
export function fill(sql: SqlStorage, { turns, characters, replay }: Filling): number {
  const store = Store.open(sql);
  if (!store) throw new Error("there is no such session");
  for (let n = 0; n < turns; n++) {
    addTurn(store, `fill-${store.state.seq}`, "x".repeat(characters), replay && n === 0);
  }
  return store.state.seq;
}

/** One plain turn, in one step. */
function addTurn(store: Store, submission: string, text: string, replay: boolean): void {
  const draft = store.draft();
  const admission = admit(
    draft,
    {
      v: 1,
      submission,
      command: {
        kind: "input",
        content: [{ type: "text", text: "A message." }],
        on_busy: "reject",
        options: { toolset: null, tool_choice: null, parallel_tool_calls: null },
        limits: { plain: 8, tools: 8 },
        replay,
        hash: submission,
      },
    },
    NOBODY,
  );
  const { state } = draft;
  if (admission.kind !== "accepted" || !state.epoch) throw new Error("the turn was not admitted");
  draft.add({
    type: "call.started",
    body: {
      turn: admission.turn ?? 0,
      n: 1,
      attempt: 1,
      purpose: "turn",
      model: state.epoch.model,
      epoch: state.epoch.seq,
      max_tokens: 1_000,
      marks: [],
      ttl: "5m",
    },
  });
  const message = new MessageAccumulator();
  for (const event of answerEvents(state.epoch.model, text)) message.apply(event);
  addAnswer(draft, { message, request_id: null });
  endTurn(draft, { outcome: "completed" });
  store.commit(draft);
}

function answerEvents(model: string, text: string): StreamEvent[] {
  const usage = { input_tokens: 100, output_tokens: 100 };
  const events = [
    { type: "message_start", message: { id: "msg_fill", model, usage } },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage },
    { type: "message_stop" },
  ];
  // As much of the events as the accumulator reads.
  return events as unknown as StreamEvent[];
}
