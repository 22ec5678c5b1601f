/** What is kept of deleted sessions: that nothing may revive them, and what they cost. */
import type { SessionSummary } from "../shared/summary.ts";

type FinalFigures = Pick<
  SessionSummary,
  "surface" | "user_id" | "model" | "turn_count" | "usage" | "cost_usd" | "jobs" | "created_at"
> & {
  /** The one that deleted it. */
  submission: string;
};

/** Needs the tables of schema.ts. */
export class TombstoneTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  has(session: string): boolean {
    return this.#sql.exec("SELECT 1 FROM tombstone WHERE id = ?", session).toArray().length > 0;
  }

  /** The session was deleted by this very submission. */
  isOf(session: string, submission: string): boolean {
    const query = "SELECT 1 FROM tombstone WHERE id = ? AND figures ->> 'submission' = ?";
    return this.#sql.exec(query, session, submission).toArray().length > 0;
  }

  put(session: string, submission: string, final: SessionSummary, at: number): void {
    const { surface, user_id, model, turn_count, usage, cost_usd, jobs, created_at } = final;
    const figures: FinalFigures = {
      surface,
      ...(user_id === undefined ? {} : { user_id }),
      ...(jobs === undefined ? {} : { jobs }),
      model,
      turn_count,
      usage,
      cost_usd,
      created_at,
      submission,
    };
    this.#sql.exec(
      "INSERT INTO tombstone (id, deleted_at, figures) VALUES (?, ?, ?)",
      session,
      at,
      JSON.stringify(figures),
    );
  }
}
