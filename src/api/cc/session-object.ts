/** A session as the wire shows it. */
import type { SessionDescription } from "../../session/calls.ts";
import type { SessionInfo } from "../../session/commands.ts";
import type { JsonObject } from "../../shared/content.ts";
import type { ToolCall } from "../../shared/events.ts";
import { sessionId } from "../../shared/ids.ts";
import type { CacheTtl, Effort, OutputFormat, ThinkingSetting } from "../../shared/settings.ts";
import type { SessionSummary } from "../../shared/summary.ts";
import type { Permissions } from "../../shared/tools.ts";
import { promptTokens, type Usage } from "../../shared/usage.ts";

/** Figures over all model calls; `billed` is how the API counted them. */
interface SessionUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
  billed: Usage;
}

/** An entry of the session list. */
export interface ListedSession {
  id: string;
  object: "session";
  model: string;
  /** Unique among the account's sessions. */
  name: string | null;
  title: string | null;
  /** The beginning of the first message. */
  first_message: string | null;
  metadata: JsonObject;
  status: SessionInfo["status"];
  turn_count: number;
  usage: SessionUsage;
  cost_usd: number | null;
  /** What the session may cost; null without a limit of its own. */
  max_budget_usd: number | null;
  /** What counts for budgets: the calls that have a price. */
  spent_usd: number;
  /** The session's newest event can have no greater id. */
  last_event_id: number;
  created_at: string;
  updated_at: string;
}

export interface SessionObject extends ListedSession {
  system_prompt: string | null;
  /** Of the built-in tools; null in a session without them. */
  permissions: Permissions | null;
  thinking: ThinkingSetting | null;
  effort: Effort | null;
  output_format: OutputFormat | null;
  stop_sequences: string[] | null;
  service_tier: string | null;
  speed: string | null;
  user_id: string | null;
  cache_ttl: CacheTtl;
  /** The session's model calls are made with a key of its own. */
  own_anthropic_key: boolean;
  pending_tool_calls: ToolCall[];
}

/** What an older version has said lacks some of it. */
type Figures = Omit<SessionInfo, "turn" | "surface" | "name" | "first_message"> &
  Pick<SessionSummary, "name" | "first_message">;

function listed(id: string, figures: Figures): ListedSession {
  const { model, title, metadata, status, turn_count, usage, cost_usd, seq } = figures;
  return {
    id,
    object: "session",
    model,
    name: figures.name ?? null,
    title,
    first_message: figures.first_message ?? null,
    metadata,
    status,
    turn_count,
    usage: sessionUsage(usage),
    cost_usd,
    max_budget_usd: figures.max_budget_usd ?? null,
    spent_usd: figures.spent_usd ?? cost_usd ?? 0,
    last_event_id: seq,
    created_at: new Date(figures.created_at).toISOString(),
    updated_at: new Date(figures.updated_at).toISOString(),
  };
}

function sessionUsage(billed: Usage): SessionUsage {
  const prompt = promptTokens(billed);
  return {
    prompt_tokens: prompt,
    completion_tokens: billed.output_tokens,
    total_tokens: prompt + billed.output_tokens,
    prompt_tokens_details: { cached_tokens: billed.cache_read_input_tokens },
    billed,
  };
}

/** What other surfaces set is not shown here. */
type Described = Omit<SessionDescription, "max_turns" | "cwd" | "code">;

export const sessionObject = (id: string, described: Described): SessionObject => ({
  ...listed(id, described.session),
  system_prompt: described.system_prompt,
  permissions: described.permissions,
  thinking: described.settings.thinking ?? null,
  effort: described.settings.effort ?? null,
  output_format: described.settings.output_format ?? null,
  stop_sequences: described.settings.stop_sequences ?? null,
  service_tier: described.settings.service_tier ?? null,
  speed: described.settings.speed ?? null,
  user_id: described.settings.user_id ?? null,
  cache_ttl: described.cache_ttl,
  own_anthropic_key: described.own_key,
  pending_tool_calls: described.pending,
});

export const listedSession = (summary: SessionSummary): ListedSession =>
  listed(sessionId(summary.session), summary);
