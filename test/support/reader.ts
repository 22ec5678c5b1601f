import { ccInline } from "../../src/api/cc/encode.ts";
import { type FollowEnd, type Followed, Follower } from "../../src/http/follow.ts";
import { pump } from "../../src/http/pump.ts";
import type { SseFrame, SseStream } from "../../src/http/sse.ts";
import type { SessionStub } from "../../src/session/calls.ts";
import { parseCursor } from "../../src/shared/cursor.ts";
import type { Event } from "../../src/shared/events.ts";
import type { Row } from "../../src/shared/rows.ts";
import { EMPTY_VIEW, reduce, type View } from "../../src/shared/view.ts";

/** The integer part of a frame's id. */
export const seqOf = (id: string): number => parseCursor(id)?.seq ?? Number.NaN;

/** A frame as a client has it: with all of its text. */
type ReadFrame = SseFrame & { id: string; data: string };

/** A client: it reads frames, keeps a view, and may go away and come back with its last cursor. */
export class Reader {
  /** Every frame that was read, over all connections. */
  readonly frames: ReadFrame[] = [];
  /** Every row and preview that came out of the follower. */
  readonly items: Followed[] = [];
  readonly rows: Row[] = [];
  /** The reduction of the frames. */
  view: View;
  readonly #session: SessionStub;
  #cursor: string;
  #left: AbortController | null = null;
  #done: Promise<FollowEnd | null> = Promise.resolve(null);
  readonly #waiting = new Set<{ seen: () => boolean; resolve: () => void }>();

  /** Without a cursor it begins at the first row; `view` is what the client knows at the cursor. */
  constructor(session: SessionStub, cursor = "0", view: View = EMPTY_VIEW) {
    this.#session = session;
    this.#cursor = cursor;
    this.view = view;
  }

  get cursor(): string {
    return this.#cursor;
  }

  /** Connects at the last cursor, unless it is connected. `frames`: goes away after so many. */
  attach(frames = Number.POSITIVE_INFINITY): this {
    if (this.#left && !this.#left.signal.aborted) return this;
    const from = parseCursor(this.#cursor);
    if (!from) throw new Error(`not a cursor: ${this.#cursor}`);
    const left = new AbortController();
    this.#left = left;
    const follower = new Follower(this.#session, { from, signal: left.signal });
    let end: FollowEnd | null = null;
    const followed = this.#watched(follower, (ended) => {
      end = ended;
    });
    let room = frames;
    const take = (frame: SseFrame) => {
      if (room <= 0) return "closed" as const;
      room -= 1;
      this.#take(frame);
      if (room <= 0) left.abort();
      return "queued" as const;
    };
    const sse: SseStream = {
      response: new Response(),
      closed: left.signal,
      pendingBytes: 0,
      frame: take,
      comment: () => "queued",
      drained: async () => {},
      end: async (last) => {
        if (last) take(last);
      },
    };
    this.#done = pump(
      sse,
      followed,
      ccInline("session", () => 0),
      from,
    ).then(() => {
      this.notify();
      return end;
    });
    return this;
  }

  /** Goes away; the frames read so far stay. */
  async detach(): Promise<void> {
    this.#left?.abort();
    this.#left = null;
    await this.#done;
  }

  /** Why the following ended, once it has. */
  get ended(): Promise<FollowEnd | null> {
    return this.#done;
  }

  /** Resolves once `seen` holds; it is asked again after each frame and item. */
  until(seen: () => boolean): Promise<void> {
    if (seen()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add({ seen, resolve }));
  }

  /** The first row that fits, now or later. */
  async row<T extends Row["type"]>(
    type: T,
    fits: (row: Extract<Row, { type: T }>) => boolean = () => true,
  ): Promise<Extract<Row, { type: T }>> {
    // The discriminant was compared.
    const find = () =>
      this.rows.find((row) => row.type === type && fits(row as Extract<Row, { type: T }>));
    await this.until(() => find() !== undefined);
    return find() as Extract<Row, { type: T }>;
  }

  /** Text of the previews of the open call so far. */
  get previewed(): string {
    const open = this.rows.findLast((row) => row.type === "call.started")?.seq;
    return this.items
      .map((item) =>
        item.kind === "preview" && item.preview.call === open ? item.preview.text : "",
      )
      .join("");
  }

  async *#watched(
    follower: Follower,
    onEnd: (end: FollowEnd | null) => void,
  ): AsyncGenerator<Followed, FollowEnd | null> {
    const followed = follower.read();
    try {
      for (;;) {
        const step = await followed.next();
        if (step.done) {
          onEnd(step.value);
          return step.value;
        }
        const item = step.value;
        yield item;
        // Noted after its frames, so that whoever waits for a row finds them.
        this.items.push(item);
        if (item.kind === "row" && !this.rows.some(({ seq }) => seq === item.row.seq)) {
          // Long texts are compared as what they stand for.
          this.rows.push(JSON.parse(JSON.stringify(item.row)));
        }
        this.notify();
      }
    } finally {
      await followed.return(null);
    }
  }

  #take(frame: SseFrame): void {
    const { id, data } = frame;
    if (id === undefined) throw new Error("a frame without an id");
    const read = { ...frame, id, data: typeof data === "string" ? data : [...data].join("") };
    this.frames.push(read);
    this.#cursor = id;
    const event = eventIn(read);
    if (event) this.view = reduce(this.view, event);
    this.notify();
  }

  /** Asks everybody who waits again, after something that is no frame. */
  notify(): void {
    for (const waiter of this.#waiting) {
      if (!waiter.seen()) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}

/** The native event in a frame; none in the frames that only end a response. */
function eventIn(frame: ReadFrame): Event | null {
  const data: unknown = JSON.parse(frame.data);
  if (typeof data !== "object" || data === null || !("data" in data) || !("turn_id" in data)) {
    return null;
  }
  // Frames are made from events by the encoder.
  return { type: frame.event, turn: data.turn_id, data: data.data } as Event;
}
