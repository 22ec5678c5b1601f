/**
 * The object's alarm. It is set with the row that opens work, as the guard of work that may be lost
 * with the object, and each setting is a billed row, so an alarm that is early enough stays.
 */
import { clock } from "../shared/clock.ts";

/**
 * How long an alarm is held while work goes on, in milliseconds. The platform repeats an alarm whose
 * object died, which guards the work without another row; it ends a handler after 15 minutes.
 */
const HELD_MS = 10 * 60_000;

export class Alarm {
  readonly #storage: DurableObjectStorage;
  /** When it is set to fire, as far as this instance knows. */
  #at: number | null = null;
  #state: "free" | "expected" | "held" = "free";
  #release: (() => void) | null = null;
  #heldUntil = 0;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /**
   * The object woke with work open, so an alarm is set already, or is the reason why it woke: setting
   * another now would cancel that one. `keep` does nothing until it is known; `then` is called
   * when it is.
   */
  expect(then: () => void): void {
    this.#state = "expected";
    void this.#storage.getAlarm().then((at) => {
      if (this.#state !== "expected") return;
      this.#state = "free";
      this.#at = at;
      then();
    });
  }

  /** Makes it fire at `at` (milliseconds since the epoch) or earlier; null needs none. */
  keep(at: number | null): void {
    if (at === null || this.#state !== "free") return;
    if (this.#at !== null && this.#at <= at) return;
    this.#at = at;
    void this.#storage.setAlarm(at);
  }

  /** It has come, so none is set. */
  fired(): void {
    this.#at = null;
    this.#state = "free";
  }

  /**
   * Holds the alarm that has come until `work` ends, or as long as that is wise; `until` is when
   * something else has to be done, if that is known.
   */
  async hold(work: Promise<unknown>, until: number | null): Promise<void> {
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    const now = clock.now();
    this.#heldUntil = Math.min(now + HELD_MS, until ?? Number.POSITIVE_INFINITY);
    const cancel = clock.after(this.#heldUntil - now, resolve);
    this.#state = "held";
    this.#release = resolve;
    await Promise.race([work, enough]);
    this.#free();
    cancel();
  }

  /** Something has to be done at `at`: ends a hold that would last longer. */
  release(at: number): void {
    if (this.#state === "held" && at < this.#heldUntil) this.#free();
  }

  #free(): void {
    this.#state = "free";
    this.#release?.();
    this.#release = null;
  }
}
