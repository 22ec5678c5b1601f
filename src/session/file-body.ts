/** Bodies of uploads, which are held whole until they are stored in one step. */
import { clock } from "../shared/clock.ts";
import { FileRefused } from "./file-calls.ts";

/** Of all uploads of this isolate at a time, which has 128 MB for everything. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
const FIRST_BYTES = 65_536;
/** A sender that gives nothing for so long has left: what it holds is missing to all others. */
const STALLED_MS = 60_000;

let held = 0;

interface Expected {
  maxBytes: number;
  /** As the client declared it. */
  length: number | null;
  /**
   * What stands behind the last byte. A body whose sender broke it off ends here like a whole one,
   * so its end has to be told.
   */
  end: string;
}

/**
 * Reads a body, counting it as it comes. What it holds is to be released.
 *
 * @throws FileRefused `body_too_large`, `body_cut`, `busy`
 */
export async function collect(
  body: ReadableStream<Uint8Array> | null,
  { maxBytes, length, end }: Expected,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; release: () => void }> {
  const mark = encoder.encode(end);
  const most = maxBytes + mark.byteLength;
  const room = new Room(Math.min(most, (length ?? most) + mark.byteLength), most);
  try {
    for await (const chunk of chunks(body)) room.add(chunk);
    const { bytes } = room;
    const behind = bytes.byteLength - mark.byteLength;
    if (behind < 0 || mark.some((byte, i) => bytes[behind + i] !== byte)) {
      throw new FileRefused("body_cut", "The body was broken off.");
    }
    return { bytes: bytes.subarray(0, behind), release: () => room.release() };
  } catch (error) {
    room.release();
    throw error;
  }
}

const encoder = new TextEncoder();

/** @throws FileRefused when it takes longer */
async function within<T>(ms: number, wait: Promise<T> | undefined): Promise<T | undefined> {
  let cancel = () => {};
  const stalled = new Promise<never>((_, reject) => {
    const late = new FileRefused("body_cut", `Nothing of the body came for ${ms / 1000} seconds.`);
    cancel = clock.after(ms, () => reject(late));
  });
  try {
    return await Promise.race([wait, stalled]);
  } finally {
    cancel();
  }
}

async function* chunks(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader();
  try {
    for (;;) {
      const next = await within(STALLED_MS, reader?.read());
      if (!next || next.done) return;
      yield next.value;
    }
  } finally {
    await reader?.cancel().catch(() => {});
  }
}

/** A buffer that grows with what has come, because what was only announced may never come. */
class Room {
  readonly #announced: number;
  readonly #most: number;
  #buffer = new Uint8Array(0);
  #used = 0;

  constructor(announced: number, most: number) {
    this.#announced = announced;
    this.#most = most;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#used);
  }

  add(chunk: Uint8Array): void {
    const needed = this.#used + chunk.byteLength;
    if (needed > this.#most) {
      throw new FileRefused("body_too_large", `The body is larger than ${this.#most} bytes.`);
    }
    if (needed > this.#buffer.byteLength) {
      const twice = Math.max(FIRST_BYTES, this.#buffer.byteLength * 2);
      this.#grow(Math.max(needed, Math.min(this.#announced, twice)));
    }
    this.#buffer.set(chunk, this.#used);
    this.#used = needed;
  }

  release(): void {
    held -= this.#buffer.byteLength;
    this.#buffer = new Uint8Array(0);
    this.#used = 0;
  }

  #grow(size: number): void {
    const more = size - this.#buffer.byteLength;
    if (held + more > MAX_HELD_BYTES) {
      throw new FileRefused("busy", "Too much is being uploaded at the same time.");
    }
    const next = new Uint8Array(size);
    next.set(this.#buffer);
    this.#buffer = next;
    held += more;
  }
}
