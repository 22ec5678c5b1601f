/**
 * Fills a session's log with turns, through the rules of the session itself: every row is one that
 * it would have written, and the state is folded from them.
 */

import { MessageAccumulator, type StreamEvent } from "../../src/model/message.ts";
import { admit } from "../../src/session/admit.ts";
import { addAnswer } from "../../src/session/answer.ts";
import type { AskedOptions, Command } from "../../src/session/commands.ts";
import { endTurn } from "../../src/session/settle.ts";
import { Store } from "../../src/session/store.ts";
import { dayOf } from "../../src/shared/ledger.ts";
import type { Filling, Rounds } from "./filling.ts";

const NOBODY = {
  cut: () => [],
  settled: () => null,
  read: () => true,
  job: () => null,
  isInput: () => false,
  full: false,
  compactAt: 0,
};
/** So many that no turn reaches it. */
const LIMITS = { plain: 1_000_000, tools: 1_000_000 };
const TOOL = { name: "look", input_schema: { type: "object", properties: {} } };
/** A tool that is not offered is answered by the session. */
const OTHER = "other";

/** Adds the turns and returns the seq of the last row. */
export function fill(sql: SqlStorage, filling: Filling): number {
  const store = Store.open(sql);
  if (!store) throw new Error("there is no such session");
  for (let n = 0; n < filling.turns; n++) addTurn(store, filling, n === 0);
  return store.state.seq;
}

function addTurn(store: Store, filling: Filling, first: boolean): void {
  // As if the account had been told of the turn before.
  const { seq, at } = store.state;
  store.acknowledge(seq, dayOf(at));
  const { characters, replay = false, rounds, message = "A message." } = filling;
  const options = optionsOf(rounds);
  submit(store, {
    kind: "input",
    content: [{ type: "text", text: message }],
    on_busy: "reject",
    options,
    limits: LIMITS,
    replay: replay && first,
    hash: `fill-${store.state.seq}`,
  });
  const text = "x".repeat(characters);
  for (let n = 1; n <= (rounds?.count ?? 0); n++) {
    const waits = rounds?.by === "client";
    addCall(store, toolEvents(waits ? TOOL.name : OTHER, n), waits ? "requires_action" : null);
    if (rounds?.open && n === rounds.count) return;
    if (waits) answerCalls(store, options, text);
  }
  addCall(store, textEvents(text), "completed");
}

function optionsOf(rounds: Rounds | undefined): AskedOptions {
  const toolset = rounds ? { tools: { [TOOL.name]: "look" }, list: [TOOL] } : null;
  return { toolset, tool_choice: null, parallel_tool_calls: null };
}

function submit(store: Store, command: Command): void {
  const draft = store.draft();
  const admission = admit(draft, { v: 1, submission: `fill-${store.state.seq}`, command }, NOBODY);
  if (admission.kind !== "accepted") throw new Error("the session did not admit it");
  store.commit(draft);
}

function answerCalls(store: Store, options: AskedOptions, text: string): void {
  const results = (store.state.turn?.tools ?? []).map(({ id }) => ({
    tool: id,
    content: [{ type: "text" as const, text }],
    is_error: false,
  }));
  const hash = `fill-${store.state.seq}`;
  submit(store, { kind: "results", results, options, limits: LIMITS, hash });
}

/** A model call with its answer, and the turn's end where that follows, in one step. */
function addCall(
  store: Store,
  events: (model: string) => StreamEvent[],
  outcome: "completed" | "requires_action" | null,
): void {
  const draft = store.draft();
  const { epoch, turn } = draft.state;
  if (!epoch || !turn) throw new Error("no turn is open");
  draft.add({
    type: "call.started",
    body: {
      turn: turn.turn,
      n: turn.n + 1,
      attempt: 1,
      purpose: "turn",
      model: epoch.model,
      epoch: epoch.seq,
      max_tokens: 1_000,
      marks: [],
      ttl: "5m",
    },
  });
  const message = new MessageAccumulator();
  for (const event of events(epoch.model)) message.apply(event);
  addAnswer(draft, { message, request_id: null });
  if (outcome) endTurn(draft, { outcome });
  store.commit(draft);
}

const textEvents = (text: string) =>
  answerEvents("end_turn", { type: "text", text: "" }, { type: "text_delta", text });

const toolEvents = (name: string, n: number) =>
  answerEvents(
    "tool_use",
    { type: "tool_use", id: `toolu_fill_${n}`, name, input: {} },
    { type: "input_json_delta", partial_json: JSON.stringify({ n }) },
  );

const answerEvents =
  (stop_reason: string, content_block: object, delta: object) =>
  (model: string): StreamEvent[] => {
    const usage = { input_tokens: 100, output_tokens: 100 };
    return [
      { type: "message_start", message: { id: "msg_fill", model, usage } },
      { type: "content_block_start", index: 0, content_block },
      { type: "content_block_delta", index: 0, delta },
      { type: "content_block_stop", index: 0 },
      { type: "message_delta", delta: { stop_reason }, usage },
      { type: "message_stop" },
    ];
  };
