/** Which sessions a list is asked for. Pure. */
import { encodeTime } from "ulid";
import type { SessionStatus, SessionSummary } from "../shared/summary.ts";
import { textPattern } from "../shared/text-pattern.ts";

/** All of what is given must hold. */
export interface SessionFilter {
  status?: SessionStatus | undefined;
  model?: string | undefined;
  /** In the title or the first message; upper and lower case are the same. */
  text?: string | undefined;
  /** Milliseconds since the epoch; neither is part of what is found. */
  created_after?: number | undefined;
  created_before?: number | undefined;
  /** The whole name of one session. */
  name?: string | undefined;
}

export interface ListAsked extends SessionFilter {
  limit: number;
  /** The `next_cursor` of the page before; null for the first. */
  cursor: string | null;
}

export interface SessionPage {
  /** Newest first. */
  sessions: SessionSummary[];
  /** Where the next page begins; null on the last. */
  next_cursor: string | null;
}

/** A session is created under an id that was made before: by so much, with a key that was kept. */
const LATE_MS = 24 * 60 * 60 * 1000;
/** Clocks of a Worker and an object differ by less. */
const CLOCK_MS = 60_000;
/** The greatest time that a ULID can hold. */
const LAST_TIME = 2 ** 48 - 1;

/**
 * The ids that can belong to the times asked for, as a range of the key: `from` is part of it, `to` is
 * not, and null is no end. It is a little wider than the times, which `matcherOf` compares.
 */
export function rangeOf({ created_after, created_before }: SessionFilter): {
  from: string;
  to: string | null;
} {
  const first = (created_after ?? 0) - LATE_MS - CLOCK_MS;
  const last = (created_before ?? LAST_TIME) + CLOCK_MS;
  return {
    from: first <= 0 ? "" : encodeTime(Math.min(first, LAST_TIME)),
    to: last >= LAST_TIME ? null : encodeTime(Math.max(last, 0)),
  };
}

export function matcherOf(asked: SessionFilter): (summary: SessionSummary) => boolean {
  const { status, model, created_after, created_before, name } = asked;
  const pattern = asked.text === undefined ? null : textPattern(asked.text);
  return (one) =>
    (status === undefined || one.status === status) &&
    (model === undefined || one.model === model) &&
    (created_after === undefined || one.created_at > created_after) &&
    (created_before === undefined || one.created_at < created_before) &&
    (name === undefined || one.name === name) &&
    (pattern === null || pattern.test(one.title ?? "") || pattern.test(one.first_message ?? ""));
}
