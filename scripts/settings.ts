/** What `npm start` was asked for: options, environment and `.dev.vars`, read and checked. */
import { isIP } from "node:net";
import { parseArgs, parseEnv } from "node:util";
import {
  type Config,
  readConfig,
  VARIABLES,
  type VariableName,
  type Variables,
} from "../src/shared/config.ts";

export interface Settings {
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Folder of the server's data. */
  data: string;
  variables: Variables;
  config: Config;
  /** Names in the file of variables that mean nothing to Ledge. */
  unknown: string[];
}

export type SettingsResult =
  | { kind: "settings"; settings: Settings }
  | { kind: "help"; text: string }
  | { kind: "refused"; problem: string };

const DEFAULT_PORT = 8000;
const DEFAULT_DATA = ".ledge";
const DEFAULT_VARS = ".dev.vars";
/** About as fast as a model writes, so that streaming can be seen. */
const STANDIN_PACE_MS = 20;

const HELP = `npm start -- [options]

  --port <n>     port to listen on; also PORT or CC_API_PORT; 0 takes a free one (${DEFAULT_PORT})
  --host <addr>  address to listen on; any but this machine's own needs an API key (127.0.0.1)
  --data <dir>   folder of the data; also LEDGE_DATA (${DEFAULT_DATA})
  --vars <file>  file of variables and secrets (${DEFAULT_VARS})

Variables are taken from that file, then from the environment.`;

class Refused extends Error {}

/**
 * Reads the settings. A variable in the file wins over the environment; an empty one counts as not
 * set. Without an Anthropic key the stand-in is switched on.
 *
 * @param readFile the text of a file, or null when there is none
 */
export function readSettings(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string | null,
): SettingsResult {
  try {
    const options = readOptions(args);
    if (options.help) return { kind: "help", text: HELP };
    return { kind: "settings", settings: settingsOf(options, env, readFile) };
  } catch (error) {
    if (error instanceof Refused) return { kind: "refused", problem: error.message };
    throw error;
  }
}

interface Options {
  port?: string;
  host?: string;
  data?: string;
  vars?: string;
  help?: boolean;
}

function readOptions(args: readonly string[]): Options {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: "string" },
        host: { type: "string" },
        data: { type: "string" },
        vars: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (error) {
    const [sentence = ""] = (error instanceof Error ? error.message : "").split(/\.\s|\n/);
    throw new Refused(`${sentence}. \`npm start -- --help\` lists the options.`);
  }
}

function settingsOf(
  options: Options,
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string | null,
): Settings {
  const host = readHost(options.host ?? "127.0.0.1");
  const text = readFile(options.vars ?? DEFAULT_VARS);
  if (text === null && options.vars !== undefined) {
    throw new Refused(`--vars: there is no file ${options.vars}`);
  }
  const file = parseEnv(text ?? "");
  const given = { ...known(env), ...known(file) };
  const variables: Variables = { ...defaultsFor(given, isLoopback(host)), ...given };
  const result = readConfig(variables);
  if (!result.ok) {
    const wrong = result.problems.map(({ variable, rule }) => `${variable} ${rule}`);
    throw new Refused(wrong.join("; "));
  }
  if (!isLoopback(host) && result.config.clientKeys.length === 0) {
    throw new Refused(
      `--host ${host} opens the server to other machines, and without a key it would answer nobody: set API_KEYS or CC_API_KEY`,
    );
  }
  return {
    host,
    port: readPort(options.port, env),
    data: options.data || env.LEDGE_DATA || DEFAULT_DATA,
    variables,
    config: result.config,
    unknown: Object.keys(file).filter((name) => !isVariable(name)),
  };
}

/**
 * Anonymous use is decided by the `Host` header, which a sender from another machine can forge: so
 * it is on only where nobody else can connect.
 */
function defaultsFor(given: Variables, loopback: boolean): Variables {
  return {
    ...(loopback ? { ALLOW_ANONYMOUS: "true" } : {}),
    ...(given.ANTHROPIC_API_KEY
      ? {}
      : { STANDIN: "true", STANDIN_PACE_MS: String(STANDIN_PACE_MS) }),
  };
}

const isVariable = (name: string): name is VariableName => Object.hasOwn(VARIABLES, name);

/** The variables of Ledge that have a value. */
function known(values: Readonly<Record<string, string | undefined>>): Variables {
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => isVariable(name) && value?.trim()),
  );
}

function readPort(
  option: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): number {
  const choices = [
    ["--port", option],
    ["PORT", env.PORT],
    ["CC_API_PORT", env.CC_API_PORT],
  ] as const;
  const [name, text] = choices.find(([, value]) => value) ?? ["", String(DEFAULT_PORT)];
  const port = /^[0-9]{1,5}$/.test(text ?? "") ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new Refused(`${name} must be a port number from 0 to 65535`);
  return port;
}

function readHost(host: string): string {
  if (host === "localhost" || isIP(host) !== 0) return host;
  throw new Refused("--host must be an IP address of this machine, or `localhost`");
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
