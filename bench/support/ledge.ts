/** Ledge on this machine, with a data folder of its own. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startServer } from "../../scripts/server.ts";

/** The Worker with counters and a way to fill sessions, for what cannot be seen from outside. */
export const COUNTING_WORKER = config("counting");
/** A Worker that only passes requests on to the model: what the local runtime itself costs. */
export const PASS_THROUGH_WORKER = config("pass-through");

function config(name: string): string {
  return fileURLToPath(new URL(`../worker/${name}.toml`, import.meta.url));
}

export interface Ledge {
  readonly url: string;
  /** The folder of its data. */
  readonly data: string;
  /** Ids of its `workerd` processes. */
  workerds(): Promise<number[]>;
  close(): Promise<void>;
}

export interface LedgeOptions {
  /** URL of the model. */
  model: string;
  /** The configuration of another Worker than the deployed. */
  worker?: string;
  /** More variables of its configuration. */
  variables?: Record<string, string>;
  /** What an isolate may hold, in MB: its heap and its buffers. More ends its process. */
  isolateMb?: number;
}

/** Starts it against a model. */
export async function startLedge(options: LedgeOptions): Promise<Ledge> {
  const before = new Set(await descendants(process.pid, "workerd"));
  const data = await mkdtemp(join(tmpdir(), "ledge-bench-"));
  limitIsolates(options.isolateMb);
  const { url, stop } = await startServer({
    host: "127.0.0.1",
    port: 0,
    data,
    variables: {
      ANTHROPIC_API_KEY: "benchmark",
      ANTHROPIC_BASE_URL: options.model,
      ALLOW_ANONYMOUS: "true",
      ...options.variables,
    },
    ...(options.worker ? { configPath: options.worker } : {}),
  });
  return {
    url,
    data,
    workerds: async () =>
      (await descendants(process.pid, "workerd")).filter((pid) => !before.has(pid)),
    async close() {
      await stop();
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** For the next server: the local runtime has no limit of its own, but V8 can be given one. */
function limitIsolates(mb: number | undefined): void {
  // Without the factor only the heap would count, and not the buffers outside of it.
  const flags = `--max-heap-size=${mb} --enforce-global-heap-limit --maximum-global-heap-limit-factor=1`;
  process.env.MINIFLARE_WORKERD_V8_FLAGS = mb === undefined ? "" : flags;
}

interface ProcessInfo {
  pid: number;
  parent: number;
  name: string;
}

/** Ids of the processes below `root` with this name. */
async function descendants(root: number, name: string): Promise<number[]> {
  const ids = (await readdir("/proc")).filter((entry) => /^[0-9]+$/.test(entry));
  const all = (await Promise.all(ids.map(processInfo))).filter((one) => one !== null);
  const below = (pid: number): ProcessInfo[] =>
    all.filter(({ parent }) => parent === pid).flatMap((one) => [one, ...below(one.pid)]);
  return below(root)
    .filter((one) => one.name === name)
    .map(({ pid }) => pid);
}

async function processInfo(pid: string): Promise<ProcessInfo | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  const [, name = "", rest = ""] = /\((.*)\) (.*)/.exec(stat ?? "") ?? [];
  return stat === null ? null : { pid: Number(pid), parent: Number(rest.split(" ")[1]), name };
}

/** Time that a process has spent on a core, in milliseconds (proc(5), in ticks of 10 ms). */
export async function cpuOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Memory of a process in MB: resident now, and the most since the peak was last reset. */
export async function memoryOf(pid: number): Promise<{ rss: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const mb = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { rss: mb("VmRSS"), peak: mb("VmHWM") };
}

/** The process that runs the Worker; the other one only passes requests on to it. */
export async function workerOf(ledge: Ledge): Promise<number> {
  const pids = await ledge.workerds();
  const sizes = await Promise.all(pids.map(async (pid) => ({ pid, ...(await memoryOf(pid)) })));
  const [most] = sizes.sort((a, b) => b.rss - a.rss);
  if (!most) throw new Error("there is no workerd");
  return most.pid;
}

/** Makes the peak of a process what it holds now (proc(5), `clear_refs`). */
export const resetPeak = (pid: number): Promise<void> => writeFile(`/proc/${pid}/clear_refs`, "5");
