/**
 * What claude-code-api's routes ask of an account. Its clients count pages and want totals, so each
 * answer looks at all sessions, or at all of the audit.
 */
import type { AuditAction, AuditEntry } from "../shared/audit.ts";
import type { SessionSummary, Surface } from "../shared/summary.ts";
import { parsedSummary } from "./session-table.ts";
import type { UsageLedger } from "./usage.ts";

/** `page` counts from 1. */
export interface PageOf {
  /** Only sessions with this label. */
  user_id?: string | undefined;
  page: number;
  limit: number;
}

export interface SessionsOf {
  /** The one in which something happened last comes first. */
  sessions: SessionSummary[];
  total: number;
}

export interface UsageOf {
  /** That live. */
  sessions: number;
  /** US dollars of the calls with a price. This and what follows counts deleted sessions too. */
  cost: number;
  /** That ended. */
  turns: number;
  /** One of the client's and one of the model's for each turn. */
  messages: number;
  jobs: { total: number; completed: number; running: number; failed: number };
}

/** A message that began a turn, or waited for one, in a session that lives. */
export interface AuditedTurn extends AuditEntry {
  session: string;
  /** Of the session. */
  name: string | null;
  user_id: string | null;
}

export interface TurnsOf {
  /** Newest first. */
  turns: AuditedTurn[];
  total: number;
}

export const NO_SESSIONS: SessionsOf = { sessions: [], total: 0 };

export const NO_TURNS: TurnsOf = { turns: [], total: 0 };

export const NO_LIFE: UsageOf = {
  sessions: 0,
  cost: 0,
  turns: 0,
  messages: 0,
  jobs: { total: 0, completed: 0, running: 0, failed: 0 },
};

const MADE_BY: Surface = "code";
const BEGINS_TURN: AuditAction = "turn.create";

/** A label that is null asks for all. */
const LABELLED = "(?1 IS NULL OR summary ->> 'user_id' = ?1)";

/** Messages that began a turn of their own; a steer's is part of the turn that it joined. */
const TURNS = `
  FROM audit CROSS JOIN session ON session.id = audit.source
  WHERE at >= ?2 AND body ->> 'action' = '${BEGINS_TURN}'
    AND body ->> 'detail' IS NOT 'steer' AND ${LABELLED}`;

/** What sessions said of their jobs, the deleted ones last of all. */
const JOBS = `
  SELECT summary -> 'jobs' AS jobs FROM session WHERE ${LABELLED}
  UNION ALL
  SELECT figures -> 'jobs' AS jobs FROM tombstone WHERE ?1 IS NULL OR figures ->> 'user_id' = ?1`;

const sumOf = (count: string): string => `coalesce(sum(jobs ->> '${count}'), 0)`;

/** Needs the tables of schema.ts. */
export class CodeQueries {
  readonly #sql: SqlStorage;
  readonly #ledger: UsageLedger;

  constructor(sql: SqlStorage, ledger: UsageLedger) {
    this.#sql = sql;
    this.#ledger = ledger;
  }

  /** Of all surfaces: they are sessions of one account. */
  sessions({ user_id: label, ...asked }: PageOf): SessionsOf {
    const user_id = label ?? null;
    // Sorted by id alone, and then read: a summary may be long.
    const found = this.#sql.exec<{ summary: string }>(
      `SELECT summary FROM session WHERE id IN (
         SELECT id FROM session WHERE ${LABELLED}
         ORDER BY summary ->> 'updated_at' DESC, id DESC LIMIT ?2 OFFSET ?3
       ) ORDER BY summary ->> 'updated_at' DESC, id DESC`,
      user_id,
      ...windowOf(asked),
    );
    const sessions = found.toArray().map(({ summary }) => parsedSummary(summary));
    return { sessions, total: this.#count(user_id) };
  }

  /** Of sessions that were made through claude-code-api; others were promised to stay. */
  oldestIdle(taken: readonly string[]): string | null {
    const query = `
      SELECT id FROM session
      WHERE summary ->> 'surface' = '${MADE_BY}' AND summary ->> 'status' = 'idle'
        AND id NOT IN (SELECT value FROM json_each(?))
      ORDER BY summary ->> 'updated_at', id LIMIT 1`;
    return this.#sql.exec<{ id: string }>(query, JSON.stringify(taken)).toArray()[0]?.id ?? null;
  }

  usage(user_id: string | null): UsageOf {
    const { cost, turns } = this.#ledger.life(user_id);
    const query = `
      SELECT ${sumOf("total")} AS total, ${sumOf("done")} AS completed,
        ${sumOf("running")} AS running, ${sumOf("failed")} AS failed FROM (${JOBS})`;
    const jobs = this.#sql.exec<UsageOf["jobs"] & Record<string, number>>(query, user_id).one();
    return { sessions: this.#count(user_id), cost, turns, messages: 2 * turns, jobs };
  }

  /** @param since what happened before is not shown, in milliseconds since the epoch */
  turns({ user_id: label, ...asked }: PageOf, since: number): TurnsOf {
    const user_id = label ?? null;
    type Stored = { at: number; source: string; n: number; body: string } & Label;
    type Label = { name: string | null; user_id: string | null };
    const found = this.#sql.exec<Stored>(
      `SELECT at, source, n, body, summary ->> 'name' AS name, summary ->> 'user_id' AS user_id
       ${TURNS} ORDER BY at DESC, source DESC, n DESC LIMIT ?3 OFFSET ?4`,
      user_id,
      since,
      ...windowOf(asked),
    );
    const turns = found.toArray().map(
      ({ body, ...rest }) =>
        // What the audit's table has written.
        ({ ...rest, ...JSON.parse(body), session: rest.source }) as AuditedTurn,
    );
    const count = `SELECT count(*) AS total ${TURNS}`;
    const { total } = this.#sql.exec<{ total: number }>(count, user_id, since).one();
    return { turns, total };
  }

  #count(user_id: string | null): number {
    const query = `SELECT count(*) AS n FROM session WHERE ${LABELLED}`;
    return this.#sql.exec<{ n: number }>(query, user_id).one().n;
  }
}

/** `LIMIT` and `OFFSET`; a page far beyond the last is no error. */
const windowOf = ({ page, limit }: Pick<PageOf, "page" | "limit">): [number, number] => [
  limit,
  Math.min((page - 1) * limit, Number.MAX_SAFE_INTEGER),
];
