import { type FaultPoint, onFaultPoint } from "../../src/session/fault-points.ts";
import { Log } from "../../src/session/log.ts";
import { next } from "../../src/session/next.ts";
import { Store } from "../../src/session/store.ts";
import { clock } from "../../src/shared/clock.ts";
import type { Row } from "../../src/shared/rows.ts";
import { unendedSubmissions } from "../support/laws.ts";

/** The `nth` time, from 0, that a run comes to a point. */
export interface Place {
  point: FaultPoint;
  nth: number;
}

export const placeName = ({ point, nth }: Place): string => `${point}[${nth}]`;

/** The test plugin would print any other reason as an error of the runtime, with a stack. */
const REASON = "Instance disposed by a test";

/** What the disk of an object said when the object woke with something left to do. */
interface Waking {
  alarm: number | null;
  /** It woke for an alarm that has come and is not done, which the platform repeats. */
  repeated: boolean;
}

/** Where a session is, as its disk said at the last commit. */
export type Rest =
  /** It is at work, or has died and not come back. */
  | "busy"
  /** It waits for the time of the next attempt. */
  | "waits"
  /** Nothing is left to do but what an alarm does. */
  | "idle";

export interface FaultOptions {
  /** Where to end the object; null for nowhere. */
  at: Place | null;
  /** So many points after it has come back it is ended once more; 0 for never. */
  again: number;
  /** Names of the objects of earlier runs. */
  others: ReadonlySet<string>;
  /** Called in the moment in which the object is ended. */
  onCrash: () => void;
}

/** Watches the session object of one run: counts the places it comes to, and ends it at one. */
export class Faults {
  /** All places in the order in which they were reached. */
  readonly places: Place[] = [];
  readonly wakings: Waking[] = [];
  /** How often the object was ended. */
  crashes = 0;
  /** An alarm is being handled. */
  handlesAlarm = false;
  /** The object has come back, and its session is deleted. */
  deleted = false;
  /** What a deleted session's disk holds in its last moment; null before that. */
  erased: { rows: Row[]; unended: unknown[] } | null = null;
  readonly #options: FaultOptions;
  readonly #counts = new Map<FaultPoint, number>();
  #object: string | null = null;
  #rest: Rest = "idle";
  /** Commits that are not on disk yet, and reports without an answer. */
  #open = 0;
  #sinceCrash = 0;
  #events = 0;

  constructor(options: FaultOptions) {
    this.#options = options;
    onFaultPoint((object, point) => this.#reach(object, point));
  }

  /** The object's name; null before it was made. */
  get object(): string | null {
    return this.#object;
  }

  /** How often each point was reached. */
  get counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  /** Events of the model's stream that is being read. */
  get events(): number {
    return this.#events;
  }

  get rest(): Rest {
    return this.#open > 0 ? "busy" : this.#rest;
  }

  /** From now on nothing is counted, and nothing ends the object. */
  stop(): void {
    onFaultPoint(null);
  }

  #reach(object: DurableObjectState, point: FaultPoint): void {
    const name = object.id.name ?? "";
    if (this.#options.others.has(name)) return;
    this.#object ??= name;
    if (this.#object !== name) return;
    this.#note(object, point);
    const nth = this.#counts.get(point) ?? 0;
    this.#counts.set(point, nth + 1);
    this.places.push({ point, nth });
    if (this.crashes > 0) this.#sinceCrash += 1;
    const { at, again } = this.#options;
    const first = this.crashes === 0 && at?.point === point && at.nth === nth;
    const second = this.crashes === 1 && this.#sinceCrash === again;
    if (first || second) this.#crash(object, point);
    // What the object does next itself, for a reason that would be printed.
    if (point === "erased") object.abort(REASON);
  }

  /** Ends the object as a part of the script. */
  restart(object: DurableObjectState): void {
    this.#options.onCrash();
    object.abort(REASON);
  }

  #crash(object: DurableObjectState, point: FaultPoint): void {
    this.crashes += 1;
    this.#open = 0;
    this.#events = 0;
    // Nothing comes back of an object whose data is gone.
    this.#rest = point === "erased" ? "idle" : "busy";
    this.restart(object);
  }

  #note(object: DurableObjectState, point: FaultPoint): void {
    if (point === "commit" || point === "report") this.#open += 1;
    if (point === "committed" || point === "reported") this.#open -= 1;
    if (point === "erase") this.#noteErased(object.storage.sql);
    if (point === "request") this.#events = 0;
    if (point === "event") this.#events += 1;
    if (point !== "commit" && point !== "wake") return;
    const state = Store.open(object.storage.sql)?.state;
    const action = state ? next(state, clock.now()).do : "nothing";
    this.#rest = action === "nothing" ? "idle" : action === "wait" ? "waits" : "busy";
    if (point !== "wake") return;
    this.deleted = state?.deleted ?? false;
    if (action !== "nothing" || this.deleted) this.#noteWaking(object);
  }

  #noteErased(sql: SqlStorage): void {
    const rows = new Log(sql).range(1, Number.MAX_SAFE_INTEGER);
    this.erased = { rows, unended: unendedSubmissions(sql) };
  }

  /** Asked before the object has done anything, so what is answered was on its disk. */
  #noteWaking(object: DurableObjectState): void {
    const repeated = this.handlesAlarm;
    object.storage.getAlarm().then(
      (alarm) => this.wakings.push({ alarm, repeated }),
      // It was ended again.
      () => {},
    );
  }
}
