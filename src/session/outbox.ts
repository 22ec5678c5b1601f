/**
 * Tells the account what it keeps of this session. A report is a whole summary, so a lost one is
 * made good by the next and a repeated one changes nothing; how far the account knows is a number.
 */
import type { AccountClient } from "../account/client.ts";
import type { Admission } from "../account/session-index.ts";
import { clock } from "../shared/clock.ts";
import { dayOf, type LedgerEntry, startOfDay } from "../shared/ledger.ts";
import type { CallStartedBody, Row, RowType } from "../shared/rows.ts";
import type { SessionSummary } from "../shared/summary.ts";
import { owedAudit } from "./audit.ts";
import { addCall, addTurn, LEDGER_DAYS } from "./budget-state.ts";
import type { FaultPoint } from "./fault-points.ts";
import type { Log } from "./log.ts";
import { payerOf } from "./payer.ts";
import { type State, statusOf } from "./state.ts";
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
  /** The account has given the session's name to another one, so the session has none. */
  unnamed: () => void;
}

export class Outbox {
  readonly #edges: OutboxEdges;
  readonly #store: Store;
  #due: number;
  #sending: Promise<void> | null = null;
  #admitting: Promise<Admission | null> | null = null;
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

  /** Asks the account to let a new session in; null when it could not be asked. */
  admit(): Promise<Admission | null> {
    this.#admitting ??= this.#askAdmission().finally(() => {
      this.#admitting = null;
    });
    return this.#admitting;
  }

  async #askAdmission(): Promise<Admission | null> {
    const { account, session, reach } = this.#edges;
    const report = summaryOf(session, this.#store);
    const audit = owedAudit(this.#store, session);
    const day = dayAt(this.#store, audit.seq);
    try {
      reach("report");
      const admission = await account().admitSession(report, audit.entries);
      reach("reported");
      if (admission.kind === "admitted") this.#store.acknowledge(audit.seq, day);
      return admission;
    } catch {
      return null;
    }
  }

  async #deliver(): Promise<void> {
    const { account, session, reach } = this.#edges;
    while (this.owes) {
      const { entries, seq: counted } = owedEntries(this.#store, REPORTED_DAYS);
      const audit = owedAudit(this.#store, session);
      const seq = Math.min(counted, audit.seq);
      const day = dayAt(this.#store, seq);
      const report = { ...summaryOf(session, this.#store), seq };
      try {
        reach("report");
        const told = await account().report(report, entries, audit.entries);
        reach("reported");
        this.#deleted = told.kind === "deleted";
        const unnamed = told.kind === "stored" && told.unnamed === true;
        if (unnamed && this.#store.state.config.name === report.name) this.#edges.unnamed();
      } catch {
        // The alarm tries again.
        return;
      }
      this.#store.acknowledge(seq, day);
    }
  }
}

/** The day of the row `seq`, which is most often the last one. */
export const dayAt = ({ state, log }: Store, seq: number): number =>
  dayOf(seq === state.seq ? state.at : (log.at(seq) ?? state.created_at));

export function summaryOf(session: string, store: Store): SessionSummary {
  const { state } = store;
  const { model, name, title, metadata } = state.config;
  return {
    session,
    seq: state.seq,
    surface: state.surface,
    ...(state.user_id === null ? {} : { user_id: state.user_id }),
    name,
    title,
    first_message: state.first_message,
    model,
    metadata,
    status: statusOf(state),
    turn_count: state.turns,
    ...jobsOf(state),
    usage: state.usage,
    cost_usd: state.cost_usd,
    max_budget_usd: state.money.max_budget_usd,
    spent_usd: state.money.spent_usd,
    lease: { n: state.money.leases, held: state.money.lease !== null },
    created_at: state.created_at,
    updated_at: state.at,
  };
}

function jobsOf({
  jobs: { total, done, failed, open },
  turn,
}: State): Pick<SessionSummary, "jobs"> {
  const running = open.some(({ input }) => input === turn?.turn) ? 1 : 0;
  return total === 0 ? {} : { jobs: { total, done, failed, running } };
}

/**
 * The figures that the account may lack: those of the days since the last row that it knows. The
 * state has the newest days, and the log has all. `seq` is the row up to which they count: with very
 * many days not the last one.
 */
export function owedEntries(
  { state, log, reported, reportedDay: since }: Store,
  days = Number.POSITIVE_INFINITY,
): { entries: LedgerEntry[]; seq: number } {
  const { ledger } = state.money;
  const kept = new Set(ledger.map(({ day }) => day));
  const complete = kept.size < LEDGER_DAYS || kept.has(since) || Math.min(...kept) <= since;
  const all = complete ? ledger : ledgerSince(log, since, reported);
  const owed = all.filter(({ day }) => day >= since);
  const first = [...new Set(owed.map(({ day }) => day))].sort((a, b) => a - b).slice(0, days);
  const last = first.at(-1) ?? 0;
  const entries = owed.filter(({ day }) => day <= last);
  const whole = entries.length === owed.length;
  if (whole) return { entries, seq: state.seq };
  return { entries, seq: Math.max(...entries.map(({ seq }) => seq)) };
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
  const keyOf = payingKeys(log);
  for (const row of log.typed(["call.ended", "outcome"], before)) {
    if (row.type === "call.ended") {
      const started = log.rowOf("call.started", row.body.call)?.body;
      ledger = addCall(ledger, row, started?.model ?? "", started ? keyOf(started) : null);
    }
    if (row.type === "outcome" && row.body.outcome !== "requires_action") {
      ledger = addTurn(ledger, row, keyOf(row.body));
    }
  }
  return ledger;
}

/** Which managed key pays for a turn or a call: as the fold says it, from the rows alone. */
function payingKeys(log: Log): (paid: Paid) => string | null {
  const known = new Map<number, string | null>();
  return ({ turn, compaction }) => {
    const asked = compaction && log.rowOf("compaction.requested", compaction.request);
    if (asked?.body.trigger === "client") return payerOf(asked.body)?.key ?? null;
    // A message may have come between the request and its call, and did not ask for it.
    const of = asked ? asked.body.turn : turn;
    if (of === null) return null;
    const before = known.get(of);
    if (before !== undefined) return before;
    const input = log.rowOf("input", of);
    const key = input && (payerOf(input.body)?.key ?? null);
    known.set(of, key);
    return key;
  };
}

type Paid = Pick<CallStartedBody, "turn" | "compaction">;
