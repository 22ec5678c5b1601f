/** `GET /api/sessions/{id}/search`: a text in one session, also in what was compacted. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { found } from "../common/address.ts";
import { addressed } from "./address.ts";
import { pageAsked } from "./page.ts";

const MAX_TEXT = 1_000;

export const SearchQuery = v.object({
  q: v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_TEXT)),
});

/** A page may be empty and yet not the last: one request reads so much of the session only. */
export async function searchSession(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  // What does not exist is not found, whatever is asked of it.
  if (!c.req.query("q")) found(await repeatedly(() => session.turns(0, 1)));
  const { q } = parse(SearchQuery, c.req.query(), "query");
  const { limit, cursor } = pageAsked(c, readCursor);
  const asked = { text: q, before: cursor, limit };
  const { hits, next } = found(await repeatedly(() => session.search(asked)));
  return c.json({
    data: hits.map(({ at, turn, ...hit }) => ({
      ...hit,
      session_id: id,
      turn_id: turn,
      created_at: new Date(at).toISOString(),
    })),
    has_more: next !== null,
    next_cursor: next === null ? null : String(next),
  });
}

const readCursor = (text: string): number | null =>
  /^[1-9][0-9]{0,14}$/.test(text) ? Number(text) : null;
