/** What a turn with a body of 16 MB adds to the memory of `workerd`, at its peak and afterwards. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Ledge, memoryOf, resetPeak, startLedge } from "./support/ledge.ts";
import { startModelProcess } from "./support/model.ts";
import type { Figure, Result } from "./support/results.ts";
import { createSession, turn } from "./support/turns.ts";

/** The largest body that is taken, less some room for the JSON around it. */
const BODY_BYTES = 16 * 1024 * 1024 - 10_000;
const TURNS = 16;
/** Objects without work are evicted after ten seconds, and what they held becomes garbage. */
const REST_MS = 20_000;

const base64 = (head: string, length: number): string =>
  Buffer.concat([
    Buffer.from(head),
    Buffer.alloc(Math.floor((length * 3) / 4) - head.length, 7),
  ]).toString("base64");

const document = (data: string) => ({
  type: "document",
  source: { type: "base64", media_type: "application/pdf", data },
});

/** Bodies of the same size: one document, four of them, and text. */
const BODIES: { what: string; content: (n: number) => object[] }[] = [
  { what: "one document", content: (n) => [document(base64(`%PDF-1.4 ${n}`, BODY_BYTES))] },
  {
    what: "four documents",
    content: (n) =>
      [0, 1, 2, 3].map((part) => document(base64(`%PDF-1.4 ${n}.${part}`, BODY_BYTES / 4))),
  },
  {
    what: "text",
    content: (n) => [{ type: "text", text: `${n} `.padEnd(BODY_BYTES, "text that is long ") }],
  },
];

export default async function memory(): Promise<Result> {
  const model = await startModelProcess();
  const figures: Figure[] = [];
  const notes: string[] = [];
  try {
    for (const { what, content } of BODIES) {
      // A process of its own for each, so that none begins with what another left.
      const ledge = await startLedge({ model: model.url });
      try {
        await warm(ledge);
        const pid = await busiest(ledge);
        const { rss: idle } = await memoryOf(pid);
        const one = await peakOf(pid, 1, (n) => send(ledge, content(n)));
        const many = await peakOf(pid, TURNS, (n) => send(ledge, content(n + 1)));
        await sleep(REST_MS);
        const { rss } = await memoryOf(pid);
        figures.push(
          { what: `${what}: peak of one turn above idle`, unit: "MB", value: one.peak - idle },
          {
            what: `${what}: peak of ${TURNS} more turns above that idle`,
            unit: "MB",
            value: many.peak - idle,
            baseline: { what: "one turn", value: one.peak - idle },
          },
          { what: `${what}: what remains 20 s later`, unit: "MB", value: rss - idle },
        );
        const after = [...one.after, ...many.after].map((mb) => Math.round(mb - idle));
        notes.push(
          `${what}: idle ${idle.toFixed(0)} MB; above it after each turn: ${after.join(", ")}`,
          `${what}: ${ends([...one.ends, ...many.ends])}`,
        );
      } finally {
        await ledge.close();
      }
    }
    notes.push(
      "Resident memory of the process that runs the Worker and all objects, not of one isolate.",
    );
    return { name: "memory", figures, notes };
  } finally {
    await model.close();
  }
}

async function warm(ledge: Ledge): Promise<void> {
  for (let n = 0; n < 5; n++) {
    await turn(ledge.url, await createSession(ledge.url), { words: 50 });
  }
}

/** The process that runs the Worker; the other one only passes requests on to it. */
async function busiest(ledge: Ledge): Promise<number> {
  const pids = await ledge.workerds();
  const sizes = await Promise.all(pids.map(async (pid) => ({ pid, ...(await memoryOf(pid)) })));
  const [most] = sizes.sort((a, b) => b.rss - a.rss);
  if (!most) throw new Error("there is no workerd");
  return most.pid;
}

async function peakOf(pid: number, turns: number, send: (n: number) => Promise<string>) {
  await resetPeak(pid);
  const ends: string[] = [];
  const after: number[] = [];
  for (let n = 0; n < turns; n++) {
    ends.push(await send(n));
    after.push((await memoryOf(pid)).rss);
  }
  const { peak } = await memoryOf(pid);
  return { peak, after, ends };
}

/** How often turns ended in which way. */
const ends = (all: readonly string[]): string =>
  Object.entries(Object.groupBy(all, (end) => end))
    .map(([end, some]) => `${some?.length} × ${end}`)
    .join(", ");

/** One turn in a new session, as a context holds no more than 20 MB of media. */
async function send(ledge: Ledge, content: object[]): Promise<string> {
  const session = await createSession(ledge.url);
  try {
    await turn(ledge.url, session, { words: 5 }, content);
    return "completed";
  } catch (error) {
    return error instanceof Error
      ? (/"code":"(\w+)"/.exec(error.message)?.[1] ?? error.message)
      : "failed";
  }
}
