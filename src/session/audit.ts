/** What the audit of a session's account is told: derived from the rows, so that nothing is lost. */
import type { AuditAction, AuditEntry } from "../shared/audit.ts";
import { inputId, turnId } from "../shared/ids.ts";
import type { Row, RowType } from "../shared/rows.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store.ts";

/** Rows that somebody's request wrote. */
const AUDITED: readonly RowType[] = [
  "session.created",
  "session.updated",
  "session.deleted",
  "input",
  "input.cancelled",
  "interrupt",
  "tool.ended",
  "tool.confirmed",
  "compaction.requested",
  "compaction.ended",
  "webhook.requested",
];

/** So many entries are told at once. */
const TOLD = 200;
/** So many wait in memory; what is behind them is read when its time comes. */
const KEPT = 1_000;

type Noted = Pick<AuditEntry, "at" | "n" | "action" | "target" | "key" | "detail">;

/** What the rows of a log say to the audit, kept as they are written: few are ever read for it. */
export class AuditTrail {
  readonly #log: Log;
  #noted: Noted[] = [];
  /** `#noted` has all up to this row; null before any were read. */
  #to: number | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Notes rows that were written in one step. `reported`: up to there the account knows all. */
  add(rows: readonly Row[], reported: number): void {
    const [first] = rows;
    if (!first) return;
    this.#to ??= this.#note(this.#log.typedContents(AUDITED, reported), first.seq - 1, reported);
    if (this.#to === first.seq - 1) this.#to = this.#note(rows, rows.at(-1)?.seq ?? 0, this.#to);
  }

  /** What the rows from behind `after` to `last` say, or the first part of it. */
  behind(after: number, last: number): { noted: Noted[]; seq: number } {
    this.#noted = this.#noted.filter(({ n }) => n > after);
    const to = Math.max(this.#to ?? after, after);
    const missing = to < last && this.#noted.length <= TOLD;
    this.#to = missing ? this.#note(this.#log.typedContents(AUDITED, to), last, to) : to;
    const next = this.#noted[TOLD];
    const noted = this.#noted.slice(0, TOLD);
    return { noted, seq: next ? next.n - 1 : Math.min(this.#to, last) };
  }

  /**
   * Notes what rows from behind `known` to `last` say. A submission has one entry, by its first row: its
   * rows are written together, so they are never told apart.
   *
   * @returns the row up to which all is noted
   */
  #note(rows: Iterable<Row>, last: number, known: number): number {
    const submissions = new Set<string>();
    for (const row of rows) {
      if (row.seq > last || row.seq <= known) continue;
      const act = actOf(row);
      if (!act || !("submission" in row.body)) continue;
      const { submission, caller } = row.body;
      if (submission === undefined || submissions.has(submission)) continue;
      if (this.#noted.length >= KEPT) return row.seq - 1;
      submissions.add(submission);
      const { action, target = null, detail = null } = act;
      const { at, seq: n } = row;
      this.#noted.push({ at, n, action, target, key: caller ?? null, detail });
    }
    return last;
  }
}

/**
 * Entries of the rows behind `after`, which are those that the account has not acknowledged; `seq` is
 * the row up to which that is all there is to tell.
 */
export function owedAudit(
  { trail, state, reported }: Store,
  session: string,
  after = reported,
): { entries: AuditEntry[]; seq: number } {
  const { noted, seq } = trail.behind(after, state.seq);
  const place = { source: session, session, outcome: "ok", request_id: null };
  return { entries: noted.map((one) => ({ ...place, ...one })), seq };
}

interface Act {
  action: AuditAction;
  target?: string;
  detail?: string;
}

/** Null of a row that is no act, or part of another one. */
function actOf(row: Row): Act | null {
  switch (row.type) {
    case "session.created":
      return { action: "session.create" };
    case "session.updated":
      return { action: "session.update", detail: changedBy(row.body.config) };
    case "session.deleted": {
      const { reason } = row.body;
      return { action: "session.delete", ...(reason === undefined ? {} : { detail: reason }) };
    }
    case "input": {
      const { turn, source, start, resumes } = row.body;
      if (source !== "client") return null;
      const target = turnId(turn);
      return resumes
        ? { action: "turn.results", target }
        : { action: "turn.create", target, detail: start };
    }
    case "input.cancelled":
      return { action: "queue.cancel", target: inputId(row.body.input) };
    case "interrupt":
      return { action: "turn.interrupt", target: turnId(row.body.turn) };
    case "tool.ended":
      return { action: "turn.results", target: turnId(row.body.turn) };
    case "tool.confirmed":
      return { action: "turn.confirm", target: turnId(row.body.turn) };
    case "webhook.requested":
      return { action: "webhook.redeliver", target: inputId(row.body.input) };
    case "compaction.requested":
      return { action: "session.compact" };
    case "compaction.ended":
      return { action: "turn.interrupt", detail: "compaction" };
    default:
      return null;
  }
}

/** Names only. What is known of a model comes with its name. */
const changedBy = (config: object): string =>
  Object.keys(config)
    .filter((name) => name !== "model_facts")
    .join(",");
