/** How long an object that was forgotten takes to answer and to start a turn, by its history. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { json, now } from "./support/client.ts";
import { COUNTING_WORKER, type Ledge, startLedge } from "./support/ledge.ts";
import { startModelProcess } from "./support/model.ts";
import { objectOf } from "./support/names.ts";
import { type Figure, type Result, spread } from "./support/results.ts";
import { createSession, turn } from "./support/turns.ts";

const RUNS = 25;
/** `context`: the turns since the last replay of the client's transcript. */
interface History {
  what: string;
  turns: number;
  characters: number;
  context: number;
}

const SMALL: History = { what: "100 rows", turns: 8, characters: 300, context: 12 };
const LONG: History = { what: "100,000 rows", turns: 19_988, characters: 300, context: 12 };
const LARGE: History = {
  what: "500 MB in 100,000 rows",
  turns: 19_988,
  characters: 24_000,
  context: 12,
};

interface Times {
  describe: number[];
  model: number[];
  first: number[];
}

export default async function wake(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url, worker: COUNTING_WORKER });
  try {
    const sessions: {
      history: History;
      session: string;
      times: Times;
      rows: number;
      bytes: number;
    }[] = [];
    for (const history of [SMALL, LONG, LARGE]) {
      const session = await createSession(ledge.url);
      const rows = await fill(ledge, session, history);
      const bytes = await largestDatabase(ledge.data);
      sessions.push({
        history,
        session,
        rows,
        bytes,
        times: { describe: [], model: [], first: [] },
      });
    }
    // One after the other, so that a busy moment of the machine hits all of them.
    for (let n = -2; n < RUNS; n++) {
      for (const { session, times } of sessions) {
        const one = await wakes(ledge, session);
        // The first ones warm everything up.
        if (n < 0) continue;
        times.describe.push(one.describe);
        times.model.push(one.model);
        times.first.push(one.first);
      }
    }
    const [small, ...others] = sessions;
    const figures = small
      ? others.flatMap(({ history, times }) => compared(history, times, small.times))
      : [];
    const notes = sessions.map(
      ({ history, rows, bytes }) =>
        `${history.what}: ${rows} rows, ${Math.round(bytes / 1e6)} MB of database`,
    );
    return { name: "wake", figures, notes };
  } finally {
    await ledge.close();
    await model.close();
  }
}

/** Turns of the past, then a replay of the transcript and the turns that the context holds. */
async function fill(ledge: Ledge, session: string, history: History): Promise<number> {
  const url = `${ledge.url}/bench/fill?name=${objectName(session)}`;
  const { turns, characters, context } = history;
  const step = Math.max(1, Math.floor(20_000_000 / characters));
  for (let done = 0; done < turns; done += step) {
    await json(url, { turns: Math.min(step, turns - done), characters, replay: false });
  }
  const rows = await json<number>(url, { turns: context, characters: 300, replay: true });
  await json(`${ledge.url}/bench/forget?name=${objectName(session)}`);
  return rows;
}

async function wakes(ledge: Ledge, session: string) {
  const forget = () => json(`${ledge.url}/bench/forget?name=${objectName(session)}`);
  await forget();
  const began = now();
  await json(`${ledge.url}/api/sessions/${session}`);
  const describe = now() - began;
  await forget();
  const { model, first } = await turn(ledge.url, session, { words: 5 });
  return { describe, model, first };
}

/** Sessions are filled in the order of their size, so the last one has the largest. */
async function largestDatabase(data: string): Promise<number> {
  const files = (await readdir(data, { recursive: true })).filter((path) =>
    path.endsWith(".sqlite"),
  );
  const sizes = await Promise.all(files.map(async (path) => (await stat(join(data, path))).size));
  return Math.max(...sizes);
}

const objectName = (session: string): string => encodeURIComponent(objectOf(session));

function compared({ what }: History, times: Times, small: Times): Figure[] {
  const figure = (of: keyof Times, name: string): Figure => ({
    what: `${what}, ${name}`,
    unit: "ms",
    value: spread(times[of]),
    baseline: { what: SMALL.what, value: spread(small[of]) },
  });
  return [
    figure("describe", "from cold to `GET /api/sessions/{id}`"),
    figure("model", "from cold to the model's request"),
    figure("first", "from cold to the first text"),
  ];
}
