/** Hands a submission to its session: media first, long bodies in parts, and again if need be. */
import { ulid } from "ulid";
import type { SessionStub } from "../session/calls.ts";
import type { Submission, SubmitAnswer } from "../session/commands.ts";
import { MEDIA_PIECE_BYTES } from "../session/media.ts";
import { clock } from "../shared/clock.ts";
import type { Media } from "./media.ts";
import { ProblemError, unavailable } from "./problems.ts";

/** Characters of one part: a call between objects is limited, and is held in memory twice. */
const PART_CHARACTERS = 4_000_000;
const TRIES = 5;
const FIRST_DELAY_MS = 50;

/** The id by which a session knows a submission that reaches it twice. */
export const newSubmissionId = (): string => ulid(clock.now());

/**
 * Submits, and repeats the call when the object died under it: the submission's id makes the second
 * one answer what the first one did.
 */
export async function submit(
  session: SessionStub,
  submission: Submission,
  media: readonly Media[],
): Promise<SubmitAnswer> {
  const text = JSON.stringify(submission);
  return repeatedly(async () => {
    const answer = await deliver(session, submission, text);
    const missing = answer.ok ? undefined : answer.refusal.missing;
    if (!missing) return answer;
    // The session asks for bytes only when it would take the submission.
    for (const one of media) if (missing.includes(one.sha256)) await upload(session, one);
    return deliver(session, submission, text);
  });
}

async function deliver(
  session: SessionStub,
  submission: Submission,
  text: string,
): Promise<SubmitAnswer> {
  if (text.length <= PART_CHARACTERS) return session.submit(submission);
  const parts = Math.ceil(text.length / PART_CHARACTERS);
  for (let n = 0; n < parts; n++) {
    const part = text.slice(n * PART_CHARACTERS, (n + 1) * PART_CHARACTERS);
    await session.stage(submission.submission, n, part);
  }
  const answer = await session.submitStaged(submission.submission, parts);
  if (!answer.ok && answer.refusal.code === "parts_missing") throw new Error("parts are missing");
  return answer;
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
  console.error("a session or account failed:", error instanceof Error ? error.name : "unknown");
  return new ProblemError(
    unavailable("unavailable", "The session could not be reached. Send the request again.", 1),
  );
}
