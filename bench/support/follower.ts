/** Clients of a session's stream: one that stays, and one that looks in. */
import { type Frame, now, sse } from "./client.ts";

/** A client that stays, with all its frames. */
export class Follower {
  readonly frames: Frame[] = [];
  /** How many turns it has seen end. */
  turns = 0;
  readonly #left = new AbortController();
  readonly #done: Promise<void>;
  #seen = () => {};

  constructor(url: string) {
    this.#done = this.#read(url);
  }

  /** Resolves when this holds; it is asked again after each frame. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#seen = resolve;
      });
    }
  }

  async leave(): Promise<void> {
    this.#left.abort();
    await this.#done;
  }

  async #read(url: string): Promise<void> {
    try {
      for await (const frame of sse(url, undefined, { signal: this.#left.signal })) {
        // A heartbeat is no frame.
        if (frame.id === null) continue;
        this.frames.push(frame);
        if (frame.event === "turn.completed") this.turns += 1;
        this.#seen();
      }
    } catch (error) {
      if (!this.#left.signal.aborted) throw error;
    }
  }
}

export const isEvent =
  (name: string) =>
  ({ event }: Frame): boolean =>
    event === name;

/** Connects with a cursor, waits for the first frame, and breaks the connection. */
export async function firstFrame(
  url: string,
  cursor: string,
): Promise<{ frame: Frame; ms: number }> {
  const left = new AbortController();
  const began = now();
  try {
    const init = { headers: { "last-event-id": cursor }, signal: left.signal };
    for await (const frame of sse(url, undefined, init)) {
      if (frame.id !== null) return { frame, ms: frame.at - began };
    }
    throw new Error("the stream ended without a frame");
  } finally {
    left.abort();
  }
}
