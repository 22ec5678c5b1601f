/**
 * `npm run soak`: a detached turn of some minutes that nobody reads must complete, and then a
 * workload of many clients must survive many kills of the whole server.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startStandinServer } from "../src/standin/server.ts";
import { createStandin } from "../src/standin/standin.ts";
import { Client } from "./client.ts";
import { runKills } from "./kills.ts";
import { Reader } from "./reader.ts";
import { spawnServer } from "./server-process.ts";

const HELP = `npm run soak -- [options]
  --minutes N   how long the detached turn is (default 3; 0: none)
  --kills N     how often the server is killed (default 100; 0: never)
  --seed N      repeats the choices of another run (default: a random one)`;

/** How many words the detached turn has in a minute. */
const WORDS = 600;
/** How long after its time the turn may end. */
const GRACE_MS = 60_000;
/** After so many kills the server is left alone, so that sessions wake that nobody asks for. */
const REST_EVERY = 15;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "3" },
    kills: { type: "string", default: "100" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1_000_000)) },
    help: { type: "boolean", default: false },
  },
});
const [minutes, kills, seed] = [values.minutes, values.kills, values.seed].map(Number);

if (values.help || ![minutes, kills, seed].every((value) => Number.isInteger(value))) {
  console.log(HELP);
  process.exitCode = values.help ? 0 : 1;
} else {
  const problems = [
    ...(minutes ? await detachedTurn(minutes) : []),
    ...(kills ? await manyKills(kills, seed ?? 0) : []),
  ];
  for (const problem of problems) console.log(`FAILED: ${problem}`);
  if (problems.length === 0) console.log("PASSED");
  process.exitCode = problems.length === 0 ? 0 : 1;
}

/** Gives what went wrong. */
async function manyKills(count: number, chosen: number): Promise<string[]> {
  console.log(`${count} kills follow, with the seed ${chosen}.`);
  const log = (line: string) => process.stdout.isTTY && process.stdout.write(`\r${line}`);
  const { problems, text } = await runKills({
    seed: chosen,
    kills: count,
    restEvery: REST_EVERY,
    log,
  });
  console.log(`${process.stdout.isTTY ? "\n" : ""}${text}`);
  return problems;
}

/** Gives what went wrong. */
async function detachedTurn(length: number): Promise<string[]> {
  const words = length * WORDS;
  const standin = createStandin({ friendly: true, pace: 60_000 / WORDS });
  const upstream = await startStandinServer({ standin });
  const data = mkdtempSync(join(tmpdir(), "ledge-soak-"));
  process.on("exit", () => rmSync(data, { recursive: true, force: true }));
  const server = await spawnServer({
    data,
    variables: { ANTHROPIC_API_KEY: "sk-soak", ANTHROPIC_BASE_URL: upstream.url },
  });
  try {
    const client = new Client(server.url);
    const { id } = await client.createSession();
    await client.detachedTurn(id, { input: `Count to ${words}` });
    console.log(`A turn of ${length} minutes runs in session ${id}, and nobody reads it.`);
    await standin.arrived(1);
    const limit = length * 60_000 + GRACE_MS;
    const late = Promise.withResolvers<null>();
    const timer = setTimeout(() => late.resolve(null), limit);
    const model = await Promise.race([standin.settled(0), late.promise]);
    clearTimeout(timer);
    if (model === null) return [`the turn goes on after ${limit / 60_000} minutes`];
    // Only now somebody comes and looks.
    const reader = new Reader();
    const end = await reader.visit(client.events(id, "0"), "turn.completed");
    const text = String(end?.data.data?.output_text ?? "");
    const losses = reader.rows.filter((row) => row.endsWith("call.completed")).length - 1;
    return [
      ...(model.state === "answered" ? [] : [`the model call ended as ${model.state}`]),
      ...(text.endsWith(` ${words}`) ? [] : [`the text ends with ${text.slice(-20)}`]),
      ...(losses === 0 ? [] : [`${losses} model calls were lost on the way`]),
    ];
  } finally {
    await server.stop();
    await upstream.close();
  }
}
