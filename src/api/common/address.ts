/** Which session a request is about. */
import type { HttpContext } from "../../http/context.ts";
import { notFound, ProblemError } from "../../http/problems.ts";
import { type SessionStub, sessionStub } from "../../session/calls.ts";
import { sessionId, sessionUlid } from "../../shared/ids.ts";

export interface Addressed {
  /** Public id, `sess_<ulid>`. */
  id: string;
  ulid: string;
  session: SessionStub;
}

/** Where the native API has the session. */
export const sessionPath = (id: string): string => `/api/sessions/${id}`;

/** The caller's session of this ULID. Nothing says that it exists: each call on it does. */
export const sessionOf = (c: HttpContext, ulid: string): Addressed => ({
  id: sessionId(ulid),
  ulid,
  session: sessionStub(c.env, c.get("account"), ulid),
});

/** The caller's session of this public id; null when it is no such id. */
export function sessionWithId(c: HttpContext, id: string): Addressed | null {
  const ulid = sessionUlid(id);
  return ulid === null ? null : sessionOf(c, ulid);
}

/**
 * What a session answered to a read; it answers null when there is no such session.
 *
 * @throws ProblemError 404
 */
export function found<T>(answer: T | null, what = "Session"): T {
  if (answer === null) throw new ProblemError(notFound(what));
  return answer;
}
