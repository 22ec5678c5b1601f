/** What a compaction covers of a context, and what stays. Pure. */
import type { RequestMessage } from "../model/request.ts";
import { LongText } from "../shared/long-text.ts";
import { type Boundary, boundedContext, type ContextRows } from "./context.ts";

export interface CompactionPlan {
  /** The messages that are covered, as a conversation of their own. */
  covered: readonly RequestMessage[];
  /** The context goes on with this row. */
  start: number;
  /** Messages of the context, and those of them that stay; messages of the system do not count. */
  messages: number;
  kept: number;
  /** Characters of the texts in what is covered and in what stays. */
  sizes: { covered: number; kept: number };
}

/** The turn that is open while a compaction is made. */
export interface PlannedTurn {
  /** The row that started it. */
  start: number;
  /** Something of it stands in the context that must stay as it is. */
  answered: boolean;
  /** Its last message is not there yet: it waits for the results that it will hold. */
  waits: boolean;
}

export interface PlannedCompaction {
  /** So many messages at the end stay. */
  keep: number;
  turn: PlannedTurn | null;
  /** The row that will be written next. */
  next: number;
  /** How often what is covered was halved, because the model did not take it. */
  halved: number;
}

/**
 * Covers everything but the last `keep` messages and the open turn, or the beginning of that, always
 * up to the start of a turn. `nothing` when nothing is left to be covered.
 */
export function planCompaction(
  source: ContextRows,
  { keep, turn, next, halved }: PlannedCompaction,
): CompactionPlan | { nothing: true; messages: number } {
  const { messages: closed, boundaries } = boundedContext(source);
  const messages = turn?.waits ? closed.slice(0, -1) : closed;
  const total = count(messages);
  const all =
    keep > 0 || turn?.answered
      ? atBoundary(messages, boundaries, (one, behind) => {
          return behind >= keep && (!turn || one.at <= turn.start);
        })
      : whole(source, turn?.start ?? next);
  const summarised = source.summary !== null;
  const wanted = all && halved > 0 ? partOf(all, boundaries, { halved, summarised }) : all;
  if (!wanted || !hasNews(wanted.covered, summarised)) {
    return { nothing: true, messages: total };
  }
  const kept = Math.max(total - count(wanted.covered), turn ? 1 : 0);
  const sizes = {
    covered: textSize(wanted.covered),
    kept: Math.max(0, textSize(messages) - textSize(wanted.covered)),
  };
  return { ...wanted, messages: total, kept, sizes };
}

type Covered = Pick<CompactionPlan, "covered" | "start">;

/** What begins it and is so much smaller, as far as there is a place to cut it; else the least. */
function partOf(
  { covered, start }: Covered,
  boundaries: readonly Boundary[],
  { halved, summarised }: { halved: number; summarised: boolean },
): Covered | null {
  const most = textSize(covered) / 2 ** halved;
  const parts = boundaries
    .filter((one) => one.start < start)
    .map((one) => ({ covered: covered.slice(0, one.before), start: one.start }))
    .filter((one) => hasNews(one.covered, summarised));
  return parts.findLast((one) => textSize(one.covered) <= most) ?? parts[0] ?? null;
}

/** Everything before the row `start`, behind which no answer stands yet. */
function whole(source: ContextRows, start: number) {
  return { covered: boundedContext(source, start).messages, start };
}

/** Up to the last boundary that fits, so that what stays is what the API has seen, unchanged. */
function atBoundary(
  messages: readonly RequestMessage[],
  boundaries: readonly Boundary[],
  fits: (boundary: Boundary, behind: number) => boolean,
) {
  const found = boundaries.findLast((one) => fits(one, count(messages.slice(one.before))));
  return found ? { covered: messages.slice(0, found.before), start: found.start } : null;
}

const count = (messages: readonly RequestMessage[]): number =>
  messages.filter(({ role }) => role !== "system").length;

/** There is more in it than the summary that it begins with. */
function hasNews(covered: readonly RequestMessage[], summarised: boolean): boolean {
  const blocks = covered
    .filter(({ role }) => role !== "system")
    .reduce((sum, { content }) => sum + content.length, 0);
  return blocks > (summarised ? 1 : 0);
}

/** Characters of all texts in a value. */
export function textSize(value: unknown): number {
  if (typeof value === "string" || value instanceof LongText) return value.length;
  if (typeof value !== "object" || value === null) return 0;
  return Object.values(value).reduce((sum: number, one) => sum + textSize(one), 0);
}
