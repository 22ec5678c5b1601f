/**
 * The stand-in's own reading of the model reference. It shares nothing with the product's catalogue:
 * where the two readings differ, a test fails. Where the reference leaves a value open, the stricter
 * one stands here.
 */
export type Effort = "low" | "medium" | "high" | "xhigh" | "max";
type ThinkingType = "adaptive" | "between_tools" | "disabled" | "enabled";
type Line = "haiku" | "sonnet" | "opus" | "fable" | "mythos";

export interface Model {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly name: string;
  readonly line: Line;
  /** Release date, RFC 3339 date. */
  readonly released: string;
  readonly deprecated: string | null;
  readonly retires: string | null;
  /** Context window in tokens. */
  readonly window: number;
  readonly maxOutput: number;
  /** Prompts with fewer tokens than this are never cached. */
  readonly minCacheable: number;
  readonly thinking: readonly ThinkingType[];
  /** What happens without a `thinking` parameter. */
  readonly thinksUnasked: boolean;
  /** Highest effort at which `disabled` is accepted. */
  readonly disabledUpTo: Effort | null;
  readonly display: "summarized" | "omitted";
  readonly efforts: readonly Effort[];
  readonly defaultEffort: Effort;
  /** Thinking blocks are bound to everything before them. */
  readonly preservedThinking: boolean;
  readonly systemMessages: boolean;
  readonly toolChanges: boolean;
  readonly forcedToolChoice: boolean;
  readonly prefill: boolean;
  readonly sampling: boolean;
  readonly compaction: boolean;
  readonly fast: "no" | "beta" | "yes";
}

const TO_MAX: readonly Effort[] = ["low", "medium", "high", "max"];
const ALL_EFFORTS: readonly Effort[] = ["low", "medium", "high", "xhigh", "max"];

/** What the models of 2026 have in common; each row names its differences. */
const CURRENT = {
  aliases: [],
  deprecated: null,
  retires: null,
  window: 1_000_000,
  maxOutput: 128_000,
  minCacheable: 512,
  thinking: ["adaptive"],
  thinksUnasked: true,
  disabledUpTo: null,
  display: "omitted",
  efforts: ALL_EFFORTS,
  defaultEffort: "high",
  preservedThinking: false,
  systemMessages: true,
  toolChanges: true,
  forcedToolChoice: true,
  prefill: false,
  sampling: false,
  compaction: true,
  fast: "no",
} as const satisfies Partial<Model>;

/** Fable, Mythos and Opus 5.5: bound thinking that is always on, no forced tool choice. */
const BOUND = { ...CURRENT, preservedThinking: true, forcedToolChoice: false } as const;

const CLAUDE_4 = {
  ...CURRENT,
  thinksUnasked: false,
  minCacheable: 1_024,
  systemMessages: false,
  toolChanges: false,
} as const;

/** Models with a thinking budget, before adaptive thinking. */
const BUDGETED = {
  ...CLAUDE_4,
  window: 200_000,
  maxOutput: 64_000,
  thinking: ["enabled", "disabled"],
  display: "summarized",
  efforts: [],
  prefill: true,
  sampling: true,
  compaction: false,
} as const;

const RETIRED = { ...BUDGETED, maxOutput: 8_192, deprecated: "2025-08-13" } as const;

export const MODELS: readonly Model[] = [
  {
    ...BOUND,
    id: "claude-fable-5-2",
    name: "Claude Fable 5.2",
    line: "fable",
    released: "2026-11-09",
    systemMessages: false,
    toolChanges: false,
  },
  {
    ...BOUND,
    id: "claude-mythos-5-2",
    name: "Claude Mythos 5.2",
    line: "mythos",
    released: "2026-11-09",
    systemMessages: false,
    toolChanges: false,
  },
  {
    ...CURRENT,
    id: "claude-haiku-5-5",
    name: "Claude Haiku 5.5",
    line: "haiku",
    released: "2026-10-21",
    thinking: ["adaptive", "disabled"],
    preservedThinking: true,
    defaultEffort: "medium",
  },
  {
    ...BOUND,
    id: "claude-sonnet-5-5",
    name: "Claude Sonnet 5.5",
    line: "sonnet",
    released: "2026-10-01",
    thinking: ["adaptive", "between_tools"],
    minCacheable: 1_024,
  },
  {
    ...BOUND,
    id: "claude-opus-5-5",
    name: "Claude Opus 5.5",
    line: "opus",
    released: "2026-09-15",
    defaultEffort: "medium",
    fast: "yes",
  },
  {
    ...BOUND,
    id: "claude-fable-5-1",
    name: "Claude Fable 5.1",
    line: "fable",
    released: "2026-09-01",
  },
  {
    ...BOUND,
    id: "claude-mythos-5-1",
    name: "Claude Mythos 5.1",
    line: "mythos",
    released: "2026-09-01",
  },
  {
    ...CURRENT,
    id: "claude-sonnet-5",
    name: "Claude Sonnet 5",
    line: "sonnet",
    released: "2026-07-01",
    thinking: ["adaptive", "disabled"],
    minCacheable: 1_024,
    toolChanges: false,
  },
  {
    ...CURRENT,
    id: "claude-opus-5",
    name: "Claude Opus 5",
    line: "opus",
    released: "2026-06-15",
    thinking: ["adaptive", "disabled"],
    disabledUpTo: "high",
    fast: "beta",
  },
  {
    ...CURRENT,
    id: "claude-fable-5",
    name: "Claude Fable 5",
    line: "fable",
    released: "2026-06-01",
  },
  {
    ...BOUND,
    id: "claude-mythos-5",
    name: "Claude Mythos 5",
    line: "mythos",
    released: "2026-06-01",
    forcedToolChoice: true,
  },
  {
    ...CLAUDE_4,
    id: "claude-opus-4-8",
    name: "Claude Opus 4.8",
    line: "opus",
    released: "2026-05-01",
    thinking: ["adaptive", "disabled"],
    systemMessages: true,
    toolChanges: true,
    fast: "beta",
  },
  {
    ...CLAUDE_4,
    id: "claude-opus-4-7",
    name: "Claude Opus 4.7",
    line: "opus",
    released: "2026-04-01",
    thinking: ["adaptive", "disabled"],
    minCacheable: 2_048,
  },
  {
    ...CLAUDE_4,
    id: "claude-sonnet-4-6",
    name: "Claude Sonnet 4.6",
    line: "sonnet",
    released: "2026-02-17",
    maxOutput: 64_000,
    thinking: ["adaptive", "enabled", "disabled"],
    display: "summarized",
    efforts: TO_MAX,
    sampling: true,
  },
  {
    ...CLAUDE_4,
    id: "claude-opus-4-6",
    name: "Claude Opus 4.6",
    line: "opus",
    released: "2026-02-05",
    thinking: ["adaptive", "enabled", "disabled"],
    display: "summarized",
    efforts: TO_MAX,
    sampling: true,
    minCacheable: 4_096,
  },
  {
    ...BUDGETED,
    id: "claude-opus-4-5-20251101",
    aliases: ["claude-opus-4-5"],
    name: "Claude Opus 4.5",
    line: "opus",
    released: "2025-11-01",
    efforts: ["low", "medium", "high"],
    minCacheable: 4_096,
  },
  {
    ...BUDGETED,
    id: "claude-haiku-4-5-20251001",
    aliases: ["claude-haiku-4-5"],
    name: "Claude Haiku 4.5",
    line: "haiku",
    released: "2025-10-01",
    minCacheable: 4_096,
  },
  {
    ...BUDGETED,
    id: "claude-sonnet-4-5-20250929",
    aliases: ["claude-sonnet-4-5"],
    name: "Claude Sonnet 4.5",
    line: "sonnet",
    released: "2025-09-29",
    deprecated: "2026-08-31",
    retires: "2026-11-30",
  },
  {
    ...RETIRED,
    id: "claude-3-7-sonnet-20250219",
    aliases: ["claude-3-7-sonnet-latest"],
    name: "Claude Sonnet 3.7",
    line: "sonnet",
    released: "2025-02-24",
    retires: "2026-02-19",
  },
  {
    ...RETIRED,
    id: "claude-3-opus-20240229",
    aliases: ["claude-3-opus-latest"],
    name: "Claude Opus 3",
    line: "opus",
    released: "2024-02-29",
    retires: "2026-01-05",
  },
];

const BY_NAME = new Map(MODELS.flatMap((row) => [row.id, ...row.aliases].map((id) => [id, row])));

/** The row of a model id or alias. */
export function findModel(id: string): Model | undefined {
  return BY_NAME.get(id);
}

/** @param now milliseconds since the epoch */
export function lifecycle(model: Model, now: number): "active" | "deprecated" | "retired" {
  if (model.retires !== null && now >= Date.parse(model.retires)) return "retired";
  if (model.deprecated !== null && now >= Date.parse(model.deprecated)) return "deprecated";
  return "active";
}

export function effortRank(effort: Effort): number {
  return ALL_EFFORTS.indexOf(effort);
}
