/**
 * The answer of a turn with an output format: JSON as a whole, or none. Half an object would be
 * taken for one, so an answer that was cut is a failure, and so is one that is no JSON.
 */
import { eventsOf } from "../shared/row-events.ts";
import type { Row } from "../shared/rows.ts";
import { finalText, reduce, type View } from "../shared/view.ts";
import type { TurnEnd } from "./next.ts";
import { isFormatted } from "./settings.ts";
import type { OpenTurn } from "./state.ts";

const INVALID = "output_invalid";
const CUT = "output_cut";

/** The turn failed over its answer, which is there. */
export const isOutputFailure = (code: string | undefined): boolean =>
  code === INVALID || code === CUT;

/** Whether the answer is JSON after `rows`, which are not in the log yet. */
export function answerParses(before: View, rows: readonly Row[]): boolean {
  const view = rows.reduce((seen, row) => eventsOf(row, seen).reduce(reduce, seen), before);
  try {
    JSON.parse(finalText(view));
    return true;
  } catch {
    return false;
  }
}

/** How a turn ends whose answer came to its end, or was given up: with a format not as it would. */
export function withFormat({ settings, last }: OpenTurn, end: TurnEnd): TurnEnd {
  if (end.outcome !== "completed" || !isFormatted(settings)) return end;
  if (end.notice) {
    const message = `${end.notice.message} It is not the whole answer, so there is no output of the form that was asked for.`;
    return { outcome: "failed", code: CUT, message };
  }
  if (last?.parses) return end;
  const message =
    "The answer is not of the form that was asked for: it is no JSON. Send the message again, or without output_format.";
  return { outcome: "failed", code: INVALID, message };
}
