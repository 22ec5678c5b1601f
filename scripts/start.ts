/** `npm start`: a Ledge server on this machine, without an account and without a key. */
import { readFileSync } from "node:fs";
import type { Variables } from "../src/shared/config.ts";
import { localKey } from "./local-key.ts";
import { CannotStart, reachable, type Server, startServer } from "./server.ts";
import { readSettings, type Settings } from "./settings.ts";

const STOP_MS = 10_000;
const PARENT_MS = 500;

const result = readSettings(process.argv.slice(2), process.env, readText);
if (result.kind === "help") {
  console.log(result.text);
} else if (result.kind === "refused") {
  fail(...result.problems);
} else {
  await run(result.settings);
}

async function run(settings: Settings): Promise<void> {
  for (const name of settings.unknown) {
    console.error(`Ledge: there is no variable ${name}, so it has no effect`);
  }
  for (const { name, by } of settings.replaced) {
    console.error(`Ledge: ${name} has no effect. ${by}`);
  }
  const server = await start(settings);
  stopOnSignals(server);
  console.log(banner(settings, server.url));
  // To a test or the demo that has started this as a child.
  process.send?.({ url: server.url, build: server.build });
  await server.broken.catch((error: unknown) => {
    console.error(`Ledge has stopped: ${error instanceof Error ? error.message : "it broke"}`);
    process.exit(1);
  });
}

async function start(settings: Settings): Promise<Server> {
  try {
    const variables = await withKey(settings);
    return await startServer({ ...settings, variables, onLogLine: (line) => console.log(line) });
  } catch (error) {
    if (error instanceof CannotStart) fail(error.message);
    throw error;
  }
}

/** Without a key of the owner's the server has one of its own, or it could sign no webhook. */
async function withKey({ variables, config, data }: Settings): Promise<Variables> {
  return config.webhookKeys ? variables : { ...variables, WEBHOOK_KEY: await localKey(data) };
}

function fail(...problems: string[]): never {
  const [only = "", ...more] = problems;
  const lines = more.length > 0 ? ["", ...problems].join("\n  ") : ` ${only}`;
  console.error(`Ledge cannot start:${lines}`);
  process.exit(1);
}

/** The server stops with its signals, and with whoever started it as a child. */
function stopOnSignals(server: Server): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    // workerd is a process of its own: the exit handler of Wrangler ends it if this takes too long.
    setTimeout(() => process.exit(1), STOP_MS).unref();
    void server.stop().then(() => process.exit(0));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // Wrangler's own handlers end the process before it has stopped.
    process.removeAllListeners(signal);
    process.on(signal, stop);
  }
  process.on("disconnect", stop);
  // The shell between npm and this process ends on a signal without passing it on.
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event) {
    setInterval(() => process.ppid !== parent && stop(), PARENT_MS).unref();
  }
}

function banner({ config, data }: Settings, url: string): string {
  return `Ledge listens on ${url}

  Model    ${modelLine(config)}
  Data     ${data}
  Access   ${config.clientKeys.length > 0 ? "with a key from API_KEYS or CC_API_KEY" : "without a key, from this machine only"}

Try it in another terminal:

${example(url, config.clientKeys.length > 0)}

Ctrl-C stops the server; sessions go on where they were when it starts again.`;
}

function modelLine({ upstream, model, encryption }: Settings["config"]): string {
  switch (upstream.kind) {
    case "anthropic":
      return `${model} at ${upstream.baseUrl ?? "api.anthropic.com"}, paid by your ANTHROPIC_API_KEY`;
    case "standin":
      return "a stand-in, because there is no ANTHROPIC_API_KEY; put one into .dev.vars and start again for Claude";
    case "none":
      return encryption
        ? "none of the server's: without a key of the account's or session's own a turn will fail"
        : "none: set ANTHROPIC_API_KEY, or STANDIN=true, or every turn will fail";
  }
}

/** Two commands that work when pasted; a key is never printed. */
function example(url: string, withKey: boolean): string {
  const auth = withKey ? ` -H "authorization: Bearer $KEY"` : "";
  const post = `curl -s${auth} -H 'content-type: application/json'`;
  const address = reachable(url);
  return [
    ...(withKey ? ["  KEY=…   # one of your keys"] : []),
    `  ID=$(${post} -d '{}' ${address}/api/sessions | grep -o 'sess_[0-9A-Za-z]*' | head -1)`,
    `  ${post} -N -d '{"input": "Count to 20", "stream": true}' ${address}/api/sessions/$ID/turns`,
  ].join("\n");
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    return fail(`${path} cannot be read`);
  }
}
