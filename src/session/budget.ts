/**
 * What a model call may cost, decided before it is made: from what the turn, the session and the
 * account may still spend, and from what the call is likely to cost. Pure.
 */
import { priceOf } from "../model/prices.ts";
import { bytesToTokens } from "../model/usage.ts";
import type { Price, PriceTable } from "../shared/price.ts";
import type { CacheTtl } from "../shared/settings.ts";
import { LEASED_TOKENS } from "./budget-state.ts";
import type { TurnEnd } from "./next.ts";
import { leaseKeyOf, type Payer } from "./payer.ts";
import type { Epoch, OpenTurn, State } from "./state.ts";

/** With less room than this a model says nothing of use. */
export const ANSWER_TOKENS = 256;
/** The same for a summary of a conversation. */
export const SUMMARY_TOKENS = 4_096;
/** An answer that a budget has cut goes on only with so much room, or as much as it had. */
const CONTINUED_TOKENS = 2_048;
/** So long an answer a lease should cover where the account has too little for `LEASED_TOKENS`. */
const SHORT_TOKENS = 4_096;
/** A lease is asked for so many calls, so that most of them ask nobody. */
const LEASED_CALLS = 4;
/** What is cached is there so long for sure, in milliseconds. */
const WARM_MS: Record<CacheTtl, number> = { "5m": 4 * 60_000, "1h": 55 * 60_000 };

/** What limits a call besides the rows: as the configuration says now. */
export interface BudgetRules {
  prices: PriceTable;
  /** The account has a budget, so nothing is spent without a lease. */
  leased: boolean;
}

/** What the call is made for. */
interface Purpose {
  /** With less room than this, in tokens, it is of no use. */
  least: number;
  payer: Payer | null;
}

export type Verdict =
  | { kind: "go"; max_tokens: number; by_budget: boolean }
  /** The account has to be asked first. */
  | { kind: "ask"; least_usd: number; want_usd: number; key: string | null }
  | { kind: "stop"; end: TurnEnd };

/** What is known of a request before it is made. */
export interface SizedCall {
  ttl: CacheTtl;
  /** The model's limit on an answer. */
  max_tokens: number;
  /** Bytes of the request's texts and media as texts would count. */
  size: number;
  fast: boolean;
}

interface PlannedCall extends SizedCall {
  state: State;
  /** Null for a compaction between two turns. */
  turn: OpenTurn | null;
  least: number;
  /** On behalf of which managed key a lease is needed. */
  key: string | null;
  epoch: Epoch;
  /** Milliseconds since the epoch. */
  now: number;
}

/**
 * Decides about the next call of a session once its size is known; null where nothing limits it.
 *
 * @param asked the account was asked just now, so what it gave is all there is
 */
export function decider(
  { state, now }: { state: State; now: number },
  rules: BudgetRules,
  { least, payer }: Purpose,
  asked: boolean,
): ((call: SizedCall) => Verdict) | null {
  const { money, turn, epoch } = state;
  const own = money.max_budget_usd !== null || turn?.limits.max_budget_usd !== undefined;
  const leased = rules.leased || payer?.budgeted === true;
  if (!epoch || !(leased || own)) return null;
  const planned = { state, turn, epoch, least, now, key: leaseKeyOf(payer) };
  return (call) => verdictOf({ ...call, ...planned }, { ...rules, leased }, asked);
}

function verdictOf(call: PlannedCall, rules: BudgetRules, asked: boolean): Verdict {
  const { state, turn, epoch, max_tokens, now } = call;
  const price = priceOf(
    epoch.model,
    now,
    tokensOf(call).all,
    rules.prices,
    call.fast ? "fast" : undefined,
  );
  if (!price) return unpriced(epoch.model);
  const input = inputCost(call, price);
  const buys = (usd: number): number =>
    price.output === 0
      ? usd >= input
        ? max_tokens
        : 0
      : Math.max(0, Math.floor(((usd - input) * 1_000_000) / price.output + ROUNDING));
  const costs = (tokens: number): number => input + (tokens * price.output) / 1_000_000;
  const { cut_at } = state.money;
  const least = Math.min(
    max_tokens,
    cut_at === null ? call.least : Math.max(call.least, Math.min(cut_at, CONTINUED_TOKENS)),
  );

  let room = max_tokens;
  for (const budget of ownBudgets(state, turn)) {
    const bought = budget.left_usd <= 0 ? 0 : buys(budget.left_usd);
    if (bought < least) return { kind: "stop", end: reached(budget) };
    room = Math.min(room, bought);
  }
  if (rules.leased) {
    const { key } = call;
    // One key's money pays for no other's turn.
    const lease = state.money.lease?.key === key ? state.money.lease : null;
    const left = lease && lease.expires_at > now ? lease.ceiling_usd - state.money.spent_usd : 0;
    const bought = left <= 0 ? 0 : buys(left);
    // Where money is short no lease covers more, so what it buys is used before another is asked for.
    const target = Math.min(room, lease?.keep === false ? SHORT_TOKENS : LEASED_TOKENS);
    if (bought < (asked ? least : target)) {
      const most = costs(Math.min(room, LEASED_TOKENS)) * LEASED_CALLS;
      const least_usd = costs(least);
      const want_usd = Math.max(least_usd, Math.min(most, ...ownLeft(state, turn)));
      return { kind: "ask", least_usd, want_usd, key };
    }
    room = Math.min(room, bought);
  }
  return { kind: "go", max_tokens: room, by_budget: room < max_tokens };
}

/** A sum of money is not exact: without this the last token would be lost to it. */
const ROUNDING = 1e-6;

interface OwnBudget {
  of: "turn" | "session";
  limit_usd: number;
  spent_usd: number;
  left_usd: number;
}

function ownBudgets({ money }: State, turn: OpenTurn | null): OwnBudget[] {
  const budgets: OwnBudget[] = [];
  const add = (of: OwnBudget["of"], limit: number | null | undefined, spent_usd: number) => {
    if (limit == null) return;
    budgets.push({ of, limit_usd: limit, spent_usd, left_usd: limit - spent_usd });
  };
  add("turn", turn?.limits.max_budget_usd, money.turn_usd);
  add("session", money.max_budget_usd, money.spent_usd);
  return budgets;
}

const ownLeft = (state: State, turn: OpenTurn | null): number[] =>
  ownBudgets(state, turn).map(({ left_usd }) => left_usd);

/** What the prompt will cost at most, in US dollars: what is not surely cached is written. */
function inputCost(call: PlannedCall, price: Price): number {
  const { all, cached } = tokensOf(call);
  const written = Math.max(
    price.input,
    call.ttl === "1h" ? price.cache_write_1h : price.cache_write_5m,
  );
  return ((all - cached) * written + cached * price.cache_read) / 1_000_000;
}

/** Tokens of the prompt: known for what was sent before, estimated for what is new. */
function tokensOf({ state, epoch, ttl, size, now }: PlannedCall): { all: number; cached: number } {
  const { sent } = state.money;
  const known = state.context.tokens;
  const whole = bytesToTokens(size);
  if (!sent || known === null) return { all: whole, cached: 0 };
  const warm = epoch.accepted && now - sent.at < WARM_MS[ttl];
  const cached = warm ? Math.min(sent.cached, known) : 0;
  if (sent.size === null || sent.size === 0) return { all: Math.max(known, whole), cached };
  const more = Math.max(0, size - sent.size);
  const perByte = Math.max(known / sent.size, bytesToTokens(1_000_000) / 1_000_000);
  return { all: known + Math.ceil(more * perByte), cached };
}

const usd = (amount: number): string => `$${Number(amount.toFixed(6))}`;

function reached({ of, limit_usd, spent_usd }: OwnBudget): TurnEnd {
  const how =
    of === "turn"
      ? "Send the next message with a higher max_budget_usd, or without one."
      : "Raise max_budget_usd with PATCH on the session, and send the next message.";
  return budgetEnd(
    `${of}_budget`,
    `The ${of}'s budget of ${usd(limit_usd)} is reached: ${usd(spent_usd)} is spent, and what is left buys no further answer. Everything so far is kept. ${how}`,
  );
}

function unpriced(model: string): Verdict {
  const message = `A budget is set, and ${model} has no known price, so what it would cost is not known. Set its price in MODEL_PRICES, use another model, or take the budget away.`;
  return { kind: "stop", end: budgetEnd("unpriced_model", message) };
}

const VARIABLE = {
  day: "BUDGET_DAY_USD",
  month: "BUDGET_MONTH_USD",
  total: "CLAUDE_MAX_COST_PER_USER",
} as const;

/** The end of a turn whose account, or whose key, has nothing left for it. */
export function accountEnd(budget: {
  /** The managed key whose budget it is; absent: the account's. */
  key?: string;
  name: keyof typeof VARIABLE;
  limit_usd: number | null;
  spent_usd: number;
  leased_usd: number;
  renews_at: number | null;
}): TurnEnd {
  const { key, name, limit_usd, spent_usd, leased_usd, renews_at } = budget;
  const what = name === "total" ? "total budget" : `budget for the ${name}`;
  const renews =
    renews_at === null ? "" : `It begins anew at ${new Date(renews_at).toISOString()}; `;
  const of = key === undefined ? "account" : "key";
  const whose = key === undefined ? "The account" : `The key ${key}`;
  const where =
    key === undefined
      ? `${VARIABLE[name]} on the server`
      : `budgets.${name}_usd with PATCH /api/keys/${key}`;
  const raise = `${renews ? "until then raise" : "Raise"} ${where}.`;
  return budgetEnd(
    `${of}_${name}_budget`,
    `${whose}'s ${what} of ${usd(limit_usd ?? 0)} is reached: ${usd(spent_usd)} is spent, and ${usd(leased_usd)} is set aside for turns of other sessions. Everything so far is kept. ${renews}${raise}`,
  );
}

/** The same as the end of a compaction, without which the turn goes on. */
export const budgetReason = ({ code = "", message = "" }: TurnEnd) => ({ code, message });

const budgetEnd = (code: string, message: string): TurnEnd => ({
  outcome: "budget_reached",
  code,
  message,
  notice: { code, message },
});
