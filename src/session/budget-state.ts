/**
 * The part of the folded state that is about money: what was spent, by whom it is limited, and what
 * the session owes the account's ledger.
 */
import { dayOf, type LedgerEntry } from "../shared/ledger.ts";
import type { CallEndedBody, CallStartedBody, Row, RowOf } from "../shared/rows.ts";
import { addUsage, NO_USAGE } from "../shared/usage.ts";
import type { Draft } from "./draft.ts";
import type { Payer } from "./payer.ts";
import type { State } from "./state.ts";

/** What the account lets the session spend. */
export interface Lease {
  n: number;
  ceiling_usd: number;
  expires_at: number;
  keep: boolean;
  /** On behalf of which managed key; null: of the account alone. */
  key: string | null;
}

/** The model call that is open, as far as it matters to money. */
interface PricedCall {
  model: string;
  max_tokens: number;
  by_budget: boolean;
  size: number | null;
  speed: "fast" | null;
  /** The managed key that pays, or null. */
  key: string | null;
}

export interface Money {
  /** What the session may cost; null without a limit of its own. */
  max_budget_usd: number | null;
  /** What all calls with a price have cost, estimates included. */
  spent_usd: number;
  /** The same for the turn that is open or was last. */
  turn_usd: number;
  /** `max_tokens` of the last answer, where a budget made it and the answer was cut there. */
  cut_at: number | null;
  call: PricedCall | null;
  /** The last request that the API accepted: when, its size, and how much of it is cached. */
  sent: { at: number; size: number | null; cached: number } | null;
  /** The last two days on which something was used, oldest first. */
  ledger: LedgerEntry[];
  lease: Lease | null;
  /** Number of the newest lease that the session knows. */
  leases: number;
}

/** So long an answer is what a lease should cover; a longer one is cut and goes on with the next. */
export const LEASED_TOKENS = 32_000;

/** The open call may answer less than is usual, because money is short. */
export const isShortOfMoney = ({ call }: Money): boolean =>
  call?.by_budget === true && call.max_tokens < LEASED_TOKENS;

/** So many days stand in the state; a report of older ones is made from the log. */
export const LEDGER_DAYS = 2;

export const beginMoney = ({ body }: RowOf<"session.created">): Money => ({
  max_budget_usd: body.config.max_budget_usd ?? null,
  spent_usd: 0,
  turn_usd: 0,
  cut_at: null,
  call: null,
  sent: null,
  ledger: [],
  lease: null,
  leases: 0,
});

/** What money was after `row`. */
export function foldMoney(before: State, row: Row): Money {
  const { money } = before;
  switch (row.type) {
    case "session.updated": {
      const { max_budget_usd } = row.body.config;
      return max_budget_usd === undefined ? money : { ...money, max_budget_usd };
    }
    case "input":
      return row.body.start === "now" ? { ...money, turn_usd: 0, cut_at: null } : money;
    case "input.taken":
      return row.body.as === "start" ? { ...money, turn_usd: 0, cut_at: null } : money;
    case "call.started": {
      const { model, max_tokens, by_budget = false, size = null, speed = null } = row.body;
      const key = payerAt(before, row.body)?.key ?? null;
      return { ...money, call: { model, max_tokens, by_budget, size, speed, key } };
    }
    case "call.ended":
      return onCallEnded(money, row);
    case "context.cut":
    case "context.compacted":
      // What is cached of the new context is not known.
      return { ...money, sent: null };
    case "lease": {
      const { n, ceiling_usd, key = null, ...rest } = row.body;
      const lease = ceiling_usd === null ? null : { n, ceiling_usd, ...rest, key };
      return { ...money, lease, leases: n };
    }
    case "outcome":
      return onOutcome(money, row, before.turn?.payer?.key ?? null);
    default:
      return money;
  }
}

/** Who pays for a call that begins. */
function payerAt({ turn, compactions }: State, { compaction }: CallStartedBody): Payer | null {
  if (!compaction) return turn?.payer ?? null;
  return compactions.find(({ seq }) => seq === compaction.request)?.payer ?? null;
}

function onCallEnded(money: Money, row: RowOf<"call.ended">): Money {
  const { usage, end, stop_reason, accepted } = row.body;
  const { call } = money;
  const cut = stop_reason === "max_tokens" && call?.by_budget ? call.max_tokens : null;
  const next = { ...money, call: null, cut_at: end === "ok" ? cut : money.cut_at };
  if (!usage) return next;
  const usd = row.body.cost_usd ?? 0;
  const cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens;
  return {
    ...next,
    spent_usd: money.spent_usd + usd,
    turn_usd: money.turn_usd + usd,
    sent: accepted ? { at: row.at, size: call?.size ?? null, cached } : money.sent,
    ledger: recent(addCall(money.ledger, row, call?.model ?? "", call?.key ?? null)),
  };
}

function onOutcome(money: Money, row: RowOf<"outcome">, key: string | null): Money {
  const next = { ...money, cut_at: null };
  return row.body.outcome === "requires_action"
    ? next
    : { ...next, ledger: recent(addTurn(money.ledger, row, key)) };
}

/** The ledger with one more call in it. */
export function addCall(
  ledger: readonly LedgerEntry[],
  { seq, at, body }: { seq: number; at: number; body: CallEndedBody },
  model: string,
  key: string | null,
): LedgerEntry[] {
  const { usage, cost_usd, estimated } = body;
  if (!usage) return [...ledger];
  return changed(ledger, { seq, at, model, key }, (entry) => ({
    ...entry,
    calls: entry.calls + 1,
    usage: addUsage(entry.usage, usage),
    cost_usd: entry.cost_usd + (cost_usd ?? 0),
    estimated_usd: entry.estimated_usd + (estimated ? (cost_usd ?? 0) : 0),
    unpriced_calls: entry.unpriced_calls + (cost_usd === null ? 1 : 0),
  }));
}

/** The ledger with one more turn that has ended. */
export const addTurn = (
  ledger: readonly LedgerEntry[],
  { seq, at, body }: RowOf<"outcome">,
  key: string | null,
): LedgerEntry[] =>
  changed(ledger, { seq, at, model: body.totals.model, key }, (entry) => ({
    ...entry,
    turns: entry.turns + 1,
  }));

function changed(
  ledger: readonly LedgerEntry[],
  { seq, at, model, key }: { seq: number; at: number; model: string; key: string | null },
  change: (entry: LedgerEntry) => LedgerEntry,
): LedgerEntry[] {
  const day = dayOf(at);
  const known = ledger.find(
    (one) => one.day === day && one.model === model && (one.key ?? null) === key,
  );
  const others = ledger.filter((one) => one !== known);
  const entry = known ?? {
    day,
    model,
    ...(key === null ? {} : { key }),
    seq,
    calls: 0,
    turns: 0,
    usage: NO_USAGE,
    cost_usd: 0,
    estimated_usd: 0,
    unpriced_calls: 0,
  };
  return [...others, { ...change(entry), seq }];
}

function recent(ledger: LedgerEntry[]): LedgerEntry[] {
  const days = [...new Set(ledger.map(({ day }) => day))].sort((a, b) => a - b);
  const first = days.at(-LEDGER_DAYS) ?? 0;
  return days.length > LEDGER_DAYS ? ledger.filter(({ day }) => day >= first) : ledger;
}

/** Gives the lease back, if there is one. */
export function addReturn(draft: Draft): void {
  const { lease } = draft.state.money;
  if (!lease) return;
  const { n, expires_at, keep, key } = lease;
  const of = key === null ? {} : { key };
  draft.add({ type: "lease", body: { n, ceiling_usd: null, expires_at, keep, ...of } });
}
