/** Which session a request is about. */
import type { HttpContext } from "../../http/context.ts";
import { notFound, ProblemError } from "../../http/problems.ts";
import { type SessionStub, sessionStub } from "../../session/calls.ts";
import { sessionUlid } from "../../shared/ids.ts";

export interface Addressed {
  /** Public id, `sess_<ulid>`. */
  id: string;
  ulid: string;
  session: SessionStub;
}

export const sessionPath = (id: string): string => `/api/sessions/${id}`;

/**
 * The session in the request's path. Nothing says that it exists: each call on it does.
 *
 * @throws ProblemError 404 when the path holds no session id
 */
export function addressed(c: HttpContext): Addressed {
  const id = c.req.param("id") ?? "";
  const ulid = sessionUlid(id);
  if (ulid === null) throw new ProblemError(notFound("Session"));
  return { id, ulid, session: sessionStub(c.env, c.get("account"), ulid) };
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
