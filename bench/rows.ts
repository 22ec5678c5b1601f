/** Billed rows of a plain turn with thinking, in the session's object and in the account's. */
import { setTimeout as sleep } from "node:timers/promises";
import { json } from "./support/client.ts";
import { COUNTING_WORKER, startLedge } from "./support/ledge.ts";
import { startModelProcess } from "./support/model.ts";
import { ACCOUNT, objectOf } from "./support/names.ts";
import type { Figure, Result } from "./support/results.ts";
import { createSession, turn } from "./support/turns.ts";

/** A word of the model's is six characters, one and a half tokens. */
const wordsOf = (tokens: number): number => Math.round(tokens / 1.5);

const TURNS = [
  // Sixteen characters, four tokens, every 50 ms: as fast as a model writes.
  { what: "3,200 tokens written in 40 s", words: wordsOf(3_200), pace: 50 },
  { what: "100 tokens", words: wordsOf(100) },
  { what: "20,000 tokens", words: wordsOf(20_000) },
];
/** What a turn leaves to the account is there after this time. */
const SETTLED_MS = 1_000;
/** The crash guard of a turn fires within this time after it. */
const GUARD_MS = 16_000;
const IDLE_MS = 60_000;

interface Writes {
  rows: number;
  /** Calls of `setAlarm`, each billed as a row. */
  alarms: number;
  by: Record<string, number>;
}

export default async function rows(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url, worker: COUNTING_WORKER });
  const sum: Record<string, Writes> = {};
  /** Adds up what was written since the last time. */
  const count = async () => {
    const counted = await json<{ rows: Record<string, Writes> }>(`${ledge.url}/bench/counters`);
    for (const [object, { rows, alarms, by }] of Object.entries(counted.rows)) {
      const old = sum[object] ?? { rows: 0, alarms: 0, by: {} };
      const both = Object.entries(by).map(([name, n]) => [name, n + (old.by[name] ?? 0)]);
      sum[object] = {
        rows: old.rows + rows,
        alarms: old.alarms + alarms,
        by: { ...old.by, ...Object.fromEntries(both) },
      };
    }
  };
  const take = (object: string): Writes => {
    const taken = sum[object] ?? { rows: 0, alarms: 0, by: {} };
    delete sum[object];
    return taken;
  };
  try {
    const turns: { what: string; session: string; account: Writes }[] = [];
    for (const { what, ...script } of TURNS) {
      const session = await createSession(ledge.url);
      await count();
      take(ACCOUNT);
      take(objectOf(session));
      await turn(ledge.url, session, { ...script, thinking: 50 });
      await sleep(SETTLED_MS);
      await count();
      turns.push({ what, session, account: take(ACCOUNT) });
    }
    await sleep(GUARD_MS);
    await count();
    const counted = turns.flatMap(({ what, session, account }) => [
      { what: `a turn of ${what}, session`, wrote: take(objectOf(session)) },
      { what: `a turn of ${what}, account`, wrote: account },
    ]);
    await sleep(IDLE_MS);
    await count();
    const idle = turns.slice(-1).map(({ session }) => ({
      what: "an idle session in one minute",
      wrote: take(objectOf(session)),
    }));
    return { name: "rows", ...shown([...counted, ...idle]) };
  } finally {
    await ledge.close();
    await model.close();
  }
}

function shown(all: { what: string; wrote: Writes }[]): { figures: Figure[]; notes: string[] } {
  return {
    figures: all.map(({ what, wrote }) => ({
      what,
      unit: "rows",
      value: wrote.rows + wrote.alarms,
    })),
    notes: all.map(
      ({ what, wrote: { by, alarms } }) =>
        `${what}: ${JSON.stringify({ ...by, setAlarm: alarms })}`,
    ),
  };
}
