/** Fields as claude-code-api's clients send them. */
import * as v from "valibot";

/** Characters as Python counts them: code points. */
export function characters(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    // The second half of a pair belongs to the first.
    if ((text.codePointAt(at) ?? 0) > 0xffff) at += 1;
    count += 1;
  }
  return count;
}

/** A text of at most `max` characters. Valibot's own rule counts UTF-16 units, which are no fewer. */
export function Text(max: number, min: 0 | 1 = 0) {
  const most = v.maxLength<string, number>(max);
  return v.pipe(v.string(), v.minLength(min), {
    ...most,
    "~run": (dataset, config) =>
      dataset.typed && characters(dataset.value) <= max ? dataset : most["~run"](dataset, config),
  } satisfies typeof most);
}

const WHOLE = /^\s*[+-]?\d{1,15}\s*$/;

/** A whole number, or one as a text, which the original takes as well. */
export function WholeNumber(min: number, max: number) {
  const number = v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
  const text = v.pipe(
    v.string(),
    // Its issue has the type and the words of a number that cannot be read.
    { ...v.digits(), requirement: WHOLE },
    v.transform(Number),
    v.minValue(min),
    v.maxValue(max),
  );
  return v.lazy((value) => (typeof value === "string" ? text : number));
}

/** A whole number in a query, brought to where it is allowed. */
const clamped = (fallback: number, max: number) =>
  v.optional(
    v.pipe(
      v.string(),
      { ...v.digits(), requirement: WHOLE },
      v.transform((text) => Math.min(Math.max(Number(text), 1), max)),
    ),
    String(fallback),
  );

/** Pages are counted from 1. */
const MAX_PAGE = 1_000_000_000;

export interface PageAsked {
  page: number;
  limit: number;
}

/** The fields by which a list is paged. */
export const pageFields = (limit: number, most: number) => ({
  page: clamped(1, MAX_PAGE),
  limit: clamped(limit, most),
});
