import { afterEach, beforeEach } from "vitest";
import { clock } from "../../src/shared/clock.ts";

const real = { ...clock };

/**
 * Time that moves only when the test says so. `restore` gives back the real one.
 *
 * A session's alarms are set in this time but fire in real time, so a test of sessions begins in a
 * far future, where none fires by itself.
 */
export class FakeClock {
  #now = 0;
  #timers = new Set<{ at: number; run: () => void }>();
  #read = Promise.withResolvers<void>();
  #waiting = new Set<{ ms: number; resolve: () => void }>();

  constructor(now = 1_000_000) {
    this.start(now);
  }

  /** Begins anew at this time: nothing waits and no timer is armed. */
  start(now: number): void {
    this.#now = now;
    this.#timers.clear();
    this.#waiting.clear();
    clock.now = () => {
      this.#read.resolve();
      return this.#now;
    };
    clock.after = (ms, run) => {
      const timer = { at: this.#now + ms, run };
      this.#timers.add(timer);
      for (const waiter of this.#waiting) {
        if (waiter.ms !== ms) continue;
        this.#waiting.delete(waiter);
        waiter.resolve();
      }
      return () => this.#timers.delete(timer);
    };
  }

  get now(): number {
    return this.#now;
  }

  /** How many timers are armed. */
  get armed(): number {
    return this.#timers.size;
  }

  /** Resolves when somebody next asks for the time. */
  nextReading(): Promise<void> {
    this.#read = Promise.withResolvers();
    return this.#read.promise;
  }

  /** Resolves when a timer of `ms` milliseconds is next armed. */
  nextTimer(ms: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.add({ ms, resolve }));
  }

  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = due.at;
      due.run();
    }
    this.#now = until;
  }

  /** Sets the time without running timers, as a wrong clock of a machine does. */
  jump(now: number): void {
    this.#now = now;
  }

  restore(): void {
    Object.assign(clock, real);
  }
}

/** Far enough ahead that no alarm of a test fires by itself. */
export const FAR_FUTURE = Date.UTC(2099, 0, 1);

/** Time for all tests of a file; each of them begins at `now`. */
export function useFakeClock(now = FAR_FUTURE): FakeClock {
  const time = new FakeClock(now);
  time.restore();
  beforeEach(() => time.start(now));
  afterEach(() => time.restore());
  return time;
}
