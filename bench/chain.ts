/** One session with a hundred turns in a row: what the turns before cost the next one. */
import { json } from "./support/client.ts";
import { rowsRead } from "./support/histories.ts";
import { COUNTING_WORKER, type Ledge, startLedge } from "./support/ledge.ts";
import { startModelProcess } from "./support/model.ts";
import { type Figure, paired, type Result, spread } from "./support/results.ts";
import { createSession, DirectClient, type Timing, turn } from "./support/turns.ts";

const CHAINS = 4;
const TURNS = 100;
const SCRIPT = { words: 200 };
/** Turns at either end that are compared. */
const COMPARED = 10;

/** The `n`th turn. */
interface Sent {
  n: number;
  ledge: Timing;
  direct: Timing;
}

interface Read {
  n: number;
  /** Rows that SQLite read for the turn. */
  rows: number;
  /** Rows of the context, each of which the prompt needs. */
  context: number;
}

export default async function chain(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url });
  const counting = await startLedge({ model: model.url, worker: COUNTING_WORKER });
  try {
    const sent: Sent[] = [];
    for (let n = 0; n <= CHAINS; n++) {
      const turns = await inARow(ledge.url, model.url);
      // The first chain warms everything up.
      if (n > 0) sent.push(...turns);
    }
    const read = await counted(counting);
    const early = `turns 1 to ${COMPARED}`;
    const late = `turns ${TURNS - COMPARED + 1} to ${TURNS}`;
    return {
      name: "chain",
      figures: [
        ...times(early, sent.filter(isEarly)),
        ...times(late, sent.filter(isLate)),
        rows(early, read.filter(isEarly)),
        rows(late, read.filter(isLate)),
      ],
      notes: [`The prompt of a turn holds all turns before it, of ${SCRIPT.words} words each.`],
    };
  } finally {
    await Promise.all([ledge, counting, model].map((one) => one.close()));
  }
}

const isEarly = ({ n }: { n: number }): boolean => n <= COMPARED;
const isLate = ({ n }: { n: number }): boolean => n > TURNS - COMPARED;

async function inARow(ledge: string, model: string): Promise<Sent[]> {
  const session = await createSession(ledge);
  const client = new DirectClient(model);
  const sent: Sent[] = [];
  for (let n = 1; n <= TURNS; n++) {
    const script = { ...SCRIPT, tag: n };
    const through = await turn(ledge, session, script);
    sent.push({ n, ledge: through, direct: await client.turn(script) });
  }
  return sent;
}

/** The same turns with counted rows, which takes time of its own. */
async function counted(ledge: Ledge): Promise<Read[]> {
  const session = await createSession(ledge.url);
  const read: Read[] = [];
  for (let n = 1; n <= TURNS; n++) {
    const { last_event_id } = await json<{ last_event_id: number }>(
      `${ledge.url}/api/sessions/${session}`,
    );
    await rowsRead(ledge, session);
    await turn(ledge.url, session, { ...SCRIPT, tag: n });
    // With the message that the turn brings.
    read.push({ n, rows: await rowsRead(ledge, session), context: last_event_id + 1 });
  }
  return read;
}

function times(who: string, sent: readonly Sent[]): Figure[] {
  const figure = (what: string, of: (timing: Timing) => number) =>
    paired(
      `${who}, ${what}`,
      sent.map(({ ledge }) => of(ledge)),
      "direct",
      sent.map(({ direct }) => of(direct)),
    );
  return [
    figure("first text", ({ first }) => first),
    figure("of it until the request reaches the model", ({ model }) => model),
  ];
}

const rows = (who: string, read: readonly Read[]): Figure => ({
  what: `${who}, rows that SQLite reads`,
  unit: "rows",
  value: spread(read.map((one) => one.rows)),
  baseline: { what: "the context", value: spread(read.map(({ context }) => context)) },
});
