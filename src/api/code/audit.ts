/** `GET /api/v1/audit`: the messages of all sessions, newest first. Their texts are read where they are. */
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import type { AuditedTurn } from "../../account/code-queries.ts";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { numberInId, sessionId } from "../../shared/ids.ts";
import { offsetTime } from "../../shared/offset-time.ts";
import { sessionOf } from "../common/address.ts";
import { answer, pagination } from "./envelope.ts";
import { pageFields } from "./fields.ts";
import { messagesOf, turnsOf } from "./history.ts";
import { labelOf, ownLabel } from "./label.ts";

export const AuditQuery = v.object({ user_id: v.optional(v.string()), ...pageFields(50, 200) });

const SHOWN = 500;
/** Turns that are asked for at the same time. */
const AT_ONCE = 6;

export interface AuditMessage {
  id: string;
  session_rowid: string;
  role: "user" | "assistant";
  /** The beginning of it. */
  content: string;
  /** JSON text. */
  tools_used: string | null;
  cost: number;
  duration_ms: number;
  created_at: string;
  session_name: string;
  user_id: string;
}

export async function getAudit(c: HttpContext): Promise<Response> {
  const { user_id: given, ...page } = parse(AuditQuery, c.req.query(), "query");
  const user_id = given === undefined ? undefined : await labelOf(c, given);
  const { first, turns: count, skip } = turnsOf(page);
  const { turns, total } = await turnsFrom(c, user_id, first, count);
  const messages: AuditMessage[] = [];
  for (let at = 0; at < turns.length; at += AT_ONCE) {
    const some = turns.slice(at, at + AT_ONCE).map((turn) => messagesIn(c, turn));
    messages.push(...(await Promise.all(some)).flat());
  }
  const data = messages.slice(skip, skip + page.limit);
  return answer(c, data, {
    beside: {
      count: data.length,
      user_id: user_id ?? ownLabel(c),
      pagination: pagination(page, total * 2),
    },
  });
}

/** `count` turns behind the first `first`. The account counts in whole pages, so it may be two of them. */
async function turnsFrom(
  c: HttpContext,
  user_id: string | undefined,
  first: number,
  count: number,
): Promise<{ turns: AuditedTurn[]; total: number }> {
  const account = accountOf(c.env, c.get("account"));
  const pageAt = (page: number) =>
    repeatedly(() => account.turnAudit({ user_id, page, limit: count }));
  const page = Math.floor(first / count) + 1;
  const from = first % count;
  const { turns, total } = await pageAt(page);
  const more = from > 0 ? (await pageAt(page + 1)).turns : [];
  return { turns: [...turns, ...more].slice(from, from + count), total };
}

/** Newest first. A turn without an answer yet has an empty one, so that pages do not shift. */
async function messagesIn(c: HttpContext, turn: AuditedTurn): Promise<AuditMessage[]> {
  const number = numberInId("turn", turn.target ?? "");
  const { session } = sessionOf(c, turn.session);
  const record = number === null ? null : await repeatedly(() => session.record(number));
  const known = record ? messagesOf(record, turn.session) : [];
  const [user, assistant] = known;
  return (["assistant", "user"] as const).map((role) => {
    const message = role === "user" ? user : assistant;
    return {
      id: `${sessionId(turn.session)}_${turn.target ?? turn.n}_${role}`,
      session_rowid: sessionId(turn.session),
      role,
      content: beginningOf(message?.content ?? ""),
      tools_used: message?.tools_used ? JSON.stringify(message.tools_used) : null,
      cost: message?.cost ?? 0,
      duration_ms: message?.duration_ms ?? 0,
      created_at: message?.created_at ?? offsetTime(turn.at),
      session_name: turn.name ?? sessionId(turn.session),
      user_id: turn.user_id ?? ownLabel(c),
    };
  });
}

/** Never half of a character. */
function beginningOf(text: string): string {
  const beginning = [...text.slice(0, 2 * SHOWN)].slice(0, SHOWN).join("");
  return beginning.length === text.length ? text : `${beginning}...`;
}
