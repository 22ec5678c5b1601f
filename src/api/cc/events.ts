/** The session's history, in pages or as it goes on. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { Follower } from "../../http/follow.ts";
import { answerJson } from "../../http/json.ts";
import { cursorAhead, ProblemError } from "../../http/problems.ts";
import { streamEvents } from "../../http/stream.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse, queryInteger } from "../../http/validate.ts";
import type { SessionStub } from "../../session/calls.ts";
import type { Rows } from "../../session/wire.ts";
import { clock } from "../../shared/clock.ts";
import { atRow, type Cursor, parseCursor } from "../../shared/cursor.ts";
import type { Event } from "../../shared/events.ts";
import { isLight } from "../../shared/json-text.ts";
import { eventsOf } from "../../shared/row-events.ts";
import { reduce } from "../../shared/view.ts";
import { found } from "../common/address.ts";
import { addressed } from "./address.ts";
import { ccStream, type EventObject, eventObject } from "./encode.ts";

const DEFAULT_LIMIT = 200;
const MAX_LIMIT = 1000;
const MAX_WAIT_SECONDS = 25;
/** A rare type in a long session is found over several pages: each one reads so much at most. */
const MAX_READS = 20;
/** No further page is read behind so many characters: messages may have 16 MB each. */
const MAX_UNITS = 1_000_000;

export const EventsQuery = v.object({
  after: v.optional(v.string(), "0"),
  limit: v.optional(queryInteger(1, MAX_LIMIT), String(DEFAULT_LIMIT)),
  type: v.optional(v.string()),
  wait: v.optional(queryInteger(0, MAX_WAIT_SECONDS), "0"),
});

/** @throws ProblemError 400 */
function cursorIn(text: string): Cursor {
  // In a query a plus stands for a space (WHATWG URL, section 5.1), and ids are pasted as they are.
  const cursor = parseCursor(text.replace(" ", "+"));
  if (cursor) return cursor;
  throw new ProblemError({
    status: 400,
    code: "invalid_cursor",
    detail: "The cursor must be the id of an event of this session, or 0",
  });
}

/** `GET /api/sessions/{id}/events` */
export async function getEvents(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  const { after, limit, type, wait } = parse(EventsQuery, c.req.query(), "query");
  const types = type === undefined ? null : new Set(type.split(",").map((one) => one.trim()));
  const asked: Asked = { limit, wants: ({ type }) => types === null || types.has(type) };
  const page = await readPage(id, session, cursorIn(after).seq, asked);
  if (page.data.length > 0 || page.has_more || wait === 0) return answerJson(c, page);
  await waitForEvent(c.req.raw.signal, session, page.last_id, asked, wait);
  return answerJson(c, await readPage(id, session, page.last_id, asked));
}

interface Asked {
  limit: number;
  wants: (event: Event) => boolean;
}

interface EventPage {
  data: EventObject[];
  /** There may be more behind `last_id`. */
  has_more: boolean;
  /** Everything up to here was read: the next page's `after`. */
  last_id: number;
}

async function readPage(
  id: string,
  session: SessionStub,
  after: number,
  { limit, wants }: Asked,
): Promise<EventPage> {
  const data: EventObject[] = [];
  const first = found(await repeatedly(() => session.page(after, rowsFor(limit))));
  if (after > first.head) throw new ProblemError(cursorAhead(first.head));
  let before = first.view;
  let last_id = after;
  let page: Rows = first;
  for (let reads = 1; ; reads++) {
    for (const row of page.rows) {
      if (data.length === limit) return { data, has_more: true, last_id };
      for (const event of eventsOf(row, before)) {
        before = reduce(before, event);
        if (wants(event)) data.push(eventObject(id, row, event));
      }
      last_id = row.seq;
    }
    const enough = reads === MAX_READS || !isLight(data, MAX_UNITS);
    if (!page.more || enough) return { data, has_more: page.more, last_id };
    const room = rowsFor(limit - data.length);
    page = found(await repeatedly(() => session.rows(last_id, room)));
  }
}

/** Not every row is an event, and a page of few rows costs a call as one of many does. */
const rowsFor = (events: number): number => Math.min(Math.max(2 * events, 100), MAX_LIMIT);

/** Resolves when a wanted event has come, after `seconds`, or when the client leaves. */
async function waitForEvent(
  client: AbortSignal,
  session: SessionStub,
  after: number,
  { wants }: Asked,
  seconds: number,
): Promise<void> {
  const stop = new AbortController();
  const end = () => stop.abort();
  const cancelTimer = clock.after(seconds * 1000, end);
  client.addEventListener("abort", end, { once: true });
  // It may have left while the page was read.
  if (client.aborted) end();
  const follower = new Follower(session, { from: atRow(after), signal: stop.signal });
  try {
    for await (const seen of follower.read()) {
      if (seen.kind === "row" && seen.events.some(wants)) return;
    }
  } finally {
    cancelTimer();
    client.removeEventListener("abort", end);
    end();
  }
}

/** `GET /api/sessions/{id}/events/stream` */
export async function streamSession(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  // An EventSource connects again with the same address, so the header is the newer of the two.
  const from = c.req.header("last-event-id") || c.req.query("after") || "0";
  return streamEvents(
    c,
    session,
    cursorIn(from),
    ccStream(id, () => clock.now()),
  );
}
