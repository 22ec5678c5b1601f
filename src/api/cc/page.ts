/** Lists are paged newest first: `limit`, and `cursor`, which is a page's `next_cursor`. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { invalidField, ProblemError } from "../../http/problems.ts";
import { parse, queryInteger } from "../../http/validate.ts";

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 100;

export const PageQuery = v.object({
  limit: v.optional(queryInteger(1, MAX_LIMIT), String(DEFAULT_LIMIT)),
  cursor: v.optional(v.string()),
});

export interface PageAsked<Cursor> {
  limit: number;
  /** Null for the first page. */
  cursor: Cursor | null;
}

/**
 * Which page a request asks for.
 *
 * @param read gives null for a text that is no cursor of this list
 * @throws ProblemError 422
 */
export function pageAsked<Cursor>(
  c: HttpContext,
  read: (text: string) => Cursor | null,
): PageAsked<Cursor> {
  const { limit, cursor } = parse(PageQuery, c.req.query(), "query");
  if (cursor === undefined) return { limit, cursor: null };
  const place = read(cursor);
  if (place === null) {
    const rule = "The cursor must be the next_cursor of a page of this list";
    throw new ProblemError(invalidField("query -> cursor", "invalid_cursor", rule));
  }
  return { limit, cursor: place };
}
