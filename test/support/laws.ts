/**
 * The laws of every log and of every request, whatever a test did: each accepted submission has one
 * end, everything is rebuilt from the rows, clients see what the rows say, and requests only grow.
 */
import { expect } from "vitest";
import { ONE_OUTCOME } from "../../scripts/kills/one-outcome.ts";
import { sessionInfo } from "../../src/session/describe.ts";
import { begin, fold } from "../../src/session/fold.ts";
import type { JobPlace } from "../../src/session/job-table.ts";
import { Log } from "../../src/session/log.ts";
import type { State } from "../../src/session/state.ts";
import { Store } from "../../src/session/store.ts";
import { eventsOf } from "../../src/shared/row-events.ts";
import type { Row } from "../../src/shared/rows.ts";
import { EMPTY_VIEW, reduce, type View } from "../../src/shared/view.ts";
import { seqOf } from "./reader.ts";
import type { TestSession } from "./sessions.ts";

export { checkRequests } from "./prefix-law.ts";

/** The submissions that break promise 1, as SQL sees them. */
export const unendedSubmissions = (sql: SqlStorage): { seq: number; ends: number }[] =>
  sql.exec<{ seq: number; ends: number }>(ONE_OUTCOME).toArray();

/** The state after all rows, folded from the first. */
export function foldAll(rows: readonly Row[]): State {
  const [first, ...rest] = rows;
  if (first?.type !== "session.created") throw new Error("the log does not begin with a session");
  return rest.reduce(fold, begin(first));
}

/** The view that the rows lead to. */
function viewOf(rows: readonly Row[]): View {
  return rows.reduce<View>((view, row) => eventsOf(row, view).reduce(reduce, view), EMPTY_VIEW);
}

/** What of a session is needed to check it. */
export type CheckedSession = Pick<TestSession, "stub" | "inside" | "reader">;

/** Checks a session's log and its reader; null when the session was deleted. */
export async function checkLog(session: CheckedSession): Promise<Row[] | null> {
  const described = await session.stub.describe();
  if (!described) return null;
  const { unended, opened, rows, turns, seen, jobs } = await session.inside((state) => {
    const { sql } = state.storage;
    return {
      unended: unendedSubmissions(sql),
      opened: Store.open(sql)?.state,
      rows: new Log(sql).range(1, Number.MAX_SAFE_INTEGER),
      turns: sql.exec<{ n: number; seq: number }>("SELECT n, seq FROM turn ORDER BY n").toArray(),
      seen: sql.exec<Seen>("SELECT path, sha, seq FROM seen ORDER BY path").toArray(),
      jobs: sql.exec<JobPlace>("SELECT seq, ended, told FROM job ORDER BY seq").toArray(),
    };
  });
  expect(unended, "submissions without exactly one end").toEqual([]);
  const state = foldAll(rows);
  expect(opened, "the state that a waking object reads").toEqual(state);
  expect(described.session, "the state in memory").toEqual(sessionInfo(state));
  expect(turns, "the turn table").toEqual(turnsOf(rows));
  expect(jobs, "the job table").toEqual(jobsOf(rows));
  expect(seen, "the table of files that the model knows").toEqual(seenIn(rows));
  expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, i) => i + 1));
  expect(rows.map(({ at }) => at)).toEqual(rows.map(({ at }) => at).toSorted((a, b) => a - b));
  await checkReader(session, rows);
  return rows;
}

interface Seen {
  [column: string]: SqlStorageValue;
  path: string;
  sha: string;
  seq: number;
}

/** The last content of each file that a result has shown to the model. */
function seenIn(rows: readonly Row[]): Seen[] {
  const seen = new Map<string, Seen>();
  for (const row of rows) {
    if (row.type !== "tool.ended") continue;
    for (const [path, sha] of Object.entries(row.body.seen ?? {})) {
      seen.set(path, { path, sha, seq: row.seq });
    }
  }
  return [...seen.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function turnsOf(rows: readonly Row[]): { n: number; seq: number }[] {
  return rows
    .filter(
      (row) =>
        (row.type === "input" && row.body.start === "now") ||
        (row.type === "input.taken" && row.body.as === "start"),
    )
    .map((row) => ({ n: row.type === "input" ? row.seq : turnIn(row), seq: row.seq }))
    .toSorted((a, b) => a.n - b.n);
}

/** Each job with the one row that names it as ended, and the last one about its webhook. */
function jobsOf(rows: readonly Row[]): JobPlace[] {
  return rows.flatMap((row) => {
    if (row.type !== "input" || !row.body.job) return [];
    const ended = rows.filter(
      ({ type, body }) =>
        (type === "outcome" && body.inputs.includes(row.seq)) ||
        (type === "input.cancelled" && body.input === row.seq),
    );
    expect(ended.length, `ends of the job ${row.seq}`).toBeLessThanOrEqual(1);
    const told = rows.findLast(
      ({ type, body }) =>
        (type === "webhook.requested" || type === "webhook.attempted") && body.input === row.seq,
    );
    return [{ seq: row.seq, ended: ended[0]?.seq ?? null, told: told?.seq ?? null }];
  });
}

const turnIn = (row: Row): number => ("turn" in row.body ? Number(row.body.turn) : 0);

/** The reader has seen every row once and in order, and its view is what the rows say. */
async function checkReader({ reader }: CheckedSession, rows: readonly Row[]): Promise<void> {
  const last = rows.at(-1)?.seq ?? 0;
  await reader.detach();
  reader.attach();
  await reader.until(() => (reader.rows.at(-1)?.seq ?? 0) >= last);
  await reader.detach();
  expect(reader.rows, "the rows that a client saw").toEqual(rows);
  expect(reader.view, "view(client) = reduce(frames(log))").toEqual(viewOf(rows));
  const seqs = reader.frames.map(({ id }) => seqOf(id));
  expect(seqs, "ids never fall").toEqual(seqs.toSorted((a, b) => a - b));
}
