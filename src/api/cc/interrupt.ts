import * as v from "valibot";
import { readJson } from "../../http/body.ts";
import { hashJson } from "../../http/canonical.ts";
import type { HttpContext } from "../../http/context.ts";
import { respond } from "../../http/problems.ts";
import { submit } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { clock } from "../../shared/clock.ts";
import { inputId, turnId } from "../../shared/ids.ts";
import { keyId } from "../common/key.ts";
import { refusalProblem, submissionOf } from "../common/submission.ts";
import { addressed } from "./address.ts";

export const InterruptRequest = v.object({ cancel_queued: v.nullish(v.boolean(), false) });

/**
 * `POST /api/sessions/{id}/interrupt`: stops what runs, or does nothing. Clients send it late and
 * with an empty body that calls itself JSON.
 */
export async function postInterrupt(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  const key = keyId(c, "interrupt");
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes, {});
  const { cancel_queued } = parse(InterruptRequest, body);
  const command = { kind: "interrupt" as const, cancel_queued, sent_at: clock.now() };
  const submission = submissionOf(c, command, key, await hashJson(body));
  const answer = await submit(session, submission, []);
  if (!answer.ok) return respond(c, refusalProblem(answer.refusal));
  const { accepted, session: info, queued, cancelled } = answer;
  if (accepted.replayed) c.header("idempotency-replayed", "true");
  return c.json({
    id,
    interrupted: accepted.turn !== null || accepted.stopped !== undefined,
    status: info.status,
    turn: accepted.turn === null ? null : turnId(accepted.turn),
    queued: queued.map(inputId),
    cancelled: cancelled.map(inputId),
  });
}
