/** Messages of claude-code-api, with somebody who waits for the answer or without. */
import * as v from "valibot";
import {
  json,
  jsonBody,
  type Operation,
  type Operations,
  type Problems,
} from "../../../http/openapi/operation.ts";
import { JobRequest, ListQuery } from "../jobs.ts";
import { ChatRequest } from "../turn.ts";
import type * as Answers from "./answers.ts";

const CHAT = "claude-code-api: chat and jobs";

export const CHAT_TAGS = {
  [CHAT]: "Messages, with somebody who waits for the answer or without.",
};

const SESSION = "/api/v1/sessions/:name";
const JOB = `${SESSION}/jobs/:job`;
const REPLAYED = { headers: ["Idempotency-Replayed"] } as const;

const MESSAGE_PROBLEMS: Problems = {
  400: ["blocked"],
  413: ["moderation_limit"],
  507: ["session_full"],
};

const MESSAGE_FAILURES: Problems = {
  ...MESSAGE_PROBLEMS,
  409: ["input_cancelled", "turn_in_progress"],
  429: ["*"],
  502: ["*"],
};

export function chatOperations(answers: typeof Answers): Operations {
  const sent: Pick<Operation, "tag" | "body"> = {
    tag: CHAT,
    body: jsonBody(ChatRequest, { message: "Count to 5." }),
  };
  const job = answers.enveloped(answers.Job);
  const accepted = json(answers.enveloped(answers.Accepted), "With `Prefer: wait=0`: it goes on.", {
    headers: ["Location", "Idempotency-Replayed"],
  });
  return {
    [`POST ${SESSION}/chat`]: {
      ...sent,
      id: "codeChat",
      summary: "Sends a message",
      description: "The answer comes when the turn has ended. After 504 the turn goes on.",
      headers: ["Idempotency-Key", "Prefer"],
      answers: {
        200: json(answers.enveloped(answers.CodeAnswer), "The answer.", {
          headers: ["Idempotency-Replayed"],
        }),
        202: accepted,
      },
      problems: { ...MESSAGE_FAILURES, 504: ["turn_still_running"] },
    },
    [`POST ${SESSION}/chat/stream`]: {
      ...sent,
      id: "codeChatStream",
      summary: "Sends a message, and streams what comes of it",
      description:
        "`delta` is a piece of a text, `assistant` the whole of it. With `Last-Event-ID` the rest of that response is sent and no turn begins.",
      headers: ["Idempotency-Key", "Prefer", "Last-Event-ID"],
      answers: {
        200: {
          description: "What the turn makes, and `done` or `error`.",
          headers: ["Idempotency-Replayed"],
          content: [{ kind: "events", events: answers.CHAT_FRAMES }],
        },
        202: accepted,
      },
      problems: {
        ...MESSAGE_FAILURES,
        400: ["blocked", "invalid_cursor"],
        409: ["input_cancelled", "turn_in_progress", "cursor_ahead"],
      },
    },
    [`POST ${SESSION}/jobs`]: {
      id: "codeCreateJob",
      tag: CHAT,
      summary: "Sends a message that nobody waits for",
      description:
        "Jobs of a session run one after the other. The webhook is told when it has ended, signed as Standard Webhooks.",
      headers: ["Idempotency-Key"],
      body: jsonBody(JobRequest, { message: "Count to 5." }),
      answers: {
        202: json(job, "The job.", {
          headers: ["Location", "Idempotency-Replayed"],
        }),
      },
      problems: MESSAGE_PROBLEMS,
    },
    [`GET ${SESSION}/jobs`]: {
      id: "codeListJobs",
      tag: CHAT,
      summary: "The session's jobs",
      query: ListQuery,
      answers: {
        200: json(
          answers.enveloped(v.array(answers.Job), {
            count: v.number(),
            pagination: answers.Pagination,
          }),
          "A page of the jobs, newest first.",
        ),
      },
    },
    [`GET ${JOB}`]: {
      id: "codeGetJob",
      tag: CHAT,
      summary: "A job",
      answers: { 200: json(job, "The job.") },
    },
    [`POST ${JOB}/cancel`]: {
      id: "codeCancelJob",
      tag: CHAT,
      summary: "Cancels a job that waits or runs",
      headers: ["Idempotency-Key"],
      answers: {
        200: json(
          answers.enveloped(v.object({ id: v.string(), status: v.literal("cancelling") })),
          "It is cancelled.",
          REPLAYED,
        ),
      },
      problems: { 409: ["job_ended"] },
    },
    [`POST ${JOB}/redeliver`]: {
      id: "codeRedeliverJob",
      tag: CHAT,
      summary: "Tells the webhook of a job once more",
      headers: ["Idempotency-Key"],
      answers: { 202: json(job, "The job.", REPLAYED) },
      problems: { 409: ["*"] },
    },
  };
}
