/** `GET /api/v1/sessions/{name}/history`: what was said, two messages for each turn. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { chatResult } from "../../shared/job-object.ts";
import { offsetTime } from "../../shared/offset-time.ts";
import type { TurnRecord } from "../../shared/turn-record.ts";
import { found } from "../common/address.ts";
import { addressed } from "./address.ts";
import { answer, pagination } from "./envelope.ts";
import { type PageAsked, pageFields } from "./fields.ts";

export interface HistoryMessage {
  role: "user" | "assistant";
  content: string;
  tools_used: TurnRecord["tools_used"] | null;
  cost: number;
  duration_ms: number;
  created_at: string;
}

export const HistoryQuery = v.object(pageFields(50, 200));

export async function getHistory(c: HttpContext): Promise<Response> {
  const page = parse(HistoryQuery, c.req.query(), "query");
  const { id, ulid, session } = await addressed(c);
  const { first, turns, skip } = turnsOf(page);
  const history = found(await repeatedly(() => session.history(first, turns)));
  const messages = history.records.flatMap((record) => messagesOf(record, ulid));
  const data = messages.slice(skip, skip + page.limit);
  const total = history.turns * 2 - (await unanswered(session, history, first));
  const paged = history.turns === 0 ? null : pagination(page, total);
  return answer(c, data, {
    beside: { session_id: id, count: data.length, pagination: paged },
  });
}

/** The turns of which a page has messages, and how many messages of the first one it leaves out. */
export function turnsOf({ page, limit }: PageAsked): {
  first: number;
  turns: number;
  skip: number;
} {
  const from = (page - 1) * limit;
  const first = Math.floor(from / 2);
  return { first, turns: Math.ceil((from + limit) / 2) - first, skip: from % 2 };
}

/** A turn that goes on has no answer yet, and only the last one can. */
async function unanswered(
  session: Awaited<ReturnType<typeof addressed>>["session"],
  { records, turns }: { records: TurnRecord[]; turns: number },
  first: number,
): Promise<0 | 1> {
  if (turns === 0) return 0;
  const last = first + records.length === turns ? records.at(-1) : undefined;
  const newest = last ?? (await repeatedly(() => session.history(turns - 1, 1)))?.records[0];
  return newest && isAnswered(newest) ? 0 : 1;
}

const isAnswered = ({ outcome, status }: TurnRecord): boolean =>
  outcome !== null && status !== "running";

/** @param ulid of the session */
export function messagesOf(record: TurnRecord, ulid: string): HistoryMessage[] {
  const { prompt, created_at, ended_at } = record;
  const asked: HistoryMessage = {
    role: "user",
    content: prompt,
    tools_used: null,
    cost: 0,
    duration_ms: 0,
    created_at: offsetTime(created_at),
  };
  if (!isAnswered(record)) return [asked];
  const { content, tools_used, cost, duration_ms } = chatResult(record, ulid);
  const said: HistoryMessage = {
    role: "assistant",
    content: content || (record.message ?? ""),
    tools_used: tools_used.length > 0 ? tools_used : null,
    cost,
    duration_ms,
    created_at: offsetTime(ended_at ?? created_at),
  };
  return [asked, said];
}
