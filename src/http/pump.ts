/** Moves what a follower sees into an SSE stream, at the pace that the client can take. */
import { type Cursor, formatCursor } from "../shared/cursor.ts";
import { errorOf, writeLine } from "../shared/log-line.ts";
import { endMessage } from "./caller.ts";
import type { FollowEnd, Followed } from "./follow.ts";
import {
  type FrameBody,
  previewFrames,
  rowFrames,
  type StreamEncoder,
  type StreamError,
} from "./frames.ts";
import type { SseFrame, SseStream } from "./sse.ts";

export type FollowStream = AsyncGenerator<Followed, FollowEnd | null>;

/**
 * Pumps until the following ends, and ends the response. `seen` is the place at which it begins: the
 * frames that it counts were sent before.
 */
export async function pump(
  sse: SseStream,
  followed: FollowStream,
  encoder: StreamEncoder,
  seen: Cursor,
): Promise<void> {
  let last = formatCursor(seen);
  const error = (what: StreamError) => errorFrame(encoder, last, what);
  try {
    for (;;) {
      const step = await followed.next();
      if (step.done) {
        const why = step.value && errorOfEnd(step.value);
        return await sse.end(why ? error(why) : undefined);
      }
      for (const frame of framesOf(step.value, encoder, seen)) {
        const written = sse.frame(frame);
        if (written === "slow") return await sse.end(error(SLOW_READER));
        if (written === "closed") return;
        last = frame.id ?? last;
      }
      // What was there before is read at the client's pace, one row ahead of it.
      if (step.value.kind === "row" && !step.value.live) await sse.drained();
    }
  } catch (thrown) {
    writeLine({ event: "error", what: "a stream", error: errorOf(thrown) });
    await sse.end(error(INTERNAL));
  } finally {
    await followed.return(null);
  }
}

function framesOf(item: Followed, encoder: StreamEncoder, seen: Cursor): SseFrame[] {
  switch (item.kind) {
    case "row": {
      const { row, events, before, offset, record } = item;
      const frames = rowFrames(row.seq, encoder.row(row, events, before, record), offset);
      const partly = seen.kind === "frames" && row.seq === seen.seq + 1;
      return partly ? frames.slice(seen.frames) : frames;
    }
    case "preview":
      return previewFrames(item.cursor, encoder.preview(item.preview, item.cursor));
    case "output":
      return previewFrames(item.cursor, encoder.output(item.output, item.cursor));
    case "caught_up":
      return [];
  }
}

const SLOW_READER: StreamError = {
  code: "slow_reader",
  message: "The stream was not read fast enough. Connect again with the id of the last frame.",
  retryable: true,
};

const INTERNAL: StreamError = {
  code: "internal_error",
  message: "The stream failed. Connect again with the id of the last frame.",
  retryable: true,
};

function errorFrame(encoder: StreamEncoder, cursor: string, error: StreamError): SseFrame {
  const { event, data } = encoder.error?.(error, cursor) ?? flatError(error, cursor);
  return { id: cursor, event, data: JSON.stringify(data) };
}

/** A flat `error` frame, as CC API's clients read it. */
const flatError = (error: StreamError, cursor: string): FrameBody => ({
  event: "error",
  data: { type: "error", ...error, cursor },
});

function errorOfEnd(end: FollowEnd): StreamError | null {
  switch (end.kind) {
    case "deleted":
      return null;
    case "not_found":
      return {
        code: "session_deleted",
        message: "The session was deleted.",
        retryable: false,
      };
    case "cursor_ahead":
      return {
        code: "cursor_ahead",
        message: `The cursor lies beyond the session's last event, which is ${end.head}.`,
        retryable: false,
        head: end.head,
      };
    case "unreachable":
      return {
        code: "unavailable",
        message: "The session could not be reached. Connect again with the id of the last frame.",
        retryable: true,
      };
    case "key_ended":
      return {
        code: end.end,
        message: endMessage(end.end),
        retryable: false,
      };
  }
}
