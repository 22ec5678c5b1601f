import type { JsonObject } from "./content.ts";
import type { Usage } from "./usage.ts";

/** What a client is told of a session's state. */
export const SESSION_STATUSES = [
  "idle",
  "running",
  "awaiting_tool_results",
  "awaiting_confirmation",
] as const;

export type SessionStatus = (typeof SESSION_STATUSES)[number];

/** The API under which a session was made: native, claude-code-api, or the Claude CLI server. */
export type Surface = "cc" | "code" | "chat";

/** What the account keeps of a session, as of the row `seq` of its log. */
export interface SessionSummary {
  /** The session's ULID. */
  session: string;
  /** The row of the session's log up to which this summary counts. */
  seq: number;
  surface: Surface;
  /** With the surface `code`: the label that its clients filter by. */
  user_id?: string;
  /** Unique among the living sessions of the account. Absent in what an older version has said. */
  name?: string | null;
  title: string | null;
  /** The beginning of the first message that has a text. Absent in what an older version has said. */
  first_message?: string | null;
  model: string;
  metadata: JsonObject;
  status: SessionStatus;
  turn_count: number;
  /** Absent without jobs. Those that wait or were cancelled count in the total only. */
  jobs?: { total: number; done: number; failed: number; running: number };
  /** The sum over all model calls. */
  usage: Usage;
  /** US dollars; null when a call's model has no price in the table. */
  cost_usd: number | null;
  /** What the session may cost, and what its calls with a price have cost, in US dollars. */
  max_budget_usd: number | null;
  spent_usd: number;
  /** The newest lease that the session knows, and whether it still holds it. */
  lease: { n: number; held: boolean };
  /** Milliseconds since the epoch. */
  created_at: number;
  /** Milliseconds since the epoch. */
  updated_at: number;
}
