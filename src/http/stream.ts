/** The stream of a whole session: from a cursor, then live, until the client leaves. */
import type { SessionStub } from "../session/calls.ts";
import { type Cursor, formatCursor } from "../shared/cursor.ts";
import type { HttpContext } from "./context.ts";
import { type FollowEnd, type Followed, Follower } from "./follow.ts";
import type { StreamEncoder } from "./frames.ts";
import { watchKey } from "./key-watch.ts";
import { notFound, respond } from "./problems.ts";
import { type FollowStream, pump } from "./pump.ts";
import { openSse, SSE_HEADERS } from "./sse.ts";

/** Streams a session's events behind `from`; 404 when there is no session. */
export async function streamEvents(
  c: HttpContext,
  session: SessionStub,
  from: Cursor,
  encoder: StreamEncoder,
): Promise<Response> {
  const closed = new AbortController();
  const watch = watchKey(c, closed.signal);
  const followed = watch.over(new Follower(session, { from, signal: watch.signal }).read());
  // The session answers at once with what it has, so a missing one is known before the headers.
  const first = await followed.next();
  if (first.done && first.value?.kind === "not_found") return respond(c, notFound("Session"));
  if (c.req.method === "HEAD") {
    // Nobody would read the body, nor leave it.
    await followed.return(null);
    return new Response(null, { headers: SSE_HEADERS });
  }
  const sse = openSse({ signal: c.req.raw.signal, closed, dialect: encoder.dialect });
  // Some clients wait for a first byte before they say that they are connected.
  sse.comment(`from ${formatCursor(from)}`);
  c.executionCtx.waitUntil(pump(sse, beginningWith(first, followed), encoder, from));
  return sse.response;
}

async function* beginningWith(
  first: IteratorResult<Followed, FollowEnd | null>,
  rest: FollowStream,
): FollowStream {
  if (first.done) return first.value;
  yield first.value;
  return yield* rest;
}
