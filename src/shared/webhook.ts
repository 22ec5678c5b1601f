/** What the log keeps of telling webhooks of the ends of jobs. */

/** An attempt to tell a webhook of the end of a job, and how that ended. */
export interface WebhookAttemptedBody {
  /** Seq of the job's input. */
  input: number;
  /** Seq of the row that it tells of: the job's end, or a `webhook.requested`. */
  delivery: number;
  /** 1 for the delivery's first one. */
  attempt: number;
  /** What was answered; null where nothing was. */
  status: number | null;
  /** What was wrong, without the address; null: it was delivered. */
  error: string | null;
  /** When the next attempt is due, in milliseconds since the epoch; absent: there is none. */
  retry_at?: number;
}
