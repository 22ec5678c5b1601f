/** Turns: a message or tool results go in, and what comes of them is answered, listed and read. */
import type { HttpContext } from "../../http/context.ts";
import { run } from "../../http/run.ts";
import { repeatedly } from "../../http/submit.ts";
import type { TurnInfo, TurnSummary } from "../../session/turns.ts";
import { clock } from "../../shared/clock.ts";
import type { JsonObject } from "../../shared/content.ts";
import { isOutcome } from "../../shared/events.ts";
import { numberInId, turnId } from "../../shared/ids.ts";
import { eventsOf } from "../../shared/row-events.ts";
import { EMPTY_VIEW } from "../../shared/view.ts";
import { found } from "../common/address.ts";
import { keyId } from "../common/key.ts";
import { refusalProblem, submissionOf } from "../common/submission.ts";
import { addressed } from "./address.ts";
import { type Decoded, readResults, readTurn, type TurnCommand } from "./decode.ts";
import { ccInline, turnObject } from "./encode.ts";
import { pageAsked } from "./page.ts";

/** `POST /api/sessions/{id}/turns` */
export async function postTurn(c: HttpContext): Promise<Response> {
  const key = keyId(c, "turns");
  return answerSubmission(c, await readTurn(c), key, []);
}

/** `POST /api/sessions/{id}/tool-results` */
export async function postToolResults(c: HttpContext): Promise<Response> {
  const key = keyId(c, "tool-results");
  const decoded = await readResults(c);
  const calls = decoded.command.results.map((result) => result.tool);
  return answerSubmission(c, decoded, key, calls);
}

/** `calls` are the ids of the tool calls that are answered, in the order of the request. */
export function answerSubmission(
  c: HttpContext,
  { command, media, stream }: Decoded,
  key: string | null,
  calls: readonly string[],
): Promise<Response> {
  const { id, session } = addressed(c);
  return run(c, {
    session,
    submission: submissionOf(c, command, key, command.hash),
    media,
    // What the body says is meant; many HTTP clients accept anything.
    stream: stream ?? c.req.header("accept")?.includes("text/event-stream") ?? false,
    encoder: ccInline(id, () => clock.now()),
    refused: (refusal) => refusalProblem(refusal, calls, listOf(command)),
  });
}

/** The field of the body in which the calls stand. */
const listOf = ({ kind }: TurnCommand) => (kind === "confirmations" ? kind : "results");

/** `GET /api/sessions/{id}/turns` */
export async function listTurns(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  const { limit, cursor } = pageAsked(c, (text) => numberInId("turn", text));
  const before = cursor ?? Number.MAX_SAFE_INTEGER;
  const turns = found(await repeatedly(() => session.turns(before, limit + 1)));
  const page = turns.slice(0, limit);
  const last = page.at(-1);
  const has_more = turns.length > limit;
  return c.json({
    data: page.map((turn) => listedTurn(id, turn)),
    has_more,
    next_cursor: has_more && last ? turnId(last.turn) : null,
  });
}

/** `GET /api/sessions/{id}/turns/{turn}` */
export async function getTurn(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  const turn = found(numberInId("turn", c.req.param("turn") ?? ""), "Turn");
  const info = found(await repeatedly(() => session.turn(turn)), "Turn");
  return c.json(turnNow(id, info));
}

/** A turn that runs again after tool results has no result until it ends again. */
function turnNow(id: string, info: TurnInfo): JsonObject {
  const { turn, status, result, output_text } = info;
  const over = status === "finished" || status === "awaiting_tool_results";
  if (result && over) {
    // The object counts back from the end; the turn began when its message came.
    return { ...turnObject(id, result, info.created_at + result.duration_ms), status };
  }
  return {
    ...openTurn(id, turn, info.created_at),
    status,
    output_text,
    tool_calls: [],
  };
}

const openTurn = (id: string, turn: number, created_at: number): JsonObject => ({
  id: turnId(turn),
  object: "turn",
  session_id: id,
  outcome: null,
  finish_reason: null,
  usage: null,
  cost_usd: null,
  created_at: new Date(created_at).toISOString(),
});

/** An entry of the list: a turn's result without its texts. */
function listedTurn(id: string, { turn, status, created_at, outcome }: TurnSummary): JsonObject {
  const over = status === "finished" || status === "awaiting_tool_results";
  if (!outcome || !over) return { ...openTurn(id, turn, created_at), status };
  const row = { seq: turn, at: created_at + outcome.totals.ms, type: "outcome", body: outcome };
  const [event] = eventsOf({ ...row, type: "outcome" }, EMPTY_VIEW);
  if (!event || !isOutcome(event)) return { ...openTurn(id, turn, created_at), status };
  const { output_text, output_parsed, tool_calls, ...rest } = turnObject(id, event.data, row.at);
  return { ...rest, status };
}
