/** `npm start` as a child process that can be killed: for tests, the demo and benchmarks. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { devNull } from "node:os";
import { join } from "node:path";
import { VARIABLES, type Variables } from "../src/shared/config.ts";
import { ROOT } from "./server.ts";
import { START_VARIABLES } from "./start-variables.ts";

export interface ServerProcess {
  /** Base URL without a trailing slash. */
  readonly url: string;
  /** Everything it has printed. */
  output(): string;
  /** Ends it as a power cut would: SIGKILL to the server and everything that it started. */
  kill(): Promise<void>;
  /** Asks it to stop; gives its exit code. */
  stop(): Promise<number | null>;
}

export interface ServerProcessOptions {
  data: string;
  /** 0, the default, takes a free one. */
  port?: number;
  /** Nothing else is taken from the environment or from `.dev.vars`. */
  variables: Variables;
}

/**
 * Starts a server and waits until it is ready.
 *
 * @throws Error with what the server printed when it ends instead
 */
export async function spawnServer(options: ServerProcessOptions): Promise<ServerProcess> {
  const { data, port = 0, variables } = options;
  const script = join(ROOT, "scripts/start.ts");
  const args = ["--port", String(port), "--data", data, "--vars", devNull];
  const child = spawn(process.execPath, [script, ...args], {
    cwd: ROOT,
    env: { ...withoutVariables(process.env), ...variables },
    // A process group of its own, so that all of it can be killed at once. The channel tells the
    // port, and stops the server when this process is gone.
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
  }
  const ended = once(child, "close");
  const message = await Promise.race([once(child, "message"), ended.then(() => null)]);
  if (message === null) throw new Error(`The server ended at once:\n${printed}`);
  // `start.ts` sends nothing else.
  const [{ url, build }] = message as [{ url: string; build: string }];

  return {
    url,
    output: () => printed,
    async kill() {
      // A negative id names the group.
      if (child.pid !== undefined && isRunning(child)) process.kill(-child.pid, "SIGKILL");
      await ended;
      // The server would have done it.
      await rm(build, { recursive: true, force: true });
    },
    async stop() {
      child.kill("SIGTERM");
      await ended;
      return child.exitCode;
    },
  };
}

const isRunning = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode === null && signalCode === null;

function withoutVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !Object.hasOwn(VARIABLES, name) && !Object.hasOwn(START_VARIABLES, name),
    ),
  );
}
