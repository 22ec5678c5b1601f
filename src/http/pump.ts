/** Moves what a follower sees into an SSE stream, at the pace that the client can take. */
import { type Cursor, formatCursor } from "../shared/cursor.ts";
import { errorOf, writeLine } from "../shared/log-line.ts";
import { endMessage } from "./caller.ts";
import type { FollowEnd, Followed } from "./follow.ts";
import { type FrameBody, previewFrames, rowFrames, type StreamEncoder } from "./frames.ts";
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
  try {
    for (;;) {
      const step = await followed.next();
      if (step.done) return await sse.end(step.value ? endFrame(step.value, last) : undefined);
      for (const frame of framesOf(step.value, encoder, seen)) {
        const written = sse.frame(frame);
        if (written === "slow") return await sse.end(errorFrame(last, SLOW_READER));
        if (written === "closed") return;
        last = frame.id ?? last;
      }
      // What was there before is read at the client's pace, one row ahead of it.
      if (step.value.kind === "row" && !step.value.live) await sse.drained();
    }
  } catch (error) {
    writeLine({ event: "error", what: "a stream", error: errorOf(error) });
    await sse.end(errorFrame(last, INTERNAL));
  } finally {
    await followed.return(null);
  }
}

function framesOf(item: Followed, encoder: StreamEncoder, seen: Cursor): SseFrame[] {
  switch (item.kind) {
    case "row": {
      const frames = rowFrames(item.row.seq, encoder.row(item.row, item.events), item.offset);
      const partly = seen.kind === "frames" && item.row.seq === seen.seq + 1;
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

/** The `error` frame that ends a stream; `retryable` tells a client to come back with its cursor. */
export interface StreamError {
  code: string;
  message: string;
  retryable: boolean;
  [extra: string]: unknown;
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

/** A flat `error` frame, as the clients of this API read it. */
function errorFrame(cursor: string, error: StreamError): SseFrame {
  const body: FrameBody = { event: "error", data: { type: "error", ...error, cursor } };
  return { id: cursor, event: body.event, data: JSON.stringify(body.data) };
}

function endFrame(end: FollowEnd, cursor: string): SseFrame | undefined {
  switch (end.kind) {
    case "deleted":
      return undefined;
    case "not_found":
      return errorFrame(cursor, {
        code: "session_deleted",
        message: "The session was deleted.",
        retryable: false,
      });
    case "cursor_ahead":
      return errorFrame(cursor, {
        code: "cursor_ahead",
        message: `The cursor lies beyond the session's last event, which is ${end.head}.`,
        retryable: false,
        head: end.head,
      });
    case "unreachable":
      return errorFrame(cursor, {
        code: "unavailable",
        message: "The session could not be reached. Connect again with the id of the last frame.",
        retryable: true,
      });
    case "key_ended":
      return errorFrame(cursor, {
        code: end.end,
        message: endMessage(end.end),
        retryable: false,
      });
  }
}
