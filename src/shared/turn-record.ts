/** What a turn came to, whichever surface began it, and a job: a turn that nobody waits for. */
import type { JsonObject } from "./content.ts";
import type { OutcomeKind } from "./rows.ts";
import type { Usage } from "./usage.ts";

export type TurnStatus = "queued" | "cancelled" | "running" | "awaiting_tool_results" | "finished";

export interface TurnRecord {
  turn: number;
  status: TurnStatus;
  /** How the turn ended; null before that, and where it never began. */
  outcome: OutcomeKind | null;
  code: string | null;
  message: string | null;
  /** Texts of its inputs, joined by a blank line; media as "[image]" and "[document]". */
  prompt: string;
  /** The text blocks of the last model message, trimmed; empty where there is none. */
  content: string;
  /** Calls of any tool, in order, with whole inputs. */
  tools_used: { name: string; input: JsonObject }[];
  model: string;
  /** The sum over all its model calls. */
  usage: Usage;
  /** US dollars; null when a call had no price. */
  cost_usd: number | null;
  /** How long it was worked on: without the time that it waited for a client. */
  duration_ms: number;
  /** Messages of the model, and those to it with results: a round of tools adds two. */
  num_turns: number;
  /** Milliseconds since the epoch. */
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
}

/** What became of telling a job's end to its webhook. */
export interface Delivery {
  /** The same in all attempts; a redelivery has one of its own. */
  id: string;
  state: "pending" | "delivered" | "failed";
  /** Those that have ended. */
  attempts: number;
  /** Of the last attempt: the status that was answered, and what was wrong. */
  last_status: number | null;
  last_error: string | null;
  /** When the next attempt is due, in milliseconds since the epoch. */
  next_at: number | null;
  delivered_at: number | null;
}

/** A job as it is now; one that has ended stays as it was at its end. */
export interface JobRecord extends TurnRecord {
  /** Seq of its input. */
  job: number;
  webhook_url: string | null;
  /** Null without a webhook, and before the job has ended. */
  delivery: Delivery | null;
}
