/** Chat: a message goes in, and its answer comes as JSON or as events. */
import type { HttpContext } from "../../http/context.ts";
import { type Problem, ProblemError } from "../../http/problems.ts";
import { attach, run } from "../../http/run.ts";
import { parseCursor } from "../../shared/cursor.ts";
import type { Addressed } from "../common/address.ts";
import { keyId } from "../common/key.ts";
import { refusalProblem, submissionOf } from "../common/submission.ts";
import { addressed } from "./address.ts";
import { readBody } from "./body.ts";
import { codeInline } from "./encode.ts";
import { metaOf } from "./envelope.ts";
import { ChatRequest, inputOf } from "./turn.ts";

/** A message and its repetitions are one, whichever of the two routes they come by. */
const KEYS = "v1/chat";

/** `POST /api/v1/sessions/{name}/chat` */
export const postChat = (c: HttpContext): Promise<Response> => chat(c, false);

/**
 * `POST /api/v1/sessions/{name}/chat/stream`. With `Last-Event-ID` it goes on with the response in
 * which that id stood, and no turn is started, whatever the body is.
 */
export const streamChat = (c: HttpContext): Promise<Response> =>
  goesOn(c) ? resume(c) : chat(c, true);

/** The request asks for the rest of a response. */
export const goesOn = (c: HttpContext): boolean => c.req.header("last-event-id") !== undefined;

async function chat(c: HttpContext, stream: boolean): Promise<Response> {
  const key = keyId(c, KEYS);
  const { request, hash } = await readBody(c, ChatRequest);
  const place = await addressed(c);
  const input = await inputOf(c, place, request, hash);
  const { session } = place;
  const submission = submissionOf(c, input, key, hash);
  const encoder = encoderOf(c, place);
  return run(c, { session, submission, media: [], stream, encoder, refused: refusalProblem });
}

const encoderOf = (c: HttpContext, { id, ulid }: Addressed) =>
  codeInline({ id, ulid, meta: () => metaOf(c) });

async function resume(c: HttpContext): Promise<Response> {
  const cursor = parseCursor(c.req.header("last-event-id") ?? "");
  if (!cursor) throw new ProblemError(NO_CURSOR);
  const place = await addressed(c);
  return attach(c, {
    session: place.session,
    cursor,
    encoder: encoderOf(c, place),
    refused: refusalProblem,
  });
}

const NO_CURSOR: Problem = {
  status: 400,
  code: "invalid_cursor",
  detail: "Last-Event-ID must be the id of an event of this session",
};
