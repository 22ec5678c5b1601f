/** Sessions with a long past, written behind their backs by the Worker with counters. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Filling } from "../worker/filling.ts";
import { json } from "./client.ts";
import type { Ledge } from "./ledge.ts";
import { objectOf } from "./names.ts";
import { createSession } from "./turns.ts";

export interface History {
  what: string;
  fillings: readonly Filling[];
}

/** The turns since the client's last transcript, which are all that a model request holds. */
export const CONTEXT: Filling = { turns: 12, characters: 300, replay: true };

export const SHORT: History = {
  what: "100 rows",
  fillings: [{ turns: 8, characters: 300 }, CONTEXT],
};
export const LONG: History = {
  what: "100,000 rows",
  fillings: [{ turns: 19_988, characters: 300 }, CONTEXT],
};
export const LARGE: History = {
  what: "500 MB in 100,000 rows",
  fillings: [{ turns: 19_988, characters: 24_000 }, CONTEXT],
};

/** Characters that are written in one call, so that none of them takes long. */
const STEP_CHARACTERS = 20_000_000;

const objectName = (session: string): string => encodeURIComponent(objectOf(session));

/** A new session with these turns, forgotten by its object. */
export async function createFilled(ledge: Ledge, ...fillings: Filling[]): Promise<string> {
  const session = await createSession(ledge.url);
  for (const filling of fillings) await fill(ledge, session, filling);
  await forget(ledge, session);
  return session;
}

async function fill(ledge: Ledge, session: string, filling: Filling): Promise<void> {
  const { turns, characters, rounds, replay } = filling;
  const step = rounds ? turns : Math.max(1, Math.floor(STEP_CHARACTERS / characters));
  for (let done = 0; done < turns; done += step) {
    const part: Filling = {
      ...filling,
      turns: Math.min(step, turns - done),
      replay: replay === true && done === 0,
    };
    await json(`${ledge.url}/bench/fill?name=${objectName(session)}`, part);
  }
}

/** Makes the object forget all that it holds in memory. */
export async function forget(ledge: Ledge, session: string): Promise<void> {
  await json(`${ledge.url}/bench/forget?name=${objectName(session)}`);
}

/** Rows that the session's object has read since it was last asked. */
export async function rowsRead(ledge: Ledge, session: string): Promise<number> {
  const counted = await json<{ rows: Record<string, { read: number }> }>(
    `${ledge.url}/bench/counters`,
  );
  return counted.rows[objectOf(session)]?.read ?? 0;
}

/** Rows of a session, and the largest database so far, which is its own when it has the most. */
export async function sizeOf(ledge: Ledge, session: string): Promise<string> {
  const url = `${ledge.url}/api/sessions/${session}`;
  const { last_event_id } = await json<{ last_event_id: number }>(url);
  const files = await readdir(ledge.data, { recursive: true });
  const sizes = files
    .filter((path) => path.endsWith(".sqlite"))
    .map(async (path) => (await stat(join(ledge.data, path))).size);
  const largest = Math.max(...(await Promise.all(sizes)));
  return `${last_event_id} rows, ${Math.round(largest / 1e6)} MB of database`;
}
