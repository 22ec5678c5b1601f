/** What a long past costs a client that reads, comes back, starts a turn or stops one. */
import { json } from "./support/client.ts";
import { CONTEXT, createFilled, rowsRead, sizeOf } from "./support/histories.ts";
import { COUNTING_WORKER, type Ledge, startLedge } from "./support/ledge.ts";
import { prompt, startModelProcess } from "./support/model.ts";
import * as reads from "./support/reads.ts";
import { type Figure, type Result, spread } from "./support/results.ts";
import type { Filling } from "./worker/filling.ts";

const RUNS = 20;
const MESSAGE_CHARACTERS = 16_000_000;
/** The model writes for so long that nothing else ends the turn. */
const ENDLESS = prompt({ words: 50_000, pace: 30 });

interface Subject {
  what: string;
  fillings: Filling[];
  reads: readonly reads.Read[];
  /** What it is compared with. */
  against?: Subject;
}

const HEADS = [reads.session, reads.turns, reads.turn, reads.lastPage, reads.stream];
const PARTS = [reads.firstPage, reads.middlePage, reads.middleStream];
// Each leaves the turn open for the next.
const TURNS = [reads.firstText, reads.comingBack, reads.interrupt];
const ALL = [...HEADS, reads.middleTurns, ...PARTS, ...TURNS];
const OPEN = [...HEADS, ...PARTS];

const past = (turns: number, characters: number): Filling[] => [{ turns, characters }, CONTEXT];

const openTurn = (count: number, by: "client" | "session"): Filling[] => [
  { turns: 1, characters: 300, rounds: { count, by, open: true }, message: ENDLESS },
];

const FEW: Subject = { what: "260 rows", fillings: past(40, 300), reads: ALL };
const FEW_LONG: Subject = { what: "260 such rows", fillings: past(40, 24_000), reads: ALL };
const WAITING: Subject = { what: "50 rounds", fillings: openTurn(50, "client"), reads: OPEN };
const RUNNING: Subject = { what: "50 rounds", fillings: openTurn(50, "session"), reads: OPEN };

const SUBJECTS: readonly Subject[] = [
  FEW,
  FEW_LONG,
  WAITING,
  RUNNING,
  { what: "100,000 rows", fillings: past(19_988, 300), reads: ALL, against: FEW },
  {
    what: "500 MB in 100,000 rows",
    fillings: past(19_988, 24_000),
    reads: ALL,
    against: FEW_LONG,
  },
  {
    what: "10 messages of 16 MB",
    fillings: [{ turns: 10, characters: 300, message: "x".repeat(MESSAGE_CHARACTERS) }, CONTEXT],
    reads: [...HEADS, ...TURNS],
    against: FEW,
  },
  {
    what: "a turn that waits after 3,000 rounds",
    fillings: openTurn(3_000, "client"),
    reads: OPEN,
    against: WAITING,
  },
  {
    what: "a turn that runs, 3,000 rounds since its last outcome",
    fillings: openTurn(3_000, "session"),
    reads: OPEN,
    against: RUNNING,
  },
];

interface Measured {
  subject: Subject;
  session: string;
  size: string;
  times: Map<reads.Read, number[]>;
  rows: Map<reads.Read, number>;
}

export default async function large(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url, worker: COUNTING_WORKER });
  try {
    const all: Measured[] = [];
    for (const subject of SUBJECTS) {
      const session = await createFilled(ledge, ...subject.fillings);
      const size = await sizeOf(ledge, session);
      all.push({ subject, session, size, times: new Map(), rows: new Map() });
    }
    // One after the other, so that a busy moment of the machine hits all of them.
    for (let n = -2; n < RUNS; n++) {
      for (const { subject, session, times } of all) {
        const at = await placesOf(ledge, subject, session);
        for (const read of subject.reads) {
          const cursor = await read.before?.(at);
          const time = await read.time({ ...at, cursor: cursor ?? at.cursor });
          // The first ones warm everything up.
          if (n >= 0) times.set(read, [...(times.get(read) ?? []), time]);
        }
      }
    }
    for (const { subject, session, rows } of all) {
      const at = await placesOf(ledge, subject, session);
      for (const read of subject.reads) {
        const cursor = await read.before?.(at);
        await rowsRead(ledge, session);
        await read.time({ ...at, cursor: cursor ?? at.cursor });
        rows.set(read, await rowsRead(ledge, session));
      }
    }
    return { name: "large", figures: figuresOf(all), notes: notesOf(all) };
  } finally {
    await ledge.close();
    await model.close();
  }
}

async function placesOf(
  ledge: Ledge,
  { fillings: [filling] }: Subject,
  session: string,
): Promise<reads.Places> {
  const url = `${ledge.url}/api/sessions/${session}`;
  const { last_event_id: last } = await json<{ last_event_id: number }>(url);
  const plain = filling && !filling.rounds;
  // Plain turns have five rows each, from row 2 on.
  const middle = plain ? 2 + 5 * Math.floor(filling.turns / 2) : Math.floor(last / 2);
  return { url, last, middle, turn: `turn_${plain ? middle : 2}`, cursor: String(last) };
}

const compared = (all: readonly Measured[]): { one: Measured; other: Measured }[] =>
  all.flatMap((one) => {
    const other = all.find(({ subject }) => subject === one.subject.against);
    return other ? [{ one, other }] : [];
  });

function figuresOf(all: readonly Measured[]): Figure[] {
  return compared(all).flatMap(({ one, other }) => [
    ...one.subject.reads.map((read) => ({
      what: `${one.subject.what}: ${read.what}`,
      unit: "ms",
      value: spread(one.times.get(read) ?? []),
      baseline: { what: other.subject.what, value: spread(other.times.get(read) ?? []) },
    })),
    {
      what: `${one.subject.what}: rows that SQLite reads for the costliest of these`,
      unit: "rows",
      value: most(one, one.subject.reads),
      baseline: { what: other.subject.what, value: most(other, one.subject.reads) },
    },
  ]);
}

const most = ({ rows }: Measured, some: readonly reads.Read[]): number =>
  Math.max(...some.map((read) => rows.get(read) ?? 0));

function notesOf(all: readonly Measured[]): string[] {
  const sizes = all.map(({ subject, size }) => `${subject.what}: ${size}`);
  const rows = compared(all).map(({ one, other }) => {
    const lines = one.subject.reads.map(
      (read) => `  ${read.what}: ${one.rows.get(read)} (${other.rows.get(read)})`,
    );
    const title = `Rows read, ${one.subject.what} (${other.subject.what}):`;
    return [title, ...lines].join("\n");
  });
  return [...sizes, ...rows];
}
