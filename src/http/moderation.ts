/** Refuses prompts that match a rule: `MODERATION` and `MODERATION_PATTERNS`. */
import type { Config } from "../shared/config.ts";
import {
  compilePattern,
  type ModerationMode,
  type ModerationPattern,
} from "../shared/config-moderation.ts";
import { piecesOf } from "../shared/long-text.ts";
import type { WireBlock } from "./media.ts";
import { BUILT_IN_RULES, plain } from "./moderation-rules.ts";
import { type Problem, ProblemError } from "./problems.ts";

/** Where a prompt comes in. */
export type ModeratedSurface = "native" | "api-v1" | "chat";

const WINDOW_UNITS = 65_536;
/** Of the text before a window, so much is looked at again: no match is longer. */
const OVERLAP_UNITS = 4_096;
/** What ends in so many characters at a window's end is judged with what stands behind it. */
const UNSETTLED_UNITS = 256;
/** States of the owner's patterns times characters: a few seconds at the very most. */
const MAX_WORK = 200_000_000;

/** The rule that a text matches, or that it is too long for the owner's patterns. */
type Verdict = { kind: "matched"; rule: string } | { kind: "too_long"; units: number };

/**
 * Looks at the texts of one prompt as if they stood below one another. Memory and time are bounded:
 * a long text is read in windows, and each rule takes a time that is linear in it.
 */
export function moderated(
  texts: Iterable<string>,
  patterns: readonly ModerationPattern[],
): Verdict | null {
  const own = patterns.map(({ name, pattern }) => ({ name, regex: compilePattern(pattern) }));
  const size = own.reduce((sum, { regex }) => sum + regex.programSize(), 0);
  const most = size === 0 ? Number.POSITIVE_INFINITY : Math.floor(MAX_WORK / size);
  let units = 0;
  let [before, beforeAsWritten] = ["", ""];
  for (const { window, last } of windowsOf(texts)) {
    units += window.length;
    if (units > most) return { kind: "too_long", units: most };
    const text = plain(before + window);
    const from = Math.max(0, before.length - UNSETTLED_UNITS);
    const to = last ? text.length : text.length - UNSETTLED_UNITS;
    const matched =
      BUILT_IN_RULES.find(({ matches }) => matches(text, from, to)) ??
      own.find(({ regex }) => regex.test(beforeAsWritten + window));
    if (matched) return { kind: "matched", rule: matched.name };
    before = text.slice(-OVERLAP_UNITS);
    beforeAsWritten = window.slice(-OVERLAP_UNITS);
  }
  return null;
}

function* windowsOf(texts: Iterable<string>): Generator<{ window: string; last: boolean }> {
  let rest = "";
  for (const text of texts) {
    for (const piece of piecesOf(text)) {
      rest += piece;
      let from = 0;
      for (; rest.length - from > WINDOW_UNITS; from += WINDOW_UNITS) {
        yield { window: rest.slice(from, from + WINDOW_UNITS), last: false };
      }
      rest = rest.slice(from);
    }
    rest += "\n";
  }
  yield { window: rest, last: true };
}

/** What people and programs wrote into a message; images, PDFs and what URLs lead to are none. */
export function* promptTexts(blocks: readonly WireBlock[]): Generator<string> {
  for (const block of blocks) {
    if (block.type === "text") yield block.text;
    if (block.type !== "document") continue;
    if (block.title) yield block.title;
    if (block.context) yield block.context;
    if (block.source.type === "text") yield block.source.data;
  }
}

const SURFACES: Readonly<Record<ModerationMode, readonly ModeratedSurface[]>> = {
  off: [],
  "api-v1": ["api-v1"],
  all: ["native", "api-v1", "chat"],
};

/**
 * Lets the texts of a prompt through, or refuses them before anything is kept of their request.
 *
 * @throws ProblemError 400 `blocked`, 413 `moderation_limit`
 */
export function moderate(
  { moderation: { mode, patterns } }: Config,
  surface: ModeratedSurface,
  texts: Iterable<string>,
): void {
  if (!SURFACES[mode].includes(surface)) return;
  const verdict = moderated(texts, patterns);
  if (verdict) throw new ProblemError(problemOf(verdict));
}

function problemOf(verdict: Verdict): Problem {
  if (verdict.kind === "too_long") {
    const detail = `MODERATION_PATTERNS are looked for in prompts of at most ${verdict.units} characters. Send a shorter one.`;
    return { status: 413, code: "moderation_limit", detail };
  }
  return {
    status: 400,
    code: "blocked",
    detail: "Blocked: input matches forbidden pattern",
    extra: { rule: verdict.rule },
  };
}
