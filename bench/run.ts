/** Runs the benchmarks: all of them, or those that are named. */
import { loadavg } from "node:os";
import { keep, type Result, writeTable } from "./support/results.ts";

const BENCHMARKS: Readonly<Record<string, () => Promise<{ default: () => Promise<Result> }>>> = {
  ttft: () => import("./ttft.ts"),
  "tool-turn": () => import("./tool-turn.ts"),
  rows: () => import("./rows.ts"),
  cost: () => import("./cost.ts"),
  wake: () => import("./wake.ts"),
  large: () => import("./large.ts"),
  chain: () => import("./chain.ts"),
  sessions: () => import("./sessions.ts"),
  accounts: () => import("./accounts.ts"),
  load: () => import("./load.ts"),
  memory: () => import("./memory.ts"),
  updates: () => import("./updates.ts"),
  connect: () => import("./connect.ts"),
  followers: () => import("./followers.ts"),
};

const names = Object.keys(BENCHMARKS);
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(", ")}. There are: ${names.join(", ")}.`);
  process.exit(2);
}
for (const name of asked.length > 0 ? asked : names) {
  const before = loadavg();
  const benchmark = await BENCHMARKS[name]?.();
  if (benchmark) await keep(await benchmark.default(), { before });
}
await writeTable(names);
