import { expect, test } from "vitest";
import {
  type Config,
  readConfig,
  VARIABLES,
  type VariableName,
  type Variables,
} from "../../src/shared/config.ts";
import { WRONG_VALUES } from "../support/wrong-values.ts";

function configOf(env: Variables): Config {
  const result = readConfig(env);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config;
}

const wrong = (env: Variables): string[] => {
  const result = readConfig(env);
  return result.ok ? [] : result.problems.map((one) => one.variable);
};

test("without variables all defaults hold", () => {
  expect(configOf({})).toEqual({
    upstream: { kind: "none" },
    baseUrl: null,
    webhookKeys: null,
    encryption: null,
    clientKeys: [],
    allowAnonymous: false,
    corsOrigins: [],
    docs: true,
    model: "claude-sonnet-5-5",
    models: null,
    systemPrompt: null,
    effort: null,
    retry: { attempts: 8, firstMs: 500, factor: 2, longestMs: 30_000 },
    maxTurns: 8,
    codeMaxTurns: 25,
    toolMaxTurns: 4,
    permissionMode: "bypassPermissions",
    allowedTools: [],
    disallowedTools: [],
    builtinTools: true,
    serverTools: ["web_search", "code_execution"],
    maxBodyBytes: 16 * 1024 * 1024,
    answerTimeoutMs: 300_000,
    logLevel: "INFO",
    moderation: { mode: "api-v1", patterns: [] },
    fetchAllowHosts: [],
    compactAtPercent: 80,
    maxSessions: null,
    sessionTimeoutMs: null,
    auditMs: 90 * 24 * 3_600_000,
    compactIdleMinutes: 0,
    prices: {},
    turnBudget: null,
    budgets: { day: null, month: null, total: null },
    rateLimit: null,
  });
});

test("an empty or blank variable counts as not set", () => {
  const blank = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, " \n"]));
  expect(configOf(blank)).toEqual(configOf({}));
});

test("values are trimmed, as a secret piped into wrangler ends with a line feed", () => {
  expect(configOf({ CC_API_KEY: "abc\n" }).clientKeys).toEqual([
    { account: "default", key: "abc" },
  ]);
});

test("every default follows its own variable's rule", () => {
  for (const variable of Object.values(VARIABLES)) {
    const { fallback, read } = variable;
    if (fallback !== null) expect(read(String(fallback))).toEqual(fallback);
  }
});

test("the stand-in is used only when it is switched on and there is no key", () => {
  expect(configOf({ STANDIN: "true", STANDIN_PACE_MS: "20" }).upstream).toEqual({
    kind: "standin",
    paceMs: 20,
  });
  expect(configOf({ STANDIN: "true", ANTHROPIC_API_KEY: "sk-x" }).upstream).toEqual({
    kind: "anthropic",
    apiKey: "sk-x",
    baseUrl: null,
  });
  expect(configOf({ ALLOW_ANONYMOUS: "true" }).upstream).toEqual({ kind: "none" });
});

test("the base URL goes with the key, without a slash at its end", () => {
  const env = { ANTHROPIC_API_KEY: "sk-x", ANTHROPIC_BASE_URL: "https://gate.example/v9/" };
  expect(configOf(env).upstream).toEqual({
    kind: "anthropic",
    apiKey: "sk-x",
    baseUrl: "https://gate.example/v9",
  });
});

test("keys are split at the first colon; bare keys and CC_API_KEY open the default account", () => {
  const env = { API_KEYS: "alice:k1, bob:k:2,alice:k3,bare,", CC_API_KEY: "cc,key:x" };
  expect(wrong(env)).toEqual(["CC_API_KEY"]);
  expect(configOf({ ...env, CC_API_KEY: "cc:key" }).clientKeys).toEqual([
    { account: "alice", key: "k1" },
    { account: "bob", key: "k:2" },
    { account: "alice", key: "k3" },
    { account: "default", key: "bare" },
    { account: "default", key: "cc:key" },
  ]);
});

test.each([
  ["API_KEYS", "alice:"],
  ["API_KEYS", ":key"],
  ["API_KEYS", "alice:k 1"],
  ["API_KEYS", "al ice:k1"],
  ["API_KEYS", "alice:k1,bob:k1"],
  ["API_KEYS", ","],
  ["API_KEYS", "alice:schlüssel"],
  ["CC_API_KEY", "two words"],
  ["ANTHROPIC_API_KEY", "line\nfeed"],
  ["ANTHROPIC_BASE_URL", "gate.example"],
  ["ANTHROPIC_BASE_URL", "ftp://gate.example"],
  ["ANTHROPIC_BASE_URL", "https://user:pass@gate.example"],
  ["ANTHROPIC_BASE_URL", "https://gate.example/?key=1"],
  ["STANDIN", "yes"],
  ["STANDIN", "TRUE"],
  ["STANDIN_PACE_MS", "-1"],
  ["STANDIN_PACE_MS", "1.5"],
  ["ALLOW_ANONYMOUS", "1"],
  ["CORS_ORIGINS", "app.example"],
  ["CORS_ORIGINS", "https://app.example/"],
  ["CORS_ORIGINS", "https://app.example,nonsense"],
  ["CC_API_MODEL", "a model"],
  ["CC_API_MODELS", "good,not good"],
  ["CC_API_MAX_TURNS", "0"],
  ["CC_API_MAX_TURNS", "eight"],
  ["CC_API_TOOL_MAX_TURNS", "1001"],
  ["MAX_BODY_MB", "0"],
  ["MAX_BODY_MB", "17"],
  ["MAX_BODY_MB", "1e1"],
  ["CLAUDE_TIMEOUT_SECONDS", "3601"],
  ["CLAUDE_TIMEOUT_SECONDS", "99999999999999999999"],
  ["FETCH_ALLOW_HOSTS", "http://localhost"],
  ["FETCH_ALLOW_HOSTS", "localhost:port"],
  ["FETCH_ALLOW_HOSTS", "a/b"],
  ["CLAUDE_MAX_COST_PER_REQUEST", "-1"],
  ["CLAUDE_MAX_COST_PER_USER", "5 dollars"],
  ["BUDGET_DAY_USD", "1e3"],
  ["BUDGET_MONTH_USD", "0.0000001"],
  ["MODEL_PRICES", '{"my-model": {"input": 3}}'],
] satisfies [VariableName, string][])("%s refuses %j and names its rule", (variable, value) => {
  expect(readConfig({ [variable]: value })).toEqual({
    ok: false,
    problems: [{ variable, rule: `must be ${VARIABLES[variable].rule}` }],
  });
});

test.each(WRONG_VALUES)(
  "a wrong %s is named with its rule, and its value is not",
  (name, value) => {
    const result = readConfig({ [name]: value });
    const { problems } = result.ok ? { problems: [] } : result;
    expect(problems).toEqual([
      { variable: name, rule: expect.stringContaining(`must be ${VARIABLES[name].rule}`) },
    ]);
    expect(JSON.stringify(problems)).not.toContain(value.slice(0, 20));
  },
);

test("all wrong variables are named at once, in their order", () => {
  expect(new Set(wrong(Object.fromEntries(WRONG_VALUES)))).toEqual(
    new Set(WRONG_VALUES.map(([name]) => name)),
  );
});

test.each([
  ["CC_API_MODEL", "CLAUDE_MODEL", "claude-opus-5", "claude-haiku-5", "model"],
  ["CC_API_MAX_TURNS", "CLAUDE_MAX_TURNS", "5", "6", "maxTurns"],
  ["CC_API_PERMISSION_MODE", "CLAUDE_PERMISSION_MODE", "plan", "dontAsk", "permissionMode"],
] as const)("%s wins over %s", (name, other, value, others, field) => {
  expect(String(configOf({ [name]: value, [other]: others })[field])).toBe(value);
  expect(String(configOf({ [other]: others })[field])).toBe(others);
  expect(String(configOf({ [name]: " ", [other]: others })[field])).toBe(others);
  expect(wrong({ [name]: value, [other]: "\u0001" })).toEqual([other]);
});

test("a permission mode `auto` is `default`, and only under the name whose server has it", () => {
  expect(configOf({ CLAUDE_PERMISSION_MODE: "auto" }).permissionMode).toBe("default");
  expect(wrong({ CC_API_PERMISSION_MODE: "auto" })).toEqual(["CC_API_PERMISSION_MODE"]);
});

test("rules are separated by commas outside of their parentheses", () => {
  const { allowedTools } = configOf({
    CLAUDE_ALLOWED_TOOLS: "Read, Bash(git log, git diff),Edit(src/**)",
  });
  expect(allowedTools).toEqual(["Read", "Bash(git log, git diff)", "Edit(src/**)"]);
  expect(wrong({ CLAUDE_DISALLOWED_TOOLS: "Read,,Write" })).toEqual(["CLAUDE_DISALLOWED_TOOLS"]);
});

test("seconds of waiting become milliseconds", () => {
  const env = {
    CLAUDE_RETRY_MAX_ATTEMPTS: "2",
    CLAUDE_RETRY_BASE_DELAY: "1.5",
    CLAUDE_RETRY_BACKOFF_FACTOR: "2.0",
    CLAUDE_RETRY_MAX_DELAY: "10.0",
  };
  expect(configOf(env).retry).toEqual({
    attempts: 2,
    firstMs: 1_500,
    factor: 2,
    longestMs: 10_000,
  });
});

test.each([
  ['[{"name": "a", "pattern": "x("}]', /pattern `a` is not: .*missing (closing|argument)/],
  ['[{"name": "a", "pattern": "x*"}]', /pattern `a` is not: it matches an empty text/],
  ['[{"name": "a", "pattern": "x.{0,999}y.{0,999}z"}]', /pattern `a` is not: .*too large/],
  ['[{"name": "a", "pattern": "x"}, {"name": "a", "pattern": "y"}]', /different names[^;]*$/],
  ['[{"name": "a b", "pattern": "x"}]', /a JSON list[^;]*$/],
  ['[{"name": "a", "pattern": "x", "flags": "s"}]', /a JSON list[^;]*$/],
  ['{"name": "a", "pattern": "x"}', /a JSON list[^;]*$/],
  ["project", /a JSON list[^;]*$/],
  [JSON.stringify(Array.from({ length: 21 }, (_, i) => ({ name: `p${i}`, pattern: "x" }))), /21?/],
])("MODERATION_PATTERNS refuses %s, and says of which pattern and why", (value, rule) => {
  expect(readConfig({ MODERATION_PATTERNS: value })).toEqual({
    ok: false,
    problems: [{ variable: "MODERATION_PATTERNS", rule: expect.stringMatching(rule) }],
  });
});

test("CC_API_KEY may not be another account's key", () => {
  expect(wrong({ API_KEYS: "alice:same", CC_API_KEY: "same" })).toEqual(["CC_API_KEY"]);
  expect(wrong({ API_KEYS: "same", CC_API_KEY: "same" })).toEqual([]);
});

test("all wrong variables are named at once, and no value is", () => {
  const secret = "sk-ant topsecret";
  const env = { ANTHROPIC_API_KEY: secret, API_KEYS: `a:${secret}`, MAX_BODY_MB: "much" };
  expect(wrong(env)).toEqual(["API_KEYS", "ANTHROPIC_API_KEY", "MAX_BODY_MB"]);
  expect(JSON.stringify(readConfig(env))).not.toContain("topsecret");
});

test("a budget of zero is a limit, and prices are read", () => {
  const price = { input: 1, cache_write_5m: 2, cache_write_1h: 3, cache_read: 4, output: 5 };
  const config = configOf({
    CLAUDE_MAX_COST_PER_REQUEST: "0.25",
    CLAUDE_MAX_COST_PER_USER: "0",
    BUDGET_DAY_USD: "5",
    MODEL_PRICES: JSON.stringify({
      mine: price,
      other: [price, { ...price, since: "2027-01-01" }],
    }),
  });
  expect(config.turnBudget).toBe(0.25);
  expect(config.budgets).toEqual({ day: 5, month: null, total: 0 });
  expect(config.prices).toEqual({
    mine: [price],
    other: [price, { ...price, since: "2027-01-01" }],
  });
});

test("lists are read", () => {
  const config = configOf({
    CORS_ORIGINS: "https://a.example, http://localhost:5173",
    CC_API_MODELS: "claude-opus-5, anthropic/claude-sonnet-5.5",
    FETCH_ALLOW_HOSTS: "localhost:9000,files.internal,[::1]:80,127.0.0.1",
  });
  expect(config.corsOrigins).toEqual(["https://a.example", "http://localhost:5173"]);
  expect(config.models).toEqual(["claude-opus-5", "anthropic/claude-sonnet-5.5"]);
  expect(config.fetchAllowHosts).toEqual([
    "localhost:9000",
    "files.internal",
    "[::1]:80",
    "127.0.0.1",
  ]);
});

test("one env object is read once", () => {
  const env = { MAX_BODY_MB: "2" };
  expect(readConfig(env)).toBe(readConfig(env));
  expect(configOf(env).maxBodyBytes).toBe(2 * 1024 * 1024);
});
