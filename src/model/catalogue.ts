/**
 * What each model takes and refuses. The rules shape requests (request.ts), contexts and limits;
 * nothing else in the project tests for a model's name.
 */
import { EFFORTS, type Effort, type ModelFacts } from "../shared/settings.ts";
import { undated } from "./prices.ts";

/** Used where neither the session nor the configuration names a model. */
export const DEFAULT_MODEL = "claude-sonnet-5-5";

type Thinking =
  /** Adaptive, and cannot be turned off. */
  | { kind: "always" }
  /**
   * Adaptive, `on` or off unless asked for. `off` is the `thinking.type` that stops it; `budget`
   * says that a token budget is taken as well.
   */
  | { kind: "adaptive"; on: boolean; off: "disabled" | "between_tools"; budget: boolean }
  /** Only with a token budget, off unless asked for. */
  | { kind: "budget" }
  /** The model does not think. */
  | { kind: "none" }
  /** Nothing is known, so the parameter is sent only where it was asked for, and as it was. */
  | { kind: "unknown" };

export interface Retirement {
  /** First day on which the API refuses the model, `YYYY-MM-DD` in UTC. */
  date: string;
  successor: string;
}

export interface ModelRules {
  id: string;
  name: string;
  /** False when the catalogue does not have the model: every rule is then the careful one. */
  known: boolean;
  /** Short names that mean this model. */
  aliases: readonly string[];
  /** Tokens of prompt and answer together. */
  context_window: number;
  /** Greatest `max_tokens`. */
  max_output: number;
  thinking: Thinking;
  /** Greatest effort at which thinking may be disabled; null where every one will do. */
  disabled_up_to: Effort | null;
  /** Levels of `output_config.effort`; empty where the model has none. */
  effort: readonly Effort[];
  /** `speed: "fast"`: the model does not have it, or only with a beta header, or has it. */
  fast: "no" | "beta" | "yes";
  /** Takes `output_config.format`. */
  structured_outputs: boolean;
  /** `tool_choice` may be `any` or `tool`. */
  forced_tool_choice: boolean;
  /** Takes `role: "system"` messages behind the newest user message. */
  system_messages: boolean;
  /** Takes `tool_addition` and `tool_removal` blocks in such a message. */
  tool_changes: boolean;
  /** The API runs its own tools for it: web search and code execution. */
  server_tools: boolean;
  /** The API compacts its conversations on demand. */
  compaction: boolean;
  /** Thinking is bound to the prefix before it: after any rewrite all of it must be left out. */
  preserved_thinking: boolean;
  /** The last message may be a partial one of the assistant. */
  prefill: boolean;
  /** Shortest prefix that is cached, in tokens; null where Anthropic's figure is not known. */
  cache_minimum: number | null;
  retirement: Retirement | null;
}

const UP_TO_MAX_WITHOUT_XHIGH: readonly Effort[] = ["low", "medium", "high", "max"];

type Entry = Partial<Omit<ModelRules, "id" | "known">> & { name: string };

/** What most current models share; an entry below says only where its model differs. */
const CURRENT = {
  aliases: [],
  context_window: 1_000_000,
  max_output: 128_000,
  thinking: { kind: "always" },
  disabled_up_to: null,
  effort: EFFORTS,
  fast: "no",
  structured_outputs: true,
  forced_tool_choice: true,
  system_messages: true,
  tool_changes: true,
  server_tools: true,
  compaction: true,
  preserved_thinking: false,
  prefill: false,
  cache_minimum: null,
  retirement: null,
} satisfies Omit<ModelRules, "id" | "name" | "known">;

const NO_MID_CONVERSATION = { system_messages: false, tool_changes: false };

/** Models whose thinking is bound to its prefix, and which refuse a forced tool choice. */
const BOUND = { forced_tool_choice: false, preserved_thinking: true };

/** Rules of the 4.5 generation, before adaptive thinking. */
const EXTENDED = {
  ...NO_MID_CONVERSATION,
  context_window: 200_000,
  max_output: 64_000,
  thinking: { kind: "budget" },
  effort: [],
  prefill: true,
  compaction: false,
} satisfies Partial<ModelRules>;

const ADAPTIVE_ON = { kind: "adaptive", on: true, off: "disabled", budget: false } as const;
const ADAPTIVE_OFF = { kind: "adaptive", on: false, off: "disabled", budget: false } as const;
const ADAPTIVE_OR_BUDGET = { ...ADAPTIVE_OFF, budget: true } as const;

const ENTRIES: Record<string, Entry> = {
  "claude-fable-5-2": {
    name: "Claude Fable 5.2",
    aliases: ["fable"],
    ...BOUND,
    ...NO_MID_CONVERSATION,
  },
  "claude-mythos-5-2": { name: "Claude Mythos 5.2", ...BOUND, ...NO_MID_CONVERSATION },
  "claude-fable-5-1": { name: "Claude Fable 5.1", ...BOUND, cache_minimum: 512 },
  "claude-mythos-5-1": { name: "Claude Mythos 5.1", ...BOUND },
  "claude-fable-5": { name: "Claude Fable 5", cache_minimum: 512 },
  "claude-mythos-5": { name: "Claude Mythos 5", preserved_thinking: true, cache_minimum: 512 },
  "claude-opus-5-5": {
    name: "Claude Opus 5.5",
    aliases: ["opus"],
    ...BOUND,
    fast: "yes",
    cache_minimum: 512,
  },
  "claude-opus-5": {
    name: "Claude Opus 5",
    thinking: ADAPTIVE_ON,
    disabled_up_to: "high",
    fast: "beta",
    cache_minimum: 512,
  },
  "claude-opus-4-8": {
    name: "Claude Opus 4.8",
    thinking: ADAPTIVE_OFF,
    fast: "beta",
    cache_minimum: 1_024,
  },
  "claude-opus-4-7": {
    name: "Claude Opus 4.7",
    thinking: ADAPTIVE_OFF,
    ...NO_MID_CONVERSATION,
    cache_minimum: 2_048,
  },
  "claude-opus-4-6": {
    name: "Claude Opus 4.6",
    thinking: ADAPTIVE_OR_BUDGET,
    effort: UP_TO_MAX_WITHOUT_XHIGH,
    ...NO_MID_CONVERSATION,
    cache_minimum: 4_096,
  },
  "claude-opus-4-5": {
    name: "Claude Opus 4.5",
    ...EXTENDED,
    effort: ["low", "medium", "high"],
    cache_minimum: 4_096,
  },
  "claude-sonnet-5-5": {
    name: "Claude Sonnet 5.5",
    aliases: ["sonnet"],
    thinking: { kind: "adaptive", on: true, off: "between_tools", budget: false },
    ...BOUND,
  },
  "claude-sonnet-5": {
    name: "Claude Sonnet 5",
    thinking: ADAPTIVE_ON,
    tool_changes: false,
    cache_minimum: 1_024,
  },
  "claude-sonnet-4-6": {
    name: "Claude Sonnet 4.6",
    max_output: 64_000,
    thinking: ADAPTIVE_OR_BUDGET,
    effort: UP_TO_MAX_WITHOUT_XHIGH,
    ...NO_MID_CONVERSATION,
    cache_minimum: 1_024,
  },
  "claude-sonnet-4-5": {
    name: "Claude Sonnet 4.5",
    ...EXTENDED,
    cache_minimum: 1_024,
    retirement: { date: "2026-11-30", successor: "claude-sonnet-5-5" },
  },
  "claude-haiku-5-5": {
    name: "Claude Haiku 5.5",
    aliases: ["haiku"],
    thinking: ADAPTIVE_ON,
    preserved_thinking: true,
    cache_minimum: 512,
  },
  "claude-haiku-4-5": { name: "Claude Haiku 4.5", ...EXTENDED, cache_minimum: 4_096 },
};

/** Models that are gone, kept only so that the refusal can name what to use instead. */
const GONE: Record<string, Retirement> = {
  "claude-opus-4-1": { date: "2026-08-05", successor: "claude-opus-5-5" },
  "claude-opus-4": { date: "2026-06-15", successor: "claude-opus-5-5" },
  "claude-opus-4-0": { date: "2026-06-15", successor: "claude-opus-5-5" },
  "claude-sonnet-4": { date: "2026-06-15", successor: "claude-sonnet-5-5" },
  "claude-sonnet-4-0": { date: "2026-06-15", successor: "claude-sonnet-5-5" },
};

/** Safe on every model: a refused parameter would end a turn, a missing feature does not. */
const UNKNOWN = {
  ...CURRENT,
  ...NO_MID_CONVERSATION,
  ...BOUND,
  context_window: 200_000,
  max_output: 32_000,
  server_tools: false,
  compaction: false,
  thinking: { kind: "unknown" },
  effort: [],
} satisfies Omit<ModelRules, "id" | "name" | "known">;

/** Every model that the catalogue has, newest line first. */
export const MODELS: readonly ModelRules[] = Object.entries(ENTRIES).map(([id, entry]) => ({
  ...CURRENT,
  ...entry,
  id,
  known: true,
}));

const BY_ID = new Map(MODELS.map((rules) => [rules.id, rules]));
const BY_ALIAS = new Map(MODELS.flatMap(({ id, aliases }) => aliases.map((a) => [a, id] as const)));

/**
 * The API's id for a name that a client or the configuration gave: takes the `anthropic/` prefix,
 * dotted versions and the short names `sonnet`, `opus`, `haiku` and `fable`. The date of a
 * snapshot stays. A name of no Claude model is left as it is: a gateway may serve it.
 *
 * @example resolveModel("anthropic/claude-opus-4.6") // "claude-opus-4-6"
 */
export function resolveModel(name: string): string {
  const bare = name.trim().replace(/^anthropic\//i, "");
  const lower = bare.toLowerCase();
  const alias = BY_ALIAS.get(lower);
  if (alias !== undefined) return alias;
  return lower.startsWith("claude-") ? lower.replaceAll(".", "-") : bare;
}

/**
 * The rules of a resolved id. Those of an id that is not in the table are careful ones with
 * `known: false`, and say what `facts`, the API's own word on the model, does.
 */
export function rulesOf(id: string, facts: ModelFacts | null = null): ModelRules {
  const rules = BY_ID.get(undated(id));
  if (rules) return { ...rules, id };
  const careful = { ...UNKNOWN, id, name: id, known: false };
  return facts ? { ...careful, ...rulesFrom(facts) } : careful;
}

/** What the API tells of a model. The other rules it does not tell, so they stay careful. */
function rulesFrom(facts: ModelFacts): Partial<ModelRules> {
  return {
    name: facts.name,
    context_window: facts.max_input_tokens ?? UNKNOWN.context_window,
    max_output: facts.max_tokens ?? UNKNOWN.max_output,
    thinking: facts.thinking ? thinkingFrom(facts.thinking) : UNKNOWN.thinking,
    disabled_up_to: "high",
    effort: facts.effort,
    server_tools: facts.server_tools,
    structured_outputs: facts.structured_outputs,
  };
}

function thinkingFrom(types: NonNullable<ModelFacts["thinking"]>): Thinking {
  const takes = (type: (typeof types)[number]) => types.includes(type);
  if (!takes("adaptive")) return takes("enabled") ? { kind: "budget" } : { kind: "none" };
  const off = (["disabled", "between_tools"] as const).find(takes);
  // Every model since token budgets were given up thinks unless it is told otherwise.
  if (off) return { kind: "adaptive", on: !takes("enabled"), off, budget: takes("enabled") };
  return { kind: "always" };
}

/**
 * The retirement of a model that the API no longer serves at `at` (milliseconds since the epoch);
 * null while it is served, and for models without a known date.
 */
export function retiredAt(id: string, at: number): Retirement | null {
  const base = undated(id);
  const retirement = BY_ID.get(base)?.retirement ?? GONE[base] ?? null;
  return retirement !== null && at >= Date.parse(retirement.date) ? retirement : null;
}
