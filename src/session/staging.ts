/**
 * Parts of submissions that are too long for one call. In memory only: nothing is accepted before
 * the last part is here, and a Worker that finds its parts gone sends them again.
 */
import { clock } from "../shared/clock.ts";

/** Parts of a Worker that went away are dropped after this time, in milliseconds. */
const KEPT_MS = 60_000;

export class Staging {
  readonly #parts = new Map<string, { at: number; texts: Map<number, string> }>();

  put(submission: string, n: number, text: string): void {
    const now = clock.now();
    for (const [id, { at }] of this.#parts) if (at < now - KEPT_MS) this.#parts.delete(id);
    const entry = this.#parts.get(submission) ?? { at: now, texts: new Map<number, string>() };
    entry.at = now;
    entry.texts.set(n, text);
    this.#parts.set(submission, entry);
  }

  /** The whole text, or null when a part is missing. */
  take(submission: string, count: number): string | null {
    const texts = this.#parts.get(submission)?.texts;
    this.#parts.delete(submission);
    if (texts?.size !== count) return null;
    return Array.from({ length: count }, (_, n) => texts.get(n) ?? "").join("");
  }
}
