/** What a server-sent event of the API's stream says. Pure. */
import type { StreamEvent } from "./message.ts";
import { CallFailed } from "./retry.ts";

/** One server-sent event: its name, where it has one, and its data as text. */
interface Frame {
  event: string | null;
  data: string;
}

/** The events of which a message is made: one of these that cannot be read leaves a gap in it. */
const NEEDED: ReadonlySet<string | null> = new Set([
  // A gateway that leaves the names out still says the type in the data.
  null,
  "message_start",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "message_delta",
  "message_stop",
]);

/**
 * The event in a frame; null where there is none to read. What an event that is not known holds is
 * not looked at: the API adds events over time.
 *
 * @throws CallFailed for an error of the API, and for an event that is needed and cannot be read
 */
export function eventIn({ event, data }: Frame): StreamEvent | null {
  if (event === "ping" || data === "") return null;
  const value = parsed(data);
  if (event === "error") throw new CallFailed(streamError(value));
  if (!isEvent(value)) {
    if (!NEEDED.has(event)) return null;
    const detail = value === undefined ? "an event is not JSON" : "an event has no type";
    throw new CallFailed({ kind: "malformed", detail });
  }
  if (value.type === "error") throw new CallFailed(streamError(value));
  return value;
}

function streamError(value: unknown): CallFailed["failure"] {
  const error = isRecord(value) && isRecord(value.error) ? value.error : {};
  const details = isRecord(error.details) ? error.details : {};
  return {
    kind: "stream_error",
    type: textOr(error.type),
    error_code: textOr(details.error_code),
    message: textOr(error.message),
  };
}

const textOr = (value: unknown): string | null => (typeof value === "string" ? value : null);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isEvent = (value: unknown): value is StreamEvent =>
  isRecord(value) && typeof value.type === "string";

/** Undefined for a text that is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
