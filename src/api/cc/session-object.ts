/** A session as the wire shows it. */
import type { SessionDescription } from "../../session/calls.ts";
import type { SessionInfo } from "../../session/commands.ts";
import { promptTokens } from "../../session/state.ts";
import type { ToolCall } from "../../shared/events.ts";
import { type JsonObject, type Permissions, sessionId, type Usage } from "../../shared/rows.ts";
import type { SessionSummary } from "../../shared/summary.ts";

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
  title: string | null;
  metadata: JsonObject;
  status: SessionInfo["status"];
  turn_count: number;
  usage: SessionUsage;
  cost_usd: number | null;
  /** The session's newest event can have no greater id. */
  last_event_id: number;
  created_at: string;
  updated_at: string;
}

export interface SessionObject extends ListedSession {
  system_prompt: string | null;
  /** Of the built-in tools; null in a session without them. */
  permissions: Permissions | null;
  pending_tool_calls: ToolCall[];
}

type Figures = Omit<SessionInfo, "turn">;

function listed(id: string, figures: Figures): ListedSession {
  const { model, title, metadata, status, turn_count, usage, cost_usd, seq } = figures;
  return {
    id,
    object: "session",
    model,
    title,
    metadata,
    status,
    turn_count,
    usage: sessionUsage(usage),
    cost_usd,
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

export const sessionObject = (id: string, described: SessionDescription): SessionObject => ({
  ...listed(id, described.session),
  system_prompt: described.system_prompt,
  permissions: described.permissions,
  pending_tool_calls: described.pending,
});

export const listedSession = (summary: SessionSummary): ListedSession =>
  listed(sessionId(summary.session), summary);
