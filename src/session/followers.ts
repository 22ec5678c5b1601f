/**
 * The sockets of the Workers that follow this session. They hibernate: a follower of an idle
 * session costs nothing, and all that must outlive the object is in the socket's own tags.
 */
import type { Cursor } from "../shared/cursor.ts";
import type { Preview, ToolOutput } from "../shared/events.ts";
import { isLight } from "../shared/json-text.ts";
import type { Row } from "../shared/rows.ts";
import { faultPoint } from "./fault-points.ts";
import type { PreviewBuffer } from "./preview.ts";
import type { Store } from "./store.ts";
import { ATTACH_BYTES, type Hello, PING, PONG, type Pushed } from "./wire.ts";

/** Close codes of our own, in the range that RFC 6455 leaves to applications. */
export const CLOSE_DELETED = 4001;

export class Followers {
  readonly #ctx: DurableObjectState;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  /**
   * Attaches a socket at a cursor: what the follower lacks is sent and the socket attached in one
   * synchronous step, so nothing can fall between. `reads` names the submission whose response the
   * follower is.
   */
  attach(
    socket: WebSocket,
    store: Store,
    at: Cursor | "head",
    reads: string | null,
    preview: PreviewBuffer | null,
  ): void {
    this.#ctx.acceptWebSocket(socket, reads === null ? [] : [readerTag(reads)]);
    const hello = helloAt(store, at, preview);
    faultPoint(this.#ctx, "push");
    socket.send(JSON.stringify(hello));
    if (hello.behind) socket.close(1000, "behind");
  }

  /** Somebody reads the response of this submission. */
  reads(submission: string): boolean {
    return this.#ctx.getWebSockets(readerTag(submission)).some(isOpen);
  }

  rows(rows: readonly Row[]): void {
    const last = rows.at(-1);
    if (!last) return;
    this.#send({ v: 1, type: "rows", rows: [...rows] }, { v: 1, type: "behind", head: last.seq });
  }

  previews(head: number, previews: Preview[]): void {
    if (previews.length > 0) this.#send({ v: 1, type: "previews", head, previews });
  }

  /** What a tool prints while it runs. It is not kept, so whoever is not there misses it. */
  output(output: ToolOutput): void {
    this.#send({ v: 1, type: "output", ...output });
  }

  closeAll(code: number, reason: string): void {
    for (const socket of this.#ctx.getWebSockets()) close(socket, code, reason);
  }

  /** Sends `message`, or `instead` when that is too long to be pushed. */
  #send(message: Pushed, instead: Pushed = message): void {
    const sockets = this.#ctx.getWebSockets();
    if (sockets.length === 0) return;
    const whole = isLight(message, ATTACH_BYTES) ? JSON.stringify(message) : null;
    const text = whole && whole.length <= ATTACH_BYTES ? whole : JSON.stringify(instead);
    for (const socket of sockets) {
      if (!isOpen(socket)) continue;
      faultPoint(this.#ctx, "push");
      trySend(socket, text);
    }
  }
}

const readerTag = (submission: string): string => `reads:${submission}`;

const isOpen = (socket: WebSocket): boolean => socket.readyState === WebSocket.OPEN;

/** A socket may have gone since it was listed; its Worker dials again. */
function trySend(socket: WebSocket, text: string): void {
  try {
    socket.send(text);
  } catch {
    close(socket, 1011, "send failed");
  }
}

function close(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It is closed already.
  }
}

function helloAt(store: Store, at: Cursor | "head", preview: PreviewBuffer | null): Hello {
  const head = store.state.seq;
  const seq = at === "head" ? head : Math.min(at.seq, head);
  const hello = { v: 1 as const, type: "hello" as const, head, view: store.views.at(seq) };
  if (store.log.sizeAfter(seq, ATTACH_BYTES) >= ATTACH_BYTES) {
    return { ...hello, behind: true, rows: [], previews: [] };
  }
  const rows = store.log.range(seq + 1, head);
  return { ...hello, behind: false, rows, previews: lacking(store, at, preview) };
}

/** The part of the open call's preview that a follower at this cursor has not seen. */
function lacking(store: Store, at: Cursor | "head", preview: PreviewBuffer | null): Preview[] {
  const call = store.state.call;
  if (!call || !preview) return [];
  // An offset counts within the call that was open at the cursor's row; another call's is void.
  const seen = at !== "head" && at.kind === "preview" && call.seq <= at.seq ? at.offset : 0;
  return preview.since(seen);
}
