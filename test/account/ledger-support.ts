/** What the tests of the account's ledger report to it and ask of it. */
import type { UsageGroup } from "../../src/account/usage.ts";
import { dayOf, type LedgerEntry } from "../../src/shared/ledger.ts";
import type { SessionSummary } from "../../src/shared/summary.ts";
import { NOW, sessionSummary } from "../support/accounts.ts";

export const TODAY = dayOf(NOW);
export const MODEL = "claude-sonnet-5-5";

/** What a session has spent in `calls` calls of a day, $0.25 each. */
export const entry = (calls: number, more: Partial<LedgerEntry> = {}): LedgerEntry => ({
  day: TODAY,
  model: MODEL,
  seq: calls,
  calls,
  turns: calls,
  usage: {
    input_tokens: 10 * calls,
    output_tokens: 20 * calls,
    cache_creation_input_tokens: 8 * calls,
    cache_creation_1h_input_tokens: 3 * calls,
    cache_read_input_tokens: 5 * calls,
    thinking_tokens: calls,
    web_search_requests: calls,
  },
  cost_usd: 0.25 * calls,
  estimated_usd: 0,
  unpriced_calls: 0,
  ...more,
});

/** What session `n` reports when it has made `seq` of these calls. */
export const summary = (n: number, seq: number, more: Partial<SessionSummary> = {}) =>
  sessionSummary(n, seq, {
    model: MODEL,
    usage: entry(seq).usage,
    cost_usd: 0.25 * seq,
    spent_usd: 0.25 * seq,
    ...more,
  });

export const query = (group: UsageGroup, more = {}) => ({
  group,
  from: 0,
  to: TODAY,
  limit: 20,
  cursor: null,
  ...more,
});
