/** A submission that comes again: by which row it is known, and what it was answered. */

import type { Row } from "../shared/rows.ts";
import type { Accepted, Submission } from "./commands.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store.ts";

export interface Replayed {
  accepted: Accepted;
  /** The inputs that it cancelled. */
  cancelled: number[];
}

/** The row of a submission that came before: by its id, or by its idempotency key. */
export function knownRow(store: Store, submission: Submission): number | "conflict" | null {
  const seen = store.state.submissions.find(([id]) => id === submission.submission);
  if (seen) return seen[1];
  const { id, hash } = submission.key ?? attachedKey(submission);
  const key = store.key(id);
  if (!key) return null;
  return key.hash === hash ? key.seq : "conflict";
}

/** The key of a submission without one of its own that was answered with another's turn. */
export const attachedKey = ({ submission }: Submission) => ({
  id: `submission ${submission}`,
  hash: "",
});

/** What a submission was answered, from the row by which it is known. */
export function replayed(store: Store, seq: number): Replayed {
  const row = store.log.row(seq);
  const known = { s: seq, replayed: true as const };
  if (row?.type === "input" || row?.type === "tool.ended" || row?.type === "tool.confirmed") {
    const { turn } = row.body;
    return {
      accepted: { ...known, input: seq, turn, result: resultOf([row], turn) },
      cancelled: [],
    };
  }
  const asks = row?.type === "interrupt" || row?.type === "compaction.requested";
  const turn = asks ? row.body.turn : null;
  const stopped = row?.type === "compaction.ended" ? { stopped: "compaction" as const } : {};
  return {
    accepted: { ...known, input: null, turn, result: turn, ...stopped },
    cancelled: cancelledBy(store.log, row),
  };
}

/** The inputs that a submission cancelled: their rows stand together, behind the end of a turn that it stopped. */
function cancelledBy(log: Log, row: Row | null): number[] {
  if (
    row?.type !== "interrupt" &&
    row?.type !== "input.cancelled" &&
    row?.type !== "compaction.ended"
  ) {
    return [];
  }
  const cancelled: number[] = [];
  const types = ["outcome", "input", "input.taken", "input.cancelled"] as const;
  for (const later of log.typed(types, row.seq - 1)) {
    if (row.type === "interrupt" && later.type === "outcome" && later.body.turn === row.body.turn)
      continue;
    if (later.type !== "input.cancelled" || later.body.submission !== row.body.submission) break;
    cancelled.push(later.body.input);
  }
  return cancelled;
}

/** Where a submission's result will be: an input's under its own id, all else under its turn's. */
export function resultOf(rows: readonly Row[], turn: number | null): number | null {
  return rows.find((row) => row.type === "input")?.seq ?? turn;
}

/** The row by which the submission is known to whose turn the row `seq` belongs; null where that is none. */
export function submissionAt({ log, state }: Store, seq: number, inMessage = false): number | null {
  // Another message may have come in the middle of the one that was being written.
  const at = inMessage ? log.lastOf("call.started", seq, 1) : null;
  const row = log.row(at ?? seq);
  if (row?.type === "input") return seq;
  if (row?.type === "input.taken" || row?.type === "input.cancelled") return row.body.input;
  const turn = row && "turn" in row.body ? row.body.turn : null;
  if (!turn) return null;
  for (const { body } of log.outcomesFrom(seq)) {
    // One that names nothing ends a turn whose submissions all had their ends before.
    if (body.turn === turn) return body.inputs[0] ?? turn;
  }
  return state.turn?.turn === turn ? (state.turn.inputs[0] ?? turn) : turn;
}
