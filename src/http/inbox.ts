/** The messages of one WebSocket as a queue, with a watch for connections that are half open. */
import { PONG } from "../session/wire.ts";
import { clock } from "../shared/clock.ts";

/**
 * So many characters may wait for a reader that takes its time. With more the socket is given up:
 * the reader gets what waits, and then dials again from where it is.
 */
const MAX_WAITING = 1_000_000;

export interface Inbox {
  /** The next message, or null when the socket is closed and none waits. */
  next(): Promise<string | null>;
  /** Something came: the connection worked. */
  readonly heard: boolean;
  /** The close code; 0 while the socket is open. */
  readonly code: number;
  close(): void;
}

export interface InboxOptions {
  /** A ping goes out this often, in milliseconds. */
  pingMs: number;
  /** Silence after which the socket is given up, in milliseconds. */
  silenceMs: number;
  ping: string;
}

/** Accepts the socket and queues what it brings. */
export function openInbox(socket: WebSocket, { pingMs, silenceMs, ping }: InboxOptions): Inbox {
  const messages: string[] = [];
  /** Characters of the messages that wait. */
  let waiting = 0;
  let reader: (() => void) | null = null;
  let heardAt = clock.now();
  let heard = false;
  let open = true;
  let code = 0;
  let stopPings = (): void => {};

  const wake = (): void => {
    reader?.();
    reader = null;
  };
  const shut = (closeCode: number): void => {
    if (!open) return;
    open = false;
    code = closeCode;
    stopPings();
    wake();
  };
  const giveUp = (): void => {
    closeSocket(socket);
    shut(1006);
  };
  const beat = (): void => {
    if (clock.now() - heardAt >= silenceMs) {
      giveUp();
      return;
    }
    socket.send(ping);
    stopPings = clock.after(pingMs, beat);
  };

  socket.addEventListener("message", ({ data }) => {
    heardAt = clock.now();
    // The answer to a ping says only that the connection lives.
    if (typeof data !== "string" || data === PONG || !open) return;
    heard = true;
    // One message may be longer than all that may wait.
    if (waiting >= MAX_WAITING) {
      giveUp();
      return;
    }
    waiting += data.length;
    messages.push(data);
    wake();
  });
  socket.addEventListener("close", (event) => shut(event.code));
  socket.addEventListener("error", () => shut(1006));
  socket.accept();
  stopPings = clock.after(pingMs, beat);

  return {
    async next() {
      while (open && messages.length === 0) {
        await new Promise<void>((resolve) => {
          reader = resolve;
        });
      }
      const message = messages.shift() ?? null;
      waiting -= message?.length ?? 0;
      return message;
    },
    get heard() {
      return heard;
    },
    get code() {
      return code;
    },
    close() {
      closeSocket(socket);
      shut(1000);
    },
  };
}

function closeSocket(socket: WebSocket): void {
  try {
    socket.close(1000, "done");
  } catch {
    // It is closed already.
  }
}
