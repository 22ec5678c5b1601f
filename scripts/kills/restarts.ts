/** What each kill cost: the model calls it lost, and when the sessions called the model again. */
import type { Task } from "./model.ts";
import { taskName } from "./model.ts";

/** From the first answer of the restarted server to the session's next model call. */
export interface Resumption {
  ms: number;
  /** A client had asked for the session after the kill. */
  attached: boolean;
  /** The server was killed again in between; the time has all of that in it. */
  killedAgain: boolean;
}

interface Lost {
  task: string;
  /** When the server answered again; null while it is down. */
  back: number | null;
  killedAgain: boolean;
  attached: boolean;
}

export class Restarts {
  readonly resumptions: Resumption[] = [];
  /** Milliseconds from the start of the process to its first answer. */
  readonly starts: number[] = [];
  kills = 0;
  /** Model calls that were open when the server was killed. */
  lost = 0;
  readonly #lost = new Map<string, Lost>();
  #started = 0;

  killed(open: readonly Task[]): void {
    this.kills += 1;
    for (const lost of this.#lost.values()) {
      if (lost.back !== null) lost.killedAgain = true;
    }
    for (const task of open) {
      this.lost += 1;
      const lost = { task: taskName(task), back: null, killedAgain: false, attached: false };
      this.#lost.set(task.chat, lost);
    }
  }

  starting(): void {
    this.#started = performance.now();
  }

  /** The server has answered its first request. */
  answering(): void {
    const now = performance.now();
    this.starts.push(now - this.#started);
    for (const lost of this.#lost.values()) lost.back ??= now;
  }

  /** A client has asked for something of this session. */
  touched(chat: string): void {
    const lost = this.#lost.get(chat);
    if (lost) lost.attached = true;
  }

  called(task: Task): void {
    const lost = this.#lost.get(task.chat);
    this.#lost.delete(task.chat);
    // A session that goes on with another task has been interrupted, and says nothing about waking.
    if (!lost || lost.task !== taskName(task)) return;
    // A client may be served in the moment before the first answer is seen here.
    const ms = lost.back === null ? 0 : performance.now() - lost.back;
    this.resumptions.push({ ms, attached: lost.attached, killedAgain: lost.killedAgain });
  }

  /** Sessions whose lost call was not made again so far, and that nobody has asked for. */
  get unattended(): string[] {
    return [...this.#lost].filter(([, lost]) => !lost.attached).map(([chat]) => chat);
  }
}

/** Median and maximum, in words. */
export function spread(values: readonly number[]): string {
  if (values.length === 0) return "none seen";
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  return `p50 ${seconds(median)}, max ${seconds(sorted.at(-1) ?? 0)} (${sorted.length})`;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
