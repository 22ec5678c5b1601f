/** The ledger: what the account's sessions used, by day, session, model and managed key. */
import { type LedgerEntry, monthOf } from "../shared/ledger.ts";
import type { Spent } from "./leases.ts";

export const USAGE_GROUPS = ["day", "model", "session", "key"] as const;

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
  /** The day, the model, the session's ULID or `key_<ulid>`; empty for all other keys together. */
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
  /** `key_<ulid>`: only what this managed key has paid. */
  key?: string;
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

/** What each session used, whoever paid. */
const ALL = `
  SELECT day, session, model, ${LIST} FROM usage
  UNION ALL
  SELECT day, session, model, ${LIST} FROM key_usage`;

/** Sessions with the label ?1, living and deleted. */
const LABELLED = `
  SELECT id FROM session WHERE summary ->> 'user_id' = ?1
  UNION ALL
  SELECT id FROM tombstone WHERE figures ->> 'user_id' = ?1`;

/**
 * Each day once: those that are over, up to ?3, from their sums, the others from what each session
 * used. ?4 is null here, and a managed key below.
 */
const DAYS = `
  SELECT day, model, ${LIST} FROM closed WHERE day BETWEEN ?1 AND ?2 AND ?4 IS NULL
  UNION ALL
  SELECT day, model, ${LIST} FROM (${ALL}) WHERE day BETWEEN max(?1, ?3 + 1) AND ?2`;

/** Days behind ?3 that are in the table, each found by one look. */
const OPEN_DAYS = `
  WITH RECURSIVE open(day) AS (
    SELECT min(day) FROM key_usage WHERE day > ?3
    UNION ALL
    SELECT (SELECT min(day) FROM key_usage WHERE day > open.day) FROM open WHERE day IS NOT NULL
  )
  SELECT day FROM open WHERE day BETWEEN ?1 AND ?2`;

/** The same of one managed key. */
const KEY_DAYS = `
  SELECT day, model, ${LIST} FROM key_closed WHERE key = ?4 AND day BETWEEN ?1 AND ?2
  UNION ALL
  SELECT day, model, ${LIST} FROM key_usage WHERE key = ?4 AND day IN (${OPEN_DAYS})`;

/** What was used by managed key; everything else under an empty one. */
const KEYS = `
  SELECT key, ${LIST} FROM key_closed WHERE day BETWEEN ?1 AND ?2
  UNION ALL
  SELECT key, ${LIST} FROM key_usage WHERE day BETWEEN max(?1, ?3 + 1) AND ?2
  UNION ALL
  SELECT '' AS key, ${LIST} FROM usage WHERE day BETWEEN ?1 AND ?2`;

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
      const { day, model, seq, key } = entry;
      const known = this.#known(session, entry);
      if (known && known.seq >= seq) continue;
      const figures = figuresOf(entry);
      const values = [day, session, model, seq, ...NAMES.map((name) => figures[name])];
      this.#sql.exec(
        key === undefined
          ? `INSERT INTO usage (day, session, model, seq, ${LIST}) VALUES (?, ?, ?, ?, ${MARKS})
             ON CONFLICT DO UPDATE SET seq = excluded.seq, ${REPLACED}`
          : `INSERT INTO key_usage (day, session, model, seq, ${LIST}, key)
             VALUES (?, ?, ?, ?, ${MARKS}, ?)
             ON CONFLICT DO UPDATE SET seq = excluded.seq, ${REPLACED}`,
        ...(key === undefined ? values : [...values, key]),
      );
      if (day > closed) continue;
      const more = NAMES.map((name) => figures[name] - (known?.[name] ?? 0));
      this.#sql.exec(
        `INSERT INTO closed (day, model, ${LIST}) VALUES (?, ?, ${MARKS})
         ON CONFLICT DO UPDATE SET ${ADDED}`,
        ...[day, model, ...more],
      );
      if (key === undefined) continue;
      this.#sql.exec(
        `INSERT INTO key_closed (key, day, model, ${LIST}) VALUES (?, ?, ?, ${MARKS})
         ON CONFLICT DO UPDATE SET ${ADDED}`,
        ...[key, day, model, ...more],
      );
    }
  }

  /** Of the account, or of one managed key. */
  spent(today: number, key?: string): Spent {
    const month = monthOf(today);
    return {
      day: this.#cost(today, today, key),
      month: this.#cost(month.first, month.next - 1, key),
      total: this.#cost(0, LAST_DAY, key),
    };
  }

  /** Of all days: of the account, or of the sessions with a label, deleted ones too. */
  life(user_id: string | null): Pick<Figures, "cost" | "turns"> {
    const sums = "SELECT coalesce(SUM(cost), 0) AS cost, coalesce(SUM(turns), 0) AS turns";
    type Sums = Pick<Stored, "cost" | "turns">;
    if (user_id !== null) {
      const query = `${sums} FROM (${ALL}) WHERE session IN (${LABELLED})`;
      return this.#sql.exec<Sums>(query, user_id).one();
    }
    const { days, values } = this.#source({ from: 0, to: LAST_DAY });
    return this.#sql.exec<Sums>(`${sums} FROM (${days})`, ...values).one();
  }

  page(query: UsageQuery): UsagePage {
    const { limit } = query;
    const source = this.#source(query);
    const all = `SELECT ${SUMS} FROM (${source.days})`;
    const [totals] = this.#sql.exec<Stored>(all, ...source.values).toArray();
    const rows = this.#rows({ ...query, limit: limit + 1 });
    return {
      rows: rows.slice(0, limit),
      more: rows.length > limit,
      totals: totals && totals.calls !== null ? totals : NOTHING_USED,
    };
  }

  #rows(asked: UsageQuery): UsageRow[] {
    type Row = Stored & { key: number | string };
    const { group, from, to, limit, cursor, key } = asked;
    switch (group) {
      case "day": {
        const last = cursor === null ? to : Math.min(to, Number(cursor) - 1);
        const { days, values } = this.#source({ ...asked, to: last });
        const query = `SELECT day AS key, ${SUMS} FROM (${days}) GROUP BY day ORDER BY day DESC LIMIT ?5`;
        return this.#sql.exec<Row>(query, ...values, limit).toArray();
      }
      case "model": {
        const { days, values } = this.#source(asked);
        const query = `SELECT model AS key, ${SUMS} FROM (${days}) WHERE model > ?5 GROUP BY model ORDER BY model LIMIT ?6`;
        return this.#sql.exec<Row>(query, ...values, cursor ?? "", limit).toArray();
      }
      case "session": {
        const rows = key === undefined ? `(${ALL})` : "key_usage";
        const only = key === undefined ? "?5 IS NULL" : "key = ?5";
        const query = `SELECT session AS key, ${SUMS} FROM ${rows} WHERE day BETWEEN ?1 AND ?2 AND session < ?3 AND ${only} GROUP BY session ORDER BY session DESC LIMIT ?4`;
        return this.#sql.exec<Row>(query, from, to, cursor ?? "~", limit, key ?? null).toArray();
      }
      case "key": {
        // The empty one comes first.
        const query = `SELECT key, ${SUMS} FROM (${KEYS}) WHERE (?4 IS NULL OR key > ?4) AND (?5 IS NULL OR key = ?5) GROUP BY key ORDER BY key LIMIT ?6`;
        const values = [from, to, this.#closedThrough(), cursor, key ?? null, limit];
        return this.#sql.exec<Row>(query, ...values).toArray();
      }
    }
  }

  /** The days of a period, and what ?1 to ?4 are in them. */
  #source({ from, to, key }: Pick<UsageQuery, "from" | "to" | "key">): {
    days: string;
    values: SqlStorageValue[];
  } {
    const days = key === undefined ? DAYS : KEY_DAYS;
    return { days, values: [from, to, this.#closedThrough(), key ?? null] };
  }

  #known(session: string, { day, model, key }: LedgerEntry): (Stored & { seq: number }) | null {
    const where = "WHERE day = ? AND session = ? AND model = ?";
    const query =
      key === undefined
        ? `SELECT seq, ${LIST} FROM usage ${where}`
        : `SELECT seq, ${LIST} FROM key_usage ${where} AND key = ?`;
    const values = [day, session, model, ...(key === undefined ? [] : [key])];
    const [known] = this.#sql.exec<Stored & { seq: number }>(query, ...values).toArray();
    return known ?? null;
  }

  #cost(from: number, to: number, key?: string): number {
    const { days, values } = this.#source({ from, to, ...(key === undefined ? {} : { key }) });
    const query = `SELECT coalesce(SUM(cost), 0) AS cost FROM (${days})`;
    return this.#sql.exec<{ cost: number }>(query, ...values).one().cost;
  }

  #closedThrough(): number {
    const query = "SELECT coalesce(MAX(day), -1) AS day FROM closed";
    return this.#sql.exec<{ day: number }>(query).one().day;
  }

  /** Adds up the days before yesterday. What comes later of one is added to its sums. */
  #closeDays(today: number): void {
    if (this.#closedOn === today) return;
    this.#closedOn = today;
    const open = [this.#closedThrough(), today - 1];
    this.#sql.exec(
      `INSERT INTO closed (day, model, ${LIST})
       SELECT day, model, ${SUMS} FROM (${ALL}) WHERE day > ? AND day < ? GROUP BY day, model`,
      ...open,
    );
    this.#sql.exec(
      `INSERT INTO key_closed (key, day, model, ${LIST})
       SELECT key, day, model, ${SUMS} FROM key_usage WHERE day > ? AND day < ?
       GROUP BY key, day, model`,
      ...open,
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
