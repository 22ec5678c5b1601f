/** What the routes of the service and of an account answer. Loaded for the description only. */
import * as v from "valibot";
import type { UsageGroup } from "../../../account/usage.ts";
import { AUDIT_ACTIONS } from "../../../shared/audit.ts";
import { SCOPES } from "../../../shared/keys.ts";
import { Count, page, said, Time, Usd } from "./answers.ts";

export const Model = v.object({
  id: v.string(),
  name: v.string(),
  context_length: Count,
  max_completion_tokens: Count,
  pricing: v.exactOptional(
    said(
      v.object({
        prompt: v.string(),
        completion: v.string(),
        cache_read: v.string(),
        cache_write: v.string(),
      }),
      "US dollars for a token.",
    ),
  ),
});

const keyEntries = {
  id: v.string(),
  object: v.literal("api_key"),
  name: v.string(),
  account: v.string(),
  scopes: v.array(v.picklist(SCOPES)),
  last_four: v.string(),
  status: v.picklist(["active", "revoked", "expired"]),
  rate_limit: v.nullable(v.object({ requests: Count, window_seconds: Count })),
  budgets: v.object({
    day_usd: v.nullable(Usd),
    month_usd: v.nullable(Usd),
    total_usd: v.nullable(Usd),
  }),
  created_at: Time,
  expires_at: v.nullable(Time),
  revoked_at: v.nullable(Time),
};

export const Key = v.object(keyEntries);
export const NewKey = v.object({
  ...keyEntries,
  key: said(v.string(), "What its owner sends. It is shown here and never again."),
});
export const KeyWithSpent = v.object({
  ...keyEntries,
  spent: v.object({ day_usd: Usd, month_usd: Usd, total_usd: Usd }),
});
export const KeyPage = v.object({
  ...page(Key).entries,
  accounts: v.exactOptional(said(v.array(v.string()), "For the owner: other accounts with keys.")),
});

export const Account = v.object({
  id: v.string(),
  object: v.literal("account"),
  anthropic_key: v.nullable(v.object({ last_four: v.nullable(v.string()), set_at: Time })),
});

export const WebhookSecret = v.object({
  object: v.literal("webhook_secret"),
  secret: said(v.string(), "`whsec_` and 32 bytes as base64."),
});

export const AuditEntry = v.object({
  id: v.string(),
  object: v.literal("audit_entry"),
  at: Time,
  action: v.picklist(AUDIT_ACTIONS),
  session_id: v.nullable(v.string()),
  target: v.nullable(v.string()),
  key: v.nullable(v.string()),
  outcome: said(v.string(), "`ok`, or the code of the refusal."),
  detail: v.nullable(v.string()),
  request_id: v.nullable(v.string()),
});

const figures = {
  turns: Count,
  calls: Count,
  tokens: v.object({
    fresh: Count,
    cache_write_5m: Count,
    cache_write_1h: Count,
    cache_read: Count,
    output: Count,
    thinking: Count,
  }),
  searches: Count,
  cost_usd: v.nullable(Usd),
  estimated_usd: Usd,
  unpriced: v.boolean(),
  unpriced_calls: Count,
};

const BudgetPosition = v.object({
  limit_usd: v.nullable(Usd),
  spent_usd: Usd,
  leased_usd: said(Usd, "Set aside for sessions."),
  remaining_usd: v.nullable(v.number()),
  renews_at: v.nullable(Time),
});

const GROUPS = ["day", "model", "session", "key"] satisfies UsageGroup[];

export const Usage = v.object({
  group: v.picklist(GROUPS),
  from: v.string(),
  to: v.string(),
  ...page(
    v.object({
      day: v.exactOptional(v.string()),
      model: v.exactOptional(v.string()),
      session_id: v.exactOptional(v.string()),
      key_id: v.exactOptional(v.nullable(v.string())),
      ...figures,
    }),
  ).entries,
  totals: v.object(figures),
  budgets: v.object({ day: BudgetPosition, month: BudgetPosition, total: BudgetPosition }),
});
