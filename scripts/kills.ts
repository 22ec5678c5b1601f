/**
 * A workload of many sessions and clients whose server is killed again and again: SIGKILL to the
 * whole process group at seeded random moments, and a start on the same data. Afterwards it checks
 * that nothing was lost, doubled or out of order.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startStandinServer } from "../src/standin/server.ts";
import { createStandin } from "../src/standin/standin.ts";
import { readStored, storedSessions } from "./kills/files.ts";
import { Model } from "./kills/model.ts";
import type { Random } from "./kills/random.ts";
import { Restarts, spread } from "./kills/restarts.ts";
import { type Checked, Workload } from "./kills/workload.ts";
import { pause, World } from "./kills/world.ts";
import { type ServerProcess, type ServerProcessOptions, spawnServer } from "./server-process.ts";

export interface KillsOptions {
  /**
   * Chooses all moments, messages and answers. Which of them meet is up to the machine, so a seed
   * that fails makes the failure likely to come again, and not certain.
   */
  seed: number;
  kills: number;
  /** After so many kills the server is left alone for a while; default never. */
  restEvery?: number;
  /** Is told how far it is. */
  log?: (line: string) => void;
}

export interface KillsReport {
  /** What must not be; empty when all is well. */
  problems: string[];
  /** Messages and tool results that were accepted in sessions that still exist. */
  inputs: number;
  sessions: number;
  deleted: number;
  /** Model calls that were open when the server was killed. */
  lost: number;
  /** Those of them that were made again; of the others the turn was interrupted or given up. */
  resumed: number;
  /** The kinds of ends that are in the logs, such as `call.ended lost`. */
  seen: string[];
  /** All of it in words, with the times. */
  text: string;
}

/** So often a kill comes so soon after the start that the server is still at it. */
const EARLY = 0.25;
const EARLY_MS = 200;
const FIRST_MS = 300;
const LAST_MS = 2_500;
/** Longer than the alarm that wakes a session for which nobody asks. */
const REST_MS = 18_000;
const PROBE_MS = 10;
const KEPT_REQUESTS = 1_000;

/** Runs the workload and checks it. Where something is wrong, the data folder stays. */
export async function runKills(options: KillsOptions): Promise<KillsReport> {
  const data = mkdtempSync(join(tmpdir(), "ledge-kills-"));
  const restarts = new Restarts();
  const model = new Model((task) => restarts.called(task));
  const standin = createStandin({ keepRequests: KEPT_REQUESTS });
  standin.respond((request) => model.answer(request));
  const upstream = await startStandinServer({ standin });
  const variables = { ANTHROPIC_API_KEY: "sk-kills", ANTHROPIC_BASE_URL: upstream.url };
  let server = await spawnServer({ data, variables });
  const world = new World(options.seed, server.url, restarts);
  const { port } = new URL(server.url);
  try {
    const workload = new Workload(world);
    workload.begin();
    const random = world.random("kills");
    for (let i = 1; i <= options.kills; i++) {
      const rests = options.restEvery !== undefined && i % options.restEvery === 0;
      await pause(rests ? REST_MS : momentOf(random));
      restarts.killed(model.open);
      await server.kill();
      checkOutput(world, server);
      server = await restarted(restarts, { data, variables, port: Number(port) });
      options.log?.(`${i} of ${options.kills} kills, ${model.calls} model calls`);
    }
    const checked = await workload.end();
    await untilErased(data, checked);
    world.closed = true;
    const code = await server.stop();
    if (code !== 0) world.problem(`the server stopped with ${code}`);
    checkOutput(world, server);
    for (const { outcome } of standin.unexpectedRefusals()) {
      world.problem(`the model API refused a request: ${JSON.stringify(outcome)}`);
    }
    return report(world, data, checked, model.calls);
  } finally {
    world.closed = true;
    await server.kill();
    await upstream.close();
    if (world.problems.size === 0) rmSync(data, { recursive: true, force: true });
  }
}

/** Milliseconds from one start to the next kill. */
const momentOf = (random: Random): number =>
  random.chance(EARLY) ? random.between(0, EARLY_MS) : random.between(FIRST_MS, LAST_MS);

/** Starts the server again, and notes when it answers for the first time. */
async function restarted(
  restarts: Restarts,
  options: ServerProcessOptions,
): Promise<ServerProcess> {
  restarts.starting();
  const spawned = spawnServer(options);
  const isUp = () =>
    fetch(`http://127.0.0.1:${options.port}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
  let cannotStart = false;
  spawned.catch(() => {
    cannotStart = true;
  });
  while (!cannotStart && !(await isUp())) await pause(PROBE_MS);
  restarts.answering();
  return spawned;
}

/** Waits until what was deleted has gone from the disk: an alarm does it, also after a kill. */
async function untilErased(data: string, { sessions }: Checked): Promise<void> {
  const end = performance.now() + REST_MS;
  const isDone = () => storedSessions(data)?.every((id) => sessions.has(id));
  while (!isDone() && performance.now() < end) await pause(10 * PROBE_MS);
}

/** The server writes a line for each error that nobody has foreseen. */
function checkOutput(world: World, server: ServerProcess): void {
  for (const line of server.output().split("\n")) {
    if (line.includes('"event":"error"')) world.problem(`the server wrote ${line}`);
  }
}

function report(world: World, data: string, checked: Checked, calls: number): KillsReport {
  const { restarts, problems, seed } = world;
  const stored = readStored(data);
  for (const problem of stored.problems) world.problem(problem);
  for (const id of stored.sessions) {
    if (!checked.sessions.has(id)) world.problem(`${id} has data, and is not there`);
  }
  const { inputs, deleted } = checked;
  const { kills, lost, resumptions, starts } = restarts;
  const sessions = checked.sessions.size;
  const resumed = resumptions.length;
  const times = (attached: boolean, killedAgain: boolean): string =>
    spread(
      resumptions
        .filter((one) => one.attached === attached && one.killedAgain === killedAgain)
        .map(({ ms }) => ms),
    );
  const text = [
    `seed ${seed}: ${kills} kills, ${inputs} accepted inputs in ${sessions} sessions, ${deleted} more sessions deleted`,
    `${calls} model calls, ${lost} lost with the server: ${resumed} of these made again, ${stored.givenUp} turns given up after five losses in a row, the others interrupted or deleted`,
    `start of the local server, from its process to its first answer: ${spread(starts)}`,
    "from that answer to the next model call of a session that had lost one:",
    `  a client attached                  ${times(true, false)}`,
    `  nobody attached                    ${times(false, false)}`,
    `  killed again before, from the first restart: a client attached ${times(true, true)}, nobody ${times(false, true)}`,
    ...(problems.size > 0 ? [`the data is in ${data}`] : []),
  ].join("\n");
  const { seen } = stored;
  return { problems: [...problems], inputs, sessions, deleted, lost, resumed, seen, text };
}
