/**
 * Following a session: the one way in which a Worker reads it. JSON answers, streams and long polls
 * are all made from what comes out here. The object may die at any time; the follower dials again
 * from where it was, and whoever reads it sees every row once and in order.
 */

import type { SessionStub } from "../session/calls.ts";
import { CLOSE_DELETED } from "../session/followers.ts";
import { type Hello, PING, type Pushed, type RowPage, type Rows } from "../session/wire.ts";
import { clock } from "../shared/clock.ts";
import { type Cursor, formatCursor, wholePlace } from "../shared/cursor.ts";
import type { Event, Preview, ToolOutput } from "../shared/events.ts";
import { eventsOf } from "../shared/row-events.ts";
import type { Row } from "../shared/rows.ts";
import type { TurnRecord } from "../shared/turn-record.ts";
import { EMPTY_VIEW, reduce, type View } from "../shared/view.ts";
import type { KeyEnd } from "./caller.ts";
import { type Inbox, openInbox } from "./inbox.ts";

/** One thing that a follower sees. */
export type Followed =
  /**
   * `before` is the view before it. `live` is false while older rows are being read: the reader sets
   * the pace then. `offset` is how much was seen of the preview of a call that is open behind the row.
   * `record`: see recorded.ts.
   */
  | {
      kind: "row";
      row: Row;
      events: Event[];
      before: View;
      live: boolean;
      offset: number;
      record?: TurnRecord | null;
    }
  /** `cursor` is the place behind it. */
  | { kind: "preview"; preview: Preview; cursor: string }
  /** What a tool prints while it runs; whoever is not there misses it. `cursor` stays where it is. */
  | { kind: "output"; output: ToolOutput; cursor: string }
  /** Everything that was there when the follower came has been seen. */
  | { kind: "caught_up" };

/** Why following ended before its reader wanted it to. */
export type FollowEnd =
  | { kind: "not_found" }
  | { kind: "deleted" }
  | { kind: "cursor_ahead"; head: number }
  | { kind: "unreachable" }
  /** Whoever reads may not any more. */
  | { kind: "key_ended"; end: KeyEnd };

export interface FollowOptions {
  /** Where to begin; `head` shows only what comes from now on. */
  from: Cursor | "head";
  /** The submission whose response this is. */
  reads?: string;
  /** Ends the following. */
  signal: AbortSignal;
}

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 5_000;
/** Without a connection for this long the follower gives up. */
const GIVE_UP_MS = 120_000;
const PING_MS = 15_000;
/** Silence after which the connection counts as half open: the object answers pings. */
const SILENCE_MS = 45_000;
const PAGE_ROWS = 1_000;

export class Follower {
  readonly #session: SessionStub;
  readonly #options: FollowOptions;
  /** Everything up to this row has been seen; null until the first hello. */
  #seq: number | null;
  /** Units seen of the preview behind that row. */
  #offset = 0;
  #view: View = EMPTY_VIEW;
  /** The first dial, begun before anybody reads. */
  #dialled: Promise<Inbox | FollowEnd> | null;

  constructor(session: SessionStub, options: FollowOptions) {
    this.#session = session;
    this.#options = options;
    const { from } = options;
    this.#seq = from === "head" ? null : from.seq;
    if (from !== "head" && from.kind === "preview") this.#offset = from.offset;
    this.#dialled = this.#dial();
    // Whoever reads it learns of a failure; nobody may ever read it.
    this.#dialled.catch(() => {});
  }

  /** The view at the place that has been read. */
  get view(): View {
    return this.#view;
  }

  /**
   * Yields what happens until the signal aborts (it then returns null) or the following cannot go
   * on. `rewind` begins at an earlier row than the dial did: the first row of a submission that was
   * sent beside it.
   */
  async *read(rewind?: number): AsyncGenerator<Followed, FollowEnd | null> {
    const { signal } = this.#options;
    let begin = rewind;
    let delay = FIRST_DELAY_MS;
    let lostAt: number | null = null;
    while (!signal.aborted) {
      const inbox = await this.#connect();
      if (inbox && "kind" in inbox) return inbox;
      if (inbox) {
        const end = yield* this.#readSocket(inbox, begin);
        if (end !== "lost") return end;
        if (this.#seq !== null) begin = undefined;
        if (inbox.heard) [delay, lostAt] = [FIRST_DELAY_MS, null];
      }
      lostAt ??= clock.now();
      if (clock.now() - lostAt > GIVE_UP_MS) return { kind: "unreachable" };
      await pause(delay / 2 + (Math.random() * delay) / 2, signal);
      delay = Math.min(delay * 2, LONGEST_DELAY_MS);
    }
    this.cancel();
    return null;
  }

  /** Gives the connection back when the follower is not read after all. */
  cancel(): void {
    void this.#dialled?.then((dialled) => "close" in dialled && dialled.close()).catch(() => {});
    this.#dialled = null;
  }

  async #connect(): Promise<Inbox | FollowEnd | null> {
    const dialled = this.#dialled ?? this.#dial();
    this.#dialled = null;
    try {
      return await dialled;
    } catch {
      // The object is restarting or overloaded.
      return null;
    }
  }

  async #dial(): Promise<Inbox | FollowEnd> {
    const url = new URL("https://session/follow");
    if (this.#seq !== null) url.searchParams.set("after", this.#cursor());
    if (this.#options.reads !== undefined) url.searchParams.set("reads", this.#options.reads);
    const response = await this.#session.fetch(url, { headers: { upgrade: "websocket" } });
    if (response.status === 404) return { kind: "not_found" };
    if (response.status === 409) {
      const { head } = await response.json<{ head: number }>();
      return { kind: "cursor_ahead", head };
    }
    if (!response.webSocket) throw new Error(`the session answered ${response.status}`);
    return openInbox(response.webSocket, { pingMs: PING_MS, silenceMs: SILENCE_MS, ping: PING });
  }

  #cursor(): string {
    const { from } = this.#options;
    const seq = this.#seq ?? 0;
    if (this.#offset > 0) return formatCursor({ kind: "preview", seq, offset: this.#offset });
    // Still where the client was: the object knows whether it can have been there.
    return formatCursor(from !== "head" && from.seq === seq ? from : { kind: "row", seq });
  }

  async *#readSocket(
    inbox: Inbox,
    rewind: number | undefined,
  ): AsyncGenerator<Followed, FollowEnd | null | "lost"> {
    const close = () => inbox.close();
    this.#options.signal.addEventListener("abort", close, { once: true });
    // It may have been aborted while the connection was made.
    if (this.#options.signal.aborted) close();
    try {
      for (;;) {
        const text = await inbox.next();
        if (text === null) break;
        // The object writes only these; a newer one's other messages are skipped.
        const message = JSON.parse(text) as Pushed;
        if (message.type === "hello") {
          const end = yield* this.#hello(message, rewind);
          if (end) return end;
        } else if (message.type === "rows") {
          yield* this.#rows(message.rows, true);
        } else if (message.type === "behind") {
          const end = yield* this.#catchUp(message.head);
          if (end) return end;
        } else if (message.type === "previews") {
          yield* this.#previews(message.previews);
        } else if (message.type === "output") {
          const { tool, turn, text } = message;
          yield { kind: "output", output: { tool, turn, text }, cursor: this.#cursor() };
        }
      }
    } finally {
      this.#options.signal.removeEventListener("abort", close);
      inbox.close();
    }
    if (this.#options.signal.aborted) return null;
    return inbox.code === CLOSE_DELETED ? { kind: "deleted" } : "lost";
  }

  async *#hello(
    hello: Hello,
    rewind: number | undefined,
  ): AsyncGenerator<Followed, FollowEnd | null | "lost"> {
    const begin = rewind !== undefined && rewind <= hello.head ? rewind - 1 : null;
    if (begin !== null && this.#options.from === "head") {
      this.#seq = begin;
      this.#offset = 0;
    } else if (this.#seq === null) {
      this.#seq = hello.head;
    }
    if (begin === null) this.#view = hello.view;
    if (hello.behind || begin !== null) {
      const end = yield* this.#catchUp(hello.head, begin !== null);
      if (end) return end;
    }
    yield* this.#rows(hello.rows, true);
    yield* this.#previews(hello.previews);
    if (!hello.behind) yield { kind: "caught_up" };
    return null;
  }

  /**
   * Reads pages at the reader's pace, up to the row `to`. `rewound`: the view there is not known and
   * has to come with the first page.
   */
  async *#catchUp(
    to: number,
    rewound = false,
  ): AsyncGenerator<Followed, FollowEnd | null | "lost"> {
    for (let first = true; ; first = false) {
      const page = await this.#page(to, rewound && first);
      if (page === "lost") return page;
      if (!page) return { kind: "not_found" };
      if ("view" in page) this.#view = page.view;
      yield* this.#rows(page.rows, false);
      if (!page.more) return null;
    }
  }

  /** The next page; `lost` when the object died, as it may between two pages. */
  async #page(to: number, withView: boolean): Promise<Rows | RowPage | "lost" | null> {
    const after = this.#seq ?? 0;
    try {
      if (withView) return await this.#session.page(after, PAGE_ROWS, to);
      return await this.#session.rows(after, PAGE_ROWS, to);
    } catch {
      return "lost";
    }
  }

  *#rows(rows: readonly Row[], live: boolean): Generator<Followed> {
    for (const row of rows) {
      // Rows are pushed and pulled at the same time; each is taken once.
      if (this.#seq !== null && row.seq <= this.#seq) continue;
      this.#seq = row.seq;
      const before = this.#view;
      const events = eventsOf(row, before);
      for (const event of events) this.#view = reduce(this.#view, event);
      if (endsPreview(row)) this.#offset = 0;
      yield { kind: "row", row, events, before, live, offset: this.#offset };
    }
  }

  *#previews(previews: readonly Preview[]): Generator<Followed> {
    for (const preview of previews) {
      const unseen = unseenPart(preview, this.#offset);
      if (!unseen) continue;
      this.#offset = unseen.offset + unseen.text.length;
      yield { kind: "preview", preview: unseen, cursor: this.#cursor() };
    }
  }
}

/** An offset goes on while its call is open; the blocks of a call are written with its end. */
export const endsPreview = ({ type }: Row): boolean =>
  type.startsWith("call.") || type.startsWith("block.");

/**
 * What of a preview a client lacks that has seen `offset` units of its call. One that says it has
 * half of a surrogate pair gets both halves.
 */
export function unseenPart(preview: Preview, offset: number): Preview | null {
  const end = preview.offset + preview.text.length;
  if (end <= offset) return null;
  const at = Math.max(0, offset - preview.offset);
  const text = preview.text.slice(wholePlace(preview.text, at));
  return { ...preview, text, offset: end - text.length };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, done);
    function done() {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
}
