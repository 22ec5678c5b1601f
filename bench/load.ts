/** Many sessions with turns at the same time, against the same model calls made directly. */
import { type Frame, now } from "./support/client.ts";
import { cpuOf, PASS_THROUGH_WORKER, startLedge } from "./support/ledge.ts";
import { type Script, startModelProcess } from "./support/model.ts";
import { type Figure, type Result, type Spread, spread } from "./support/results.ts";
import { createSession, DirectClient, type Timing, turn } from "./support/turns.ts";

const SESSIONS = 200;
/** `turns` of each session, one after the other. */
const LOADS = [
  { what: "at a model's pace (40 tokens/s each)", script: { words: 100, pace: 100 }, turns: 3 },
  { what: "as fast as it goes", script: { words: 100, pace: 0 }, turns: 5 },
];
const NOTHING = "a Worker that does nothing";

type Send = (script: Script) => Promise<Timing & { frames: Frame[] }>;

interface Way {
  clients: readonly Send[];
  /** Processes of the local runtime between client and model. */
  pids: readonly number[];
}

/** What all clients of a way saw. */
interface Seen {
  first: Spread;
  end: Spread;
  turnsPerSecond: number;
  /** Time that the processes in between spent on a core, for each turn. */
  cpu: number;
  errors: string[];
}

export default async function load(): Promise<Result> {
  const model = await startModelProcess();
  const ledge = await startLedge({ model: model.url });
  const passThrough = await startLedge({ model: model.url, worker: PASS_THROUGH_WORKER });
  try {
    const ways = {
      ledge: { clients: await sessionsOf(ledge.url), pids: await ledge.workerds() },
      nothing: { clients: directly(passThrough.url), pids: await passThrough.workerds() },
      direct: { clients: directly(model.url), pids: [] },
    };
    const figures: Figure[] = [];
    const errors: string[] = [];
    for (const { what, script, turns } of LOADS) {
      // Warms all ways up.
      for (const way of Object.values(ways)) await all(way, { ...script, pace: 0 }, 1);
      const seen = {
        ledge: await all(ways.ledge, script, turns),
        nothing: await all(ways.nothing, script, turns),
        direct: await all(ways.direct, script, turns),
      };
      figures.push(...compared(`${SESSIONS} sessions ${what}`, seen));
      errors.push(...Object.values(seen).flatMap((one) => one.errors));
    }
    const kinds = Object.entries(Object.groupBy(errors, (error) => error));
    const notes = kinds.map(([error, all]) => `${all?.length} × ${error}`);
    return { name: "load", figures, notes };
  } finally {
    await Promise.all([ledge, passThrough, model].map((one) => one.close()));
  }
}

async function sessionsOf(ledge: string): Promise<Send[]> {
  const ids = await Promise.all(Array.from({ length: SESSIONS }, () => createSession(ledge)));
  return ids.map((id) => async (script) => {
    const answer = await turn(ledge, id, script);
    checkWhole(answer.frames);
    return answer;
  });
}

function directly(url: string): Send[] {
  return Array.from({ length: SESSIONS }, () => {
    const client = new DirectClient(url);
    return (script) => client.turn(script);
  });
}

/** The text came piece by piece as it is in the end, and the answer ended as it should. */
function checkWhole(frames: readonly Frame[]): void {
  const pieces = frames
    .filter(({ event }) => event === "assistant.delta")
    .map(({ data }) => data.data?.text ?? "");
  const end = frames.find(({ event }) => event === "turn.completed");
  if (frames.at(-1)?.event !== "done") throw new Error("the answer broke off");
  if (pieces.join("") !== end?.data.data?.output_text) throw new Error("the text is another one");
}

/** Every client sends its turns one after the other, all clients at the same time. */
async function all(way: Way, script: Script, turns: number): Promise<Seen> {
  const timings: Timing[] = [];
  const errors: string[] = [];
  const cpuBefore = await cpu(way);
  const began = now();
  await Promise.all(
    way.clients.map(async (send, client) => {
      for (let n = 0; n < turns; n++) {
        try {
          const { frames, ...timing } = await send({ ...script, tag: `${client} ${n}` });
          timings.push(timing);
        } catch (error) {
          errors.push(error instanceof Error ? error.message : String(error));
        }
      }
    }),
  );
  const seconds = (now() - began) / 1_000;
  return {
    first: spread(timings.map(({ first }) => first)),
    end: spread(timings.map(({ end }) => end)),
    turnsPerSecond: timings.length / seconds,
    cpu: ((await cpu(way)) - cpuBefore) / timings.length,
    errors,
  };
}

const cpu = async ({ pids }: Way): Promise<number> =>
  (await Promise.all(pids.map(cpuOf))).reduce((sum, ms) => sum + ms, 0);

function compared(
  who: string,
  { ledge, nothing, direct }: Record<"ledge" | "nothing" | "direct", Seen>,
): Figure[] {
  const times = (what: string, of: "first" | "end"): Figure[] => {
    const added = (part: "p50" | "p99"): Figure => ({
      what: `${who}, added to ${what}, ${part}`,
      unit: "ms",
      value: ledge[of][part] - direct[of][part],
      baseline: { what: NOTHING, value: nothing[of][part] - direct[of][part] },
    });
    const whole: Figure = {
      what: `${who}, ${what}`,
      unit: "ms",
      value: ledge[of],
      baseline: { what: "direct", value: direct[of] },
    };
    return [whole, added("p50"), added("p99")];
  };
  return [
    ...times("the first text", "first"),
    ...times("the end of the turn", "end"),
    {
      what: `${who}, turns per second`,
      unit: "per s",
      value: ledge.turnsPerSecond,
      baseline: { what: NOTHING, value: nothing.turnsPerSecond },
    },
    {
      what: `${who}, time of the local runtime on a core for each turn`,
      unit: "ms",
      value: ledge.cpu,
      baseline: { what: NOTHING, value: nothing.cpu },
    },
    {
      what: `${who}, cores that the local runtime keeps busy`,
      unit: "",
      value: (ledge.cpu * ledge.turnsPerSecond) / 1_000,
      baseline: { what: NOTHING, value: (nothing.cpu * nothing.turnsPerSecond) / 1_000 },
    },
    { what: `${who}, errors`, unit: "", value: ledge.errors.length },
  ];
}
