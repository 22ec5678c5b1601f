import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Session } from "../../src/session/session.ts";
import { home } from "../support/home.ts";
import type { RunClock } from "./clock.ts";
import type { Faults } from "./faults.ts";

/** How long a run may stand still, in milliseconds of real time, before it is given up. */
const PATIENCE_MS = 15_000;

/**
 * What the platform does for an object: its alarm comes at its time, and again if the object dies.
 * Where nobody is connected the alarm of an object that died comes before anyone calls it again;
 * where somebody is, those calls come first.
 */
export class Platform {
  readonly #faults: Faults;
  readonly #clock: RunClock;
  /** Nobody is connected. */
  readonly #alone: boolean;
  #firing: Promise<void> | null = null;
  #answered = 0;
  #failure: unknown = null;

  constructor(faults: Faults, clock: RunClock, alone: boolean) {
    this.#faults = faults;
    this.#clock = clock;
    this.#alone = alone;
  }

  /** The alarm of an object that died has not come yet, or has not done what there is no answer to. */
  get recovers(): boolean {
    if (!this.#alone) return false;
    const { crashes, handlesAlarm, deleted } = this.#faults;
    return crashes > this.#answered || (this.#firing !== null && (!handlesAlarm || deleted));
  }

  inside<T>(act: (state: DurableObjectState, session: Session) => T | Promise<T>): Promise<T> {
    const object = env.SESSION.getByName(this.#faults.object ?? "");
    return runInDurableObject(object, (session: Session, state) => act(state, session));
  }

  /** The same, also when the object is ended over it: then once more. `act` may run twice. */
  async surely<T>(act: (state: DurableObjectState) => T | Promise<T>): Promise<T> {
    for (;;) {
      const before = this.#faults.crashes;
      try {
        return await this.inside(act);
      } catch (error) {
        if (this.#faults.crashes === before) throw error;
      }
    }
  }

  /** Ends the object, which rests, as a part of the script. */
  async restart(): Promise<void> {
    await this.inside((state) => this.#faults.restart(state)).catch(() => {});
  }

  /** Resolves at home once `seen` holds; meanwhile alarms come. */
  async until(seen: () => boolean, what: string): Promise<void> {
    const end = Date.now() + PATIENCE_MS;
    while (!seen()) {
      this.#tend();
      if (this.#failure) throw this.#failure;
      if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
      await home();
    }
  }

  /** Waits for an answer; meanwhile alarms come. */
  async attend<T>(answer: Promise<T>): Promise<T> {
    let there = false;
    const note = () => {
      there = true;
    };
    answer.then(note, note);
    await this.until(() => there, "the answer");
    return answer;
  }

  /** Resolves once nothing is left to do but what an alarm does. */
  idle(): Promise<void> {
    return this.until(() => this.#faults.rest === "idle" && !this.#firing, "the session is idle");
  }

  /** Lets all alarms come, until none is set. */
  async quiet(): Promise<void> {
    for (let alarms = 0; alarms < 8; alarms++) {
      await this.idle();
      if (!(await this.#alarm())) return;
    }
    throw new Error("the alarms do not end");
  }

  #tend(): void {
    if (this.#firing) return;
    const died = this.#alone && this.#faults.crashes > this.#answered;
    const waits = this.#faults.rest === "waits";
    if (!died && !waits) return;
    this.#answered = this.#faults.crashes;
    this.#firing = this.#alarm()
      .then((came) => {
        if (waits && !came) throw new Error("no alarm is set for the next attempt");
      })
      .catch((error) => {
        this.#failure = error;
      })
      .finally(() => {
        this.#firing = null;
      });
  }

  /** Lets the alarm come, again if the object dies over it; false when none is set. */
  async #alarm(): Promise<boolean> {
    let scheduledTime: number | null = null;
    for (let retryCount = 0; ; retryCount++) {
      const before = this.#faults.crashes;
      try {
        return await this.inside(async ({ storage }, session) => {
          const isRetry = scheduledTime !== null;
          scheduledTime ??= await storage.getAlarm();
          if (scheduledTime === null) return false;
          if (!isRetry) await storage.deleteAlarm();
          this.#clock.jump(scheduledTime);
          this.#faults.handlesAlarm = true;
          await session.alarm({ isRetry, retryCount, scheduledTime });
          this.#faults.handlesAlarm = false;
          return true;
        });
      } catch (error) {
        if (this.#faults.crashes > before) {
          // It is repeated at once, and that is how the object comes back.
          this.#answered = this.#faults.crashes;
          this.#faults.handlesAlarm &&= scheduledTime !== null;
          continue;
        }
        // The last step of a deletion ends the object, and with it the alarm.
        this.#faults.handlesAlarm = false;
        if (this.#faults.erased) return true;
        throw error;
      }
    }
  }
}
