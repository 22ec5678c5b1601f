/** What the operator's log says of rows that were written. */

import { jobId, sessionUlid, turnId } from "../shared/ids.ts";
import type { FailureLine, LoggedPlace, TurnLine, WebhookLine } from "../shared/log-line.ts";
import type { CallEndedBody, Row, RowOf } from "../shared/rows.ts";

/** When the model's first output came for the submission that began at `since`. */
export interface FirstOutput {
  since: number;
  at: number;
}

/** A line for each outcome, each failure and each webhook that was not told, among the rows of one commit. */
export function logLines(
  rows: readonly Row[],
  place: LoggedPlace,
  first: FirstOutput | null,
): (TurnLine | FailureLine | WebhookLine)[] {
  let ended: CallEndedBody | null = null;
  const lines: (TurnLine | FailureLine | WebhookLine)[] = [];
  for (const row of rows) {
    if (row.type === "call.ended") ended = row.body;
    if (row.type === "call.ended" && row.body.end === "lost") {
      lines.push({ ...failureOf(row.body, place), code: "lost", retry: null });
    }
    if (row.type === "failure") lines.push(failureLine(row, ended, place));
    if (row.type === "outcome") lines.push(turnLine(row, place, first));
    if (row.type === "webhook.attempted" && row.body.error !== null) {
      lines.push(webhookLine(row, place));
    }
  }
  return lines;
}

function failureLine(
  { at, body }: RowOf<"failure">,
  ended: CallEndedBody | null,
  place: LoggedPlace,
): FailureLine {
  const { code, retry } = body;
  return {
    ...failureOf(ended, place),
    turn: body.turn === 0 ? null : turnId(body.turn),
    code,
    retry: retry ? { attempt: retry.attempt, in_ms: Math.max(0, retry.at - at) } : null,
  };
}

const failureOf = (ended: CallEndedBody | null, place: LoggedPlace) => ({
  event: "failure" as const,
  ...place,
  turn: ended?.turn ? turnId(ended.turn) : null,
  request_id: ended?.request_id ?? null,
  ms: ended?.ms ?? null,
});

function webhookLine(
  { at, body: { input, attempt, status, retry_at } }: RowOf<"webhook.attempted">,
  place: LoggedPlace,
): WebhookLine {
  const retry_in_ms = retry_at === undefined ? null : Math.max(0, retry_at - at);
  const job = jobId(sessionUlid(place.session) ?? "", input);
  return { event: "webhook", ...place, job, attempt, status, retry_in_ms };
}

function turnLine(
  { at, body }: RowOf<"outcome">,
  place: LoggedPlace,
  first: FirstOutput | null,
): TurnLine {
  const { turn, outcome, code = null, totals } = body;
  const since = at - totals.ms;
  return {
    event: "turn",
    ...place,
    turn: turnId(turn),
    outcome,
    code,
    model: totals.model,
    calls: totals.calls,
    ms: totals.ms,
    first_output_ms: first && first.since === since ? first.at - since : null,
    usage: totals.billed,
    cost_usd: totals.cost_usd,
    estimated: totals.estimated,
  };
}
