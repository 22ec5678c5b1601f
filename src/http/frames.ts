/** Frames of a stream: what a surface says of a row or a preview, and the ids they get. */

import { type Cursor, formatCursor } from "../shared/cursor.ts";
import type { Event, Preview, ToolOutput } from "../shared/events.ts";
import { isLight, jsonTexts } from "../shared/json-text.ts";
import { PIECE_UNITS } from "../shared/long-text.ts";
import type { Row } from "../shared/rows.ts";
import type { TurnRecord } from "../shared/turn-record.ts";
import type { View } from "../shared/view.ts";
import { MAX_PENDING_BYTES, type SseDialect, type SseFrame } from "./sse.ts";

/** A frame without its id. */
export interface FrameBody {
  event: string;
  data: unknown;
}

/** Why a stream ends before what it follows; `retryable` tells a client to come back with its cursor. */
export interface StreamError {
  code: string;
  message: string;
  retryable: boolean;
  [extra: string]: unknown;
}

/** One surface's way to say things. */
export interface StreamEncoder {
  /** `before` is the view before the row; `record` that of its turn, where it was asked for. */
  row(row: Row, events: readonly Event[], before: View, record?: TurnRecord | null): FrameBody[];
  preview(preview: Preview, cursor: string): FrameBody[];
  output(output: ToolOutput, cursor: string): FrameBody[];
  /** The last frame of a stream that cannot go on; absent: CC API's. */
  error?(error: StreamError, cursor: string): FrameBody;
  /** How frames are written; absent: as CC API's. */
  readonly dialect?: SseDialect;
}

/**
 * The frames of a row: the last one carries the row's own seq, so that `<seq>` means all of it. A row
 * that comes in mid-message also carries how much was seen of the message.
 */
export function rowFrames(seq: number, bodies: readonly FrameBody[], offset = 0): SseFrame[] {
  const whole: Cursor = offset > 0 ? { kind: "preview", seq, offset } : { kind: "row", seq };
  return bodies.map(({ event, data }, k) => {
    const last = k === bodies.length - 1;
    const id = formatCursor(last ? whole : { kind: "frames", seq: seq - 1, frames: k + 1 });
    return { id, event, data: textOf(data) };
  });
}

/** The frames of a preview, all with the place behind it. */
export const previewFrames = (cursor: string, bodies: readonly FrameBody[]): SseFrame[] =>
  bodies.map(({ event, data }) => ({ id: cursor, event, data: JSON.stringify(data) }));

/** A message may have 16 MB: the text of one that is not counted as pending is made as it is read. */
const textOf = (data: unknown): SseFrame["data"] =>
  isLight(data, MAX_PENDING_BYTES) ? JSON.stringify(data) : jsonTexts(data, PIECE_UNITS);
