/** The wire form of a job: what claude-code-api's clients and webhooks are told of it. Pure. */
import type { JsonObject } from "./content.ts";
import { jobId, sessionId } from "./ids.ts";
import { offsetTime } from "./offset-time.ts";
import type { OutcomeKind } from "./rows.ts";
import type { Delivery, JobRecord, TurnRecord } from "./turn-record.ts";

export type JobStatus = "queued" | "running" | "done" | "failed" | "cancelled";

/** What a finished turn is to those clients: the data of a chat's answer. */
export interface ChatResult {
  session_id: string;
  content: string;
  /** US dollars; zero where a call had no price. */
  cost: number;
  duration_ms: number;
  num_turns: number;
  tools_used: { name: string; input: JsonObject }[];
}

export interface JobObject {
  id: string;
  status: JobStatus;
  message: string;
  webhook_url: string | null;
  result: ChatResult | null;
  error: string | null;
  cost: number;
  duration_ms: number;
  tools_used: { name: string; input: JsonObject }[] | null;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  /** Our addition: what became of the webhook. */
  delivery: DeliveryObject | null;
}

export interface DeliveryObject extends Omit<Delivery, "next_at" | "delivered_at"> {
  next_at: string | null;
  delivered_at: string | null;
}

/** What an outcome is to the job that it ends. */
export function endOfJob(outcome: OutcomeKind): "done" | "failed" | "cancelled" {
  if (outcome === "completed" || outcome === "max_turns") return "done";
  return outcome === "interrupted" ? "cancelled" : "failed";
}

type Ran = Pick<TurnRecord, "content" | "cost_usd" | "duration_ms" | "num_turns" | "tools_used">;

/** `session` is the session's ULID. */
export function chatResult(record: Ran, session: string): ChatResult {
  const { cost_usd, duration_ms, num_turns, tools_used } = record;
  const content = record.content || withoutWords(tools_used);
  const session_id = sessionId(session);
  return { session_id, content, cost: cost_usd ?? 0, duration_ms, num_turns, tools_used };
}

/** Stands for the text of an answer that has none; empty where no tool ran either. */
function withoutWords(tools: Ran["tools_used"]): string {
  const names = [...new Set(tools.map(({ name }) => name))];
  return names.length === 0 ? "" : `Done, without a text. Tools used: ${names.join(", ")}.`;
}

export function jobStatus({ status, outcome }: TurnRecord): JobStatus {
  if (status === "queued" || status === "cancelled") return status;
  return outcome === null ? "running" : endOfJob(outcome);
}

/** `session` is the session's ULID. */
export function jobObject(job: JobRecord, session: string): JobObject {
  const status = jobStatus(job);
  const ended = status === "done" || status === "failed" || status === "cancelled";
  const wasStopped = status === "cancelled" && job.started_at !== null;
  return {
    id: jobId(session, job.job),
    status,
    message: job.prompt,
    webhook_url: job.webhook_url,
    // Of one that was cancelled while it ran there may be a part.
    result: status === "done" || wasStopped ? chatResult(job, session) : null,
    error: status === "failed" ? (job.message ?? job.outcome) : null,
    cost: job.cost_usd ?? 0,
    duration_ms: job.duration_ms,
    tools_used: ended ? job.tools_used : null,
    created_at: offsetTime(job.created_at),
    started_at: job.started_at === null ? null : offsetTime(job.started_at),
    completed_at: ended && job.ended_at !== null ? offsetTime(job.ended_at) : null,
    delivery: deliveryObject(job.delivery),
  };
}

const deliveryObject = (delivery: Delivery | null): DeliveryObject | null =>
  delivery && {
    ...delivery,
    next_at: delivery.next_at === null ? null : offsetTime(delivery.next_at),
    delivered_at: delivery.delivered_at === null ? null : offsetTime(delivery.delivered_at),
  };

/** What a webhook is told: the keys of claude-code-api, and those of Standard Webhooks. */
export interface WebhookBody {
  /** Whatever the end: clients of claude-code-api know no other. */
  event: "job.completed";
  job: WebhookJob;
  type: "job.completed" | "job.failed" | "job.cancelled";
  /** When the job ended. */
  timestamp: string;
  data: WebhookJob;
}

export interface WebhookJob extends Omit<JobObject, "delivery"> {
  /** There are no numbers of rows here: the session's id, under which its routes find it as well. */
  session_rowid: string;
}

/** The same in all attempts. `session` is the session's ULID. */
export function webhookBody(record: JobRecord, session: string): WebhookBody {
  const { delivery: _, ...object } = jobObject(record, session);
  const job = { ...object, session_rowid: sessionId(session) };
  const timestamp = job.completed_at ?? job.created_at;
  return { event: "job.completed", job, type: TYPES[endOf(record)], timestamp, data: job };
}

const endOf = ({ outcome }: JobRecord): keyof typeof TYPES =>
  outcome === null ? "cancelled" : endOfJob(outcome);

const TYPES = {
  done: "job.completed",
  failed: "job.failed",
  cancelled: "job.cancelled",
} as const;
