/** The view of a session at a place in its log, without reading the log from its start. */

import type { ToolCall } from "../shared/events.ts";
import { inputId, turnId } from "../shared/ids.ts";
import { eventsOf } from "../shared/row-events.ts";
import type { Row } from "../shared/rows.ts";
import { EMPTY_VIEW, reduce, type View } from "../shared/view.ts";
import type { Log, MessageOutline } from "./log.ts";
import { answerable, type State, statusOf } from "./state.ts";

/** A view and the last row in it. */
interface Place {
  seq: number;
  view: View;
}

const BEGINNING: Place = { seq: 0, view: EMPTY_VIEW };

/**
 * The views of one log. Two are kept: the newest, which goes on with the rows that are written, so
 * that followers who come during a turn do not each read its rows again; and the one that was asked
 * for last, from which the next page goes on.
 */
export class Views {
  readonly #log: Log;
  #newest: Place;
  #last: Place = BEGINNING;

  /** `state` is that behind the last row. */
  constructor(log: Log, state: State) {
    this.#log = log;
    const view = quietView(log, state);
    this.#newest = view ? { seq: state.seq, view } : BEGINNING;
  }

  /** The view after the row `seq`. */
  at(seq: number): View {
    const nearest = [BEGINNING, this.#last, this.#newest]
      .filter((place) => place.seq <= seq)
      .reduce((a, b) => (b.seq > a.seq ? b : a));
    const outcome = this.#log.lastOf("outcome", seq, nearest.seq + 1);
    const from = outcome === null ? nearest : atOutcome(this.#log, outcome);
    let { view } = from;
    for (const row of this.#log.outline(from.seq + 1, seq)) view = after(view, row);
    this.#last = { seq, view };
    if (seq >= this.#newest.seq) this.#newest = this.#last;
    return view;
  }

  /** Takes the rows that were written behind all others. */
  add(rows: readonly Row[]): void {
    const last = rows.at(-1);
    if (!last || this.#newest.seq !== last.seq - rows.length) return;
    this.#newest = { seq: last.seq, view: rows.reduce(after, this.#newest.view) };
  }
}

function after(view: View, row: Row | MessageOutline): View {
  if (!("outline" in row)) return eventsOf(row, view).reduce(reduce, view);
  const input_id = inputId(row.seq);
  if (!row.outline.starts) {
    const data = { input_id, input: [], start: "queued" as const };
    return reduce(view, { type: "input.queued", turn: null, data });
  }
  const turn = turnId(row.seq);
  return reduce(view, { type: "turn.started", turn, data: { turn, input_id, input: null } });
}

/** Behind an outcome nothing is left of what was before, but for the calls left to the client. */
function atOutcome(log: Log, seq: number): Place {
  const outcome = log.rowOf("outcome", seq);
  if (!outcome) return BEGINNING;
  const { pending, turn, queued } = outcome.body;
  const open = openCalls(log, pending);
  const waits = open.asked.length > 0 ? "awaiting_confirmation" : "awaiting_tool_results";
  const view: View = {
    ...EMPTY_VIEW,
    status: pending.length > 0 ? waits : "idle",
    turn: turnId(turn),
    ...open,
    queue: queued.map(inputId),
  };
  return { seq, view };
}

/** The view while nothing runs: the state knows all of it. Null while something does. */
function quietView(log: Log, state: State): View | null {
  const { turn, last, queue } = state;
  if (turn?.status === "running") return null;
  const shown = turn ?? last;
  return {
    ...EMPTY_VIEW,
    status: statusOf({ ...state, queue: [] }),
    turn: shown && turnId(shown.turn),
    ...openCalls(log, turn ? answerable(turn) : []),
    queue: queue.map(({ seq }) => inputId(seq)),
  };
}

/** The tool calls that wait for the client, with their arguments. */
export function pendingCalls(log: Log, { turn }: State): ToolCall[] {
  if (turn?.status !== "awaiting") return [];
  return openCalls(log, turn.tools).pending;
}

/** Calls without a result: those of the client, and those that wait for a confirmation. */
function openCalls(log: Log, calls: readonly { seq: number }[]): Pick<View, "pending" | "asked"> {
  const open: Pick<View, "pending" | "asked"> = { pending: [], asked: [] };
  for (const { seq } of calls) {
    const row = log.rowOf("block.tool", seq);
    const { pending, asked } = row ? after(EMPTY_VIEW, row) : open;
    open.pending.push(...pending);
    open.asked.push(...asked);
  }
  return open;
}
