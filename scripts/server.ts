/**
 * A Ledge server on this machine: the engine of `wrangler dev` (workerd, with SQLite on disk) in
 * this process, without its prompts, its file watching and its inspector.
 */
import type { EventEmitter } from "node:events";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Variables } from "../src/shared/config.ts";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

export interface ServerOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Folder of the data; made if it is missing. */
  data: string;
  variables: Variables;
  /** Another Worker than Ledge's own: a test's. */
  configPath?: string;
  /** Takes each line of the operator's log; without it they are dropped. */
  onLogLine?: (line: string) => void;
}

export interface Server {
  /** Base URL without a trailing slash. */
  url: string;
  /** Folder of the built Worker, which `stop` removes. */
  build: string;
  /** Rejects when the server cannot go on; a crash of workerd alone it survives. */
  broken: Promise<never>;
  stop(): Promise<void>;
}

/** Why a server cannot start, in words for the person who starts it. */
export class CannotStart extends Error {}

const READY_MS = 60_000;
const PROBE_MS = 2_000;
const WATCH_MS = 5_000;
const WATCHES_MISSED = 4;
/** In the data folder: the address of the server that uses it. */
const CLAIM = "server.json";

/**
 * Starts a server; when this resolves, `/healthz` has answered 200.
 *
 * @throws CannotStart when the port or the data folder is taken, or the server does not get ready
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const data = resolve(options.data);
  await checkPort(options.host, options.port);
  await mkdir(data, { recursive: true, mode: 0o700 });
  await checkUnclaimed(data);

  const worker = await startWorker(options, data);
  const broken = brokenOf(worker);
  try {
    const [build, { port }] = await inTime(
      Promise.race([Promise.all([buildOf(worker), worker.ready.then(() => worker.url)]), broken]),
    );
    const url = urlOf(options.host, port);
    await untilHealthy(url);
    const claim = join(data, CLAIM);
    await writeFile(claim, JSON.stringify({ url, pid: process.pid }));
    const watch = watchOver(url);
    return {
      url,
      build,
      broken: Promise.race([broken, watch.silent]),
      async stop() {
        watch.stop();
        await rm(claim, { force: true });
        await worker.dispose();
      },
    };
  } catch (error) {
    await worker.dispose();
    throw error;
  }
}

/** The part of Wrangler's worker that is used here; its package lacks the types of the rest. */
interface DevWorker {
  ready: Promise<void>;
  url: Promise<URL>;
  raw: EventEmitter;
  dispose(): Promise<void>;
}

const buildOf = (worker: DevWorker): Promise<string> =>
  new Promise((resolve) => {
    worker.raw.once("reloadComplete", ({ bundle }: { bundle: { path: string } }) =>
      resolve(dirname(bundle.path)),
    );
  });

function brokenOf(worker: DevWorker): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  // Wrangler has told the details by then.
  worker.raw.once("buildFailed", () => reject(new CannotStart("the Worker cannot be built")));
  worker.raw.on("error", ({ cause }: { cause?: Error }) =>
    reject(new CannotStart(`workerd does not run: ${cause?.message.split("\n")[0]}`)),
  );
  // Whoever does not wait for it has stopped the server.
  promise.catch(() => {});
  return promise;
}

async function startWorker(options: ServerOptions, data: string): Promise<DevWorker> {
  // Read by Wrangler when it is imported.
  Object.assign(process.env, {
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    WRANGLER_SEND_METRICS: "false",
    // Its debug log would hold the variables.
    WRANGLER_WRITE_LOGS: "false",
    // Pages under /cdn-cgi that show all data to whoever can connect.
    X_LOCAL_EXPLORER: "false",
    X_LOCAL_OBSERVABILITY: "false",
    // Instead of the home folder, which a container's user may not have.
    XDG_CONFIG_HOME: join(data, "wrangler"),
  });
  const { unstable_startWorker } = await import("wrangler");
  const bindings = Object.fromEntries(
    Object.entries(options.variables).map(([name, value]) => [
      name,
      { type: "secret_text", value },
    ]),
  );
  return unstable_startWorker({
    config: options.configPath ?? join(ROOT, "wrangler.toml"),
    bindings,
    // All variables are in `bindings`: without this Wrangler would read `.dev.vars` and `.env` too.
    envFiles: [join(data, "none")],
    dev: {
      server: { hostname: options.host, port: options.port },
      persist: data,
      inspector: false,
      watch: false,
      logLevel: "warn",
      structuredLogsHandler: ({ level, message }: { level: string; message: string }) => {
        if (message.startsWith('{"event":')) options.onLogLine?.(message);
        // What workerd says of itself, and what nothing foresaw.
        else if (level === "error" || level === "warn") console.error(message);
      },
    },
  });
}

const urlOf = (host: string, port: string): string =>
  `http://${host.includes(":") ? `[${host}]` : host}:${port}`;

/** Says what is wrong with an address before Wrangler says it in many lines. */
function checkPort(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => reject(new CannotStart(reason(error))));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve()));
  });
  function reason({ code, message }: NodeJS.ErrnoException): string {
    if (code === "EADDRINUSE") {
      return `port ${port} is in use: stop what listens there, or take another one with --port`;
    }
    if (code === "EACCES") return `port ${port} needs privileges: take one above 1023 with --port`;
    if (code === "EADDRNOTAVAIL") return `--host ${host} is not an address of this machine`;
    return `cannot listen on ${host}, port ${port}: ${message}`;
  }
}

/** Two servers on one folder would both run its sessions. */
async function checkUnclaimed(data: string): Promise<void> {
  const text = await readFile(join(data, CLAIM), "utf8").catch(() => null);
  if (text === null) return;
  // Written by `startServer`; a killed server leaves it behind.
  const { url, pid } = JSON.parse(text) as { url: string; pid: number };
  if (isRunning(pid) && (await isHealthy(url))) {
    throw new CannotStart(
      `${data} is in use by the server at ${url} (process ${pid}): stop that one, or take another folder with --data`,
    );
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(PROBE_MS) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function untilHealthy(url: string): Promise<void> {
  const healthUrl = `${reachable(url)}/healthz`;
  const response = await inTime(fetch(healthUrl));
  // 503 is a server that runs and lacks the model's key, which the banner says.
  if (!response.ok && response.status !== 503) {
    throw new CannotStart(`the server answers ${response.status}: ${await response.text()}`);
  }
  await response.body?.cancel();
}

/**
 * Asks the server now and then. `silent` rejects when it has not answered several times in a row:
 * Wrangler starts a workerd that was killed again, but not always one that can be reached.
 */
function watchOver(url: string): { silent: Promise<never>; stop: () => void } {
  const silent = Promise.withResolvers<never>();
  // Nobody may be listening; the race that is returned with it is.
  silent.promise.catch(() => {});
  let missed = 0;
  const timer = setInterval(async () => {
    try {
      const signal = AbortSignal.timeout(WATCH_MS);
      const response = await fetch(`${reachable(url)}/healthz`, { signal });
      await response.body?.cancel();
      missed = 0;
    } catch {
      missed += 1;
      if (missed === WATCHES_MISSED) silent.reject(new Error("it no longer answers"));
    }
  }, WATCH_MS);
  timer.unref();
  return { silent: silent.promise, stop: () => clearInterval(timer) };
}

/** A server on all addresses is reached at this machine's own. */
export const reachable = (url: string): string =>
  url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");

async function inTime<T>(promise: Promise<T>): Promise<T> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => timeout.reject(new CannotStart(`it was not ready after ${READY_MS / 1000} seconds`)),
    READY_MS,
  );
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
