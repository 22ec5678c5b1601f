/** Jobs as they are now: their turns, and what became of telling their webhooks. */

import { webhookId } from "../shared/ids.ts";
import { endOfJob } from "../shared/job-object.ts";
import type { Delivery, JobRecord } from "../shared/turn-record.ts";
import type { KnownJob } from "./admission.ts";
import type { JobPlace } from "./job-table.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store.ts";
import { recordOf } from "./turn-record.ts";

/** What an admission asks of a job; null when the input is none. */
export function knownJob({ jobs, log }: Store, input: number): KnownJob | null {
  const place = jobs.get(input);
  const [posted] = place ? log.contents(input, input) : [];
  if (!place || posted?.type !== "input") return null;
  const ended = place.ended === null ? null : log.row(place.ended);
  const end = ended?.type === "outcome" ? endOfJob(ended.body.outcome) : ended && "cancelled";
  return { webhook: webhookOf(posted.body.job) !== null, end };
}

const webhookOf = (job: { webhook_url: string | null } | undefined): string | null =>
  job?.webhook_url ?? null;

/** The job of the input `job`; null when it is none. `session` is the session's ULID. */
export function jobRecord(store: Store, session: string, job: number): JobRecord | null {
  const place = store.jobs.get(job);
  return place && placedJob(store, session, place);
}

export function placedJob(store: Store, session: string, place: JobPlace): JobRecord | null {
  const { log } = store;
  const posted = log.rowOf("input", place.seq);
  const record = recordOf(store, place.seq);
  if (!posted || !record) return null;
  const webhook_url = webhookOf(posted.body.job);
  const delivery = webhook_url === null ? null : deliveryOf(log, session, place);
  return { ...record, job: place.seq, webhook_url, delivery };
}

function deliveryOf(log: Log, session: string, { ended, told }: JobPlace): Delivery | null {
  if (ended === null) return null;
  const row = told === null ? null : log.row(told);
  if (row?.type !== "webhook.attempted") {
    const asked = row?.seq ?? ended;
    return {
      id: webhookId(session, asked),
      state: "pending",
      attempts: 0,
      last_status: null,
      last_error: null,
      next_at: log.at(asked),
      delivered_at: null,
    };
  }
  const { delivery, attempt, status, error, retry_at } = row.body;
  const delivered = error === null;
  return {
    id: webhookId(session, delivery),
    state: delivered ? "delivered" : retry_at === undefined ? "failed" : "pending",
    attempts: attempt,
    last_status: status,
    last_error: error,
    next_at: retry_at ?? null,
    delivered_at: delivered ? row.at : null,
  };
}
