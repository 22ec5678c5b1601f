/**
 * What large bodies cost in memory. The local runtime collects garbage late, so what is needed is found
 * by limiting its isolates: the smallest one in which a turn passes, with the Worker and the object in
 * it.
 */
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
/** What production gives to an isolate. */
const PRODUCTION_MB = 128;
/** Limits that are tried. */
const LIMITS_MB = [16, 24, 32, 40, 48, 56, 64, 72, 80, 96, 112, 128, 160, 192, 256, 384];

type Content = (n: number) => object[];

const base64 = (head: string, bytes: number): string => {
  const data = Buffer.alloc(bytes, 7);
  data.write(head);
  return data.toString("base64");
};

const document = (n: string | number, bytes: number) => ({
  type: "document",
  source: {
    type: "base64",
    media_type: "application/pdf",
    data: base64(`%PDF-1.4 ${n}`, Math.floor(bytes)),
  },
});

const text = (head: string, words: string, bytes: number) => ({
  type: "text",
  text: head + words.repeat(Math.floor((bytes - head.length) / Buffer.byteLength(words))),
});

const NARROW = "text that is long ";
const WIDE = "text – that is long ";

/** Bodies of the same size. A wide character makes a whole string take two bytes for each unit. */
const BODIES: Readonly<Record<string, Content>> = {
  "one document": (n) => [document(n, BODY_BYTES * 0.75)],
  "four documents": (n) => [0, 1, 2, 3].map((i) => document(`${n}.${i}`, BODY_BYTES * 0.1875)),
  text: (n) => [text(`${n} `, NARROW, BODY_BYTES)],
  "text with wide characters": (n) => [text(`${n} `, WIDE, BODY_BYTES)],
  "text of escapes": (n) => [{ type: "text", text: n + "\u0000".repeat(BODY_BYTES / 6 - 20) }],
  "999 texts": (n) =>
    Array.from({ length: 999 }, (_, i) => text(`${n}.${i} `, WIDE, BODY_BYTES / 1000 - 100)),
};

/** Something that clients do at a server; it fails when one of them is not answered. */
type Load = (ledge: Ledge) => Promise<unknown>;

export default async function memory(): Promise<Result> {
  const model = await startModelProcess();
  try {
    const figures: Figure[] = [await smallest("idle", model.url, async () => {})];
    for (const [what, content] of Object.entries(BODIES)) {
      figures.push(await smallest(`one turn: ${what}`, model.url, (ledge) => once(ledge, content)));
    }
    for (const what of ["one document", "text with wide characters"]) {
      const content = BODIES[what] ?? (() => []);
      const load: Load = (ledge) => Promise.all([once(ledge, content), once(ledge, content)]);
      figures.push(await smallest(`two turns at a time: ${what}`, model.url, load));
    }
    const held: Load = (ledge) => contextOfMedia(ledge, () => {});
    figures.push(await smallest("turns in a context of 20 MB of documents", model.url, held));
    const notes = [
      "A limit holds for the heap and the buffers of an isolate, with all code; each server was warm.",
    ];
    for (const what of ["one document", "text"]) {
      const resident = await processOf(what, BODIES[what] ?? (() => []), model.url);
      figures.push(...resident.figures);
      notes.push(...resident.notes);
    }
    figures.push(await laterTurns(model.url));
    notes.push(
      "Resident memory is that of the process, which collects garbage late without a limit.",
    );
    return { name: "memory", figures, notes };
  } finally {
    await model.close();
  }
}

/** The smallest of the limits with which `load` passes and no process ends. */
async function smallest(what: string, model: string, load: Load): Promise<Figure> {
  let [low, high] = [-1, LIMITS_MB.length];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await passes(model, LIMITS_MB[middle] ?? 0, load)) high = middle;
    else low = middle;
  }
  return {
    what: `smallest isolate, ${what}`,
    unit: "MB",
    value: LIMITS_MB[high] ?? Number.POSITIVE_INFINITY,
    baseline: { what: "production's limit", value: PRODUCTION_MB },
  };
}

async function passes(model: string, isolateMb: number, load: Load): Promise<boolean> {
  let ledge: Ledge | null = null;
  try {
    ledge = await startLedge({ model, isolateMb });
    await warm(ledge);
    const before = (await ledge.workerds()).toString();
    await load(ledge);
    return (await ledge.workerds()).toString() === before;
  } catch {
    // The process ended, and with it the connection; or it did not even start.
    return false;
  } finally {
    await ledge?.close();
  }
}

/** One turn in a new session, as a context holds no more than 20 MB of media. Gives how it ended. */
async function once(ledge: Ledge, content: Content, n = 0): Promise<string> {
  const session = await createSession(ledge.url);
  try {
    await turn(ledge.url, session, { words: 5 }, content(n));
    return "completed";
  } catch (error) {
    // 16 MB of text are more than the model takes: it says so after everything that costs memory.
    const code = error instanceof Error ? /"code":"(\w+)"/.exec(error.message)?.[1] : undefined;
    if (code === "context_overflow") return code;
    throw error;
  }
}

/** A context as large as may be, and turns in it, each of which sends all of it again. */
async function contextOfMedia(ledge: Ledge, full: () => unknown): Promise<void> {
  const session = await createSession(ledge.url);
  for (let n = 0; n < 2; n++) {
    await turn(ledge.url, session, { words: 5 }, [document(n, 9_900_000)]);
  }
  await full();
  for (let n = 0; n < 4; n++) await turn(ledge.url, session, { words: 5 });
}

async function laterTurns(model: string): Promise<Figure> {
  const ledge = await startLedge({ model });
  try {
    const pid = await busiest(ledge);
    let before = 0;
    await contextOfMedia(ledge, async () => {
      await resetPeak(pid);
      before = (await memoryOf(pid)).rss;
    });
    const { peak } = await memoryOf(pid);
    const what = "resident memory that four turns in a context of 20 MB of documents add";
    return { what, unit: "MB", value: peak - before };
  } finally {
    await ledge.close();
  }
}

/** Resident memory of a server without limits. */
async function processOf(what: string, content: Content, model: string) {
  const ledge = await startLedge({ model });
  try {
    await warm(ledge);
    const pid = await busiest(ledge);
    const { rss: idle } = await memoryOf(pid);
    const one = await peakOf(pid, 1, () => once(ledge, content));
    const many = await peakOf(pid, TURNS, (n) => once(ledge, content, n + 1));
    await sleep(REST_MS);
    const { rss } = await memoryOf(pid);
    const above = (mb: number) => ({ unit: "MB", value: mb - idle });
    const figures: Figure[] = [
      { what: `resident memory, ${what}: peak of one turn above idle`, ...above(one.peak) },
      {
        what: `resident memory, ${what}: peak of ${TURNS} more turns above that idle`,
        ...above(many.peak),
        baseline: { what: "one turn", value: one.peak - idle },
      },
      { what: `resident memory, ${what}: what remains 20 s later`, ...above(rss) },
    ];
    const after = [...one.after, ...many.after].map((mb) => Math.round(mb - idle));
    const notes = [
      `${what}: idle ${idle.toFixed(0)} MB; above it after each turn: ${after.join(", ")}`,
      `${what}: ${ends([...one.ends, ...many.ends])}`,
    ];
    return { figures, notes };
  } finally {
    await ledge.close();
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
