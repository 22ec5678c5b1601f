/** The variables that say what things cost, and what they may cost. */
import { readUsd, USD_RULE } from "./config-readers.ts";
import { table } from "./config-table.ts";
import { readPrices } from "./price.ts";

export const MONEY_VARIABLES = table({
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
});
