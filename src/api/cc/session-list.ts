/** `GET /api/sessions`: the account's sessions, newest first, and those of them that are looked for. */
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import type { SessionFilter } from "../../account/session-filter.ts";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { resolveModel } from "../../model/catalogue.ts";
import { isUlid } from "../../shared/ids.ts";
import { dayIn } from "../../shared/ledger.ts";
import { SESSION_STATUSES } from "../../shared/summary.ts";
import { ModelField, NameField } from "../common/fields.ts";
import { pageAsked } from "./page.ts";
import { listedSession } from "./session-object.ts";

const MAX_TEXT = 1_000;

/** A day (UTC), or a time with its zone. */
const TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
const TIME_RULE =
  "The time must be such as 2026-11-20T05:13:53.859Z, 2026-11-20T06:13:53%2B01:00 or 2026-11-20";

export const TimeField = v.pipe(
  v.string(),
  v.check((text) => timeOf(text) !== null, TIME_RULE),
  v.transform((text) => timeOf(text) ?? 0),
);

/** Milliseconds since the epoch; null when it is no time. */
function timeOf(text: string): number | null {
  // In a query a plus sign that was not encoded is a space.
  const time = text.replace(" ", "+");
  if (!TIME.test(time)) return null;
  const at = Date.parse(time);
  // A 30th of February is read as one of March.
  return Number.isNaN(at) || dayIn(time.slice(0, 10)) === null ? null : at;
}

export const ListQuery = v.object({
  status: v.optional(v.picklist(SESSION_STATUSES)),
  model: v.optional(ModelField),
  q: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_TEXT))),
  created_after: v.optional(TimeField),
  created_before: v.optional(TimeField),
  name: v.optional(NameField),
});

/** A page may be empty and yet not the last: one request looks at so many sessions only. */
export async function listSessions(c: HttpContext): Promise<Response> {
  const filter = filterOf(parse(ListQuery, c.req.query(), "query"));
  const { limit, cursor } = pageAsked(c, (text) => (isUlid(text) ? text : null));
  const account = accountOf(c.env, c.get("account"));
  const page = await repeatedly(() => account.list({ ...filter, limit, cursor }));
  return c.json({
    data: page.sessions.map(listedSession),
    has_more: page.next_cursor !== null,
    next_cursor: page.next_cursor,
  });
}

function filterOf(asked: v.InferOutput<typeof ListQuery>): SessionFilter {
  const { q, model, ...rest } = asked;
  return { ...rest, text: q, model: model === undefined ? undefined : resolveModel(model) };
}
