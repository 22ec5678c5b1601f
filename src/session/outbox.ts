/**
 * Tells the account what it keeps of this session. A report is a whole summary, so a lost one is
 * made good by the next and a repeated one changes nothing; how far the account knows is a number.
 */
import type { AccountClient } from "../account/client.ts";
import { clock } from "../shared/clock.ts";
import { dayOf, type LedgerEntry, startOfDay } from "../shared/ledger.ts";
import type { Row, RowType } from "../shared/rows.ts";
import type { SessionSummary } from "../shared/summary.ts";
import { addCall, addTurn, LEDGER_DAYS } from "./budget-state.ts";
import type { FaultPoint } from "./fault-points.ts";
import type { Log } from "./log.ts";
import { statusOf } from "./state.ts";
import type { Store } from "./store.ts";

/** Rows that change what the account shows. */
const REPORTED: ReadonlySet<RowType> = new Set([
  "session.created",
  "session.updated",
  "input",
  "input.taken",
  "turn.resumed",
  "outcome",
  "context.compacted",
  "compaction.ended",
]);

/** The account knows of a lease that it has given, but not that one has come back. */
const isReported = (row: Row): boolean =>
  row.type === "lease" ? row.body.ceiling_usd === null : REPORTED.has(row.type);

/** A report has so many days at most; what is older than these is reported first. */
const REPORTED_DAYS = 31;

/** A turn that ends within this time is reported once, and not at its start as well. */
const QUIET_MS = 250;

export interface OutboxEdges {
  account: () => AccountClient;
  /** The session's ULID. */
  session: string;
  store: Store;
  reach: (point: FaultPoint) => void;
}

export class Outbox {
  readonly #edges: OutboxEdges;
  readonly #store: Store;
  #due: number;
  #sending: Promise<void> | null = null;
  #cancelDelay: (() => void) | null = null;
  #deleted = false;

  constructor(edges: OutboxEdges) {
    this.#edges = edges;
    this.#store = edges.store;
    this.#due = edges.store.reported;
  }

  /** The account lacks something. */
  get owes(): boolean {
    return this.#store.reported < this.#due;
  }

  /** The account has the session's tombstone, which nothing revives. */
  get deleted(): boolean {
    return this.#deleted;
  }

  /** Notes what was written; sends it now, or soon while a turn runs. */
  note(rows: readonly Row[]): void {
    const last = rows.findLast(isReported);
    if (!last) return;
    this.#due = last.seq;
    const running = statusOf(this.#store.state) === "running";
    if (!running) void this.send();
    else this.#cancelDelay ??= clock.after(QUIET_MS, () => void this.send());
  }

  /** After a restart nobody knows what was sent, so all of it counts as owed. */
  catchUp(): Promise<void> {
    this.#due = this.#store.state.seq;
    return this.send();
  }

  /** Sends until the account knows all; ends without an error when it cannot be reached. */
  send(): Promise<void> {
    this.#cancelDelay?.();
    this.#cancelDelay = null;
    this.#sending ??= this.#deliver().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  async #deliver(): Promise<void> {
    const { account, session, reach } = this.#edges;
    while (this.owes) {
      const { entries, seq, day } = owedEntries(this.#store, REPORTED_DAYS);
      const report = { ...summaryOf(session, this.#store), seq };
      try {
        reach("report");
        const { kind } = await account().report(report, entries);
        reach("reported");
        this.#deleted = kind === "deleted";
      } catch {
        // The alarm tries again.
        return;
      }
      this.#store.acknowledge(seq, day);
    }
  }
}

export function summaryOf(session: string, store: Store): SessionSummary {
  const { state } = store;
  const { model, title, metadata } = state.config;
  return {
    session,
    seq: state.seq,
    surface: "cc",
    title,
    model,
    metadata,
    status: statusOf(state),
    turn_count: state.turns,
    usage: state.usage,
    cost_usd: state.cost_usd,
    max_budget_usd: state.money.max_budget_usd,
    spent_usd: state.money.spent_usd,
    lease: { n: state.money.leases, held: state.money.lease !== null },
    created_at: state.created_at,
    updated_at: state.at,
  };
}

/**
 * The figures that the account may lack: those of the days since the last row that it knows. The
 * state has the newest days, and the log has all. `seq` is the row up to which they count: with very
 * many days not the last one. `day` is the day of that row.
 */
export function owedEntries(
  { state, log, reported, reportedDay: since }: Store,
  days = Number.POSITIVE_INFINITY,
): { entries: LedgerEntry[]; seq: number; day: number } {
  const { ledger } = state.money;
  const kept = new Set(ledger.map(({ day }) => day));
  const complete = kept.size < LEDGER_DAYS || kept.has(since) || Math.min(...kept) <= since;
  const all = complete ? ledger : ledgerSince(log, since, reported);
  const owed = all.filter(({ day }) => day >= since);
  const first = [...new Set(owed.map(({ day }) => day))].sort((a, b) => a - b).slice(0, days);
  const last = first.at(-1) ?? 0;
  const entries = owed.filter(({ day }) => day <= last);
  const whole = entries.length === owed.length;
  if (whole) return { entries, seq: state.seq, day: dayOf(state.at) };
  return { entries, seq: Math.max(...entries.map(({ seq }) => seq)), day: last };
}

/** The same from the log: everything since the beginning of the day. `known` is a row of that day. */
function ledgerSince(log: Log, day: number, known: number): LedgerEntry[] {
  // `at` never falls, so the day's first row is found in a few steps.
  let before = 0;
  let at = known;
  while (at - before > 1) {
    const middle = Math.floor((before + at) / 2);
    if ((log.at(middle) ?? 0) < startOfDay(day)) before = middle;
    else at = middle;
  }
  let ledger: LedgerEntry[] = [];
  for (const row of log.typed(["call.ended", "outcome"], before)) {
    if (row.type === "call.ended") {
      const model = log.rowOf("call.started", row.body.call)?.body.model ?? "";
      ledger = addCall(ledger, row, model);
    }
    if (row.type === "outcome" && row.body.outcome !== "requires_action") {
      ledger = addTurn(ledger, row);
    }
  }
  return ledger;
}
