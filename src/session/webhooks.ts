/**
 * Tells webhooks of the ends of jobs, beside the loop. What has to be told stands in the state, and each
 * attempt is a row, written once it has ended: an object that dies in between makes the attempt again,
 * under the same id, so a webhook is told at least once.
 */
import { postWebhook } from "../net/guard.ts";
import { clock } from "../shared/clock.ts";
import type { Config } from "../shared/config.ts";
import { webhookId } from "../shared/ids.ts";
import { webhookBody } from "../shared/job-object.ts";
import { errorOf, type LoggedPlace, writeLine } from "../shared/log-line.ts";
import { signedHeaders } from "../shared/webhook-signature.ts";
import type { Draft } from "./draft.ts";
import type { FaultPoint } from "./fault-points.ts";
import { jobRecord } from "./job-record.ts";
import type { PendingWebhook } from "./jobs.ts";
import type { Store } from "./store.ts";

const TIMEOUT_MS = 10_000;
/** Before each attempt but the first, in milliseconds; each may be a quarter longer or shorter. */
const DELAYS_MS = [5_000, 30_000, 120_000, 600_000, 3_600_000] as const;
/** The platform lets an object wait for the heads of six answers at once, four of which tools may want. */
const AT_ONCE = 2;
/** The receiver says that it wants no more. */
const GONE = 410;

export interface WebhookEdges {
  store: Store;
  /** The account's id, and the session's ULID. */
  account: string;
  session: string;
  config: () => Config | null;
  /** Writes a draft, tells the followers, keeps the alarm. */
  commit: (draft: Draft) => void;
  /** Keeps the object in memory while the promise is open. */
  hold: (step: Promise<void>) => void;
  reach: (point: FaultPoint) => void;
  place: LoggedPlace;
}

export class Webhooks {
  readonly #edges: WebhookEdges;
  /** Deliveries that are under way. */
  readonly #open = new Map<number, Promise<void>>();

  constructor(edges: WebhookEdges) {
    this.#edges = edges;
  }

  /** When the next attempt comes that is not due yet; null when there is none. */
  get next(): number | null {
    const now = clock.now();
    const times = this.#edges.store.state.jobs.webhooks
      .map(({ at }) => at)
      .filter((at) => at > now);
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** Starts what is due. Resolves once all that was started by now has ended; never rejects. */
  async send(): Promise<void> {
    this.#start();
    await Promise.all(this.#open.values());
  }

  #start(): void {
    const { store, hold } = this.#edges;
    const now = clock.now();
    for (const pending of store.state.jobs.webhooks) {
      if (this.#open.size >= AT_ONCE) return;
      if (pending.at > now || this.#open.has(pending.delivery)) continue;
      // Begins when the step that ended the job has ended.
      const attempt = Promise.resolve().then(() => this.#attempt(pending));
      this.#open.set(pending.delivery, attempt);
      hold(attempt);
    }
  }

  async #attempt(pending: PendingWebhook): Promise<void> {
    const answer = await this.#post(pending).catch((error) => this.#failed(error));
    this.#open.delete(pending.delivery);
    try {
      this.#write(pending, answer);
    } catch (error) {
      // It is due as before. The alarm repeats it, and nothing sooner.
      this.#failed(error);
      return;
    }
    this.#start();
  }

  #failed(error: unknown): Answer {
    const { place } = this.#edges;
    writeLine({ event: "error", what: "webhook", ...place, error: errorOf(error) });
    return { status: null, error: "The server failed to send it" };
  }

  async #post({ input, delivery }: PendingWebhook): Promise<Answer> {
    const { store, account, session, config, reach } = this.#edges;
    const job = jobRecord(store, session, input);
    const known = config();
    if (!job?.webhook_url) throw new Error("the job has no webhook");
    // Without it nobody knows with which keys to sign.
    if (!known) return { status: null, error: "The server is not configured" };
    const body = new Uint8Array(encoder.encode(JSON.stringify(webhookBody(job, session))));
    const id = webhookId(session, delivery);
    const now = clock.now();
    const signed = await signedHeaders(known.webhookKeys, account, { id, now, body });
    const headers = { "content-type": "application/json", "user-agent": "Ledge", ...signed };
    // It may have been deleted, or asked for anew, while the message was signed.
    if (!this.#isWanted(delivery)) return { status: null, error: null };
    reach("webhook");
    const allow = known.fetchAllowHosts;
    const how = { headers, body, timeoutMs: TIMEOUT_MS, allow };
    const answer = await postWebhook(job.webhook_url, how);
    reach("webhook_answered");
    if (!answer.ok) return { status: null, error: answer.message };
    const { status } = answer;
    const error = status >= 200 && status < 300 ? null : `The URL answered with status ${status}`;
    return { status, error };
  }

  /** Unless nobody wants to know any more: the session was deleted, or a redelivery took its place. */
  #write({ input, delivery, attempt }: PendingWebhook, { status, error }: Answer): void {
    const { store, commit } = this.#edges;
    if (!this.#isWanted(delivery)) return;
    const draft = store.draft();
    const delay = DELAYS_MS[attempt - 1];
    const again = error !== null && status !== GONE && delay !== undefined;
    const retry = again ? { retry_at: draft.now + Math.round(delay * jitter()) } : {};
    const body = { input, delivery, attempt, status, error, ...retry };
    draft.add({ type: "webhook.attempted", body });
    commit(draft);
  }

  /** A deletion gives up all deliveries. */
  #isWanted(delivery: number): boolean {
    return this.#edges.store.state.jobs.webhooks.some((one) => one.delivery === delivery);
  }
}

interface Answer {
  /** Null where there was none. */
  status: number | null;
  error: string | null;
}

const encoder = new TextEncoder();

const jitter = (): number => 0.75 + Math.random() / 2;
