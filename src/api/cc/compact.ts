/** `POST /api/sessions/{id}/compact`: older messages become a summary. */
import * as v from "valibot";
import { readJson } from "../../http/body.ts";
import { keyEnded } from "../../http/caller.ts";
import { hashJson } from "../../http/canonical.ts";
import type { HttpContext } from "../../http/context.ts";
import { type FollowEnd, Follower } from "../../http/follow.ts";
import { watchKey } from "../../http/key-watch.ts";
import { moderate } from "../../http/moderation.ts";
import { notFound, respond, unavailable } from "../../http/problems.ts";
import { submit } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import type { SessionStub } from "../../session/calls.ts";
import { clock } from "../../shared/clock.ts";
import type { JsonObject } from "../../shared/content.ts";
import { atRow } from "../../shared/cursor.ts";
import type { Row } from "../../shared/rows.ts";
import { keyId } from "../common/key.ts";
import { refusalProblem, submissionOf } from "../common/submission.ts";
import { addressed } from "./address.ts";

const MAX_INSTRUCTIONS = 16_384;
/** Clients give up after a minute. */
const WAIT_MS = 50_000;

export const CompactRequest = v.object({
  keep_recent_messages: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1))),
  instructions: v.nullish(v.pipe(v.string(), v.maxLength(MAX_INSTRUCTIONS))),
});

export async function postCompact(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  const key = keyId(c, "compact");
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes, {});
  const { keep_recent_messages, instructions } = parse(CompactRequest, body);
  moderate(c.get("config"), "native", [instructions ?? ""]);
  const command = {
    kind: "compact" as const,
    keep: keep_recent_messages ?? null,
    instructions: instructions || null,
  };
  const answer = await submit(session, submissionOf(c, command, key, await hashJson(body)), []);
  if (!answer.ok) return respond(c, refusalProblem(answer.refusal));
  const { s, scheduled, replayed } = answer.accepted;
  if (replayed) c.header("idempotency-replayed", "true");
  const end = scheduled ? LATER : await endOf(c, session, s);
  if (isEnd(end)) {
    if (end.kind === "key_ended") return respond(c, keyEnded(end.end));
    const gone = end.kind === "not_found" || end.kind === "deleted";
    const message = "The session could not be reached. The compaction goes on.";
    return respond(c, gone ? notFound("Session") : unavailable("unavailable", message, 1));
  }
  return c.json({ id, ...end });
}

/** What is told of a compaction has no such member. */
const isEnd = (told: JsonObject | FollowEnd): told is FollowEnd => "kind" in told;

const LATER = {
  compacted: false,
  scheduled: true,
  reason: "A turn is open. The conversation is compacted when it has ended, before the next one.",
};

const LONG = {
  compacted: false,
  scheduled: true,
  reason: "The compaction has not ended yet and goes on. session.compacted will tell of it.",
};

/** What became of the compaction that was asked for with the row `request`. */
async function endOf(
  c: HttpContext,
  session: SessionStub,
  request: number,
): Promise<JsonObject | FollowEnd> {
  const client = c.req.raw.signal;
  const stop = new AbortController();
  const watch = watchKey(c, stop.signal);
  const end = () => stop.abort();
  const cancelTimer = clock.after(WAIT_MS, end);
  client.addEventListener("abort", end, { once: true });
  // It may have left while its request was on the way.
  if (client.aborted) end();
  const follower = new Follower(session, { from: atRow(request), signal: watch.signal });
  const followed = watch.over(follower.read());
  try {
    for (;;) {
      const step = await followed.next();
      if (step.done) return step.value ?? LONG;
      const told = step.value.kind === "row" ? toldBy(step.value.row, request) : null;
      if (told) return told;
    }
  } finally {
    cancelTimer();
    client.removeEventListener("abort", end);
    end();
    await followed.return(null);
  }
}

function toldBy(row: Row, request: number): JsonObject | null {
  if (!("request" in row.body) || row.body.request !== request) return null;
  switch (row.type) {
    case "compaction.deferred":
      return LATER;
    case "compaction.ended": {
      const { message, messages, tokens, cost_usd } = row.body;
      return {
        compacted: false,
        reason: message,
        messages_before: messages,
        messages_after: messages,
        summary_chars: 0,
        tokens_before: tokens,
        tokens_after: tokens,
        cost_usd,
      };
    }
    case "context.compacted": {
      const { messages_before, messages_after, tokens_before, tokens_after } = row.body;
      const { block, summary, cost_usd, method } = row.body;
      return {
        compacted: true,
        messages_before,
        messages_after,
        summary_chars: (summary ?? String(block?.content ?? "")).length,
        tokens_before,
        tokens_after,
        cost_usd,
        method,
      };
    }
    default:
      return null;
  }
}
