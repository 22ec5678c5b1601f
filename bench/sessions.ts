/** Ten thousand sessions in one account: made, listed, and what they cost in memory and on disk. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { json, now } from "./support/client.ts";
import { type Ledge, memoryOf, startLedge } from "./support/ledge.ts";
import { startModelProcess } from "./support/model.ts";
import { type Figure, type Result, spread } from "./support/results.ts";
import { createSession } from "./support/turns.ts";

const FEW = 100;
const MANY = 10_000;
/** Requests at a time while sessions are made. */
const AT_A_TIME = 50;
const PAGE = 100;
const RUNS = 20;

interface List {
  data: { id: string }[];
  has_more: boolean;
  next_cursor: string | null;
}

/** All pages of the list: their sessions, their times, and the cursor of the last. */
interface Walk {
  ids: string[];
  times: number[];
  last: string | null;
}

export default async function sessions(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url });
  try {
    const made: string[] = [];
    const early = await create(ledge, FEW, made);
    const few = await listed(ledge);
    const before = await sizeOf(ledge);
    const late = await create(ledge, MANY - FEW, made);
    const after = await sizeOf(ledge);
    const many = await listed(ledge);
    const baseline = `${FEW} sessions`;
    const compared = (what: string, value: number[], other: number[]): Figure => ({
      what: `${what}, of ${MANY} sessions`,
      unit: "ms",
      value: spread(value),
      baseline: { what: baseline, value: spread(other) },
    });
    const share = (what: string, unit: string, part: (size: Size) => number, factor: number) => ({
      what,
      unit,
      value: ((part(after) - part(before)) * factor) / (MANY - FEW),
    });
    return {
      name: "sessions",
      figures: [
        { what: `sessions made, ${AT_A_TIME} at a time`, unit: "per s", value: late.perSecond },
        {
          what: "making one of them",
          unit: "ms",
          value: spread(late.times),
          baseline: { what: `the first ${FEW}`, value: spread(early.times) },
        },
        { what: "making one of them, p99", unit: "ms", value: spread(late.times).p99 },
        compared("first page", many.first, few.first),
        compared("last page", many.last, few.last),
        compared(`each of all pages of ${PAGE}`, many.all, few.all),
        share("memory for each session", "kB", ({ rss }) => rss, 1_000),
        share("disk space for each session", "kB", ({ disk }) => disk, 1 / 1_000),
        { what: "errors", unit: "", value: early.errors + late.errors },
        { what: "sessions that the list lacks", unit: "", value: missing(made, many.ids) },
        {
          what: "entries of the list that are one too many",
          unit: "",
          value: many.ids.length - new Set(many.ids).size + missing(many.ids, made),
        },
      ],
      notes: [
        `Resident memory of all workerd processes: ${Math.round(before.rss)} MB with ${FEW} sessions, ${Math.round(after.rss)} MB with ${MANY}.`,
        "A page of the list holds the newest sessions first; the last page ends it.",
      ],
    };
  } finally {
    await ledge.close();
    await model.close();
  }
}

const missing = (some: readonly string[], of: readonly string[]): number => {
  const all = new Set(of);
  return some.filter((id) => !all.has(id)).length;
};

/** Makes so many sessions, and adds their ids to `made`. */
async function create(ledge: Ledge, count: number, made: string[]) {
  const times: number[] = [];
  let errors = 0;
  let left = count;
  const began = now();
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const sent = now();
      try {
        made.push(await createSession(ledge.url));
        times.push(now() - sent);
      } catch {
        errors += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return { times, errors, perSecond: times.length / ((now() - began) / 1_000) };
}

/** Times of the first page, of the last, and of each page on the way. */
async function listed(ledge: Ledge) {
  const url = `${ledge.url}/api/sessions?limit=${PAGE}`;
  const page = async (cursor: string | null) => {
    const began = now();
    const list = await json<List>(cursor === null ? url : `${url}&cursor=${cursor}`);
    return { list, time: now() - began };
  };
  const walk: Walk = { ids: [], times: [], last: null };
  for (let cursor: string | null = null; ; ) {
    const { list, time } = await page(cursor);
    walk.ids.push(...list.data.map(({ id }) => id));
    walk.times.push(time);
    walk.last = cursor;
    if (list.next_cursor === null) break;
    cursor = list.next_cursor;
  }
  const times = async (cursor: string | null) => {
    const all: number[] = [];
    for (let n = 0; n < RUNS; n++) all.push((await page(cursor)).time);
    return all;
  };
  return {
    ids: walk.ids,
    all: walk.times,
    first: await times(null),
    last: await times(walk.last),
  };
}

interface Size {
  /** Resident memory of all processes, in MB. */
  rss: number;
  /** Bytes on disk. */
  disk: number;
}

async function sizeOf(ledge: Ledge): Promise<Size> {
  const memory = await Promise.all((await ledge.workerds()).map(memoryOf));
  const files = await readdir(ledge.data, { recursive: true });
  // Blocks of 512 bytes (stat(2)): what a file takes, whatever its length.
  const blocks = files.map(async (path) => {
    // A database that is closed takes its shared memory with it.
    const found = await stat(join(ledge.data, path)).catch(() => null);
    return found?.blocks ?? 0;
  });
  return {
    rss: memory.reduce((sum, { rss }) => sum + rss, 0),
    disk: (await Promise.all(blocks)).reduce((sum, n) => sum + n * 512, 0),
  };
}
