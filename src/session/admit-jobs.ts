/** What can be done to a job that was posted: take it back, or have its end told once more. */
import {
  type Admission,
  type CommandOf,
  refused,
  type Surroundings,
  submitted,
} from "./admission.ts";
import type { Submission } from "./commands.ts";
import type { Draft } from "./draft.ts";
import { stopTurn } from "./settle.ts";

const UNKNOWN = refused("unknown_job", "There is no such job.");

export function admitCancelJob(
  draft: Draft,
  submission: Submission,
  { input }: CommandOf<"cancel_job">,
  around: Surroundings,
): Admission {
  const { turn, queue } = draft.state;
  const job = around.job(input);
  if (!job) return UNKNOWN;
  if (job.end !== null) return refused("job_ended", `The job is ${job.end} already.`, job.end);
  if (queue.some(({ seq }) => seq === input)) {
    draft.add({
      type: "input.cancelled",
      body: { ...submitted(submission), input, reason: "client" },
    });
    return { kind: "accepted", input: null, turn: null };
  }
  if (turn?.turn !== input) return UNKNOWN;
  draft.add({
    type: "interrupt",
    body: { ...submitted(submission), turn: input, cancel_queued: false },
  });
  stopTurn(draft, around.cut(draft));
  return { kind: "accepted", input: null, turn: input, stops: true };
}

export function admitRedelivery(
  draft: Draft,
  submission: Submission,
  { input }: CommandOf<"redeliver">,
  around: Surroundings,
): Admission {
  const job = around.job(input);
  if (!job) return UNKNOWN;
  if (!job.webhook) return refused("no_webhook", "The job has no webhook.");
  if (job.end === null) {
    return refused("job_open", "The job has not ended. Its webhook is told once it has.");
  }
  draft.add({ type: "webhook.requested", body: { ...submitted(submission), input } });
  return { kind: "accepted", input: null, turn: null };
}
