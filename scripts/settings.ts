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
import { REPLACED_VARIABLES } from "../src/shared/config-replaced.ts";
import { START_VARIABLES, type StartVariableName } from "./start-variables.ts";

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
  /** Variables of other servers that were set: what is there instead of each. */
  replaced: { name: string; by: string }[];
}

export type SettingsResult =
  | { kind: "settings"; settings: Settings }
  | { kind: "help"; text: string }
  /** Everything that is wrong. */
  | { kind: "refused"; problems: string[] };

const DEFAULT_VARS = ".dev.vars";
/** About as fast as a model writes, so that streaming can be seen. */
const STANDIN_PACE_MS = 20;

const HELP = `npm start -- [options]

  --port <n>     port to listen on; also PORT, CC_API_PORT or API_PORT; 0 takes a free one (${START_VARIABLES.PORT.fallback})
  --host <addr>  address to listen on; also CC_API_HOST or API_HOST; any but this machine's own
                 needs an API key (${START_VARIABLES.API_HOST.fallback})
  --data <dir>   folder of the data; also LEDGE_DATA (${START_VARIABLES.LEDGE_DATA.fallback})
  --vars <file>  file of variables and secrets (${DEFAULT_VARS})

Variables are taken from that file, then from the environment.`;

class Refused extends Error {
  readonly problems: string[];

  constructor(...problems: string[]) {
    super(problems.join("; "));
    this.problems = problems;
  }
}

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
    if (error instanceof Refused) return { kind: "refused", problems: error.problems };
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
  const text = readFile(options.vars ?? DEFAULT_VARS);
  if (text === null && options.vars !== undefined) {
    throw new Refused(`--vars: there is no file ${options.vars}`);
  }
  const file = parseEnv(text ?? "");
  const all = { ...withValue(env), ...withValue(file) };
  const problems: string[] = [];
  const [hostName, host] = chosen("--host", options.host, all, ["CC_API_HOST", "API_HOST"]);
  if (!isAddress(host)) {
    problems.push(`${hostName} must be an IP address of this machine, or \`localhost\``);
  }
  const ports = ["PORT", "CC_API_PORT", "API_PORT"] as const;
  const [portName, port] = chosen("--port", options.port, all, ports);
  if (!isPort(port)) problems.push(`${portName} must be a port number from 0 to 65535`);
  const given = Object.fromEntries(Object.entries(all).filter(([name]) => isVariable(name)));
  const variables: Variables = { ...defaultsFor(given, isLoopback(host)), ...given };
  const result = readConfig(variables);
  if (!result.ok) {
    problems.push(...result.problems.map(({ variable, rule }) => `${variable} ${rule}`));
  }
  if (!result.ok || problems.length > 0) throw new Refused(...problems);
  if (!isLoopback(host) && result.config.clientKeys.length === 0) {
    throw new Refused(
      `${hostName} ${host} opens the server to other machines, and without a key it would answer nobody: set API_KEYS or CC_API_KEY`,
    );
  }
  return {
    host,
    port: Number(port),
    data: chosen("--data", options.data, all, ["LEDGE_DATA"])[1],
    variables,
    config: result.config,
    unknown: Object.keys(file).filter((name) => !isKnown(name)),
    replaced: Object.entries(REPLACED_VARIABLES)
      .filter(([name]) => Object.hasOwn(all, name))
      .map(([name, by]) => ({ name, by })),
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

const isKnown = (name: string): boolean =>
  [VARIABLES, START_VARIABLES, REPLACED_VARIABLES].some((list) => Object.hasOwn(list, name));

/** Those of the values that are not blank. */
const withValue = (values: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => !!entry[1]?.trim()),
  );

/** An option, or the first of the variables that is set, or the default; and what it is called. */
function chosen(
  option: string,
  value: string | undefined,
  values: Readonly<Record<string, string>>,
  names: readonly [StartVariableName, ...StartVariableName[]],
): [name: string, value: string] {
  if (value) return [option, value];
  const [first] = names;
  const name = names.find((one) => values[one] !== undefined) ?? first;
  return [name, values[name]?.trim() ?? START_VARIABLES[first].fallback];
}

const isPort = (text: string): boolean => /^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535;

const isAddress = (host: string): boolean => host === "localhost" || isIP(host) !== 0;

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
