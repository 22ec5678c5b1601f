/**
 * Submits to a session and follows what comes of it: the answer to a turn or to tool results. SSE
 * and JSON are the same following; JSON folds it to the outcome.
 */
import type { SessionStub } from "../session/calls.ts";
import type { Accepted, Refusal, Submission } from "../session/commands.ts";
import { clock } from "../shared/clock.ts";
import { type Cursor, parseCursor } from "../shared/cursor.ts";
import { isOutcome, type OutcomeEvent } from "../shared/events.ts";
import type { JsonObject, Row } from "../shared/rows.ts";
import type { HttpContext } from "./context.ts";
import { Follower } from "./follow.ts";
import type { StreamEncoder } from "./frames.ts";
import type { Media } from "./media.ts";
import { conflict, type Problem, respond, unavailable } from "./problems.ts";
import { type FollowStream, pump } from "./pump.ts";
import { openSse } from "./sse.ts";
import { submit } from "./submit.ts";

/** How a surface says what became of a submission. */
export interface InlineEncoder extends StreamEncoder {
  /** The JSON answer of a submission that did not fail. */
  answer(outcome: OutcomeEvent, row: Row): JsonObject;
  /** Where the turn can be read later. */
  turnUrl(turn: number): string;
  /** What is answered for a turn that goes on. */
  accepted(accepted: Accepted): JsonObject;
}

export interface Run {
  session: SessionStub;
  submission: Submission;
  media: readonly Media[];
  /** SSE instead of JSON. */
  stream: boolean;
  encoder: InlineEncoder;
  /** The problem for a refusal, in the words of the surface. */
  refused: (refusal: Refusal) => Problem;
}

/** Codes of failures that waiting mends, and for how long a client should, in seconds. */
const RETRY_AFTER: Readonly<Record<string, number>> = { rate_limited: 30, overloaded: 10 };

/** Submits and answers. */
export async function run(c: HttpContext, what: Run): Promise<Response> {
  const { session, submission } = what;
  const left = new AbortController();
  const waitMs = what.stream ? Number.POSITIVE_INFINITY : waitOf(c);
  // The dial leaves together with the submission: their order does not matter to what is read.
  const follower = waitMs > 0 ? follow(session, submission, left.signal, "head") : null;
  try {
    const sent: Submission = follower ? submission : { ...submission, detached: true };
    const answer = await submit(session, sent, what.media);
    if (!answer.ok) {
      follower?.cancel();
      return respond(c, what.refused(answer.refusal));
    }
    const { accepted } = answer;
    if (accepted.replayed) c.header("idempotency-replayed", "true");
    if (!follower || accepted.input === null) return acceptedResponse(c, what, accepted);
    return what.stream
      ? streamed(c, what, follower, accepted, left)
      : await folded(c, what, follower, accepted, left, waitMs);
  } catch (error) {
    follower?.cancel();
    throw error;
  }
}

const follow = (
  session: SessionStub,
  { submission }: Submission,
  signal: AbortSignal,
  from: Cursor | "head",
): Follower => new Follower(session, { from, reads: submission, signal });

function streamed(
  c: HttpContext,
  what: Run,
  follower: Follower,
  accepted: Accepted,
  left: AbortController,
): Response {
  const sse = openSse({
    signal: c.req.raw.signal,
    headers: accepted.replayed ? { "idempotency-replayed": "true" } : {},
  });
  sse.closed.addEventListener("abort", () => left.abort(), { once: true });
  const seen = resumedAt(c, accepted);
  let followed: FollowStream;
  if (seen) {
    follower.cancel();
    followed = follow(what.session, what.submission, left.signal, seen).read();
  } else {
    followed = follower.read(accepted.s);
  }
  c.executionCtx.waitUntil(pump(sse, own(followed, accepted), what.encoder, seen));
  return sse.response;
}

/** A client that sends its submission again may say how much of the answer it has seen. */
function resumedAt(c: HttpContext, accepted: Accepted): Cursor | null {
  const text = c.req.header("last-event-id");
  const cursor = accepted.replayed && text ? parseCursor(text) : null;
  return cursor && cursor.seq >= accepted.s ? cursor : null;
}

async function folded(
  c: HttpContext,
  what: Run,
  follower: Follower,
  accepted: Accepted,
  left: AbortController,
  waitMs: number,
): Promise<Response> {
  const stop = () => left.abort();
  const cancelTimer = clock.after(waitMs, stop);
  c.req.raw.signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const item of own(follower.read(accepted.s), accepted)) {
      if (item.kind !== "row") continue;
      if (item.row.type === "input.cancelled") return respond(c, cancelled(accepted));
      const outcome = item.events.find(isOutcome);
      if (outcome) return outcomeResponse(c, what, outcome, item.row);
    }
  } finally {
    cancelTimer();
    left.abort();
  }
  return respond(c, stillRunning(what, accepted, waitMs));
}

/** Only what belongs to the submission: from its first row to the outcome that names it. */
async function* own(followed: FollowStream, accepted: Accepted): FollowStream {
  const { input } = accepted;
  let turn = accepted.turn;
  try {
    for (;;) {
      const step = await followed.next();
      if (step.done) return step.value;
      const item = step.value;
      if (item.kind === "preview" && item.preview.turn === turn) yield item;
      if (item.kind !== "row" || item.row.seq < accepted.s) continue;
      const { row } = item;
      // A steer that found no further step opens a turn of its own.
      if (row.type === "input.taken" && row.body.input === input) turn = row.body.turn;
      if (belongs(row, input, turn)) yield item;
      if (row.type === "outcome" && row.body.inputs.includes(input ?? -1)) return null;
      if (row.type === "input.cancelled" && row.body.input === input) return null;
    }
  } finally {
    await followed.return(null);
  }
}

function belongs(row: Row, input: number | null, turn: number | null): boolean {
  if (row.type === "input" || row.type === "input.cancelled" || row.type === "input.taken") {
    return row.type === "input" ? row.seq === input : row.body.input === input;
  }
  // Another submission's outcome in the same turn is not this one's: a steer may go on after it.
  if (row.type === "outcome") return row.body.inputs.includes(input ?? -1);
  return "turn" in row.body && row.body.turn === turn;
}

function outcomeResponse(c: HttpContext, what: Run, outcome: OutcomeEvent, row: Row): Response {
  if (outcome.type !== "turn.failed") return c.json(what.encoder.answer(outcome, row));
  const { code, message, turn } = outcome.data;
  const wait = RETRY_AFTER[code];
  const problem: Problem =
    wait === undefined ? { status: 502, code, detail: message } : unavailable(code, message, wait);
  return respond(c, { ...problem, extra: { turn, code } });
}

function acceptedResponse(c: HttpContext, what: Run, accepted: Accepted): Response {
  const url = what.encoder.turnUrl(accepted.result ?? 0);
  return c.json(what.encoder.accepted(accepted), 202, { location: url });
}

const cancelled = (accepted: Accepted): Problem => ({
  ...conflict("input_cancelled", "The message was cancelled before its turn began."),
  extra: { turn: `turn_${accepted.turn}` },
});

function stillRunning(what: Run, accepted: Accepted, waitMs: number): Problem {
  const url = what.encoder.turnUrl(accepted.result ?? 0);
  return {
    status: 504,
    code: "turn_still_running",
    detail: `The turn did not end within ${waitMs / 1000} s and goes on. Its result will be at ${url}.`,
    headers: { location: url },
    extra: { turn: `turn_${accepted.result}`, url },
  };
}

/** Milliseconds that a JSON answer may wait (RFC 7240, `wait`): less than configured, never more. */
function waitOf(c: HttpContext): number {
  const longest = c.get("config").answerTimeoutMs;
  const asked = /(?:^|[,;\s])wait=(\d{1,6})(?=$|[,;\s])/.exec(c.req.header("prefer") ?? "");
  return asked ? Math.min(Number(asked[1]) * 1000, longest) : longest;
}
