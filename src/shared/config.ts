/**
 * The configuration: Worker variables and secrets, read and checked in one place. `VARIABLES` is
 * the whole list, in the order in which the README shows it.
 */
import {
  BOOLEAN_RULE,
  type ClientKey,
  DEFAULT_ACCOUNT,
  integerRule,
  isHost,
  isKey,
  isModelId,
  isOrigin,
  KEY_RULE,
  listOf,
  PERMISSION_MODES,
  readBoolean,
  readHttpUrl,
  readInteger,
  readKeys,
  readServerTools,
  readUsd,
  USD_RULE,
} from "./config-readers.ts";

import { type PriceTable, readPrices } from "./price.ts";
import { type PermissionMode, SERVER_TOOLS, type ServerToolName } from "./tools.ts";

/** One variable. `read` gives null for a value that breaks `rule`. */
export interface Variable<T> {
  readonly meaning: string;
  /** What a valid value is, as a clause that follows "must be". */
  readonly rule: string;
  /** The value where none is set; null when there is no default. */
  readonly fallback: T | null;
  /** A secret's value is never shown, only its name. */
  readonly secret: boolean;
  readonly read: (text: string) => T | null;
}

/** Where model calls go. `none`: no key is set and the stand-in is not switched on. */
type Upstream =
  | { kind: "anthropic"; apiKey: string; baseUrl: string | null }
  | { kind: "standin"; paceMs: number }
  | { kind: "none" };

export interface Config {
  upstream: Upstream;
  /** All keys that open an account. Empty: only anonymous use is possible. */
  clientKeys: readonly ClientKey[];
  allowAnonymous: boolean;
  /** Origins whose pages may call this server; `*` stands for all. Empty: CORS is off. */
  corsOrigins: readonly string[];
  /** The model of a session that names none. */
  model: string;
  /** The ids that the model list shows; null leaves the list to the catalogue. */
  models: readonly string[] | null;
  /** Model calls of a turn with built-in tools. */
  maxTurns: number;
  /** Model calls of a turn with the client's tools. */
  toolMaxTurns: number;
  /** What built-in tools may do in a session that says nothing of it. */
  permissionMode: PermissionMode;
  /** Sessions without tools of their own have the built-in ones. */
  builtinTools: boolean;
  serverTools: ServerToolName[];
  /** How full a model's window may be before a conversation is compacted; 0: never by itself. */
  compactAtPercent: number;
  /** How long a session is idle before its conversation is compacted, in minutes; 0: never. */
  compactIdleMinutes: number;
  maxBodyBytes: number;
  /** How long a JSON answer waits for its turn, in milliseconds. */
  answerTimeoutMs: number;
  /** `host` or `host:port` that the address guard lets through. */
  fetchAllowHosts: readonly string[];
  /** Prices that stand in for those of the table. */
  prices: PriceTable;
  /** What a turn that says nothing of it may cost, in US dollars; null: no limit. */
  turnBudget: number | null;
  budgets: AccountBudgets;
}

/** What an account may cost, in US dollars. Zero is a limit; null is none. */
export interface AccountBudgets {
  day: number | null;
  month: number | null;
  total: number | null;
}

const MB = 1024 * 1024;

/** Gives the object the type of its parts and checks each against `Variable`. */
const table = <T extends Record<string, Variable<unknown>>>(variables: T): T => variables;

export const VARIABLES = table({
  ANTHROPIC_API_KEY: {
    meaning: "The key for the Anthropic API, which pays for all model calls.",
    rule: KEY_RULE,
    fallback: null,
    secret: true,
    read: (text) => (isKey(text) ? text : null),
  },
  ANTHROPIC_BASE_URL: {
    meaning: "An address that replaces the Anthropic API's own, such as a gateway.",
    rule: "an http or https URL without credentials, query or fragment",
    fallback: null,
    secret: false,
    read: readHttpUrl,
  },
  STANDIN: {
    meaning:
      "Switches the stand-in on: model calls are answered by a local imitation of the API. Used only while no `ANTHROPIC_API_KEY` is set.",
    rule: BOOLEAN_RULE,
    fallback: false,
    secret: false,
    read: readBoolean,
  },
  STANDIN_PACE_MS: {
    meaning: "Milliseconds that the stand-in waits between two pieces of text.",
    rule: integerRule(0, 10_000),
    fallback: 0,
    secret: false,
    read: readInteger(0, 10_000),
  },
  API_KEYS: {
    meaning:
      "Keys that clients send, as `name:key` separated by commas. The name is the account; several keys may have one name; a key without a name opens the account `default`.",
    rule: `a comma-separated list of \`name:key\` or \`key\`, each name of up to 64 letters, digits, \`.\`, \`_\`, \`@\` or \`-\`, each key ${KEY_RULE}, no key under two names`,
    fallback: null,
    secret: true,
    read: readKeys,
  },
  CC_API_KEY: {
    meaning: "One more key that clients send; it opens the account `default`.",
    rule: KEY_RULE,
    fallback: null,
    secret: true,
    read: (text) => (isKey(text) ? text : null),
  },
  ALLOW_ANONYMOUS: {
    meaning:
      "Serves requests without a key, but only while no key is set, and only those to and from this machine (`localhost`).",
    rule: BOOLEAN_RULE,
    fallback: false,
    secret: false,
    read: readBoolean,
  },
  CORS_ORIGINS: {
    meaning: "Origins whose web pages may call this server, separated by commas; `*` for all.",
    rule: "a comma-separated list of origins such as `https://app.example.com`, or `*`",
    fallback: null,
    secret: false,
    read: (text) => listOf(text, isOrigin),
  },
  CC_API_MODEL: {
    meaning: "The model of sessions that name none.",
    rule: "a model id",
    fallback: "claude-sonnet-5-5",
    secret: false,
    read: (text) => (isModelId(text) ? text : null),
  },
  CC_API_MODELS: {
    meaning: "The models that the model list shows, separated by commas.",
    rule: "a comma-separated list of model ids",
    fallback: null,
    secret: false,
    read: (text) => listOf(text, isModelId),
  },
  CC_API_MAX_TURNS: {
    meaning: "Model calls that a turn with built-in tools may make.",
    rule: integerRule(1, 1000),
    fallback: 8,
    secret: false,
    read: readInteger(1, 1000),
  },
  CC_API_TOOL_MAX_TURNS: {
    meaning: "Model calls that a turn with the client's tools may make since its last input.",
    rule: integerRule(1, 1000),
    fallback: 4,
    secret: false,
    read: readInteger(1, 1000),
  },
  CC_API_PERMISSION_MODE: {
    meaning: "What the built-in tools may do in a session that says nothing of it.",
    rule: `one of ${PERMISSION_MODES.map((mode) => `\`${mode}\``).join(", ")}`,
    fallback: "bypassPermissions",
    secret: false,
    read: (text) => PERMISSION_MODES.find((mode) => mode === text) ?? null,
  } satisfies Variable<PermissionMode>,
  BUILTIN_TOOLS: {
    meaning:
      "Gives a workspace with file and shell tools to sessions that are created without tools of their own.",
    rule: BOOLEAN_RULE,
    fallback: true,
    secret: false,
    read: readBoolean,
  },
  SERVER_TOOLS: {
    meaning:
      "The API's own tools that such sessions have where their model, permissions and organization allow them; a search costs a fee.",
    rule: "`none`, or a comma-separated list of `web_search` and `code_execution`",
    fallback: [...SERVER_TOOLS],
    secret: false,
    read: readServerTools,
  } satisfies Variable<ServerToolName[]>,
  COMPACT_AT_PERCENT: {
    meaning:
      "A conversation is compacted at the start of a turn when it fills more than so many percent of its model's window, less the room for an answer. 0: only when it is asked for, and when the window is full.",
    rule: integerRule(0, 100),
    fallback: 80,
    secret: false,
    read: readInteger(0, 100),
  },
  COMPACT_IDLE_MINUTES: {
    meaning:
      "A session that has been idle for so many minutes is compacted in the background when its conversation has grown by 50,000 tokens or more. Below the `cache_ttl` of the sessions it costs little: `4` for the usual five minutes. 0: never.",
    rule: integerRule(0, 1440),
    fallback: 0,
    secret: false,
    read: readInteger(0, 1440),
  },
  MAX_BODY_MB: {
    meaning: "The largest request body, in units of 1,048,576 bytes.",
    // A body is held in memory while it is read, and an isolate has 128 MB for all its requests.
    rule: integerRule(1, 16),
    fallback: 16,
    secret: false,
    read: readInteger(1, 16),
  },
  CLAUDE_TIMEOUT_SECONDS: {
    meaning:
      "Seconds that a JSON answer waits for its turn. Afterwards the answer is 504 with the turn's address, and the turn goes on.",
    rule: integerRule(1, 3600),
    fallback: 300,
    secret: false,
    read: readInteger(1, 3600),
  },
  CLAUDE_MAX_COST_PER_REQUEST: {
    meaning:
      "US dollars that a turn may cost where it brings no `max_budget_usd` of its own. Unset: no limit.",
    rule: USD_RULE,
    fallback: null,
    secret: false,
    read: readUsd,
  },
  CLAUDE_MAX_COST_PER_USER: {
    meaning: "US dollars that an account may cost in all. Unset: no limit.",
    rule: USD_RULE,
    fallback: null,
    secret: false,
    read: readUsd,
  },
  BUDGET_DAY_USD: {
    meaning: "US dollars that an account may cost in a day (UTC). Unset: no limit.",
    rule: USD_RULE,
    fallback: null,
    secret: false,
    read: readUsd,
  },
  BUDGET_MONTH_USD: {
    meaning: "US dollars that an account may cost in a calendar month (UTC). Unset: no limit.",
    rule: USD_RULE,
    fallback: null,
    secret: false,
    read: readUsd,
  },
  MODEL_PRICES: {
    meaning:
      "Prices in US dollars per million tokens, as JSON: the model's id to `input`, `output`, `cache_write_5m`, `cache_write_1h`, `cache_read`, and `since` (a day) where they hold from then on. They replace those of the built-in table for calls that end from now on.",
    rule: 'JSON such as `{"my-model": {"input": 3, "output": 15, "cache_write_5m": 3.75, "cache_write_1h": 6, "cache_read": 0.3}}`; a model may have a list of prices, each with `since` (`YYYY-MM-DD`) or `"speed": "fast"` where it holds only so',
    fallback: null,
    secret: false,
    read: readPrices,
  },
  FETCH_ALLOW_HOSTS: {
    meaning:
      "Hosts from which images and documents may be fetched although they are local, as `host` or `host:port` separated by commas. Without a port: 80 and 443.",
    rule: "a comma-separated list of hosts such as `files.internal` or `localhost:9000`, in lower case",
    fallback: null,
    secret: false,
    read: (text) => listOf(text, isHost),
  },
} satisfies Record<string, Variable<unknown>>);

export type VariableName = keyof typeof VARIABLES;

/** The variables as the platform hands them over. */
export type Variables = { readonly [Name in VariableName]?: string };

/** A variable that is wrong, and what it must be. Never its value. */
export interface ConfigProblem {
  variable: VariableName;
  rule: string;
}

export type ConfigResult = { ok: true; config: Config } | { ok: false; problems: ConfigProblem[] };

const known = new WeakMap<Variables, ConfigResult>();

/** Reads and checks all variables. The answer for one `env` object is computed once. */
export function readConfig(env: Variables): ConfigResult {
  const before = known.get(env);
  if (before) return before;
  const result = read(env);
  known.set(env, result);
  return result;
}

type Value<Name extends VariableName> =
  | NonNullable<ReturnType<(typeof VARIABLES)[Name]["read"]>>
  | (typeof VARIABLES)[Name]["fallback"];

function read(env: Variables): ConfigResult {
  const problems: ConfigProblem[] = [];
  const refuse = (variable: VariableName, rule: string): void => {
    problems.push({ variable, rule: `must be ${rule}` });
  };

  /** The value of a variable, or its default. An empty value counts as not set. */
  function value<Name extends VariableName>(name: Name): Value<Name> {
    const { rule, fallback, read }: Variable<unknown> = VARIABLES[name];
    const text = env[name]?.trim();
    const given = text ? read(text) : fallback;
    if (text && given === null) refuse(name, rule);
    // The table gives each name its type; indexing by a type parameter loses the connection.
    return (given ?? fallback) as Value<Name>;
  }

  const clientKeys = [...(value("API_KEYS") ?? [])];
  const ccKey = value("CC_API_KEY");
  if (ccKey !== null) {
    if (clientKeys.some((one) => one.key === ccKey && one.account !== DEFAULT_ACCOUNT)) {
      refuse("CC_API_KEY", "another key than those that API_KEYS gives to other accounts");
    }
    clientKeys.push({ account: DEFAULT_ACCOUNT, key: ccKey });
  }
  const config: Config = {
    upstream: upstream(
      value("ANTHROPIC_API_KEY"),
      value("ANTHROPIC_BASE_URL"),
      value("STANDIN"),
      value("STANDIN_PACE_MS"),
    ),
    clientKeys,
    allowAnonymous: value("ALLOW_ANONYMOUS"),
    corsOrigins: value("CORS_ORIGINS") ?? [],
    model: value("CC_API_MODEL"),
    models: value("CC_API_MODELS"),
    maxTurns: value("CC_API_MAX_TURNS"),
    toolMaxTurns: value("CC_API_TOOL_MAX_TURNS"),
    permissionMode: value("CC_API_PERMISSION_MODE"),
    builtinTools: value("BUILTIN_TOOLS"),
    serverTools: value("SERVER_TOOLS"),
    compactAtPercent: value("COMPACT_AT_PERCENT"),
    compactIdleMinutes: value("COMPACT_IDLE_MINUTES"),
    maxBodyBytes: value("MAX_BODY_MB") * MB,
    answerTimeoutMs: value("CLAUDE_TIMEOUT_SECONDS") * 1000,
    fetchAllowHosts: value("FETCH_ALLOW_HOSTS") ?? [],
    prices: value("MODEL_PRICES") ?? {},
    turnBudget: value("CLAUDE_MAX_COST_PER_REQUEST"),
    budgets: {
      day: value("BUDGET_DAY_USD"),
      month: value("BUDGET_MONTH_USD"),
      total: value("CLAUDE_MAX_COST_PER_USER"),
    },
  };
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config };
}

function upstream(
  apiKey: string | null,
  baseUrl: string | null,
  standin: boolean,
  paceMs: number,
): Upstream {
  if (apiKey !== null) return { kind: "anthropic", apiKey, baseUrl };
  return standin ? { kind: "standin", paceMs } : { kind: "none" };
}
