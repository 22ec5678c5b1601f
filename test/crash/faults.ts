import { type FaultPoint, onFaultPoint } from "../../src/session/fault-points.ts";
import { webhookDue } from "../../src/session/jobs.ts";
import { Log } from "../../src/session/log.ts";
import { next } from "../../src/session/next.ts";
import { Store } from "../../src/session/store.ts";
import { clock } from "../../src/shared/clock.ts";
import type { Row, RowType } from "../../src/shared/rows.ts";
import { unendedSubmissions } from "../support/laws.ts";
import { onArrival } from "./web.ts";
import { filesOf, ignoreFileWrites, onFileWrite } from "./writes.ts";

/** Besides those of the session itself there are places that only a test can see. */
export type Point =
  | FaultPoint
  /** A statement is about to change a file of the workspace; those before it were in this very step. */
  | "write"
  /** The first bytes of an upload have come, or the last. */
  | "upload"
  /** The answer to a call leaves, and what it says is on disk. */
  | "sent"
  /** A request of a tool has arrived in the world outside, and is not answered. */
  | "outside";

/** The `nth` time, from 0, that a run comes to a point. */
export interface Place {
  point: Point;
  nth: number;
  /** How far the script and the log were. An end of the object does not change it. */
  step: number;
  /** The `nth` of the step, by which a place is known where the object was ended before. */
  within: number;
}

/** A place at which the object is ended, and so many points after it has come back once more; 0 for never. */
export interface Visit {
  at: Place;
  again: number;
}

export const placeName = ({ point, nth }: Place): string => `${point}[${nth}]`;

/** The test plugin would print any other reason as an error of the runtime, with a stack. */
const REASON = "Instance disposed by a test";

/** What a tool finds when its disk fails. */
const DISK_FAILS = "disk I/O error";

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
  /** Where to end the object, in the order of their steps. */
  visits: readonly Visit[];
  /** Names of the objects of earlier runs. */
  others: ReadonlySet<string>;
  /** Every so many statements that change files there is a place; 0 for none. */
  writes: number;
  /** At the one place, which is a `write`, the disk fails instead. */
  fails: boolean;
  /** Files change only in the step that writes how a tool call has ended. */
  atomic: boolean;
  /** Called in the moment in which the object is ended. */
  onCrash: () => void;
}

/** Watches the session object of one run: counts the places it comes to, and ends it at some. */
export class Faults {
  /** All places in the order in which they were reached. */
  readonly places: Place[] = [];
  readonly wakings: Waking[] = [];
  /** What files there were when so many tool calls had ended, as a step left it or a waking found it. */
  readonly files = new Map<number, string>();
  /** The same number of ended calls, and other files. */
  readonly torn: string[] = [];
  /** How many tool calls had ended when the disk failed; null as long as it has not. */
  failed: number | null = null;
  /** How often the object was ended. */
  crashes = 0;
  /** The visits at which it was. */
  readonly visited: Visit[] = [];
  /** An alarm is being handled. */
  handlesAlarm = false;
  /** The object has come back, and its session is deleted. */
  deleted = false;
  /** What a deleted session's disk holds in its last moment; null before that. */
  erased: { rows: Row[]; unended: unknown[] } | null = null;
  readonly #options: FaultOptions;
  readonly #counts = new Map<Point, number>();
  readonly #within = new Map<string, number>();
  readonly #objects = new Map<SqlStorage, DurableObjectState>();
  #newest: DurableObjectState | null = null;
  #writes = 0;
  #stopped = false;
  #object: string | null = null;
  #rest: Rest = "idle";
  /** Commits that are not on disk yet, and reports without an answer. */
  #open = 0;
  /** Visits that are over, or were not come to. */
  #passed = 0;
  /** So many points from now the object is ended once more; 0 for never. */
  #again = 0;
  /** Requests of the client. */
  #asked = 0;
  /** Rows that no lost attempt adds. */
  #rows = 0;
  #events = 0;

  constructor(options: FaultOptions) {
    this.#options = options;
    onFaultPoint((object, point) => this.#reach(object, point));
    onArrival(() => {
      if (this.#newest) this.#reach(this.#newest, "outside");
    });
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
    onArrival(() => {});
    ignoreFileWrites();
    this.#stopped = true;
  }

  /** The client asks for something. */
  asks(): void {
    this.#asked += 1;
  }

  /** An object has come to a point that the session itself does not know. */
  reach(object: DurableObjectState, point: "upload" | "sent"): void {
    if (!this.#stopped) this.#reach(object, point);
  }

  #reach(object: DurableObjectState, point: Point): void {
    const name = object.id.name ?? "";
    if (this.#options.others.has(name)) return;
    this.#object ??= name;
    if (this.#object !== name) return;
    this.#meet(object);
    this.#note(object, point);
    const place = this.#place(point);
    this.places.push(place);
    if (this.#again > 0) {
      this.#again -= 1;
      if (this.#again === 0) this.#crash(object, point);
    } else {
      this.#visit(object, place);
    }
    // What the object does next itself, for a reason that would be printed.
    if (point === "erased") object.abort(REASON);
  }

  #place(point: Point): Place {
    const step = this.#asked * STEPS_OF_A_REQUEST + this.#rows;
    const nth = countOf(this.#counts, point);
    return { point, nth, step, within: countOf(this.#within, `${step} ${point}`) };
  }

  /** Ends the object if this is the next of its places, or lets its disk fail. */
  #visit(object: DurableObjectState, { point, nth, step, within }: Place): void {
    const { visits, fails } = this.#options;
    // What lies behind is not come to any more.
    while (this.crashes > 0 && (visits[this.#passed]?.at.step ?? step) < step) this.#passed += 1;
    const visit = visits[this.#passed];
    if (visit?.at.point !== point) return;
    const { at } = visit;
    // Until the object is ended for the first time a run is as the undisturbed one.
    const isDue = this.crashes === 0 ? at.nth === nth : at.step === step && at.within === within;
    if (!isDue) return;
    this.#passed += 1;
    if (fails) {
      this.failed = rowsOf(object.storage.sql, "tool.ended");
      throw new Error(DISK_FAILS);
    }
    this.visited.push(visit);
    this.#again = visit.again;
    this.#crash(object, point);
  }

  /** The object lives, and its writes are seen from now on. */
  #meet(object: DurableObjectState): void {
    if (this.#newest === object) return;
    this.#newest = object;
    const { writes } = this.#options;
    const { sql } = object.storage;
    this.#objects.set(sql, object);
    if (writes === 0) return;
    onFileWrite(sql, (of) => {
      const writer = this.#objects.get(of);
      if (!writer) return;
      this.#writes += 1;
      if (this.#writes % writes === 0) this.#reach(writer, "write");
    });
  }

  /** Ends the object as a part of the script. */
  restart(object: DurableObjectState): void {
    this.#options.onCrash();
    object.abort(REASON);
  }

  #crash(object: DurableObjectState, point: Point): void {
    this.crashes += 1;
    this.#open = 0;
    this.#events = 0;
    // Nothing comes back of an object whose data is gone.
    this.#rest = point === "erased" ? "idle" : "busy";
    this.restart(object);
  }

  #note(object: DurableObjectState, point: Point): void {
    if (point === "commit" || point === "report") this.#open += 1;
    if (point === "committed" || point === "reported") this.#open -= 1;
    if (point === "erase") this.#noteErased(object.storage.sql);
    if (point === "request") this.#events = 0;
    if (point === "event") this.#events += 1;
    if (point !== "commit" && point !== "wake") return;
    this.#rows = lastingRows(object.storage.sql);
    if (this.#options.atomic) this.#noteFiles(object.storage.sql);
    const state = Store.open(object.storage.sql)?.state;
    const action = state ? next(state, clock.now()).do : "nothing";
    const due = state ? webhookDue(state.jobs) : null;
    const isDue = due !== null && due <= clock.now();
    const works = isDue || (action !== "nothing" && action !== "wait");
    this.#rest = works ? "busy" : action === "wait" || due !== null ? "waits" : "idle";
    if (point !== "wake") return;
    this.deleted = state?.deleted ?? false;
    if (this.#rest !== "idle" || this.deleted) this.#noteWaking(object);
  }

  #noteFiles(sql: SqlStorage): void {
    // What was uploaded before belongs to no turn.
    if (rowsOf(sql, "input") === 0) return;
    const ended = rowsOf(sql, "tool.ended");
    const files = JSON.stringify(filesOf(sql));
    const known = this.files.get(ended);
    if (known !== undefined && known !== files) {
      this.torn.push(`with ${ended} calls ended there were ${known} and ${files}`);
    }
    this.files.set(ended, files);
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

/** More than a log of these tests has rows. */
const STEPS_OF_A_REQUEST = 10_000;

/** How often a key was there before, which is counted. */
function countOf<K>(counts: Map<K, number>, key: K): number {
  const count = counts.get(key) ?? 0;
  counts.set(key, count + 1);
  return count;
}

/** Rows that no lost attempt adds. */
const lastingRows = (sql: SqlStorage): number => sql.exec<{ n: number }>(LASTING).one().n;

const LASTING = `SELECT count(*) AS n FROM log
  WHERE type NOT IN ('call.started', 'call.ended', 'failure', 'turn.resumed', 'webhook.attempted')`;

/** How many rows of a type there are. */
const rowsOf = (sql: SqlStorage, type: RowType): number =>
  sql.exec<{ n: number }>("SELECT count(*) AS n FROM log WHERE type = ?", type).one().n;
