import { clock } from "../../src/shared/clock.ts";
import { FAR_FUTURE } from "../support/fake-clock.ts";

const real = { ...clock };

/** Timers of the session object. They change what is seen and when, so they come only when told to. */
const OF_THE_SESSION = new Set([30, 250]);
/** From here on a timer guards against a silence that no run has, in milliseconds. */
const GUARD_MS = 10_000;

/**
 * The time of a run: it stands still but for `jump`. What a Worker waits before it tries again takes
 * a moment, whatever it asks for; all other timers come when they are told to, or never.
 */
export class RunClock {
  #now: number;
  #timers = new Set<{ ms: number; run: () => void }>();
  /** A Worker that tries again has to wait. */
  holds = (): boolean => false;

  /** @param run runs of one file begin an hour after each other */
  constructor(run: number) {
    this.#now = FAR_FUTURE + run * 3_600_000;
    clock.now = () => this.#now;
    clock.after = (ms, run) => this.#after(ms, run);
  }

  get now(): number {
    return this.#now;
  }

  /** Moves time on to `at`, if that has not passed. */
  jump(at: number): void {
    this.#now = Math.max(this.#now, at);
  }

  /** Lets the session's own timers of `ms` milliseconds come. Only in the object may they run. */
  run(ms: number): void {
    for (const timer of [...this.#timers]) {
      if (timer.ms !== ms) continue;
      this.#timers.delete(timer);
      timer.run();
    }
  }

  /** The object has died, and with it its timers. */
  drop(): void {
    this.#timers.clear();
  }

  restore(): void {
    this.drop();
    Object.assign(clock, real);
  }

  #after(ms: number, run: () => void): () => void {
    if (ms < GUARD_MS && !OF_THE_SESSION.has(ms)) return this.#soon(run);
    const timer = { ms, run };
    if (OF_THE_SESSION.has(ms)) this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  #soon(run: () => void): () => void {
    let cancel = real.after(1, tick);
    const holds = () => this.holds();
    function tick() {
      if (holds()) cancel = real.after(1, tick);
      else run();
    }
    return () => cancel();
  }
}
