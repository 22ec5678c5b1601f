/** Where in the log the jobs of a session stand: a working table, rebuilt from the log. */
import type { Row } from "../shared/rows.ts";

export const JOB_TABLE = `
CREATE TABLE IF NOT EXISTS job (
  -- The job's input.
  seq   INTEGER PRIMARY KEY,
  -- The row that ended it: an outcome, or input.cancelled.
  ended INTEGER,
  -- The last row about its webhook: webhook.attempted or webhook.requested.
  told  INTEGER
);
`;

export type JobPlace = { seq: number; ended: number | null; told: number | null };

export class JobTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The job of the input `seq`; null when it is none. */
  get(seq: number): JobPlace | null {
    const query = "SELECT seq, ended, told FROM job WHERE seq = ?";
    return this.#sql.exec<JobPlace>(query, seq).toArray()[0] ?? null;
  }

  /** Jobs from an offset on, the newest first. */
  list(offset: number, limit: number): JobPlace[] {
    const query = "SELECT seq, ended, told FROM job ORDER BY seq DESC LIMIT ? OFFSET ?";
    return this.#sql.exec<JobPlace>(query, limit, offset).toArray();
  }

  /** Takes what a row that was written says of a job. */
  note({ seq, type, body }: Row): void {
    switch (type) {
      case "input":
        if (body.job) this.#sql.exec("INSERT INTO job (seq) VALUES (?)", seq);
        return;
      case "outcome":
        for (const input of body.inputs) this.#ended(input, seq);
        return;
      case "input.cancelled":
        this.#ended(body.input, seq);
        return;
      case "webhook.requested":
      case "webhook.attempted":
        this.#sql.exec("UPDATE job SET told = ? WHERE seq = ?", seq, body.input);
    }
  }

  #ended(input: number, seq: number): void {
    this.#sql.exec("UPDATE job SET ended = ? WHERE seq = ?", seq, input);
  }
}
