/** Jobs: messages that nobody waits for. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import {
  conflict,
  invalidField,
  notFound,
  type Problem,
  ProblemError,
  respond,
} from "../../http/problems.ts";
import { repeatedly, submit } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { checkWebhookAddress } from "../../net/guard.ts";
import type { Accepted, Refusal } from "../../session/commands.ts";
import { jobId, numberInJobId } from "../../shared/ids.ts";
import { type JobObject, jobObject } from "../../shared/job-object.ts";
import { type Addressed, found } from "../common/address.ts";
import { keyId } from "../common/key.ts";
import { refusalProblem, submissionOf } from "../common/submission.ts";
import { addressed, sessionPath } from "./address.ts";
import { readBody } from "./body.ts";
import { answer, pagination } from "./envelope.ts";
import { pageFields, Text } from "./fields.ts";
import { ChatRequest, inputOf } from "./turn.ts";

const MAX_URL = 2_048;

export const JobRequest = v.strictObject({
  ...ChatRequest.entries,
  webhook_url: v.nullish(Text(MAX_URL)),
});

/** `POST /api/v1/sessions/{name}/jobs` */
export async function postJob(c: HttpContext): Promise<Response> {
  const key = keyId(c, "v1/jobs");
  const { request, hash } = await readBody(c, JobRequest);
  const webhook_url = request.webhook_url || null;
  if (webhook_url !== null) checkWebhook(c, webhook_url);
  const place = await addressed(c);
  const input = await inputOf(c, place, request, hash);
  const submission = submissionOf(c, { ...input, job: { webhook_url } }, key, hash);
  const done = await submit(place.session, submission, []);
  if (!done.ok) return respond(c, jobProblem(done.refusal));
  const { accepted } = done;
  const job = await jobOf(place, numberOf(accepted));
  return answer(c, accepted.replayed ? job : asQueued(job), {
    status: 202,
    headers: {
      location: `${sessionPath(place.id)}/jobs/${job.id}`,
      ...(accepted.replayed ? { "idempotency-replayed": "true" } : {}),
    },
  });
}

/** A job is its input. */
function numberOf({ input }: Accepted): number {
  if (input === null) throw new Error("a job was taken without an input");
  return input;
}

/** @throws ProblemError 422 */
function checkWebhook(c: HttpContext, url: string): void {
  const checked = checkWebhookAddress(url, c.get("config").fetchAllowHosts);
  if (checked.ok) return;
  throw new ProblemError(invalidField("body -> webhook_url", checked.code, checked.message));
}

/** It may run by now; clients of the original expect to see it wait. */
const asQueued = ({ id, message, webhook_url, created_at }: JobObject): JobObject => ({
  id,
  status: "queued",
  message,
  webhook_url,
  result: null,
  error: null,
  cost: 0,
  duration_ms: 0,
  tools_used: null,
  created_at,
  started_at: null,
  completed_at: null,
  delivery: null,
});

/** @throws ProblemError 404 */
async function jobOf({ ulid, session }: Addressed, job: number): Promise<JobObject> {
  const record = found(await repeatedly(() => session.job(job)));
  if (record === "unknown") throw new ProblemError(notFound("Job"));
  return jobObject(record, ulid);
}

/** Zero, which no job has, for what is no job's id: only the session can say whether it is there itself. */
const jobAsked = (c: HttpContext, { ulid }: Addressed): number =>
  numberInJobId(ulid, c.req.param("job") ?? "") ?? 0;

export const ListQuery = v.object(pageFields(50, 200));

/** `GET /api/v1/sessions/{name}/jobs` */
export async function listJobs(c: HttpContext): Promise<Response> {
  const page = parse(ListQuery, c.req.query(), "query");
  const { ulid, session } = await addressed(c);
  const from = (page.page - 1) * page.limit;
  const { jobs, total } = found(await repeatedly(() => session.jobs(from, page.limit)));
  const data = jobs.map((job) => jobObject(job, ulid));
  return answer(c, data, { beside: { count: data.length, pagination: pagination(page, total) } });
}

/** `GET /api/v1/sessions/{name}/jobs/{job}` */
export async function getJob(c: HttpContext): Promise<Response> {
  const place = await addressed(c);
  return answer(c, await jobOf(place, jobAsked(c, place)));
}

/** `POST /api/v1/sessions/{name}/jobs/{job}/cancel` */
export async function cancelJob(c: HttpContext): Promise<Response> {
  const { place, job } = await ordered(c, "cancel_job");
  return answer(c, { id: jobId(place.ulid, job), status: "cancelling" });
}

/** `POST /api/v1/sessions/{name}/jobs/{job}/redeliver` */
export async function redeliverJob(c: HttpContext): Promise<Response> {
  const { place, job } = await ordered(c, "redeliver");
  return answer(c, await jobOf(place, job), { status: 202 });
}

/** What is done with a job that there is. These routes need no body and read none. */
async function ordered(
  c: HttpContext,
  kind: "cancel_job" | "redeliver",
): Promise<{ place: Addressed; job: number }> {
  const key = keyId(c, `v1/jobs/${kind}`);
  const place = await addressed(c);
  const job = jobAsked(c, place);
  const submission = submissionOf(c, { kind, input: job }, key, String(job));
  const done = await submit(place.session, submission, []);
  if (!done.ok) throw new ProblemError(jobProblem(done.refusal));
  if (done.accepted.replayed) c.header("idempotency-replayed", "true");
  return { place, job };
}

function jobProblem(refusal: Refusal): Problem {
  if (refusal.code !== "job_ended") return refusalProblem(refusal);
  return conflict(refusal.code, `Job already ${refusal.about ?? "ended"}`);
}
