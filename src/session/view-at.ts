/** The view of a session at a place in its log, without reading the log from its start. */
import { eventsOf, type ToolCall } from "../shared/events.ts";
import { inputId, turnId } from "../shared/rows.ts";
import { EMPTY_VIEW, reduce, type View } from "../shared/view.ts";
import type { Log } from "./log.ts";

/**
 * The view after the row `seq`. Everything in it lies behind the last outcome, but for the calls
 * that this outcome left to the client.
 */
export function viewAt(log: Log, seq: number): View {
  const from = log.lastOf("outcome", seq);
  let view = EMPTY_VIEW;
  const outcome = from === null ? null : log.rowOf("outcome", from);
  if (outcome) {
    const pending = outcome.body.pending.flatMap((one) => toolCallAt(log, one.seq));
    view = {
      ...view,
      status: pending.length > 0 ? "awaiting_tool_results" : "idle",
      turn: turnId(outcome.body.turn),
      pending,
      queue: outcome.body.queued.map(inputId),
    };
  }
  for (const row of log.range((from ?? 0) + 1, seq)) {
    for (const event of eventsOf(row, view)) view = reduce(view, event);
  }
  return view;
}

/** The client's tool call in the row `seq`: none, or one. */
export function toolCallAt(log: Log, seq: number): ToolCall[] {
  const row = log.rowOf("block.tool", seq);
  const [event] = row ? eventsOf(row, EMPTY_VIEW) : [];
  if (event?.type !== "tool_call.requested") return [];
  const { id, name, arguments: text } = event.data;
  return [{ id, type: "function", function: { name, arguments: text } }];
}
