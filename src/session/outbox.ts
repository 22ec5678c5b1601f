/**
 * Tells the account what it keeps of this session. A report is a whole summary, so a lost one is
 * made good by the next and a repeated one changes nothing; how far the account knows is a number.
 */
import type { AccountClient } from "../account/client.ts";
import { clock } from "../shared/clock.ts";
import type { Row, RowType } from "../shared/rows.ts";
import type { SessionSummary } from "../shared/summary.ts";
import type { FaultPoint } from "./fault-points.ts";
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
]);

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
    const last = rows.findLast((row) => REPORTED.has(row.type));
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
      const report = summaryOf(session, this.#store);
      try {
        reach("report");
        const { kind } = await account().report(report);
        reach("reported");
        this.#deleted = kind === "deleted";
      } catch {
        // The alarm tries again.
        return;
      }
      this.#store.acknowledge(report.seq);
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
    created_at: state.created_at,
    updated_at: state.at,
  };
}
