/** How two texts differ, by line. Pure. */
import { type StructuredPatchHunk, structuredPatch } from "diff";

/** Editing steps that a comparison may take; a text that differs more is shown as replaced whole. */
const MAX_STEPS = 5_000;

export interface TextDiffOptions {
  /** Lines that are shown around a change. */
  context?: number;
  ignoreCase?: boolean;
  ignoreWhitespace?: boolean;
}

/** The parts that differ, their lines with a sign in front. */
export function hunksBetween(
  old: string,
  now: string,
  options: TextDiffOptions = {},
): StructuredPatchHunk[] {
  const given = { context: 3, ...options, maxEditLength: MAX_STEPS };
  const patch = structuredPatch("", "", old, now, "", "", given) ?? null;
  return patch ? patch.hunks : [replaced(old, now)];
}

/** As a unified diff shows them. */
export const unifiedLines = (hunks: readonly StructuredPatchHunk[]): string[] =>
  hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
    `@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@`,
    ...lines,
  ]);

const range = (start: number, lines: number): string =>
  lines === 1 ? `${start}` : `${lines === 0 ? Math.max(0, start - 1) : start},${lines}`;

function replaced(old: string, now: string): StructuredPatchHunk {
  const signed = (content: string, sign: string): string[] => {
    const lines = content.split("\n");
    const ended = lines.at(-1) === "";
    if (ended) lines.pop();
    const shown = lines.map((line) => `${sign}${line}`);
    return ended || shown.length === 0 ? shown : [...shown, "\\ No newline at end of file"];
  };
  const [before, after] = [signed(old, "-"), signed(now, "+")];
  const oldLines = before.filter((line) => line.startsWith("-")).length;
  const newLines = after.filter((line) => line.startsWith("+")).length;
  return { oldStart: 1, oldLines, newStart: 1, newLines, lines: [...before, ...after] };
}
