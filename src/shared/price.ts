/** Prices of model calls, as the table has them and as the configuration may set them. */

import { dayIn } from "./ledger.ts";

/** US dollars per million tokens. */
export interface Price {
  input: number;
  cache_write_5m: number;
  cache_write_1h: number;
  cache_read: number;
  output: number;
}

export interface DatedPrice extends Price {
  /** First day of the price, `YYYY-MM-DD` in UTC; absent: since the model's release. */
  since?: string;
  /** The price holds for prompts of more tokens than this; absent: for all. */
  above?: number;
  /** The price of `speed: "fast"`; absent: of the usual speed. */
  speed?: "fast";
}

/** By undated model id. Of a model's entries the last one that applies is the price. */
export type PriceTable = Readonly<Record<string, readonly DatedPrice[]>>;

const FIELDS = ["input", "cache_write_5m", "cache_write_1h", "cache_read", "output"] as const;

const MAX_MODELS = 200;

/**
 * Reads `{"<model>": {input, cache_write_5m, cache_write_1h, cache_read, output, since?, speed?}}`,
 * with one price or a list of them for each model; null for anything else.
 */
export function readPrices(text: string): PriceTable | null {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(given) || Object.keys(given).length > MAX_MODELS) return null;
  const table: [string, DatedPrice[]][] = [];
  for (const [model, value] of Object.entries(given)) {
    const list: unknown[] = Array.isArray(value) ? value : [value];
    const prices = list.map(readPrice).filter((price) => price !== null);
    if (model === "" || list.length === 0 || prices.length !== list.length) return null;
    table.push([model, prices]);
  }
  return Object.fromEntries(table);
}

function readPrice(value: unknown): DatedPrice | null {
  if (!isRecord(value)) return null;
  const { since, speed, ...rest } = value;
  const amounts = FIELDS.map((field) => rest[field]);
  if (Object.keys(rest).length !== FIELDS.length || !amounts.every(isAmount)) return null;
  if (since !== undefined && !isDay(since)) return null;
  if (speed !== undefined && speed !== "fast") return null;
  const [input = 0, cache_write_5m = 0, cache_write_1h = 0, cache_read = 0, output = 0] = amounts;
  return {
    input,
    cache_write_5m,
    cache_write_1h,
    cache_read,
    output,
    ...(since === undefined ? {} : { since }),
    ...(speed === undefined ? {} : { speed }),
  };
}

const isAmount = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 && value <= 1_000_000;

const isDay = (value: unknown): value is string =>
  typeof value === "string" && dayIn(value) !== null;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
