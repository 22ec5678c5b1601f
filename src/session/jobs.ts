/**
 * The part of the folded state that is about jobs: which have no end yet, and which webhooks have to be
 * told of one. A job ends with the one row that names its input: an `outcome` or `input.cancelled`.
 */
import { endOfJob } from "../shared/job-object.ts";
import type { OutcomeKind, Row, RowOf } from "../shared/rows.ts";

export interface Jobs {
  /** All that ever came; those that are in none of the other figures wait, run or were cancelled. */
  total: number;
  done: number;
  failed: number;
  /** Those without an end, in the order in which they came. */
  open: { input: number; webhook: boolean }[];
  webhooks: PendingWebhook[];
}

/** A webhook that has to be told of the end of a job. */
export interface PendingWebhook {
  /** Seq of the job's input. */
  input: number;
  /** Seq of the row that asks for it: the job's end, or a `webhook.requested`. */
  delivery: number;
  /** The number of the next attempt, and when that is due, in milliseconds since the epoch. */
  attempt: number;
  at: number;
}

export const NO_JOBS: Jobs = { total: 0, done: 0, failed: 0, open: [], webhooks: [] };

export const isOpenJob = ({ open }: Jobs, input: number): boolean =>
  open.some((job) => job.input === input);

/** When the next attempt of any is due; null when no webhook has to be told. */
export const webhookDue = ({ webhooks }: Jobs): number | null =>
  webhooks.length === 0 ? null : Math.min(...webhooks.map(({ at }) => at));

export function foldJobs(jobs: Jobs, row: Row): Jobs {
  switch (row.type) {
    case "input": {
      if (!row.body.job) return jobs;
      const webhook = row.body.job.webhook_url !== null;
      return { ...jobs, total: jobs.total + 1, open: [...jobs.open, { input: row.seq, webhook }] };
    }
    case "outcome":
      return ended(jobs, row, row.body.inputs, row.body.outcome);
    case "input.cancelled":
      return ended(jobs, row, [row.body.input], null);
    case "webhook.requested": {
      const { input } = row.body;
      const others = jobs.webhooks.filter((one) => one.input !== input);
      return { ...jobs, webhooks: [...others, firstAttempt(input, row)] };
    }
    case "webhook.attempted":
      return { ...jobs, webhooks: attempted(jobs.webhooks, row.body) };
    case "session.deleted":
      return { ...jobs, open: [], webhooks: [] };
    default:
      return jobs;
  }
}

/** `outcome` is null for inputs that were cancelled before they were taken. */
function ended(jobs: Jobs, row: Row, inputs: readonly number[], outcome: OutcomeKind | null): Jobs {
  const over = jobs.open.filter(({ input }) => inputs.includes(input));
  if (over.length === 0) return jobs;
  const end = outcome === null ? "cancelled" : endOfJob(outcome);
  const told = over.filter(({ webhook }) => webhook);
  return {
    ...jobs,
    done: jobs.done + (end === "done" ? over.length : 0),
    failed: jobs.failed + (end === "failed" ? over.length : 0),
    open: jobs.open.filter((job) => !over.includes(job)),
    webhooks: [...jobs.webhooks, ...told.map(({ input }) => firstAttempt(input, row))],
  };
}

const firstAttempt = (input: number, { seq, at }: Row): PendingWebhook => ({
  input,
  delivery: seq,
  attempt: 1,
  at,
});

function attempted(
  webhooks: readonly PendingWebhook[],
  { delivery, attempt, retry_at }: RowOf<"webhook.attempted">["body"],
): PendingWebhook[] {
  return webhooks.flatMap((one) => {
    if (one.delivery !== delivery) return [one];
    return retry_at === undefined ? [] : [{ ...one, attempt: attempt + 1, at: retry_at }];
  });
}
