/** What model calls used and cost. */

/** Token counts of one call, as the API reported them, or estimated. */
export interface Usage {
  input_tokens: number;
  output_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  /** The part of `cache_creation_input_tokens` written for one hour. */
  cache_creation_1h_input_tokens?: number;
  /** The part of `output_tokens` that was thinking. */
  thinking_tokens?: number;
  web_search_requests?: number;
  /** Where the call was computed, when that changes its price. */
  inference_geo?: string;
  /** How it was served, when that was not as usual: both change the price. */
  speed?: string;
  service_tier?: string;
}

/** The tokens of the whole prompt: fresh, written to the cache and read from it. */
export const promptTokens = (usage: Usage): number =>
  usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;

export const NO_USAGE: Usage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};

const OPTIONAL_COUNTS = [
  "cache_creation_1h_input_tokens",
  "thinking_tokens",
  "web_search_requests",
] as const;

/** The sum of two usages. */
export function addUsage(a: Usage, b: Usage): Usage {
  const sum: Usage = {
    input_tokens: a.input_tokens + b.input_tokens,
    output_tokens: a.output_tokens + b.output_tokens,
    cache_creation_input_tokens: a.cache_creation_input_tokens + b.cache_creation_input_tokens,
    cache_read_input_tokens: a.cache_read_input_tokens + b.cache_read_input_tokens,
  };
  for (const field of OPTIONAL_COUNTS) {
    const total = (a[field] ?? 0) + (b[field] ?? 0);
    if (total > 0) sum[field] = total;
  }
  return sum;
}

/** The sum of two costs in US dollars; null where one of them is not known. */
export const addCost = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? null : a + b;

/** Figures of one submission, from its first row to its outcome. */
export interface Totals {
  calls: number;
  /** The whole prompt of the last model call: fresh, cached and written tokens. */
  prompt_tokens: number;
  completion_tokens: number;
  billed: Usage;
  /** US dollars; null when the model has no price in the table. */
  cost_usd: number | null;
  estimated: boolean;
  /** Milliseconds from the submission's first row to the outcome. */
  ms: number;
  model: string;
}
