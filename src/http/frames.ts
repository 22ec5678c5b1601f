/** Frames of a stream: what a surface says of a row or a preview, and the ids they get. */

import { formatCursor } from "../shared/cursor.ts";
import type { Event, Preview } from "../shared/events.ts";
import type { Row } from "../shared/rows.ts";
import type { SseFrame } from "./sse.ts";

/** A frame without its id. */
export interface FrameBody {
  event: string;
  data: unknown;
}

/** One surface's way to say things. */
export interface StreamEncoder {
  row(row: Row, events: readonly Event[]): FrameBody[];
  preview(preview: Preview, cursor: string): FrameBody[];
}

/** The frames of a row: the last one carries the row's own seq, so that `<seq>` means all of it. */
export function rowFrames(seq: number, bodies: readonly FrameBody[]): SseFrame[] {
  return bodies.map(({ event, data }, k) => {
    const last = k === bodies.length - 1;
    const id = formatCursor(
      last ? { kind: "row", seq } : { kind: "frames", seq: seq - 1, frames: k + 1 },
    );
    return { id, event, data: JSON.stringify(data) };
  });
}

/** The frames of a preview, all with the place behind it. */
export const previewFrames = (cursor: string, bodies: readonly FrameBody[]): SseFrame[] =>
  bodies.map(({ event, data }) => ({ id: cursor, event, data: JSON.stringify(data) }));
