/** What became of a turn: read from its rows, whether it waits, runs or is over. */
import { eventsOf, isOutcome, type TurnFailure, type TurnResult } from "../shared/events.ts";
import type { OutcomeBody, Row } from "../shared/rows.ts";
import { reduce, type View } from "../shared/view.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store.ts";
import { viewAt } from "./view-at.ts";

export type TurnStatus = "queued" | "cancelled" | "running" | "awaiting_tool_results" | "finished";

export interface TurnInfo {
  turn: number;
  status: TurnStatus;
  created_at: number;
  /** What it came to, for its last submission so far. */
  result: TurnResult | TurnFailure | null;
  /** The finished texts of the part that runs now. */
  output_text: string;
}

export interface TurnSummary {
  turn: number;
  status: TurnStatus;
  created_at: number;
  outcome: OutcomeBody | null;
}

const PAGE_BYTES = 1_000_000;
const ALL = Number.MAX_SAFE_INTEGER;

/** The turn that the input `turn` opened, or null when there is none. */
export function turnInfo(store: Store, turn: number): TurnInfo | null {
  const input = store.log.rowOf("input", turn);
  if (!input) return null;
  const start = store.turnStart(turn);
  const base = { turn, created_at: input.at };
  if (start === null) {
    const joined = joinedTurn(store.log, turn);
    if (joined !== null) return turnInfo(store, joined);
    const waits = store.state.queue.some((one) => one.seq === turn);
    const status = waits ? "queued" : "cancelled";
    return { ...base, status, result: null, output_text: "" };
  }
  let result: TurnInfo["result"] = null;
  let view: View = viewAt(store.log, start - 1);
  for (const row of turnRows(store, start)) {
    for (const event of eventsOf(row, view)) {
      if (isOutcome(event)) result = event.data;
      view = reduce(view, event);
    }
  }
  return { ...base, status: statusOfTurn(store, turn), result, output_text: view.output_text };
}

/** The running turn that the steer `input` has joined, whose result is then its own. */
function joinedTurn(log: Log, input: number): number | null {
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
    const created_at = store.log.row(n)?.at ?? 0;
    return {
      turn: n,
      status: statusOfTurn(store, n),
      created_at,
      outcome: lastOutcome(store.log, n, seq),
    };
  });
}

/** The turn's last outcome so far. */
function lastOutcome(log: Log, turn: number, start: number): OutcomeBody | null {
  let outcome: OutcomeBody | null = null;
  for (const row of log.typed(["outcome", "input", "input.taken"], start)) {
    if (startsTurn(row)) break;
    if (row.type === "outcome" && row.body.turn === turn) outcome = row.body;
  }
  return outcome;
}

function statusOfTurn(store: Store, turn: number): TurnStatus {
  const open = store.state.turn;
  if (open?.turn !== turn) return "finished";
  return open.status === "awaiting" ? "awaiting_tool_results" : "running";
}

/** Rows from the turn's start up to the start of the next one. */
function* turnRows(store: Store, start: number): Generator<Row> {
  for (let after = start - 1; ; ) {
    const { rows, more } = store.log.page(after, ALL, PAGE_BYTES, ALL);
    for (const row of rows) {
      if (startsTurn(row) && row.seq !== start) return;
      yield row;
      after = row.seq;
    }
    if (!more) return;
  }
}

const startsTurn = (row: Row): boolean =>
  (row.type === "input" && row.body.start === "now") ||
  (row.type === "input.taken" && row.body.as === "start");
