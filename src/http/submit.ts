/** Hands a submission to its session: media first, long bodies in parts, and again if need be. */
import { ulid } from "ulid";
import type { CreateAnswer, Creation, SessionStub } from "../session/calls.ts";
import type { Submission, SubmitAnswer } from "../session/commands.ts";
import { MEDIA_PIECE_BYTES } from "../session/media.ts";
import { clock } from "../shared/clock.ts";
import { isLight, jsonTexts } from "../shared/json-text.ts";
import { errorOf, writeLine } from "../shared/log-line.ts";
import { LONG_UNITS } from "../shared/long-text.ts";
import type { SessionConfig } from "../shared/rows.ts";
import type { Media } from "./media.ts";
import { ProblemError, unavailable } from "./problems.ts";

/** UTF-16 units of one part: a call between objects is limited, and is held in memory twice. */
const PART_UNITS = 1_000_000;
const TRIES = 5;
const FIRST_DELAY_MS = 50;

/** The id by which a session knows a submission that reaches it twice. */
export const newSubmissionId = (): string => ulid(clock.now());

/** A submission on its way, which may be large: it is forgotten once the session has it. */
export interface Parcel {
  /** The submission's id. */
  id: string;
  content: { submission: Submission; media: readonly Media[] } | null;
}

export const pack = (submission: Submission, media: readonly Media[]): Parcel => ({
  id: submission.submission,
  content: { submission, media },
});

/** Packs and sends. */
export const submit = (
  session: SessionStub,
  submission: Submission,
  media: readonly Media[],
): Promise<SubmitAnswer> => send(session, pack(submission, media));

/**
 * Submits, and repeats the call when the object died under it: the submission's id makes the second
 * one answer what the first one did.
 */
export async function send(session: SessionStub, parcel: Parcel): Promise<SubmitAnswer> {
  const answer = await repeatedly(async () => {
    if (!parcel.content) throw new Error("it was sent");
    const { submission, media } = parcel.content;
    const answer = await deliver(session, submission);
    const missing = answer.ok ? undefined : answer.refusal.missing;
    if (!missing) return answer;
    // The session asks for bytes only when it would take the submission.
    for (const one of media) if (missing.includes(one.sha256)) await upload(session, one);
    return deliver(session, submission);
  });
  parcel.content = null;
  return answer;
}

/** Creates a session: `id` names the submission, as `submit` knows it. */
export function create(
  session: SessionStub,
  id: string,
  config: SessionConfig,
  more: Creation = {},
): Promise<CreateAnswer> {
  return repeatedly(async () => {
    const answer = isLight(config, PART_UNITS)
      ? await session.create(id, config, more)
      : await session.createStaged(id, await stage(session, id, config), more);
    if (!answer.ok && answer.missing) throw new Error("parts are missing");
    if (!answer.ok && answer.undecided) throw new Error("the account could not be asked");
    return answer;
  });
}

async function deliver(session: SessionStub, submission: Submission): Promise<SubmitAnswer> {
  if (isLight(submission, LONG_UNITS)) return session.submit(submission);
  // A `LongText` cannot cross to another object.
  if (isLight(submission, PART_UNITS))
    return session.submit(JSON.parse(JSON.stringify(submission)));
  const id = submission.submission;
  const answer = await session.submitStaged(id, await stage(session, id, submission));
  if (!answer.ok && answer.refusal.code === "parts_missing") throw new Error("parts are missing");
  return answer;
}

/** Sends the JSON text of `value`, and gives the number of its parts. */
async function stage(session: SessionStub, id: string, value: object): Promise<number> {
  let parts = 0;
  for (const part of jsonTexts(value, PART_UNITS)) {
    await session.stage(id, parts, part);
    parts += 1;
  }
  return parts;
}

async function upload(session: SessionStub, { sha256, bytes }: Media): Promise<void> {
  const pieces = Math.max(1, Math.ceil(bytes.byteLength / MEDIA_PIECE_BYTES));
  for (let n = 0; n < pieces; n++) {
    const piece = bytes.slice(n * MEDIA_PIECE_BYTES, (n + 1) * MEDIA_PIECE_BYTES);
    // `slice` of a `Uint8Array` copies into a buffer of its own.
    await session.putMedia(sha256, n, piece.buffer as ArrayBuffer);
  }
}

/** Calls until it succeeds: a restarting object refuses calls for a moment. */
export async function repeatedly<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === TRIES) throw unreachable(error);
      const delay = FIRST_DELAY_MS * 2 ** attempt * Math.random();
      await new Promise<void>((resolve) => void clock.after(delay, resolve));
    }
  }
}

/** The message of what was thrown may quote anything, so the log has only its kind. */
function unreachable(error: unknown): ProblemError {
  writeLine({ event: "error", what: "a call of a session or account", error: errorOf(error) });
  return new ProblemError(
    unavailable("unavailable", "The session could not be reached. Send the request again.", 1),
  );
}
