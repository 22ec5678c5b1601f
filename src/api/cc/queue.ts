/** The inputs that wait for their turn. */
import type { HttpContext } from "../../http/context.ts";
import { answerJson } from "../../http/json.ts";
import { respond } from "../../http/problems.ts";
import { repeatedly, submit } from "../../http/submit.ts";
import type { PendingInput } from "../../session/describe.ts";
import type { Event } from "../../shared/events.ts";
import { inputId, numberInId } from "../../shared/ids.ts";
import { found } from "../common/address.ts";
import { keyId } from "../common/key.ts";
import { refusalProblem, submissionOf } from "../common/submission.ts";
import { addressed } from "./address.ts";
import { eventObject } from "./encode.ts";

/** `GET /api/sessions/{id}/queue` */
export async function getQueue(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  const inputs = found(await repeatedly(() => session.waiting()));
  return answerJson(c, { data: inputs.map((input) => queuedInput(id, input)) });
}

/** The data of the input's own `input.queued` event, and when it came. */
function queuedInput(id: string, { input, start, content, created_at }: PendingInput) {
  const input_id = inputId(input);
  const data = { input_id, input: content, start };
  const event: Event = { type: "input.queued", turn: null, data };
  const shown = eventObject(id, { seq: input, at: created_at }, event);
  return { id: input_id, ...Object(shown.data), created_at: shown.created_at };
}

/** `DELETE /api/sessions/{id}/queue/{input_id}` */
export async function cancelQueued(c: HttpContext): Promise<Response> {
  const { session } = addressed(c);
  const input = found(numberInId("input", c.req.param("input") ?? ""), "Input");
  const key = keyId(c, "queue");
  const submission = submissionOf(c, { kind: "cancel", input }, key, String(input));
  const answer = await submit(session, submission, []);
  if (!answer.ok) return respond(c, refusalProblem(answer.refusal));
  if (answer.accepted.replayed) c.header("idempotency-replayed", "true");
  return c.json({ id: inputId(input), cancelled: true });
}
