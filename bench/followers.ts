/** What many followers of one session cost, and clients that come back to it all the time. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Frame, json, now, sse } from "./support/client.ts";
import { Follower, firstFrame, isEvent } from "./support/follower.ts";
import {
  cpuOf,
  type Ledge,
  memoryOf,
  PASS_THROUGH_WORKER,
  resetPeak,
  startLedge,
  workerOf,
} from "./support/ledge.ts";
import { prompt, startModelProcess } from "./support/model.ts";
import { type Figure, type Result, spread } from "./support/results.ts";
import { createSession, turn } from "./support/turns.ts";

const FOLLOWERS = 500;
const TURNS = 50;
const RECONNECTS = 10_000;
const CONCURRENCY = 20;
/** The proxy of the local runtime keeps to itself that a client has left, for two heartbeats. */
const REST_MS = 32_000;
/** About 300 tokens a second, and longer than the reconnects in mid-message take. */
const LONG = { words: 20_000, pace: 12 };
/** So many units of text, at least, lack to a client that comes back in mid-message. */
const LACKING = 160;

export default async function followers(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url });
  try {
    // Each part first runs a little, so that both begin with warm code.
    await crowd(ledge, 5, 2);
    const nothing = await openStreams(model.url, FOLLOWERS);
    const crowded = await crowd(ledge, FOLLOWERS, TURNS, nothing);
    await reconnects(ledge, 200);
    const returned = await reconnects(ledge, RECONNECTS);
    return {
      name: "followers",
      figures: [...crowded.figures, ...returned.figures],
      notes: [...crowded.notes, ...returned.notes],
    };
  } finally {
    await ledge.close();
    await model.close();
  }
}

type Part = Pick<Result, "figures" | "notes">;

const streamOf = (ledge: Ledge, session: string): string =>
  `${ledge.url}/api/sessions/${session}/events/stream`;

/** Followers of one session against one follower of another, turn by turn. */
async function crowd(
  ledge: Ledge,
  count: number,
  turns: number,
  nothing = Number.NaN,
): Promise<Part> {
  const pid = await workerOf(ledge);
  const [many, one] = [await createSession(ledge.url), await createSession(ledge.url)];
  const { rss: before } = await memoryOf(pid);
  await resetPeak(pid);
  const crowd = Array.from({ length: count }, () => new Follower(streamOf(ledge, many)));
  const alone = new Follower(streamOf(ledge, one));
  const all = [...crowd, alone];
  await Promise.all(
    all.map((each) => each.until(() => each.frames.some(isEvent("session.created")))),
  );
  const { rss: attached } = await memoryOf(pid);

  const first: number[] = [];
  const last: number[] = [];
  const single: number[] = [];
  const cores = await cpuSince(ledge);
  for (let n = 0; n < turns; n++) {
    const times = await textTimes(ledge, many, crowd, n);
    first.push(Math.min(...times));
    last.push(Math.max(...times));
    single.push(...(await textTimes(ledge, one, [alone], n)));
  }
  const used = await cores();
  const { rss: at, peak } = await memoryOf(pid);
  const wrong = [
    ...(await Promise.all(crowd.map((each) => mistakes(ledge, many, each)))),
    await mistakes(ledge, one, alone),
  ];
  await Promise.all(all.map((each) => each.leave()));
  await sleep(turns > 2 ? REST_MS : 0);
  const { rss: after } = await memoryOf(pid);

  const memory = (what: string, mb: number): Figure => ({ what, unit: "MB", value: mb });
  const baseline = { what: "one follower", value: spread(single) };
  return {
    figures: [
      {
        what: `${count} followers, from the model's text to the last follower's frame`,
        unit: "ms",
        value: spread(last),
        baseline,
      },
      {
        what: "the same, p99",
        unit: "ms",
        value: spread(last).p99,
        baseline: { what: "one follower", value: spread(single).p99 },
      },
      { what: "to the first follower's frame", unit: "ms", value: spread(first), baseline },
      { what: "frames missing or doubled", unit: "frames", value: wrong.flat().length },
      memory("resident memory of workerd before the followers came", before),
      memory("with the followers, before the first turn", attached),
      memory(`with the followers, after ${turns} turns`, at),
      memory("at its peak", peak),
      memory(`${REST_MS / 1_000} s after they left`, after),
      {
        what: "memory for each follower",
        unit: "bytes",
        value: ((attached - before) * 1024 * 1024) / count,
        baseline: { what: "an open stream through a Worker that does nothing", value: nothing },
      },
    ],
    notes: [
      `${count} followers, while turns ran: ${used}. Each frame passes through both processes of the local runtime once for each follower.`,
      ...wrong.flat().slice(0, 10),
    ],
  };
}

/** Bytes of memory for each stream that a Worker passes on and that nobody ends. */
async function openStreams(model: string, count: number): Promise<number> {
  const passThrough = await startLedge({ model, worker: PASS_THROUGH_WORKER });
  const left = new AbortController();
  const body = {
    model: "claude-sonnet-5-5",
    max_tokens: 1_000,
    stream: true,
    messages: [{ role: "user", content: prompt({ words: 100, pace: 60_000 }) }],
  };
  const headers = { "x-api-key": "benchmark", "anthropic-version": "2023-06-01" };
  const open = async () => {
    const frames = sse(`${passThrough.url}/v1/messages`, body, { headers, signal: left.signal });
    await frames.next();
  };
  try {
    await Promise.all(Array.from({ length: 5 }, open));
    const pid = await workerOf(passThrough);
    const { rss: before } = await memoryOf(pid);
    await Promise.all(Array.from({ length: count }, open));
    const { rss: after } = await memoryOf(pid);
    return ((after - before) * 1024 * 1024) / count;
  } finally {
    left.abort();
    await passThrough.close();
  }
}

/** Begins to count; the result says how much of a core each process has used since. */
async function cpuSince(ledge: Ledge): Promise<() => Promise<string>> {
  const worker = await workerOf(ledge);
  const pids = await ledge.workerds();
  const before = await Promise.all(pids.map(cpuOf));
  const own = process.cpuUsage();
  const began = now();
  return async () => {
    const elapsed = now() - began;
    const share = (ms: number) => `${((100 * ms) / elapsed).toFixed(0)} % of a core`;
    const after = await Promise.all(pids.map(cpuOf));
    const { user, system } = process.cpuUsage(own);
    return [
      ...pids.map((pid, n) => {
        const name = pid === worker ? "the workerd of the Worker" : "the proxy in front of it";
        return `${name} used ${share((after[n] ?? 0) - (before[n] ?? 0))}`;
      }),
      `the clients used ${share((user + system) / 1_000)}`,
    ].join(", ");
  };
}

/** A turn: when its first text reached each follower, in milliseconds from the model. */
async function textTimes(
  ledge: Ledge,
  session: string,
  followers: readonly Follower[],
  n: number,
): Promise<number[]> {
  const froms = followers.map((follower) => follower.frames.length);
  await turn(ledge.url, session, { words: 40, tag: n });
  return Promise.all(
    followers.map(async (follower, i) => {
      await follower.until(() => follower.turns > n);
      const text = follower.frames.slice(froms[i]).find(isEvent("assistant.delta"));
      // It begins with the time at which the model wrote it.
      return text ? text.at - Number.parseFloat(text.data.data?.text ?? "") : Number.NaN;
    }),
  );
}

/** What a follower got that is not what the session's history holds, each once and in order. */
async function mistakes(ledge: Ledge, session: string, { frames }: Follower): Promise<string[]> {
  const history = await historyOf(ledge, session);
  const got = frames.filter(({ event }) => !event.endsWith(".delta"));
  const wrong = got
    .map(({ id, event }, n) => ({ got: `${id} ${event}`, expected: history[n] }))
    .filter((pair) => pair.got !== pair.expected)
    .map((pair) => `${pair.got} instead of ${pair.expected}`);
  const missing = history.slice(got.length).map((one) => `${one} is missing`);
  return [...wrong, ...missing, ...wrongTexts(frames)];
}

/** Messages whose pieces are not their text. */
function wrongTexts(frames: readonly Frame[]): string[] {
  const pieces = new Map<string, string>();
  const wrong: string[] = [];
  for (const { event, data } of frames) {
    const { id = "", text = "", output_text = "" } = data.data ?? {};
    if (event === "assistant.delta") pieces.set(id, (pieces.get(id) ?? "") + text);
    if (event === "assistant.completed" && pieces.get(id) !== output_text) {
      wrong.push(`the pieces of ${id} are not its text`);
    }
  }
  return wrong;
}

const histories = new Map<string, Promise<string[]>>();

/** `id event` of all rows that are events. */
function historyOf(ledge: Ledge, session: string): Promise<string[]> {
  const url = `${ledge.url}/api/sessions/${session}/events?limit=1000`;
  const known = histories.get(url) ?? readHistory(url);
  histories.set(url, known);
  return known;
}

async function readHistory(url: string): Promise<string[]> {
  const { data } = await json<{ data: { id: number; type: string }[] }>(url);
  return data.map(({ id, type }) => `${id} ${type}`);
}

/** Clients that come with a cursor, check what they get, and leave at once. */
async function reconnects(ledge: Ledge, count: number): Promise<Part> {
  const pid = await workerOf(ledge);
  const session = await createSession(ledge.url);
  await turn(ledge.url, session, { words: 40 });
  await turn(ledge.url, session, { words: 40 });
  const { rss: before } = await memoryOf(pid);
  await resetPeak(pid);

  const rows = await readHistory(`${ledge.url}/api/sessions/${session}/events?limit=1000`);
  const lookIn = async (n: number) => {
    const at = n % (rows.length - 1);
    const [id = ""] = rows[at]?.split(" ") ?? [];
    const { frame, ms } = await firstFrame(streamOf(ledge, session), id);
    if (`${frame.id} ${frame.event}` !== rows[at + 1]) throw new Error(`behind ${id}: ${frame.id}`);
    return ms;
  };
  const idle = await repeat(count / 2, lookIn);
  const { rss: afterIdle } = await memoryOf(pid);

  const watcher = new Follower(`${streamOf(ledge, session)}?after=${rows.at(-1)?.split(" ")[0]}`);
  await json(
    `${ledge.url}/api/sessions/${session}/turns`,
    { input: prompt(LONG) },
    {
      headers: { prefer: "wait=0" },
    },
  );
  const written = () => Number(watcher.frames.at(-1)?.id?.split(":")[1] ?? 0);
  await watcher.until(() => written() > 2 * LACKING);
  const pieces: { offset: number; text: string }[] = [];
  const busy = await repeat(count / 2, async (n) => {
    const call = watcher.frames.at(-1)?.id?.split(":")[0];
    const offset = 1 + ((n * 7_919) % (written() - LACKING));
    const { frame, ms } = await firstFrame(streamOf(ledge, session), `${call}:${offset}`);
    pieces.push({ offset, text: frame.data.data?.text ?? "" });
    return ms;
  });
  const shown = watcher.frames.filter(isEvent("assistant.delta"));
  const text = shown.map(({ data }) => data.data?.text ?? "").join("");
  await json(`${ledge.url}/api/sessions/${session}/interrupt`, {});
  const wrong = pieces.filter((one) => !text.startsWith(one.text, one.offset));
  const { peak } = await memoryOf(pid);
  await watcher.leave();
  await sleep(count === RECONNECTS ? REST_MS : 0);
  const { rss: after } = await memoryOf(pid);
  // The process keeps what it once had; what is no leak is used again.
  const more = await repeat(count / 5, lookIn);
  const { rss: again } = await memoryOf(pid);

  const errors = [...idle.errors, ...busy.errors, ...more.errors];
  const times = (what: string, ms: readonly number[]): Figure[] => [
    { what: `${what}, to the first frame`, unit: "ms", value: spread(ms) },
    { what: "the same, p99", unit: "ms", value: spread(ms).p99 },
  ];
  const memory = (what: string, mb: number): Figure => ({ what, unit: "MB", value: mb });
  return {
    figures: [
      ...times(`${count / 2} reconnects to an idle session`, idle.times),
      ...times(`${count / 2} reconnects in mid-message`, busy.times),
      { what: "reconnects that failed", unit: "", value: errors.length },
      { what: "reconnects whose first frame was a wrong one", unit: "", value: wrong.length },
      memory("resident memory of workerd before the reconnects", before),
      memory("after those to the idle session", afterIdle),
      memory("at its peak", peak),
      memory(`${REST_MS / 1_000} s after the last one`, after),
      memory(`added to that by ${count / 5} more to the idle session`, again - after),
    ],
    notes: [
      `${CONCURRENCY} clients at a time: ${perSecond(idle)} reconnects per second to an idle session, ${perSecond(busy)} in mid-message.`,
      "The proxy of the local runtime tells the Worker that a client has left only when something is sent to it, so clients of an idle session count as connected for up to 30 s: that is what the memory after those reconnects holds.",
      ...errors.slice(0, 10),
    ],
  };
}

interface Repeated {
  times: number[];
  errors: string[];
  elapsed: number;
}

const perSecond = ({ times, elapsed }: Repeated): string =>
  ((times.length / elapsed) * 1_000).toFixed(0);

/** Does it so many times, some at once; `act` gives the time that counts. */
async function repeat(count: number, act: (n: number) => Promise<number>): Promise<Repeated> {
  const times: number[] = [];
  const errors: string[] = [];
  let next = 0;
  const began = now();
  const worker = async () => {
    while (next < count) {
      try {
        times.push(await act(next++));
      } catch (error) {
        errors.push(error instanceof Error ? error.message : String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return { times, errors, elapsed: now() - began };
}
