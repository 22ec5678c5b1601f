/** Fills an account's index with sessions, as their reports would have. */
import { encodeTime } from "ulid";
import type { SessionSummary } from "../../src/shared/summary.ts";
import { type AccountFilling, LABEL, LABELLED } from "./filling.ts";

/** A session every minute. */
const EVERY_MS = 60_000;

/** Needs the account's tables. */
export function fillAccount(sql: SqlStorage, { from, count, needle }: AccountFilling): number {
  const began = Date.UTC(2026, 0, 1);
  for (let n = from; n < from + count; n++) {
    const summary = summaryOf(n, began + n * EVERY_MS, n === needle);
    sql.exec(
      "INSERT INTO session (id, seq, summary) VALUES (?, ?, ?)",
      summary.session,
      summary.seq,
      JSON.stringify(summary),
    );
  }
  return sql.exec<{ n: number }>("SELECT count(*) AS n FROM session").one().n;
}

const summaryOf = (n: number, at: number, isNeedle: boolean): SessionSummary => ({
  session: `${encodeTime(at)}${String(n).padStart(16, "0")}`,
  seq: 7,
  ...(n % LABELLED === 0 ? { surface: "code", user_id: LABEL } : { surface: "cc" }),
  name: null,
  title: isNeedle ? "The needle" : `Notes on subject ${n}`,
  first_message: `Please explain subject ${n} to me in a few words, and what follows from it for the others. ${"I know little of it. ".repeat(5)}`,
  model: "claude-sonnet-5-5",
  metadata: { project: `project ${n % 50}` },
  status: "idle",
  turn_count: 3,
  usage: {
    input_tokens: 1_000,
    output_tokens: 2_000,
    cache_creation_input_tokens: 3_000,
    cache_read_input_tokens: 4_000,
  },
  cost_usd: 0.0123,
  max_budget_usd: null,
  spent_usd: 0.0123,
  lease: { n: 0, held: false },
  created_at: at,
  updated_at: at + EVERY_MS,
});
