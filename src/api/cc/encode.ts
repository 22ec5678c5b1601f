/**
 * How CC API says things. Log events are `{type, data}` with the place they have in the session;
 * `turn.response`, `done` and `error` are flat, as its clients read them.
 */
import type { FrameBody, StreamEncoder } from "../../http/frames.ts";
import type { InlineEncoder } from "../../http/run.ts";
import { RETRY_CODES } from "../../model/retry.ts";
import type { Accepted } from "../../session/commands.ts";
import type { ContentBlock, JsonObject, MediaSource } from "../../shared/content.ts";
import { parseCursor } from "../../shared/cursor.ts";
import {
  type Event,
  isOutcome,
  type OutcomeEvent,
  outputEvent,
  previewEvent,
  type TurnResult,
} from "../../shared/events.ts";
import { turnId } from "../../shared/ids.ts";
import type { Row } from "../../shared/rows.ts";
import { sessionPath } from "../common/address.ts";

/** An event of the session's history as the wire shows it. */
export interface EventObject {
  /** Seq of its row; for a preview, of the row it stands behind. */
  id: number;
  type: string;
  session_id: string;
  turn_id: string | null;
  created_at: string;
  data: unknown;
}

/** Codes of failures that are gone when the same request is sent again later. */
const RETRYABLE: ReadonlySet<string> = new Set([
  ...RETRY_CODES,
  "internal_error",
  "budget_unavailable",
]);

const isoTime = (at: number): string => new Date(at).toISOString();

/** The wire form of a row's event. */
export function eventObject(
  sessionId: string,
  row: Pick<Row, "seq" | "at">,
  event: Event,
): EventObject {
  return {
    id: row.seq,
    type: event.type,
    session_id: sessionId,
    turn_id: event.turn,
    created_at: isoTime(row.at),
    data: withMediaUrls(sessionId, event),
  };
}

/** The frames of `events/stream`: one for each event. */
export function ccStream(sessionId: string, now: () => number): StreamEncoder {
  /** The frame of an event that stands in no row. */
  const passing = (event: Event, cursor: string): FrameBody[] => {
    const seq = parseCursor(cursor)?.seq ?? 0;
    return [{ event: event.type, data: eventObject(sessionId, { seq, at: now() }, event) }];
  };
  return {
    row: (row, events) =>
      events.map((event) => ({ event: event.type, data: eventObject(sessionId, row, event) })),
    preview: (preview, cursor) => passing(previewEvent(preview), cursor),
    output: (output, cursor) => passing(outputEvent(output), cursor),
  };
}

/** The frames of a turn's own response, which ends with `turn.response` and `done`, or `error`. */
export function ccInline(sessionId: string, now: () => number): InlineEncoder {
  const stream = ccStream(sessionId, now);
  return {
    ...stream,
    row(row, events, before) {
      const frames = stream.row(row, events, before);
      if (row.type === "input.cancelled") return [...frames, cancelledError()];
      const outcome = events.find(isOutcome);
      return outcome ? [...frames, ...endFrames(sessionId, outcome, row)] : frames;
    },
    answer: (outcome, row) => turnObject(sessionId, outcome.data, row.at),
    turnUrl: (turn) => `${sessionPath(sessionId)}/turns/${turnId(turn)}`,
    accepted: (accepted) => acceptedObject(sessionId, accepted),
  };
}

function endFrames(sessionId: string, outcome: OutcomeEvent, row: Row): FrameBody[] {
  if (outcome.type === "turn.failed") {
    const { code, message, turn } = outcome.data;
    const data = { type: "error", code, message, retryable: RETRYABLE.has(code), turn };
    return [{ event: "error", data }];
  }
  const status = outcome.type === "turn.interrupted" ? "interrupted" : "completed";
  return [
    { event: "turn.response", data: turnObject(sessionId, outcome.data, row.at) },
    { event: "done", data: { status } },
  ];
}

const cancelledError = (): FrameBody => ({
  event: "error",
  data: {
    type: "error",
    code: "input_cancelled",
    message: "The message was cancelled before its turn began.",
    retryable: false,
  },
});

/** The result of a turn, in the form that CC API's clients know. */
export function turnObject(sessionId: string, result: TurnResult, endedAt: number): JsonObject {
  const { turn, usage, ...rest } = result;
  return {
    id: turn,
    object: "turn",
    session_id: sessionId,
    ...rest,
    // A tool call is plain JSON; its interface has no index signature.
    tool_calls: result.tool_calls as unknown as JsonObject[],
    usage: usage as unknown as JsonObject,
    created_at: isoTime(endedAt - result.duration_ms),
  };
}

function acceptedObject(sessionId: string, accepted: Accepted): JsonObject {
  const id = turnId(accepted.result ?? 0);
  return {
    id,
    object: "turn",
    session_id: sessionId,
    status: "accepted",
    url: `${sessionPath(sessionId)}/turns/${id}`,
  };
}

/** The event's data; references to media get the address under which their bytes are. */
function withMediaUrls(sessionId: string, event: Event): unknown {
  switch (event.type) {
    case "turn.started":
    case "input.queued":
      return { ...event.data, input: event.data.input && inputOf(sessionId, event.data.input) };
    case "tool.completed": {
      const { content } = event.data;
      const shown = Array.isArray(content)
        ? content.map((block) => shownBlock(sessionId, block))
        : content;
      return { ...event.data, content: shown };
    }
    default:
      return event.data;
  }
}

/** A single text is shown as a string, as clients send it. */
function inputOf(sessionId: string, content: readonly ContentBlock[]): unknown {
  const [first] = content;
  if (content.length === 1 && first?.type === "text") return first.text;
  return content.map((block) => shownBlock(sessionId, block));
}

function shownBlock(sessionId: string, block: unknown): unknown {
  if (typeof block !== "object" || block === null || !("source" in block)) return block;
  const { source } = block;
  if (!isMedia(source)) return block;
  const url = `${sessionPath(sessionId)}/media/${source.sha256}`;
  return { ...block, source: { ...source, url } };
}

function isMedia(source: unknown): source is MediaSource {
  return (
    typeof source === "object" && source !== null && "type" in source && source.type === "media"
  );
}
