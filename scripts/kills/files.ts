/** What must hold in the data files, read with SQLite when no server uses them. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import { ONE_OUTCOME } from "./one-outcome.ts";

/** Queries that find nothing in a good log, with what it means when they do. */
const LAWS: Readonly<Record<string, string>> = {
  "submissions without exactly one end": ONE_OUTCOME,
  "rows out of order": `
SELECT seq, at FROM (
  SELECT seq, at, lag(seq, 1, 0) OVER rows AS before, lag(at, 1, 0) OVER rows AS earlier
  FROM log WINDOW rows AS (ORDER BY seq)
) WHERE seq <> before + 1 OR at < earlier`,
  "keys with two effects": `
SELECT body ->> '$.key.id' AS id, count(DISTINCT body ->> 'submission') AS effects FROM log
WHERE id IS NOT NULL GROUP BY id HAVING effects > 1`,
  "calls without exactly one end": `
SELECT seq, (
  SELECT count(*) FROM log AS last WHERE last.type = 'call.ended' AND last.body ->> 'call' = log.seq
) AS ends FROM log WHERE type = 'call.started' AND ends <> 1`,
  "tool calls with two results": `
SELECT body ->> 'tool' AS tool, count(*) AS results FROM log
WHERE type = 'tool.ended' GROUP BY tool HAVING results > 1`,
};

/** How calls and submissions ended. */
const ENDS = `
SELECT DISTINCT type || ' ' || coalesce(body ->> 'outcome', body ->> 'end', body ->> 'as',
  body ->> 'reason', body ->> 'status') AS kind FROM log
WHERE type IN ('outcome', 'call.ended', 'input.taken', 'input.cancelled', 'tool.ended', 'context.cut')`;

const GIVEN_UP = `
SELECT count(*) AS turns FROM log WHERE type = 'outcome' AND body ->> 'code' = 'crash_loop'`;

export interface Stored {
  /** Public ids of the sessions that have data. */
  sessions: string[];
  /** The kinds of ends that are in any log, such as `call.ended lost`. */
  seen: string[];
  /** Turns that ended because their step was lost five times in a row. */
  givenUp: number;
  problems: string[];
}

/**
 * Public ids of the sessions that have data, while a server uses it; null when that cannot be told
 * at this moment.
 */
export function storedSessions(data: string): string[] | null {
  try {
    return databases(data).flatMap((path) => read(path, nameOf) ?? []);
  } catch (error) {
    // The server has one of them for itself, or has just removed it.
    if (error instanceof Error && "errcode" in error) return null;
    throw error;
  }
}

/** Reads all sessions below a data folder that no server uses. */
export function readStored(data: string): Stored {
  const stored: Stored = { sessions: [], seen: [], givenUp: 0, problems: [] };
  for (const path of databases(data)) read(path, (all) => readSession(all, stored));
  stored.seen = [...new Set(stored.seen)].toSorted();
  return stored;
}

/** The database of each session's object. */
function databases(data: string): string[] {
  const folder = join(data, "v3/do/ledge-Session");
  return readdirSync(folder)
    .filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))
    .map((name) => join(folder, name));
}

/** Runs a query. */
type Query = (query: string) => Record<string, SQLOutputValue>[];

function read<T>(path: string, reader: (all: Query) => T): T {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return reader((query) => database.prepare(query).all());
  } finally {
    database.close();
  }
}

/** Null for what is left of a deleted session, or of one that was asked for and never was. */
function nameOf(all: Query): string | null {
  if (all("SELECT 1 FROM sqlite_master WHERE name = 'log'").length === 0) return null;
  // The submission that creates a session has its name.
  const [first] = all("SELECT body ->> 'submission' AS name FROM log WHERE seq = 1");
  return `sess_${first?.name}`;
}

function readSession(all: Query, stored: Stored): void {
  const session = nameOf(all);
  if (session === null) return;
  stored.sessions.push(session);
  for (const [meaning, query] of Object.entries(LAWS)) {
    const found = all(query);
    if (found.length > 0) {
      stored.problems.push(`${session}: ${meaning}: ${JSON.stringify(found)}`);
    }
  }
  stored.seen.push(...all(ENDS).map(({ kind }) => String(kind)));
  stored.givenUp += Number(all(GIVEN_UP)[0]?.turns);
}
