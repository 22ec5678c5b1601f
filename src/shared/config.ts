/**
 * The configuration: Worker variables and secrets, read and checked in one place. `VARIABLES` is
 * the whole list, made of one table for each theme, in the order in which the README shows it.
 */
import { ACCESS_VARIABLES } from "./config-access.ts";
import { MODEL_VARIABLES } from "./config-model.ts";
import {
  MODERATION_VARIABLES,
  type ModerationMode,
  type ModerationPattern,
} from "./config-moderation.ts";
import { MONEY_VARIABLES } from "./config-money.ts";
import { type ClientKey, DEFAULT_ACCOUNT } from "./config-readers.ts";
import { SECRET_VARIABLES } from "./config-secrets.ts";
import { SESSION_VARIABLES } from "./config-sessions.ts";
import type { Variable } from "./config-table.ts";
import { TURN_VARIABLES } from "./config-turns.ts";
import type { RateLimit } from "./keys.ts";
import type { LogLevel } from "./log-line.ts";
import type { PriceTable } from "./price.ts";
import type { Keyring } from "./sealed.ts";
import type { Effort } from "./settings.ts";
import type { PermissionMode, ServerToolName } from "./tools.ts";

/** Where model calls go. `none`: no key is set and the stand-in is not switched on. */
type Upstream =
  | { kind: "anthropic"; apiKey: string; baseUrl: string | null }
  | { kind: "standin"; paceMs: number }
  | { kind: "none" };

export interface Config {
  upstream: Upstream;
  /** Takes the place of the Anthropic API's own address, for every key; null: that. */
  baseUrl: string | null;
  /** Under which secrets of users are kept; null: none are taken. */
  encryption: Keyring | null;
  /** From which the secrets of webhooks are derived; null: they go unsigned. */
  webhookKeys: Keyring | null;
  /** All keys that open an account. Empty: only anonymous use is possible. */
  clientKeys: readonly ClientKey[];
  allowAnonymous: boolean;
  /** Origins whose pages may call this server; `*` stands for all. Empty: CORS is off. */
  corsOrigins: readonly string[];
  /** The description of the API is served. */
  docs: boolean;
  /** The model of a session that names none. */
  model: string;
  /** The ids that the model list shows; null leaves the list to the catalogue. */
  models: readonly string[] | null;
  /** The system prompt of a session that brings none. */
  systemPrompt: string | null;
  /** The effort of a session that says nothing of it; null: the model's own. */
  effort: Effort | null;
  retry: RetryPolicy;
  /** Model calls of a turn with built-in tools. */
  maxTurns: number;
  /** The same under claude-code-api's own surface. */
  codeMaxTurns: number;
  /** Model calls of a turn with the client's tools. */
  toolMaxTurns: number;
  /** What built-in tools may do in a session that says nothing of it. */
  permissionMode: PermissionMode;
  /** Rules of such a session. */
  allowedTools: string[];
  disallowedTools: string[];
  /** Sessions without tools of their own have the built-in ones. */
  builtinTools: boolean;
  serverTools: ServerToolName[];
  /** How full a model's window may be before a conversation is compacted; 0: never by itself. */
  compactAtPercent: number;
  /** Sessions that an account may have; null: any number. */
  maxSessions: number | null;
  /** How long a session stays in which nothing happens, in milliseconds; null: for ever. */
  sessionTimeoutMs: number | null;
  /** For how long the audit is kept; 0: not at all. */
  auditMs: number;
  /** How long a session is idle before its conversation is compacted, in minutes; 0: never. */
  compactIdleMinutes: number;
  maxBodyBytes: number;
  /** How long a JSON answer waits for its turn, in milliseconds. */
  answerTimeoutMs: number;
  logLevel: LogLevel;
  moderation: { mode: ModerationMode; patterns: readonly ModerationPattern[] };
  /** `host` or `host:port` that the address guard lets through. */
  fetchAllowHosts: readonly string[];
  /** Prices that stand in for those of the table. */
  prices: PriceTable;
  /** What a turn that says nothing of it may cost, in US dollars; null: no limit. */
  turnBudget: number | null;
  budgets: AccountBudgets;
  /** Of keys without a limit of their own; null: none. */
  rateLimit: RateLimit | null;
}

/** What an account may cost, in US dollars. Zero is a limit; null is none. */
export interface AccountBudgets {
  day: number | null;
  month: number | null;
  total: number | null;
}

/** When a model call that failed is made again. */
export interface RetryPolicy {
  /** The first one included. */
  attempts: number;
  /** Before the second attempt at most, in milliseconds; from one to the next times `factor`. */
  firstMs: number;
  factor: number;
  longestMs: number;
}

const MB = 1024 * 1024;
/** What claude-code-api's clients count on. */
const CODE_MAX_TURNS = 25;
const HOUR_MS = 60 * 60 * 1000;

export const VARIABLES = {
  ...MODEL_VARIABLES,
  ...ACCESS_VARIABLES,
  ...MODERATION_VARIABLES,
  ...SECRET_VARIABLES,
  ...TURN_VARIABLES,
  ...SESSION_VARIABLES,
  ...MONEY_VARIABLES,
};

export type VariableName = keyof typeof VARIABLES;

/** The variables as the platform hands them over. */
export type Variables = { readonly [Name in VariableName]?: string };

/** A variable that is wrong, and what it must be. Never a secret's value. */
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
    const { rule, fallback, read, fault }: Variable<unknown> = VARIABLES[name];
    const text = env[name]?.trim();
    const given = text ? read(text) : fallback;
    if (text && given === null) refuse(name, fault?.(text) ?? rule);
    // The table gives each name its type; indexing by a type parameter loses the connection.
    return (given ?? fallback) as Value<Name>;
  }

  /** The value of the first that is set, which one meaning under two names needs. */
  function either<Name extends VariableName, Other extends VariableName>(
    name: Name,
    other: Other,
  ): Value<Name> | NonNullable<Value<Other>> {
    const [own, others] = [value(name), value(other)];
    return env[name]?.trim() ? own : (others ?? own);
  }

  const clientKeys = [...(value("API_KEYS") ?? [])];
  const ccKey = value("CC_API_KEY");
  if (ccKey !== null) {
    if (clientKeys.some((one) => one.key === ccKey && one.account !== DEFAULT_ACCOUNT)) {
      refuse("CC_API_KEY", "another key than those that API_KEYS gives to other accounts");
    }
    clientKeys.push({ account: DEFAULT_ACCOUNT, key: ccKey });
  }
  const baseUrl = value("ANTHROPIC_BASE_URL");
  const maxTurns = either("CC_API_MAX_TURNS", "CLAUDE_MAX_TURNS");
  const saysMaxTurns = env.CC_API_MAX_TURNS?.trim() || env.CLAUDE_MAX_TURNS?.trim();
  const encryptionKey = value("ENCRYPTION_KEY");
  const oldKeys = value("ENCRYPTION_KEYS_OLD") ?? [];
  if (encryptionKey === null && oldKeys.length > 0) {
    refuse("ENCRYPTION_KEY", "set where ENCRYPTION_KEYS_OLD is");
  }
  const encryption = encryptionKey && { current: encryptionKey, old: oldKeys };
  const webhookKey = value("WEBHOOK_KEY");
  const config: Config = {
    baseUrl,
    encryption,
    webhookKeys: webhookKey ? { current: webhookKey, old: [] } : encryption,
    upstream: upstream(
      value("ANTHROPIC_API_KEY"),
      baseUrl,
      value("STANDIN"),
      value("STANDIN_PACE_MS"),
    ),
    clientKeys,
    allowAnonymous: value("ALLOW_ANONYMOUS"),
    corsOrigins: value("CORS_ORIGINS") ?? [],
    docs: value("ENABLE_DOCS"),
    model: either("CC_API_MODEL", "CLAUDE_MODEL"),
    models: value("CC_API_MODELS"),
    systemPrompt: value("CLAUDE_SYSTEM_PROMPT"),
    effort: value("CLAUDE_EFFORT"),
    retry: {
      attempts: value("CLAUDE_RETRY_MAX_ATTEMPTS"),
      firstMs: value("CLAUDE_RETRY_BASE_DELAY") * 1000,
      factor: value("CLAUDE_RETRY_BACKOFF_FACTOR"),
      longestMs: value("CLAUDE_RETRY_MAX_DELAY") * 1000,
    },
    maxTurns,
    codeMaxTurns: saysMaxTurns ? maxTurns : CODE_MAX_TURNS,
    toolMaxTurns: value("CC_API_TOOL_MAX_TURNS"),
    permissionMode: either("CC_API_PERMISSION_MODE", "CLAUDE_PERMISSION_MODE"),
    allowedTools: value("CLAUDE_ALLOWED_TOOLS") ?? [],
    disallowedTools: value("CLAUDE_DISALLOWED_TOOLS") ?? [],
    builtinTools: value("BUILTIN_TOOLS"),
    serverTools: value("SERVER_TOOLS"),
    compactAtPercent: value("COMPACT_AT_PERCENT"),
    maxSessions: value("MAX_SESSIONS_PER_USER"),
    sessionTimeoutMs: value("SESSION_TIMEOUT_HOURS") * HOUR_MS || null,
    auditMs: value("AUDIT_DAYS") * 24 * HOUR_MS,
    compactIdleMinutes: value("COMPACT_IDLE_MINUTES"),
    maxBodyBytes: value("MAX_BODY_MB") * MB,
    answerTimeoutMs: value("CLAUDE_TIMEOUT_SECONDS") * 1000,
    logLevel: value("LOG_LEVEL"),
    moderation: { mode: value("MODERATION"), patterns: value("MODERATION_PATTERNS") ?? [] },
    fetchAllowHosts: value("FETCH_ALLOW_HOSTS") ?? [],
    prices: value("MODEL_PRICES") ?? {},
    turnBudget: value("CLAUDE_MAX_COST_PER_REQUEST"),
    budgets: {
      day: value("BUDGET_DAY_USD"),
      month: value("BUDGET_MONTH_USD"),
      total: value("CLAUDE_MAX_COST_PER_USER"),
    },
    rateLimit: rateLimit(value("RATE_LIMIT_REQUESTS"), value("RATE_LIMIT_WINDOW")),
  };
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config };
}

const rateLimit = (requests: number | null, window_seconds: number): RateLimit | null =>
  requests === null ? null : { requests, window_seconds };

function upstream(
  apiKey: string | null,
  baseUrl: string | null,
  standin: boolean,
  paceMs: number,
): Upstream {
  if (apiKey !== null) return { kind: "anthropic", apiKey, baseUrl };
  return standin ? { kind: "standin", paceMs } : { kind: "none" };
}
