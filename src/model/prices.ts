/** List prices of the Messages API, and what a call costs by them. */
import type { Usage } from "../shared/rows.ts";

/** US dollars per million tokens. */
export interface Price {
  input: number;
  cache_write_5m: number;
  cache_write_1h: number;
  cache_read: number;
  output: number;
}

interface DatedPrice extends Price {
  /** First day of the price, `YYYY-MM-DD` in UTC; absent: since the model's release. */
  since?: string;
  /** The price holds for prompts of more tokens than this; absent: for all. */
  above?: number;
}

/** By undated model id. Of a model's entries the last one that applies is the price. */
export type PriceTable = Readonly<Record<string, readonly DatedPrice[]>>;

/** What a call's usage tells beyond the token counts that a row keeps. */
export type PricedUsage = Usage & {
  /** Where the model ran, when the response said so: `us` costs more. */
  inference_geo?: string;
};

const price = (
  input: number,
  cache_write_5m: number,
  cache_write_1h: number,
  cache_read: number,
  output: number,
): Price => ({ input, cache_write_5m, cache_write_1h, cache_read, output });

const FABLE_5_2 = [price(8, 10, 16, 0.2, 40)];
const FABLE_5_1 = [price(10, 12.5, 20, 0.25, 50)];
const FABLE_5 = [price(10, 12.5, 20, 1, 50)];
const OPUS = [price(5, 6.25, 10, 0.5, 25)];
const SONNET_4 = [price(3, 3.75, 6, 0.3, 15)];

/** Anthropic's list prices as of 2026-11-20. */
export const PRICES: PriceTable = {
  "claude-fable-5-2": FABLE_5_2,
  "claude-mythos-5-2": FABLE_5_2,
  "claude-fable-5-1": FABLE_5_1,
  "claude-mythos-5-1": FABLE_5_1,
  "claude-fable-5": FABLE_5,
  "claude-mythos-5": FABLE_5,
  "claude-opus-5-5": [price(4, 5, 8, 0.2, 20)],
  "claude-opus-5": OPUS,
  "claude-opus-4-8": OPUS,
  "claude-opus-4-7": OPUS,
  "claude-opus-4-6": OPUS,
  "claude-opus-4-5": OPUS,
  "claude-sonnet-5-5": [
    price(2, 2.5, 4, 0.2, 10),
    { since: "2026-10-07", ...price(2, 2.5, 4, 0.1, 10) },
  ],
  "claude-sonnet-5": [price(2, 2.5, 4, 0.2, 10)],
  "claude-sonnet-4-6": SONNET_4,
  "claude-sonnet-4-5": SONNET_4,
  "claude-haiku-5-5": [
    price(0.1, 0.125, 0.2, 0.01, 0.5),
    { above: 100_000, ...price(0.5, 0.625, 1, 0.05, 2.5) },
  ],
  "claude-haiku-4-5": [price(1, 1.25, 2, 0.1, 5)],
};

const US_INFERENCE_FACTOR = 1.1;
const WEB_SEARCH_USD = 10 / 1_000;

/** An id without the date of a snapshot: `claude-opus-4-5-20251101` is `claude-opus-4-5`. */
export function undated(id: string): string {
  return id.replace(/-\d{8}$/, "");
}

/** Fresh, written and read tokens together: what the API calls the prompt. */
export function promptTokens(usage: Usage): number {
  return usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
}

/**
 * The price of a model's tokens, or null when the table does not have the model.
 *
 * @param at when the call ran, milliseconds since the epoch
 * @param prompt tokens of the whole prompt: some models cost more above a size
 */
export function priceOf(
  model: string,
  at: number,
  prompt: number,
  table: PriceTable = PRICES,
): Price | null {
  const applies = ({ since, above }: DatedPrice) =>
    (since === undefined || at >= Date.parse(since)) && (above === undefined || prompt > above);
  return table[undated(model)]?.findLast(applies) ?? null;
}

/**
 * What a call cost in US dollars, tokens and server tools together; null when the model is not in
 * the table (unpriced, never free).
 *
 * @param at when the call ran, milliseconds since the epoch
 */
export function cost(
  model: string,
  usage: PricedUsage,
  at: number,
  table: PriceTable = PRICES,
): number | null {
  const per = priceOf(model, at, promptTokens(usage), table);
  if (per === null) return null;
  const written = usage.cache_creation_input_tokens;
  const hour = Math.min(usage.cache_creation_1h_input_tokens ?? 0, written);
  const tokens =
    usage.input_tokens * per.input +
    (written - hour) * per.cache_write_5m +
    hour * per.cache_write_1h +
    usage.cache_read_input_tokens * per.cache_read +
    usage.output_tokens * per.output;
  const factor = usage.inference_geo === "us" ? US_INFERENCE_FACTOR : 1;
  return (tokens / 1_000_000) * factor + (usage.web_search_requests ?? 0) * WEB_SEARCH_USD;
}
