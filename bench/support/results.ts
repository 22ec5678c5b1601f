/** Figures of a benchmark: printed, written to `bench/results`, and shown in the README. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";

const FOLDER = new URL("../results/", import.meta.url);
const ROOT = new URL("../../", import.meta.url);

/** Several runs of one measurement. */
export interface Spread {
  n: number;
  p50: number;
  p95: number;
  p99: number;
  min: number;
  max: number;
}

export type Value = number | Spread;

export interface Figure {
  what: string;
  unit: string;
  value: Value;
  /** What it is compared with, measured in the same run. */
  baseline?: { what: string; value: Value };
  /** Value minus baseline of runs that were made in pairs. */
  added?: Spread;
}

export interface Result {
  name: string;
  figures: Figure[];
  /** Traces and remarks that the figures need to be understood. */
  notes: string[];
}

/** Median, 95th and 99th percentile (nearest rank) and bounds of the runs. */
export function spread(runs: readonly number[]): Spread {
  const sorted = runs.toSorted((a, b) => a - b);
  const rank = (part: number) =>
    round(sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN);
  return {
    n: runs.length,
    p50: rank(0.5),
    p95: rank(0.95),
    p99: rank(0.99),
    min: rank(0),
    max: rank(1),
  };
}

/** A figure of runs that were made in pairs with those of the baseline. */
export function paired(
  what: string,
  runs: readonly number[],
  baseline: string,
  others: readonly number[],
): Figure {
  return {
    what,
    unit: "ms",
    value: spread(runs),
    baseline: { what: baseline, value: spread(others) },
    added: spread(runs.map((run, n) => run - (others[n] ?? Number.NaN))),
  };
}

const round = (value: number): number =>
  Math.abs(value) >= 100 ? Math.round(value) : Number(value.toFixed(2));

const middle = (value: Value): number => (typeof value === "number" ? value : value.p50);

const ratio = ({ value, baseline }: Figure): number | null =>
  baseline ? round(middle(value) / middle(baseline.value)) : null;

/** Prints a result and keeps it. */
export async function keep(result: Result, load: { before: number[] }): Promise<void> {
  const { name, figures, notes } = result;
  console.log(`\n${name}`);
  for (const cells of figures.map(row)) console.log(`  ${cells.filter(Boolean).join(" | ")}`);
  for (const note of notes) console.log(note.replace(/^/gm, "    "));
  const machine = await machineInfo();
  const after = loadavg().map(round);
  console.log(
    `  load average ${load.before.map(round).join(" ")} before, ${after.join(" ")} after`,
  );
  const file = {
    name,
    command: `npm run bench -- ${name}`,
    date: new Date().toISOString(),
    machine,
    load_average: { before: load.before.map(round), after },
    figures: figures.map((figure) => ({ ...figure, ratio: ratio(figure) })),
    notes,
  };
  await mkdir(FOLDER, { recursive: true });
  await writeFile(new URL(`${name}.json`, FOLDER), `${JSON.stringify(file, null, 2)}\n`);
}

async function machineInfo(): Promise<Record<string, string | number>> {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? "unknown",
    cores: cpus().length,
    node: process.versions.node,
    workerd: await workerdVersion(),
  };
}

/** The version of the `workerd` that `wrangler dev` starts. */
async function workerdVersion(): Promise<string> {
  const own = new URL("node_modules/wrangler/node_modules/workerd/package.json", ROOT);
  const hoisted = new URL("node_modules/workerd/package.json", ROOT);
  const text = await readFile(own, "utf8").catch(() => readFile(hoisted, "utf8"));
  // A package's own description.
  return (JSON.parse(text) as { version: string }).version;
}

const shown = (value: Value | undefined): string => {
  if (value === undefined) return "";
  return typeof value === "number" ? String(round(value)) : `${value.p50} / ${value.p95}`;
};

/** The cells of a figure in the README's table. */
function row(figure: Figure): string[] {
  const { what, unit, value, baseline, added } = figure;
  return [
    what,
    `${shown(value)} ${unit}`,
    baseline ? `${baseline.what}: ${shown(baseline.value)}` : "",
    baseline ? `× ${ratio(figure)}` : "",
    added ? `+ ${shown(added)} ${unit}` : "",
  ];
}

const START = "<!-- results -->";
const END = "<!-- end of results -->";

/** Writes the table of all kept results into the README. */
export async function writeTable(names: readonly string[]): Promise<void> {
  const path = fileURLToPath(new URL("../README.md", import.meta.url));
  const page = await readFile(path, "utf8");
  const parts: string[] = [];
  for (const name of names) {
    const text = await readFile(new URL(`${name}.json`, FOLDER), "utf8").catch(() => null);
    if (text === null) continue;
    // Written by `keep`.
    const kept = JSON.parse(text) as Result & { date: string; load_average: { before: number[] } };
    parts.push(
      `### ${name}\n\n${kept.date.slice(0, 10)}, load average ${kept.load_average.before[0]} before.\n`,
      "| what | measured | baseline | ratio | added |\n| --- | --- | --- | --- | --- |",
      `${kept.figures.map((figure) => `| ${row(figure).join(" | ")} |`).join("\n")}\n`,
    );
  }
  const [head = ""] = page.split(START);
  const [, tail = ""] = page.split(END);
  await writeFile(path, `${head}${START}\n\n${parts.join("\n")}\n${END}${tail}`);
}
