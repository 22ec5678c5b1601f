/** Ends a script: at an interrupt, when its time is over, or when it has printed or done too much. */
import type { Clock } from "../../shared/clock.ts";
import { MAX_STEPS } from "./limits.ts";

export type StopReason = "interrupt" | "timeout" | "output" | "steps";

/**
 * After accesses of so much cost a script lets other things happen: an interrupt, a follower, and
 * the clock, which stands still as long as nothing else runs.
 */
const COST_AT_ONCE = 200;

/** So long a stopped script may take to end by itself. */
const LATE_MS = 1_000;

export class Stopper {
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #late = Promise.withResolvers<null>();
  readonly #cancel: (() => void)[] = [];
  #reason: StopReason | null = null;
  #cost = 0;
  #steps = 0;

  constructor(clock: Clock, outer: AbortSignal, timeoutMs: number) {
    this.#clock = clock;
    const interrupt = (): void => this.stop("interrupt");
    outer.addEventListener("abort", interrupt, { once: true });
    this.#cancel.push(
      () => outer.removeEventListener("abort", interrupt),
      clock.after(timeoutMs, () => this.stop("timeout")),
    );
    if (outer.aborted) interrupt();
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Why the script was stopped; null as long as it was not. */
  get reason(): StopReason | null {
    return this.#reason;
  }

  /** Resolves once a stopped script takes too long to end. */
  get late(): Promise<null> {
    return this.#late.promise;
  }

  stop(reason: StopReason): void {
    if (this.#stop.signal.aborted) return;
    this.#reason = reason;
    this.#stop.abort(new Error("stopped"));
    this.#cancel.push(this.#clock.after(LATE_MS, () => this.#late.resolve(null)));
  }

  /** The script has ended; whatever of it still runs gets no further. */
  close(): void {
    this.#stop.abort(new Error("ended"));
    for (const cancel of this.#cancel) cancel();
  }

  /**
   * Before each access of the script to a file, which costs 1.
   *
   * @throws Error when the script was stopped
   */
  enter(cost = 1): Promise<void> | undefined {
    if (this.#stop.signal.aborted) throw new Error("ECANCELED: the shell was stopped");
    this.#cost += cost;
    if (this.#cost < COST_AT_ONCE) return undefined;
    this.#cost = 0;
    // Not the clock's: this is no waiting for a time.
    return new Promise((resolve) => void setTimeout(resolve, 0));
  }

  /**
   * At each step of a program that runs without letting anything else happen, so that no clock and
   * no interrupt can end it.
   *
   * @throws Error when there were too many, or the script was stopped
   */
  step(): void {
    this.#steps += 1;
    if (this.#steps > MAX_STEPS) this.stop("steps");
    if (this.#stop.signal.aborted) throw new Error("the shell was stopped");
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#stop.signal.removeEventListener("abort", end);
        resolve();
      };
      const cancel = this.#clock.after(ms, end);
      this.#stop.signal.addEventListener("abort", end);
    });
  }
}
