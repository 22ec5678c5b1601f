/**
 * When a session ends in which nothing happens. Every row of its log counts as something that happens,
 * and every change of its files, which no row may tell; reading does not.
 */
import { clock } from "../shared/clock.ts";
import { webhookDue } from "./jobs.ts";
import { next } from "./next.ts";
import type { Store } from "./store.ts";

/** A change of files is noted once in this time: each note is a billed row. */
const NOTED_MS = 60_000;

/** Who finds a session that should have ended long ago, because none ended then, has this time for it. */
const FOUND_MS = 60 * 60_000;

/** Made by the first note, so that a session whose files nobody changes has no table for it. */
const SCHEMA = `
CREATE TABLE IF NOT EXISTS touched (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  at INTEGER NOT NULL
)`;

export interface ExpiryEdges {
  sql: SqlStorage;
  store: Store;
  /** After how many milliseconds sessions end; null: never. */
  after: () => number | null;
}

export class Expiry {
  readonly #edges: ExpiryEdges;
  /** When the files were last noted to have changed; undefined before it was read. */
  #touched: number | undefined;

  constructor(edges: ExpiryEdges) {
    this.#edges = edges;
  }

  /** It is time. Something that runs is not ended; a turn that waits for the client is. */
  get due(): boolean {
    const at = this.#at();
    return at !== null && at <= clock.now();
  }

  /** When the session must be woken for it; null when it need not be. */
  get wake(): number | null {
    const at = this.#at();
    const now = clock.now();
    return at === null || at > now ? at : now + FOUND_MS;
  }

  /** The files have changed, in this very step. */
  touch(): void {
    const now = clock.now();
    if (this.#edges.after() === null || now - this.#read() < NOTED_MS) return;
    const { sql } = this.#edges;
    sql.exec(SCHEMA);
    sql.exec("INSERT OR REPLACE INTO touched (id, at) VALUES (1, ?)", now);
    this.#touched = now;
  }

  #at(): number | null {
    const { after, store } = this.#edges;
    const time = after();
    if (time === null || store.state.deleted) return null;
    if (next(store.state, clock.now()).do !== "nothing") return null;
    // A webhook is told for longer than the shortest of these times.
    if (webhookDue(store.state.jobs) !== null) return null;
    const touched = this.#read();
    return Math.max(store.state.at, touched === 0 ? 0 : touched + NOTED_MS) + time;
  }

  /** Zero when it was never noted. */
  #read(): number {
    if (this.#touched !== undefined) return this.#touched;
    const { sql } = this.#edges;
    const table = "SELECT count(*) AS n FROM sqlite_master WHERE name = 'touched'";
    const exists = sql.exec<{ n: number }>(table).one().n > 0;
    const [row] = exists ? sql.exec<{ at: number }>("SELECT at FROM touched") : [];
    this.#touched = row?.at ?? 0;
    return this.#touched;
  }
}
