/** List prices of the Messages API, and what a call costs by them. */
import type { DatedPrice, Price, PriceTable } from "../shared/price.ts";
import { promptTokens, type Usage } from "../shared/usage.ts";

export type { Price, PriceTable };

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
/** The cache multipliers hold on the price of the fast mode as well. */
const FAST_OPUS: DatedPrice = { speed: "fast", ...price(10, 12.5, 20, 1, 50) };
const SONNET_4 = [price(3, 3.75, 6, 0.3, 15)];

/**
 * Anthropic's list prices as of 2026-11-20. The fast price of Opus 5.5 is not verified: it is
 * reported to be about twice the usual one. A fast call of a model without a fast price is unpriced.
 * The priority tier is sold by contract; its calls are counted at the list price.
 */
export const PRICES: PriceTable = {
  "claude-fable-5-2": FABLE_5_2,
  "claude-mythos-5-2": FABLE_5_2,
  "claude-fable-5-1": FABLE_5_1,
  "claude-mythos-5-1": FABLE_5_1,
  "claude-fable-5": FABLE_5,
  "claude-mythos-5": FABLE_5,
  "claude-opus-5-5": [price(4, 5, 8, 0.2, 20), { speed: "fast", ...price(8, 10, 16, 0.4, 40) }],
  "claude-opus-5": [...OPUS, FAST_OPUS],
  "claude-opus-4-8": [...OPUS, FAST_OPUS],
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
const BATCH_FACTOR = 0.5;
/** Web fetches and code execution have no fee for each use. */
const WEB_SEARCH_USD = 10 / 1_000;

/** The table with the configuration's prices, which win from their first day on. */
export function withPrices(own: PriceTable): PriceTable {
  const table: Record<string, readonly DatedPrice[]> = { ...PRICES };
  for (const [model, prices] of Object.entries(own)) {
    table[undated(model)] = [...(table[undated(model)] ?? []), ...prices];
  }
  return table;
}

/** An id without the date of a snapshot: `claude-opus-4-5-20251101` is `claude-opus-4-5`. */
export function undated(id: string): string {
  return id.replace(/-\d{8}$/, "");
}

/**
 * The price of a model's tokens, or null when the table does not have the model at this speed.
 *
 * @param at when the call ran, milliseconds since the epoch
 * @param prompt tokens of the whole prompt: some models cost more above a size
 */
export function priceOf(
  model: string,
  at: number,
  prompt: number,
  table: PriceTable = PRICES,
  speed: string = "standard",
): Price | null {
  const id = undated(model);
  const prices = Object.hasOwn(table, id) ? table[id] : undefined;
  const fast = speed === "fast" ? "fast" : undefined;
  const applies = (one: DatedPrice) =>
    one.speed === fast &&
    (one.since === undefined || at >= Date.parse(one.since)) &&
    (one.above === undefined || prompt > one.above);
  return prices?.findLast(applies) ?? null;
}

/**
 * What a call cost in US dollars, tokens and server tools together; null when the model is not in
 * the table (unpriced, never free).
 *
 * @param at when the call ran, milliseconds since the epoch
 */
export function cost(
  model: string,
  usage: Usage,
  at: number,
  table: PriceTable = PRICES,
): number | null {
  const per = priceOf(model, at, promptTokens(usage), table, usage.speed);
  if (per === null) return null;
  const written = usage.cache_creation_input_tokens;
  const hour = Math.min(usage.cache_creation_1h_input_tokens ?? 0, written);
  const tokens =
    usage.input_tokens * per.input +
    (written - hour) * per.cache_write_5m +
    hour * per.cache_write_1h +
    usage.cache_read_input_tokens * per.cache_read +
    usage.output_tokens * per.output;
  const where = usage.inference_geo === "us" ? US_INFERENCE_FACTOR : 1;
  const tier = usage.service_tier === "batch" ? BATCH_FACTOR : 1;
  const searches = (usage.web_search_requests ?? 0) * WEB_SEARCH_USD;
  return (tokens / 1_000_000) * where * tier + searches;
}
