/**
 * Output while a script runs. The shell gives a script's output when all of it is done, so each of
 * its commands is sent to two files of ours instead, unless the script sends it elsewhere itself.
 */
import { Buffer } from "node:buffer";
import type { BufferEncoding } from "just-bash";
import type { Clock } from "../../shared/clock.ts";
import type { Device } from "../../workspace/shell-fs.ts";

/** Where the commands of a script write to. */
export const LIVE_OUT = "/dev/.out";
export const LIVE_ERR = "/dev/.err";

/** Followers get output at most this often, or once there is so much of it. */
const SHOW_EVERY_MS = 30;
const SHOW_CHARACTERS = 4_096;

export interface LiveOptions {
  clock: Clock;
  /** The shell's messages as its user needs them. */
  words: (text: string) => string;
  /** Shows a piece to followers. */
  show: (text: string) => void;
  /** Characters of both streams together. */
  limit: number;
  /** Called once more comes than the limit allows. */
  full: () => void;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of what a command wrote: its bytes as UTF-8 where they are. */
function outputText(content: string | Uint8Array, encoding: BufferEncoding): string {
  const isText = typeof content === "string" && encoding !== "binary" && encoding !== "latin1";
  if (isText) return content;
  const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : content;
  try {
    return strict.decode(bytes);
  } catch {
    return Buffer.from(bytes).toString("latin1");
  }
}

/** What a script has printed so far. */
export class LiveOutput {
  readonly #options: LiveOptions;
  readonly #pieces: { out: string[]; err: string[] } = { out: [], err: [] };
  #size = 0;
  #closed = false;
  #waiting = "";
  #shownAt = 0;
  #cancel: (() => void) | null = null;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  get out(): string {
    return this.#pieces.out.join("");
  }

  get err(): string {
    return this.#pieces.err.join("");
  }

  /** A device that takes one of the streams. */
  device(stream: "out" | "err"): Device {
    return { write: (content, encoding) => this.add(stream, outputText(content, encoding)) };
  }

  add(stream: "out" | "err", text: string): void {
    if (text === "" || this.#closed) return;
    const { limit, full, words } = this.#options;
    const room = limit - this.#size;
    const taken = words(text).slice(0, room);
    this.#size += taken.length;
    this.#pieces[stream].push(taken);
    this.#show(taken);
    if (text.length <= room) return;
    this.close();
    full();
  }

  /** Takes no more, and shows what was held back. */
  close(): void {
    this.#closed = true;
    this.#flush();
  }

  #show(text: string): void {
    const { clock } = this.#options;
    this.#waiting += text;
    if (this.#waiting.length >= SHOW_CHARACTERS || clock.now() - this.#shownAt >= SHOW_EVERY_MS) {
      this.#flush();
    } else {
      this.#cancel ??= clock.after(SHOW_EVERY_MS, () => this.#flush());
    }
  }

  #flush(): void {
    this.#cancel?.();
    this.#cancel = null;
    if (this.#waiting === "") return;
    this.#shownAt = this.#options.clock.now();
    this.#options.show(this.#waiting);
    this.#waiting = "";
  }
}
