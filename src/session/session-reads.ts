/** The part of the session object that answers with what it reads. */
import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import type { History, JobList, SessionCalls } from "./calls.ts";
import { description, type OpenCall, openCalls, queuedInputs } from "./describe.ts";
import { faultPoint } from "./fault-points.ts";
import { jobRecord, placedJob } from "./job-record.ts";
import { type SearchAsked, type SearchPage, searchLog } from "./search.ts";
import type { Store } from "./store.ts";
import { recordOf, startedRecord } from "./turn-record.ts";
import { type TurnInfo, type TurnSummary, turnInfo, turnList } from "./turns.ts";
import { PAGE_BYTES, type PackedPage, type PackedRows, packJson } from "./wire.ts";

type Reads = Pick<
  SessionCalls,
  | "rows"
  | "page"
  | "describe"
  | "turn"
  | "turns"
  | "pending"
  | "waiting"
  | "record"
  | "history"
  | "job"
  | "jobs"
  | "search"
  | "secret"
>;

/** Records are given until they are so long together, in UTF-16 units. */
const RECORDS_UNITS = 4_000_000;

export class SessionReads extends DurableObject<Env> implements Reads {
  readonly #live: () => Store | null;
  readonly #ulid: string;

  /** `live` gives the store of a live session; null when there is none. */
  constructor(ctx: DurableObjectState, env: Env, ulid: string, live: () => Store | null) {
    super(ctx, env);
    this.#ulid = ulid;
    this.#live = live;
  }

  /** Rows behind `after`, up to `to`; null when there is no session. */
  async rows(
    after: number,
    limit: number,
    to = Number.MAX_SAFE_INTEGER,
  ): Promise<PackedRows | null> {
    const store = this.#live();
    if (!store) return null;
    faultPoint(this.ctx, "page");
    return { head: store.state.seq, ...store.log.page(after, to, PAGE_BYTES, limit) };
  }

  /** The same with the view before them. */
  async page(after: number, limit: number, to?: number): Promise<PackedPage | null> {
    const page = await this.rows(after, limit, to);
    const store = this.#live();
    return page && store ? { ...page, view: store.views.at(Math.min(after, page.head)) } : null;
  }

  async describe(): Promise<Uint8Array[] | null> {
    const store = this.#read();
    return store && packJson(description(store));
  }

  async turn(turn: number): Promise<TurnInfo | null> {
    const store = this.#read();
    return store ? turnInfo(store, turn) : null;
  }

  /** Turns before `before`, newest first; null when there is no session. */
  async turns(before: number, limit: number): Promise<TurnSummary[] | null> {
    const store = this.#read();
    return store ? turnList(store, before, limit) : null;
  }

  async pending(): Promise<OpenCall[] | null> {
    const store = this.#live();
    return store ? openCalls(store) : null;
  }

  async waiting(): Promise<Uint8Array[] | null> {
    const store = this.#read();
    return store ? packJson(queuedInputs(store)) : null;
  }

  async record(turn: number): Promise<Uint8Array[] | null> {
    const store = this.#read();
    const record = store && recordOf(store, turn);
    return record && packJson(record);
  }

  async history(offset: number, limit: number): Promise<Uint8Array[] | null> {
    const store = this.#read();
    if (!store) return null;
    const places = store.turnsFrom(offset, limit);
    const records = limited(places, ({ n, seq }) => startedRecord(store, n, seq));
    const history: History = { records, turns: store.state.turns };
    return packJson(history);
  }

  async job(seq: number): Promise<Uint8Array[] | "unknown" | null> {
    const store = this.#read();
    if (!store) return null;
    const job = jobRecord(store, this.#ulid, seq);
    return job ? packJson(job) : "unknown";
  }

  async jobs(offset: number, limit: number): Promise<Uint8Array[] | null> {
    const store = this.#read();
    if (!store) return null;
    const places = store.jobs.list(offset, limit);
    const jobs = limited(places, (place) => placedJob(store, this.#ulid, place));
    const list: JobList = { jobs, total: store.state.jobs.total };
    return packJson(list);
  }

  async search(asked: SearchAsked): Promise<SearchPage | null> {
    const store = this.#read();
    return store ? searchLog(store.log, asked, store.state.seq) : null;
  }

  /** The secret under which this session's stream tickets are made. */
  async secret(): Promise<string | null> {
    return this.#read()?.secret ?? null;
  }

  /** The store of a live session, for a call that is answered with what it reads. */
  #read(): Store | null {
    faultPoint(this.ctx, "answer");
    return this.#live();
  }
}

/** Records of these places: at least one, and then until they are long enough. */
function limited<P, R extends object>(places: readonly P[], record: (place: P) => R | null): R[] {
  const records: R[] = [];
  let units = 0;
  for (const place of places) {
    if (units >= RECORDS_UNITS) break;
    const one = record(place);
    if (!one) continue;
    units += JSON.stringify(one).length;
    records.push(one);
  }
  return records;
}
