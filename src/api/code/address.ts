/** Which session a request's path names. */
import { accountOf } from "../../account/client.ts";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { sessionUlid } from "../../shared/ids.ts";
import { type Addressed, found, sessionOf } from "../common/address.ts";

export const sessionPath = (id: string): string => `/api/v1/sessions/${id}`;

/**
 * The caller's session of the name in the path, of several the newest; or of the public id. Nothing
 * says that it exists: each call on it does.
 *
 * @throws ProblemError 404
 */
export async function addressed(c: HttpContext): Promise<Addressed> {
  const text = c.req.param("name") ?? "";
  const account = accountOf(c.env, c.get("account"));
  const named = await repeatedly(() => account.sessionNamed(text.normalize("NFC")));
  const ulid = found(named ?? sessionUlid(text));
  c.set("session", ulid);
  return sessionOf(c, ulid);
}
