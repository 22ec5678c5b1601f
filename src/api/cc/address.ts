/** Which session a request's path names. */
import type { HttpContext } from "../../http/context.ts";
import { type Addressed, found, sessionWithId } from "../common/address.ts";

/**
 * The session in the request's path. Nothing says that it exists: each call on it does.
 *
 * @throws ProblemError 404 when the path holds no session id
 */
export const addressed = (c: HttpContext): Addressed =>
  found(sessionWithId(c, c.req.param("id") ?? ""));
