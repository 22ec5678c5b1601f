import type { Clock } from "../shared/clock.ts";
import type { Act, CutKind, Delivery } from "./replies.ts";
import { frame } from "./replies.ts";

/** The client's side of one response: it may leave at any time. */
export class Connection {
  readonly #listeners = new Set<() => void>();
  #isGone = false;

  get isGone(): boolean {
    return this.#isGone;
  }

  hangUp(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  /** Runs `listener` when the client leaves; the returned function takes it back. */
  onGone(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when `start` calls back or the client leaves, whichever comes first. */
  wait(start: (done: () => void) => (() => void) | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isGone) return resolve();
      let stop: (() => void) | undefined;
      const off = this.onGone(() => {
        stop?.();
        resolve();
      });
      stop = start(() => {
        off();
        resolve();
      });
    });
  }
}

/** One thing that a body sends, in order. */
export interface Piece {
  readonly bytes: string | Uint8Array;
  /** Output tokens generated once these bytes are sent. */
  readonly tokens: number;
  /** Milliseconds to wait before. */
  readonly pause: number;
}

export type BodyEnd = "complete" | "cut" | "failed" | "aborted";

export interface BodyObserver {
  /** Output tokens so far. */
  onTokens(tokens: number): void;
  onEnd(end: BodyEnd): void;
}

/** Performs an act that takes time or ends the body; `stop` when nothing may follow. */
async function perform(
  act: Act,
  connection: Connection,
  clock: Clock,
): Promise<{ insert?: string; stop?: { end: BodyEnd; how: CutKind } }> {
  switch (act.act) {
    case "hold":
      await connection.wait((done) => {
        act.gate.pass().then(done);
        return undefined;
      });
      return {};
    case "wait":
      await connection.wait((done) => clock.after(act.ms, done));
      return {};
    case "insert":
      return { insert: act.frame };
    case "fail": {
      const error = { type: "error", error: { type: act.type, message: act.message } };
      return {
        insert: frame("error", { ...error, request_id: null }),
        stop: { end: "failed", how: "end" },
      };
    }
    case "cut":
      return { stop: { end: "cut", how: act.how } };
  }
}

/** Waits out the acts before the response; an act that ends it is returned. */
export async function beforeResponse(
  acts: readonly Act[],
  connection: Connection,
  clock: Clock,
): Promise<Act | undefined> {
  for (const act of acts) {
    if (act.act === "fail" || act.act === "cut") return act;
    await perform(act, connection, clock);
    if (connection.isGone) return undefined;
  }
  return undefined;
}

/**
 * The body of a response. `acts` happen after that many pieces; 0 is before the first byte. Nothing
 * is made ahead of the reader, so that a client's leaving has an exact place.
 */
export function deliver(
  pieces: readonly Piece[],
  acts: ReadonlyMap<number, readonly Act[]>,
  delivery: Delivery,
  connection: Connection,
  clock: Clock,
  observer: BodyObserver,
): ReadableStream<Uint8Array> {
  let end: BodyEnd | undefined;
  const finish = (how: BodyEnd) => {
    if (end) return;
    end = how;
    observer.onEnd(how);
  };
  const chunks = chunked(pieces, acts, delivery, connection, clock, observer, finish);
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        connection.onGone(() => {
          finish("aborted");
          controller.error(new DOMException("The operation was aborted.", "AbortError"));
        });
      },
      async pull(controller) {
        try {
          const { value, done } = await chunks.next();
          if (connection.isGone) return;
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          if (!connection.isGone) controller.error(error);
        }
      },
      cancel() {
        finish("aborted");
        connection.hangUp();
      },
    },
    { highWaterMark: 0 },
  );
}

async function* chunked(
  pieces: readonly Piece[],
  acts: ReadonlyMap<number, readonly Act[]>,
  delivery: Delivery,
  connection: Connection,
  clock: Clock,
  observer: BodyObserver,
  finish: (end: BodyEnd) => void,
): AsyncGenerator<Uint8Array, void> {
  const encoder = new TextEncoder();
  const chunker = new Chunker(delivery.chunks);
  const limit = delivery.cutAfterBytes;
  let sent = 0;
  const take = (bytes: string | Uint8Array): { chunks: Uint8Array[]; isFull: boolean } => {
    const data = typeof bytes === "string" ? encoder.encode(bytes) : bytes;
    const room = limit ? limit.bytes - sent : data.length;
    const fitting = data.length <= room ? data : data.subarray(0, room);
    sent += fitting.length;
    return { chunks: chunker.push(fitting), isFull: limit !== undefined && sent >= limit.bytes };
  };
  for (let i = 0; i <= pieces.length; i++) {
    for (const act of acts.get(i) ?? []) {
      // What lies before a stop of any length has reached the client.
      if (act.act !== "insert") yield* chunker.flush();
      const { insert, stop } = await perform(act, connection, clock);
      if (connection.isGone) return;
      // A client may leave with the last bytes: what they end is settled before they are sent.
      if (stop) finish(stop.end);
      if (insert !== undefined) yield* take(insert).chunks;
      if (stop) {
        yield* chunker.flush();
        if (stop.how === "error") throw new TypeError("Network connection lost.");
        return;
      }
    }
    const piece = pieces[i];
    if (!piece) break;
    if (piece.pause > 0) {
      yield* chunker.flush();
      await connection.wait((done) => clock.after(piece.pause, done));
      if (connection.isGone) return;
    }
    observer.onTokens(piece.tokens);
    const { chunks, isFull } = take(piece.bytes);
    if (isFull) finish("cut");
    else if (i === pieces.length - 1 && !acts.has(pieces.length)) finish("complete");
    yield* chunks;
    if (isFull) {
      yield* chunker.flush();
      if (limit?.how === "error") throw new TypeError("Network connection lost.");
      return;
    }
  }
  yield* chunker.flush();
  finish("complete");
}

/** Cuts bytes into chunks of a size, or at given offsets of the whole body. */
class Chunker {
  readonly #plan: number | readonly number[] | undefined;
  #pending = new Uint8Array(0);
  #offset = 0;

  constructor(plan: number | readonly number[] | undefined) {
    this.#plan = plan;
  }

  push(bytes: Uint8Array): Uint8Array[] {
    if (this.#plan === undefined) return bytes.length > 0 ? [bytes] : [];
    const joined = new Uint8Array(this.#pending.length + bytes.length);
    joined.set(this.#pending);
    joined.set(bytes, this.#pending.length);
    const chunks: Uint8Array[] = [];
    let at = 0;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const length = next - this.#offset;
      if (at + length > joined.length) break;
      chunks.push(joined.slice(at, at + length));
      at += length;
      this.#offset = next;
    }
    this.#pending = joined.slice(at);
    return chunks;
  }

  flush(): Uint8Array[] {
    const rest = this.#pending;
    this.#pending = new Uint8Array(0);
    this.#offset += rest.length;
    return rest.length > 0 ? [rest] : [];
  }

  /** Offset of the next end of a chunk. */
  #next(): number | undefined {
    const plan = this.#plan;
    if (typeof plan === "number") return this.#offset + Math.max(1, plan);
    return plan?.find((offset) => offset > this.#offset);
  }
}
