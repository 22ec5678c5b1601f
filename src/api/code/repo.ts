/** `POST /api/v1/sessions/{name}/repo`: the folder in which a session works. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { type Problem, ProblemError, respond } from "../../http/problems.ts";
import { repeatedly, submit } from "../../http/submit.ts";
import { WorkspaceError } from "../../workspace/errors.ts";
import { ROOT, resolvePath } from "../../workspace/paths.ts";
import { found } from "../common/address.ts";
import { ask } from "../common/files.ts";
import { keyId } from "../common/key.ts";
import { refusalProblem, submissionOf } from "../common/submission.ts";
import { addressed } from "./address.ts";
import { readBody } from "./body.ts";
import { answer } from "./envelope.ts";
import { Text } from "./fields.ts";
import { describedSession, isPending } from "./session-object.ts";

export const RepoRequest = v.strictObject({ working_dir: Text(1_024) });

export async function postRepo(c: HttpContext): Promise<Response> {
  const key = keyId(c, "v1/repo");
  const { request, hash } = await readBody(c, RepoRequest);
  const place = await addressed(c);
  const described = found(await repeatedly(() => place.session.describe()));
  if (isPending(described.session)) return respond(c, PENDING);
  const cwd = folderOf(request.working_dir);
  // The root is there before anything is in it.
  if (cwd !== ROOT) await checkFolder(place.session, cwd, request.working_dir);
  const submission = submissionOf(c, { kind: "update", config: { cwd } }, key, hash);
  const done = await submit(place.session, submission, []);
  if (!done.ok) return respond(c, refusalProblem(done.refusal));
  if (done.accepted.replayed) c.header("idempotency-replayed", "true");
  return answer(c, await describedSession(c, place));
}

const PENDING: Problem = {
  status: 400,
  code: "session_pending",
  detail: "Session has no claude session_id yet",
};

/** @throws ProblemError 400 */
function folderOf(path: string): string {
  try {
    return resolvePath(path);
  } catch (error) {
    if (!(error instanceof WorkspaceError)) throw error;
    const detail = "Directory outside approved path";
    throw new ProblemError({ status: 400, code: "outside_workspace", detail });
  }
}

/** @throws ProblemError 400 */
async function checkFolder(
  session: Parameters<typeof ask>[0],
  path: string,
  given: string,
): Promise<void> {
  const detail = `Directory ${given} does not exist`;
  const missing = new ProblemError({ status: 400, code: "no_such_directory", detail });
  try {
    const { type } = await ask(session, "stat", { path }, "body -> working_dir");
    if (type === "directory") return;
  } catch (error) {
    const isThere = error instanceof ProblemError && error.problem.code !== "not_found";
    if (isThere) throw error;
  }
  throw missing;
}
