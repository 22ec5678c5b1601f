/**
 * Submits to a session and follows what comes of it: the answer to a turn or to tool results. SSE
 * and JSON are the same following; JSON folds it to the outcome.
 */
import type { SessionStub } from "../session/calls.ts";
import type { Accepted, Refusal, Submission, SubmitAnswer } from "../session/commands.ts";
import { clock } from "../shared/clock.ts";
import type { JsonObject } from "../shared/content.ts";
import { atRow, type Cursor, isAhead, parseCursor } from "../shared/cursor.ts";
import { isOutcome, type OutcomeEvent, type TurnFailure } from "../shared/events.ts";
import type { Row } from "../shared/rows.ts";
import type { TurnRecord } from "../shared/turn-record.ts";
import type { View } from "../shared/view.ts";
import { keyEnded } from "./caller.ts";
import type { HttpContext } from "./context.ts";
import { type FollowEnd, Follower } from "./follow.ts";
import type { StreamEncoder } from "./frames.ts";
import { type KeyWatch, watchKey } from "./key-watch.ts";
import type { Media } from "./media.ts";
import { conflict, cursorAhead, notFound, type Problem, respond, unavailable } from "./problems.ts";
import { type FollowStream, pump } from "./pump.ts";
import { recorded } from "./recorded.ts";
import { resumed } from "./resume.ts";
import { openSse } from "./sse.ts";
import { pack, repeatedly, send } from "./submit.ts";

/** How a surface says what became of a submission. */
export interface InlineEncoder extends StreamEncoder {
  /** The JSON answer of a submission that did not fail; `before` is the view before its outcome. */
  answer(outcome: OutcomeEvent, row: Row, before: View, record?: TurnRecord | null): JsonObject;
  /** Where the turn can be read later. */
  turnUrl(turn: number): string;
  /** What is answered for a turn that goes on. */
  accepted(accepted: Accepted): JsonObject;
  /** In the surface's words: why a turn that was accepted is not answered. Absent: as it is. */
  unanswered?(problem: Problem): Problem;
  /** It is given the record of the turn where that ends. */
  readonly recorded?: true;
}

interface Answering {
  session: SessionStub;
  /** SSE instead of JSON. */
  stream: boolean;
  encoder: InlineEncoder;
  /** The problem for a refusal, in the words of the surface. */
  refused: (refusal: Refusal) => Problem;
}

export interface Run extends Answering {
  submission: Submission;
  media: readonly Media[];
}

export interface Attachment extends Omit<Answering, "stream"> {
  /** Where the client was in the response that was lost. */
  cursor: Cursor;
}

/** Codes of failures that waiting mends, and for how long a client should, in seconds. */
const RETRY_AFTER: Readonly<Record<string, number>> = {
  rate_limited: 30,
  overloaded: 10,
  budget_unavailable: 5,
  own_key_unavailable: 5,
};

/** How a response comes to its submission. */
interface Asking {
  /** The submission whose response it is. */
  reads?: string;
  ask: () => Promise<SubmitAnswer>;
}

type Admitted = Extract<SubmitAnswer, { ok: true }>;

/**
 * Submits and answers. What is submitted may be large, so it is packed here and nothing that lasts
 * as long as the answer holds it.
 */
export function run(c: HttpContext, { submission, media, ...what }: Run): Promise<Response> {
  const waitMs = what.stream ? Number.POSITIVE_INFINITY : waitOf(c);
  const sent: Submission = waitMs > 0 ? submission : { ...submission, detached: true };
  const parcel = pack(sent, media);
  const asking = { reads: parcel.id, ask: () => send(what.session, parcel) };
  return answered(c, what, asking, waitMs);
}

/** Streams the rest of a response that was lost. Nothing is submitted. */
export function attach(c: HttpContext, { cursor, ...what }: Attachment): Promise<Response> {
  // The frames of a row that were counted belong to the one behind it.
  const seq = cursor.kind === "frames" ? cursor.seq + 1 : cursor.seq;
  const inMessage = cursor.kind === "preview";
  const asking = { ask: () => repeatedly(() => what.session.attach(seq, inMessage)) };
  return answered(c, { ...what, stream: true }, asking, Number.POSITIVE_INFINITY);
}

async function answered(
  c: HttpContext,
  what: Answering,
  { ask, ...asking }: Asking,
  waitMs: number,
): Promise<Response> {
  const { session } = what;
  const left = new AbortController();
  const watch = watchKey(c, left.signal);
  // The dial leaves together with the submission: their order does not matter to what is read.
  const follower =
    waitMs > 0 ? new Follower(session, { from: "head", ...asking, signal: watch.signal }) : null;
  try {
    const answer = await ask();
    if (!answer.ok) {
      follower?.cancel();
      return respond(c, what.refused(answer.refusal));
    }
    const { accepted } = answer;
    const response =
      !follower || accepted.input === null
        ? acceptedResponse(c, what, accepted)
        : what.stream
          ? streamed(c, what, follower, answer, left, watch)
          : await folded(c, what, follower, accepted, left, waitMs, watch);
    // On a problem as well, which has no headers but its own.
    if (accepted.replayed) response.headers.set("idempotency-replayed", "true");
    return response;
  } catch (error) {
    follower?.cancel();
    throw error;
  }
}

function streamed(
  c: HttpContext,
  what: Answering,
  follower: Follower,
  { accepted, session: { seq: head } }: Admitted,
  left: AbortController,
  watch: KeyWatch,
): Response {
  const seen = resumedAt(c, accepted) ?? atRow(accepted.s - 1);
  if (isAhead(seen, head)) {
    follower.cancel();
    return respond(c, cursorAhead(head));
  }
  const { dialect } = what.encoder;
  const sse = openSse({ signal: c.req.raw.signal, closed: left, dialect });
  const turn = endsOf(what, own(watch.over(follower.read(accepted.s)), accepted));
  const followed = resumed(turn, seen);
  c.executionCtx.waitUntil(pump(sse, followed, what.encoder, seen));
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
  what: Answering,
  follower: Follower,
  accepted: Accepted,
  left: AbortController,
  waitMs: number,
  watch: KeyWatch,
): Promise<Response> {
  const stop = () => left.abort();
  const cancelTimer = clock.after(waitMs, stop);
  c.req.raw.signal.addEventListener("abort", stop, { once: true });
  // It may have left while its submission was on the way.
  if (c.req.raw.signal.aborted) stop();
  const followed = endsOf(what, own(watch.over(follower.read(accepted.s)), accepted));
  const failed = (problem: Problem) => respond(c, what.encoder.unanswered?.(problem) ?? problem);
  try {
    for (;;) {
      const step = await followed.next();
      if (step.done) return failed(unanswered(step.value, what, accepted, waitMs));
      const item = step.value;
      if (item.kind !== "row") continue;
      if (item.row.type === "input.cancelled") return failed(cancelled(accepted));
      const outcome = item.events.find(isOutcome);
      if (!outcome) continue;
      if (outcome.type === "turn.failed") return failed(turnFailed(outcome.data));
      return c.json(what.encoder.answer(outcome, item.row, item.before, item.record));
    }
  } finally {
    cancelTimer();
    left.abort();
    await followed.return(null);
  }
}

const endsOf = ({ session, encoder }: Answering, followed: FollowStream): FollowStream =>
  encoder.recorded ? recorded(session, followed) : followed;

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
      if (item.kind === "output" && item.output.turn === turn) yield item;
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

function turnFailed({ code, message, turn }: TurnFailure): Problem {
  const wait = RETRY_AFTER[code];
  const problem: Problem =
    wait === undefined ? { status: 502, code, detail: message } : unavailable(code, message, wait);
  return { ...problem, extra: { turn, code } };
}

function acceptedResponse(c: HttpContext, what: Answering, accepted: Accepted): Response {
  const url = what.encoder.turnUrl(accepted.result ?? 0);
  return c.json(what.encoder.accepted(accepted), 202, { location: url });
}

const cancelled = (accepted: Accepted): Problem => ({
  ...conflict("input_cancelled", "The message was cancelled before its turn began."),
  extra: { turn: `turn_${accepted.turn}` },
});

/** The following ended before the turn: with the session, or because the client waits no longer. */
function unanswered(
  end: FollowEnd | null,
  what: Answering,
  accepted: Accepted,
  waitMs: number,
): Problem {
  if (end?.kind === "key_ended") {
    return { ...keyEnded(end.end), extra: { turn: `turn_${accepted.result}` } };
  }
  if (end?.kind === "deleted" || end?.kind === "not_found") return notFound("Session");
  return stillRunning(what, accepted, waitMs);
}

function stillRunning(what: Answering, accepted: Accepted, waitMs: number): Problem {
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
