/**
 * Server-sent events out. The stream is an `IdentityTransformStream`, because only its writes
 * reject when the client leaves; with the flag `enable_request_signal` the request's signal aborts
 * as well. Whichever comes first ends the stream.
 */
import { type Clock, clock as systemClock } from "../shared/clock.ts";

/** The client may leave so many bytes unread before `frame` says `slow`. */
export const MAX_PENDING_BYTES = 1024 * 1024;

const HEARTBEAT_MS = 15_000;

export const SSE_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
};

export interface SseFrame {
  /** The cursor after this frame. */
  id?: string;
  event?: string;
  /** JSON text, in one line; of a long one the pieces, which are asked for once. */
  data: string | Iterable<string>;
}

/** How a surface's clients read a stream. */
export interface SseDialect {
  /** The text of a frame, with the empty line behind it. */
  frame(frame: SseFrame): string | Iterable<string>;
  /** The comment that keeps a connection open. */
  ping(): string;
}

/** Lines that end with LF, an id and an event where there are any. */
const PLAIN: SseDialect = { frame: format, ping: () => ": ping\n\n" };

/**
 * What became of a write: `slow` and `closed` mean that it was not queued. After `slow` the caller
 * ends the stream with an `error` frame that says where to go on.
 */
type SseWrite = "queued" | "slow" | "closed";

export interface SseStream {
  readonly response: Response;
  /** Aborts when nothing can be written any more: the client left, or `end` was called. */
  readonly closed: AbortSignal;
  /** Bytes that the client has not read yet, without a first frame that is larger than the limit. */
  readonly pendingBytes: number;
  frame(frame: SseFrame): SseWrite;
  comment(text: string): SseWrite;
  /** Resolves when the client has read all that is queued, or left: the pace of a catch-up. */
  drained(): Promise<void>;
  /**
   * Ends the response, after `last` when one is given, which is queued whatever is pending.
   * Resolves when the client has read everything or has left; never rejects.
   */
  end(last?: SseFrame): Promise<void>;
}

export interface SseOptions {
  /** The request's signal. */
  signal: AbortSignal;
  /** The controller of the stream's `closed`, for what begins before the stream and ends with it. */
  closed?: AbortController;
  dialect?: SseDialect | undefined;
  clock?: Clock;
}

/**
 * Opens a stream. Frames arrive in the order of the calls; nobody has to wait for one before
 * writing the next. A heartbeat comment goes out every 15 seconds, which also notices a client
 * that left without a word.
 *
 * @example
 * const sse = openSse({ signal: c.req.raw.signal });
 * follow(session, sse.closed, (id, event, data) => {
 *   if (sse.frame({ id, event, data }) === "slow") sse.end(slowReader(id));
 * });
 * return sse.response;
 */
export function openSse(options: SseOptions): SseStream {
  const { signal, closed = new AbortController(), clock = systemClock, dialect = PLAIN } = options;
  const encoder = new TextEncoder();
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  let pendingBytes = 0;
  /** A frame larger than the limit is on its way; the first such one is not counted. */
  let largeFrame = false;
  let lastWrite = Promise.resolve();
  let stopHeartbeat = (): void => {};

  const close = (): void => {
    stopHeartbeat();
    signal.removeEventListener("abort", leave);
    closed.abort();
  };
  const leave = (): void => {
    if (closed.signal.aborted) return;
    close();
    writer.abort().catch(ignore);
  };

  /** Queues a text. A write resolves when the client has read it and rejects when it has left. */
  const queue = (text: string | Iterable<string>): void => {
    // What is large is encoded as it is read, and bytes are counted of everything else.
    const encoded = typeof text === "string" || largeFrame ? encoder.encode(joined(text)) : null;
    const bytes = encoded?.byteLength ?? Number.POSITIVE_INFINITY;
    // A message of 16 MB is one frame, and a client that is reading it is not slow.
    const large = bytes > MAX_PENDING_BYTES && !largeFrame;
    if (large) largeFrame = true;
    else pendingBytes += bytes;
    lastWrite = lastWrite
      .then(() => (encoded ? writer.write(encoded) : writePieces(text)))
      .then(() => {
        if (large) largeFrame = false;
        else pendingBytes -= bytes;
      }, leave);
  };
  const writePieces = async (pieces: Iterable<string>): Promise<void> => {
    for (const piece of pieces) await writer.write(encoder.encode(piece));
  };
  const write = (text: string | Iterable<string>): SseWrite => {
    if (closed.signal.aborted) return "closed";
    if (pendingBytes >= MAX_PENDING_BYTES) return "slow";
    queue(text);
    return "queued";
  };
  const beat = (): void => {
    write(dialect.ping());
    stopHeartbeat = clock.after(HEARTBEAT_MS, beat);
  };

  stopHeartbeat = clock.after(HEARTBEAT_MS, beat);
  // A write's own rejection says the same.
  writer.closed.catch(ignore);
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave);

  return {
    response: new Response(readable, { headers: SSE_HEADERS }),
    closed: closed.signal,
    get pendingBytes() {
      return pendingBytes;
    },
    frame: (frame) => write(dialect.frame(frame)),
    comment: (text) => write(`: ${text}\n\n`),
    drained: () => lastWrite,
    async end(last) {
      if (closed.signal.aborted) return;
      if (last) queue(dialect.frame(last));
      close();
      await lastWrite;
      await writer.close().catch(ignore);
    },
  };
}

function format({ id, event, data }: SseFrame): string | Iterable<string> {
  const lines = [
    ...(id === undefined ? [] : [`id: ${id}\n`]),
    ...(event === undefined ? [] : [`event: ${event}\n`]),
  ];
  const before = `${lines.join("")}data: `;
  return typeof data === "string" ? `${before}${data}\n\n` : around(before, data, "\n\n");
}

function* around(before: string, pieces: Iterable<string>, after: string): Generator<string> {
  yield before;
  yield* pieces;
  yield after;
}

const joined = (text: string | Iterable<string>): string =>
  typeof text === "string" ? text : [...text].join("");

/** The client left: there is nobody to tell. */
const ignore = (): void => {};
