/** What became of a turn: read from its rows, whether it waits, runs or is over. */

import { isOutcome, type TurnFailure, type TurnResult } from "../shared/events.ts";
import { eventsOf } from "../shared/row-events.ts";
import type { OutcomeBody, RowOf } from "../shared/rows.ts";
import type { TurnStatus } from "../shared/turn-record.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store.ts";

export interface TurnInfo {
  turn: number;
  status: TurnStatus;
  created_at: number;
  /** What it came to, for its last submission so far; null while it runs. */
  result: TurnResult | TurnFailure | null;
  /** The finished texts of the part that runs now. */
  output_text: string;
}

export interface TurnSummary {
  turn: number;
  status: TurnStatus;
  created_at: number;
  /** Null while it runs. */
  outcome: OutcomeBody | null;
}

/** The turn that the input `turn` opened, or null when there is none. */
export function turnInfo(store: Store, turn: number): TurnInfo | null {
  const created_at = store.log.timeOf("input", turn);
  if (created_at === null) return null;
  const base = { turn, created_at, result: null, output_text: "" };
  if (store.state.queue.some((one) => one.seq === turn)) return { ...base, status: "queued" };
  const start = store.turnStart(turn);
  if (start === null) {
    const joined = joinedTurn(store.log, turn);
    return joined === null ? { ...base, status: "cancelled" } : turnInfo(store, joined);
  }
  const status = statusOfTurn(store, turn);
  if (status === "running") {
    return { ...base, status, output_text: store.views.at(store.state.seq).output_text };
  }
  const outcome = lastOutcome(store, turn, start);
  return { ...base, status, result: outcome && resultOf(store, outcome) };
}

/** What an outcome says, with the texts and calls that came before it. */
function resultOf({ views }: Store, outcome: RowOf<"outcome">): TurnInfo["result"] {
  const [event] = eventsOf(outcome, views.at(outcome.seq - 1));
  return event && isOutcome(event) ? event.data : null;
}

/** The turn that the steer `input` has joined, whose result is then its own. */
export function joinedTurn(log: Log, input: number): number | null {
  for (const row of log.typed(["input.taken", "input.cancelled"], input)) {
    if (
      (row.type !== "input.taken" && row.type !== "input.cancelled") ||
      row.body.input !== input
    ) {
      continue;
    }
    return row.type === "input.taken" && row.body.as === "steer" ? row.body.turn : null;
  }
  return null;
}

/** Turns before `before`, newest first. */
export function turnList(store: Store, before: number, limit: number): TurnSummary[] {
  return store.turnsBefore(before, limit).map(({ n, seq }) => {
    const status = statusOfTurn(store, n);
    const outcome = status === "running" ? null : lastOutcome(store, n, seq);
    const created_at = store.log.timeOf("input", n) ?? 0;
    return { turn: n, status, created_at, outcome: outcome?.body ?? null };
  });
}

/**
 * The last outcome so far of the turn that started at the row `start`. Looked for backwards from
 * the start of a later turn, before which it nearly always stands, so that a turn of many rows is
 * not read.
 */
export function lastOutcome(store: Store, turn: number, start: number): RowOf<"outcome"> | null {
  let end = store.nextStart(turn, start) ?? store.state.seq + 1;
  for (;;) {
    const seq = store.log.lastOf("outcome", end - 1, start);
    const row = seq === null ? null : store.log.rowOf("outcome", seq);
    if (!row || row.body.turn === turn) return row;
    // A message that had waited longer, and so has a lower number, ran in between.
    end = store.turnStart(row.body.turn) ?? start;
  }
}

export function statusOfTurn(store: Store, turn: number): TurnStatus {
  const open = store.state.turn;
  if (open?.turn !== turn) return "finished";
  return open.status === "awaiting" ? "awaiting_tool_results" : "running";
}
