/** `GET /api/usage`: what the account used, and where its budgets stand. */
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import type { BudgetPosition } from "../../account/leases.ts";
import { type Figures, USAGE_GROUPS, type UsageGroup, type UsageRow } from "../../account/usage.ts";
import type { HttpContext } from "../../http/context.ts";
import { invalidField, ProblemError } from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { clock } from "../../shared/clock.ts";
import type { JsonObject } from "../../shared/content.ts";
import { isUlid, sessionId } from "../../shared/ids.ts";
import { KEY_ID } from "../../shared/keys.ts";
import { dayIn, dayOf, isoDay } from "../../shared/ledger.ts";
import { pageAsked } from "./page.ts";

/** The cursor behind the row of all keys that are not managed. */
const OTHER_KEYS = "none";

/** Of a period that does not say where it begins, the last day included. */
const DEFAULT_DAYS = 30;

export const UsageRequest = v.object({
  group: v.optional(v.picklist(USAGE_GROUPS), "day"),
  key: v.optional(v.pipe(v.string(), v.regex(KEY_ID, "Input should be the id of a managed key"))),
  from: v.optional(v.string()),
  to: v.optional(v.string()),
});

/** `GET /api/usage` */
export async function getUsage(c: HttpContext): Promise<Response> {
  const { group, key, ...asked } = parse(UsageRequest, c.req.query(), "query");
  const to = dayAsked("to", asked.to) ?? dayOf(clock.now());
  const from = dayAsked("from", asked.from) ?? to - DEFAULT_DAYS + 1;
  if (from > to) {
    const rule = "The period must not end before it begins";
    throw new ProblemError(invalidField("query -> from", "invalid_period", rule));
  }
  const { limit, cursor } = pageAsked(c, (text) => cursorOf(group, text));
  const account = accountOf(c.env, c.get("account"));
  const query = { group, from, to, limit, cursor, ...(key === undefined ? {} : { key }) };
  const page = await repeatedly(() => account.usage(query));
  const last = page.rows.at(-1);
  return c.json({
    group,
    from: isoDay(from),
    to: isoDay(to),
    data: page.rows.map((row) => ({ ...named(group, row), ...figures(row) })),
    has_more: page.more,
    next_cursor: page.more && last ? keyOf(group, last) : null,
    totals: figures(page.totals),
    budgets: Object.fromEntries(page.budgets.map((one) => [one.name, budget(one)])),
  });
}

/** The day in a query, counted from the epoch; null when it is not there. */
function dayAsked(name: "from" | "to", text: string | undefined): number | null {
  if (text === undefined) return null;
  const day = dayIn(text);
  if (day !== null) return day;
  const rule = "The day must be a date such as 2026-11-20";
  throw new ProblemError(invalidField(`query -> ${name}`, "date_parsing", rule));
}

function cursorOf(group: UsageGroup, text: string): string | number | null {
  switch (group) {
    case "day":
      return dayIn(text);
    case "model":
      return text.length > 0 && text.length <= 256 ? text : null;
    case "session": {
      const id = text.replace(/^sess_/, "");
      return isUlid(id) ? id : null;
    }
    case "key":
      // The one for all other keys comes first, and may be a page of its own.
      if (text === OTHER_KEYS) return "";
      return KEY_ID.test(text) ? text : null;
  }
}

function keyOf(group: UsageGroup, { key }: UsageRow): string {
  if (group === "day") return isoDay(Number(key));
  if (group === "key") return String(key) || OTHER_KEYS;
  return group === "session" ? sessionId(String(key)) : String(key);
}

/** What a row is about. A key of the configuration has no id. */
function named(group: UsageGroup, row: UsageRow): JsonObject {
  if (group === "key") return { key_id: row.key || null };
  return { [group === "session" ? "session_id" : group]: keyOf(group, row) };
}

/** Dollars to a billionth: what is behind that is the rounding of sums. */
export const usd = (amount: number): number => Number(amount.toFixed(9));

function figures(row: Figures): JsonObject {
  const { fresh, write_5m, write_1h, read, output, thinking } = row;
  return {
    turns: row.turns,
    calls: row.calls,
    tokens: {
      fresh,
      cache_write_5m: write_5m,
      cache_write_1h: write_1h,
      cache_read: read,
      output,
      thinking,
    },
    searches: row.searches,
    // Calls without a price are not free: where there is nothing else the cost is not known.
    cost_usd: row.calls > 0 && row.unpriced === row.calls ? null : usd(row.cost),
    estimated_usd: usd(row.estimated),
    unpriced: row.unpriced > 0,
    unpriced_calls: row.unpriced,
  };
}

const budget = ({
  limit_usd,
  spent_usd,
  leased_usd,
  remaining_usd,
  renews_at,
}: BudgetPosition) => ({
  limit_usd,
  spent_usd: usd(spent_usd),
  leased_usd: usd(leased_usd),
  remaining_usd: remaining_usd === null ? null : usd(remaining_usd),
  renews_at: renews_at === null ? null : new Date(renews_at).toISOString(),
});
