/** The ledger: what the account's sessions used, by day, session and model. */
import { type LedgerEntry, monthOf } from "../shared/ledger.ts";
import type { Spent } from "./leases.ts";

export const USAGE_GROUPS = ["day", "model", "session"] as const;

export type UsageGroup = (typeof USAGE_GROUPS)[number];

export interface Figures {
  calls: number;
  /** Turns that ended. */
  turns: number;
  fresh: number;
  write_5m: number;
  write_1h: number;
  read: number;
  output: number;
  thinking: number;
  searches: number;
  /** US dollars of the calls with a price. */
  cost: number;
  estimated: number;
  /** Calls without a price. */
  unpriced: number;
}

export interface UsageRow extends Figures {
  /** The day, the model or the session's ULID. */
  key: number | string;
}

export interface UsageQuery {
  group: UsageGroup;
  /** First and last day. */
  from: number;
  to: number;
  limit: number;
  /** The `key` of the last row of the page before. */
  cursor: number | string | null;
}

export interface UsagePage {
  rows: UsageRow[];
  more: boolean;
  /** Of the whole period, not of the page. */
  totals: Figures;
}

const NAMES = [
  "calls",
  "turns",
  "fresh",
  "write_5m",
  "write_1h",
  "read",
  "output",
  "thinking",
  "searches",
  "cost",
  "estimated",
  "unpriced",
] as const satisfies readonly (keyof Figures)[];

const LIST = NAMES.join(", ");
const MARKS = NAMES.map(() => "?").join(", ");
const SUMS = NAMES.map((name) => `SUM(${name}) AS ${name}`).join(", ");
const REPLACED = NAMES.map((name) => `${name} = excluded.${name}`).join(", ");
const ADDED = NAMES.map((name) => `${name} = ${name} + excluded.${name}`).join(", ");

/** Each day once: those that are over from their sums, the others from what each session used. */
const DAYS = `
  SELECT day, model, ${LIST} FROM closed WHERE day BETWEEN ?1 AND ?2
  UNION ALL
  SELECT day, model, ${LIST} FROM usage WHERE day BETWEEN max(?1, ?3 + 1) AND ?2`;

export const NOTHING_USED: Figures = {
  calls: 0,
  turns: 0,
  fresh: 0,
  write_5m: 0,
  write_1h: 0,
  read: 0,
  output: 0,
  thinking: 0,
  searches: 0,
  cost: 0,
  estimated: 0,
  unpriced: 0,
};

const LAST_DAY = Number.MAX_SAFE_INTEGER;

type Stored = Record<keyof Figures, number>;

/** Needs the tables of schema.ts. */
export class UsageLedger {
  readonly #sql: SqlStorage;
  /** The day on which it was last looked for days that are over. */
  #closedOn = -1;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Takes a session's figures. Writes one row for each that is newer than what is known. */
  put(session: string, entries: readonly LedgerEntry[], today: number): void {
    this.#closeDays(today);
    const closed = entries.length > 0 ? this.#closedThrough() : 0;
    for (const entry of entries) {
      const { day, model, seq } = entry;
      const known = this.#known(day, session, model);
      if (known && known.seq >= seq) continue;
      const figures = figuresOf(entry);
      this.#sql.exec(
        `INSERT INTO usage (day, session, model, seq, ${LIST}) VALUES (?, ?, ?, ?, ${MARKS})
         ON CONFLICT DO UPDATE SET seq = excluded.seq, ${REPLACED}`,
        ...[day, session, model, seq, ...NAMES.map((name) => figures[name])],
      );
      if (day > closed) continue;
      const more = NAMES.map((name) => figures[name] - (known?.[name] ?? 0));
      this.#sql.exec(
        `INSERT INTO closed (day, model, ${LIST}) VALUES (?, ?, ${MARKS})
         ON CONFLICT DO UPDATE SET ${ADDED}`,
        ...[day, model, ...more],
      );
    }
  }

  spent(today: number): Spent {
    const month = monthOf(today);
    return {
      day: this.#cost(today, today),
      month: this.#cost(month.first, month.next - 1),
      total: this.#cost(0, LAST_DAY),
    };
  }

  page({ group, from, to, limit, cursor }: UsageQuery): UsagePage {
    const closed = this.#closedThrough();
    const all = `SELECT ${SUMS} FROM (${DAYS})`;
    const [totals] = this.#sql.exec<Stored>(all, from, to, closed).toArray();
    const rows = this.#rows({ group, from, to, limit: limit + 1, cursor }, closed);
    return {
      rows: rows.slice(0, limit),
      more: rows.length > limit,
      totals: totals && totals.calls !== null ? totals : NOTHING_USED,
    };
  }

  #rows({ group, from, to, limit, cursor }: UsageQuery, closed: number): UsageRow[] {
    type Row = Stored & { key: number | string };
    switch (group) {
      case "day": {
        const query = `SELECT day AS key, ${SUMS} FROM (${DAYS}) GROUP BY day ORDER BY day DESC LIMIT ?4`;
        const last = cursor === null ? to : Math.min(to, Number(cursor) - 1);
        return this.#sql.exec<Row>(query, from, last, closed, limit).toArray();
      }
      case "model": {
        const query = `SELECT model AS key, ${SUMS} FROM (${DAYS}) WHERE model > ?4 GROUP BY model ORDER BY model LIMIT ?5`;
        return this.#sql.exec<Row>(query, from, to, closed, cursor ?? "", limit).toArray();
      }
      case "session": {
        const query = `SELECT session AS key, ${SUMS} FROM usage WHERE day BETWEEN ? AND ? AND session < ? GROUP BY session ORDER BY session DESC LIMIT ?`;
        return this.#sql.exec<Row>(query, from, to, cursor ?? "~", limit).toArray();
      }
    }
  }

  #known(day: number, session: string, model: string): (Stored & { seq: number }) | null {
    const query = `SELECT seq, ${LIST} FROM usage WHERE day = ? AND session = ? AND model = ?`;
    const [known] = this.#sql.exec<Stored & { seq: number }>(query, day, session, model).toArray();
    return known ?? null;
  }

  #cost(from: number, to: number): number {
    const query = `SELECT coalesce(SUM(cost), 0) AS cost FROM (${DAYS})`;
    return this.#sql.exec<{ cost: number }>(query, from, to, this.#closedThrough()).one().cost;
  }

  #closedThrough(): number {
    const query = "SELECT coalesce(MAX(day), -1) AS day FROM closed";
    return this.#sql.exec<{ day: number }>(query).one().day;
  }

  /** Adds up the days before yesterday. What comes later of one is added to its sums. */
  #closeDays(today: number): void {
    if (this.#closedOn === today) return;
    this.#closedOn = today;
    this.#sql.exec(
      `INSERT INTO closed (day, model, ${LIST})
       SELECT day, model, ${SUMS} FROM usage WHERE day > ? AND day < ? GROUP BY day, model`,
      this.#closedThrough(),
      today - 1,
    );
  }
}

function figuresOf({
  usage,
  calls,
  turns,
  cost_usd,
  estimated_usd,
  unpriced_calls,
}: LedgerEntry): Figures {
  const written = usage.cache_creation_input_tokens;
  const hour = Math.min(usage.cache_creation_1h_input_tokens ?? 0, written);
  return {
    calls,
    turns,
    fresh: usage.input_tokens,
    write_5m: written - hour,
    write_1h: hour,
    read: usage.cache_read_input_tokens,
    output: usage.output_tokens,
    thinking: usage.thinking_tokens ?? 0,
    searches: usage.web_search_requests ?? 0,
    cost: cost_usd,
    estimated: estimated_usd,
    unpriced: unpriced_calls,
  };
}
