/** How long an object that was forgotten takes to answer and to start a turn, by its history. */
import { json, now } from "./support/client.ts";
import {
  createFilled,
  forget,
  type History,
  LARGE,
  LONG,
  SHORT,
  sizeOf,
} from "./support/histories.ts";
import { COUNTING_WORKER, type Ledge, startLedge } from "./support/ledge.ts";
import { startModelProcess } from "./support/model.ts";
import { type Figure, type Result, spread } from "./support/results.ts";
import { turn } from "./support/turns.ts";

const RUNS = 25;

interface Times {
  describe: number[];
  model: number[];
  first: number[];
}

export default async function wake(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url, worker: COUNTING_WORKER });
  try {
    const sessions: { history: History; session: string; times: Times; size: string }[] = [];
    for (const history of [SHORT, LONG, LARGE]) {
      const session = await createFilled(ledge, ...history.fillings);
      const size = await sizeOf(ledge, session);
      sessions.push({ history, session, size, times: { describe: [], model: [], first: [] } });
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
    const notes = sessions.map(({ history, size }) => `${history.what}: ${size}`);
    return { name: "wake", figures, notes };
  } finally {
    await ledge.close();
    await model.close();
  }
}

async function wakes(ledge: Ledge, session: string) {
  await forget(ledge, session);
  const began = now();
  await json(`${ledge.url}/api/sessions/${session}`);
  const describe = now() - began;
  await forget(ledge, session);
  const { model, first } = await turn(ledge.url, session, { words: 5 });
  return { describe, model, first };
}

function compared({ what }: History, times: Times, small: Times): Figure[] {
  const figure = (of: keyof Times, name: string): Figure => ({
    what: `${what}, ${name}`,
    unit: "ms",
    value: spread(times[of]),
    baseline: { what: SHORT.what, value: spread(small[of]) },
  });
  return [
    figure("describe", "from cold to `GET /api/sessions/{id}`"),
    figure("model", "from cold to the model's request"),
    figure("first", "from cold to the first text"),
  ];
}
