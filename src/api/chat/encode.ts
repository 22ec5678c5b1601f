/** How the Claude CLI server's API says things: bare `data:` lines and one JSON object. */
import type { FrameBody } from "../../http/frames.ts";
import type { Problem } from "../../http/problems.ts";
import type { InlineEncoder } from "../../http/run.ts";
import type { SseDialect } from "../../http/sse.ts";
import type { JsonObject } from "../../shared/content.ts";
import { isOutcome, type OutcomeEvent, type TurnResult } from "../../shared/events.ts";
import { turnId } from "../../shared/ids.ts";
import { finalText, type View } from "../../shared/view.ts";
import { sessionPath } from "../common/address.ts";
import { openDeltas } from "./deltas.ts";

/**
 * Frames without ids and events. Characters beyond ASCII are escaped, as that server's are: some clients
 * decode a stream piece by piece, and a piece may end inside a character.
 */
const BARE: SseDialect = {
  frame: ({ data }) => (typeof data === "string" ? `data: ${ascii(data)}\n\n` : bare(data)),
  ping: () => ": ping\n\n",
};

function* bare(data: Iterable<string>): Generator<string> {
  yield "data: ";
  for (const piece of data) yield ascii(piece);
  yield "\n\n";
}

/** In a JSON text these stand inside strings only, where an escape means the same. */
const ascii = (json: string): string =>
  json.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** What a turn is said to have come to, besides its text. */
const figures = ({ usage, cost_usd, outcome }: TurnResult) => ({
  cost_usd,
  // Usage is plain JSON; its interface has no index signature.
  usage: usage.billed as unknown as JsonObject,
  // That server says nothing of a turn's end but that there was one.
  ...(outcome === "completed" ? {} : { outcome }),
});

/** That server's `result` is the last message's text. */
const resultOf = (before: View): string => finalText(before).trim();

/** The answer to one call, in a session with this id and by this model. */
export function chatInline(session_id: string, model: string): InlineEncoder {
  const deltas = openDeltas();
  const frame = (data: JsonObject): FrameBody => ({ event: "", data });
  const delta = (text: string) => (text === "" ? [] : [frame({ type: "delta", text })]);
  const error = (text: string, code: string) =>
    frame({ type: "error", error: text, code, session_id });
  const end = (outcome: OutcomeEvent, before: View): FrameBody => {
    if (outcome.type === "turn.failed") return error(outcome.data.message, outcome.data.code);
    const said = figures(outcome.data);
    return frame({ type: "done", result: resultOf(before), ...said, session_id });
  };
  return {
    dialect: BARE,
    row(row, events, before) {
      if (row.type === "input") return [frame({ type: "start", session_id, model })];
      if (row.type === "input.cancelled") return [error(CANCELLED, "input_cancelled")];
      const outcome = events.find(isOutcome);
      return outcome ? [end(outcome, before)] : delta(deltas.row(row));
    },
    preview: (preview) => delta(deltas.preview(preview)),
    output: () => [],
    error: ({ message, code }) => error(message.replace(/ Connect again .*$/s, GOES_ON), code),
    answer: ({ data }, _, before) => {
      const { cost_usd, usage, ...rest } = figures(data);
      // In the order in which that server writes them.
      return { cost_usd, model: data.model, result: resultOf(before), session_id, usage, ...rest };
    },
    turnUrl: (turn) => `${sessionPath(session_id)}/turns/${turnId(turn)}`,
    accepted: ({ result }) => ({
      session_id,
      status: "accepted",
      url: `${sessionPath(session_id)}/turns/${turnId(result ?? 0)}`,
    }),
    unanswered: (problem) => unanswered(problem, session_id),
  };
}

/** Frames here have no ids with which to connect again. */
const GOES_ON = " The turn goes on, and its session keeps what it comes to.";

const CANCELLED = "The message was cancelled before its turn began.";

/** In the words of a server that runs a program, which fails or takes too long. */
function unanswered(problem: Problem, session_id: string): Problem {
  const { status, code, detail, headers = {} } = problem;
  const extra = { ...problem.extra, session_id };
  if (status === 504) return { ...problem, detail: "Request timed out", extra };
  // A revoked key and a message that was cancelled are no failures.
  if (status === 401 || status === 409) return { ...problem, extra };
  const failed = programFailed(code, detail);
  return { ...failed, headers, extra: { ...extra, ...failed.extra } };
}

/** `stderr` is where that server's clients look for the reason. */
export const programFailed = (code: string, stderr: string): Problem => ({
  status: 502,
  code,
  detail: "claude CLI failed",
  extra: { stderr, returncode: 1 },
});
