/** Deleting a session, once for each request. */
import { accountOf } from "../../account/client.ts";
import type { HttpContext } from "../../http/context.ts";
import { newSubmissionId, repeatedly } from "../../http/submit.ts";
import { callerName } from "../../shared/keys.ts";
import type { Addressed } from "./address.ts";

/** Deletes the session with all that belongs to it; false when there is none. */
export async function removeSession(
  c: HttpContext,
  { ulid, session }: Addressed,
): Promise<boolean> {
  const submission = newSubmissionId();
  let calls = 0;
  return repeatedly(async () => {
    calls += 1;
    if (await session.remove(submission, callerName(c.get("caller").key))) return true;
    // The object may have died over an earlier call, and its alarm have removed the data since.
    return calls > 1 && accountOf(c.env, c.get("account")).isDeletedBy(ulid, submission);
  });
}
