/**
 * What can be called on a session object from a Worker. Written out, because the platform's own
 * type of a stub cannot follow types as recursive as JSON.
 */
import type { Env } from "../env.ts";
import type { CodeSettings } from "../shared/code-settings.ts";
import type { ToolCall } from "../shared/events.ts";
import type { SessionConfig } from "../shared/rows.ts";
import type { CacheTtl, ModelSettings } from "../shared/settings.ts";
import type { Surface } from "../shared/summary.ts";
import type { Permissions } from "../shared/tools.ts";
import type { JobRecord, TurnRecord } from "../shared/turn-record.ts";
import type { SessionInfo, Submission, SubmitAnswer } from "./commands.ts";
import type { ContextSize } from "./context-size.ts";
import type { OpenCall, PendingInput } from "./describe.ts";
import type { Asked, FileAnswer, FileCalls } from "./file-calls.ts";
import type { SearchAsked, SearchPage } from "./search.ts";
import type { TurnInfo, TurnSummary } from "./turns.ts";
import {
  type PackedPage,
  type PackedRows,
  type RowPage,
  type Rows,
  unpackJson,
  unpackRows,
} from "./wire.ts";

export type CreationRefusal = "name_taken" | "session_limit";

/** What comes with the configuration of a new session and is no part of it. */
export interface Creation {
  /** Its own Anthropic key, sealed: it travels apart from the configuration, which becomes a row. */
  own_key?: string;
  /** The key of whoever creates it, as rows name it. */
  caller?: string;
  /** The API under which it is made; absent: the native one. */
  surface?: Surface;
}

export type CreateAnswer =
  | { ok: true; session: SessionInfo }
  /**
   * `missing`: parts of its configuration are not there. `undecided`: the account, which has to let it
   * in, could not be reached. `refused`: the account did not, and nothing of the session is there.
   */
  | { ok: false; missing?: true; undecided?: true; refused?: CreationRefusal };

export interface SessionDescription {
  session: SessionInfo;
  system_prompt: string | null;
  permissions: Permissions | null;
  settings: ModelSettings;
  cache_ttl: CacheTtl;
  /** The session has an Anthropic key of its own. */
  own_key: boolean;
  /** Most model calls of a turn; null: what the configuration says. */
  max_turns: number | null;
  /** Where tools begin: an absolute path, `/workspace` or below. */
  cwd: string;
  /** With the surface `code` only. */
  code: CodeSettings | null;
  /** Tool calls that wait for the client. */
  pending: ToolCall[];
}

/** Turns in the order in which they began, the oldest first, from an offset on. */
export interface History {
  records: TurnRecord[];
  /** All turns that have begun. */
  turns: number;
}

/** Jobs from an offset on, the newest first. */
export interface JobList {
  jobs: JobRecord[];
  total: number;
}

/** A session's calls. Those that read answer null when there is no session. */
export interface SessionCalls {
  /** Creates the session; a second call with the same submission answers the same. */
  create(submission: string, config: SessionConfig, more?: Creation): Promise<CreateAnswer>;
  /** Takes one part of a submission, or of a configuration, that is too long for one call. */
  stage(submission: string, n: number, text: string): Promise<void>;
  /** Creates a session whose configuration was staged as JSON text in `parts`. */
  createStaged(submission: string, parts: number, more?: Creation): Promise<CreateAnswer>;
  /** Admits a submission whose `parts` were staged as JSON text. */
  submitStaged(submission: string, parts: number): Promise<SubmitAnswer>;
  /** Admits a submission: its rows are on disk when this answers. */
  submit(submission: Submission): Promise<SubmitAnswer>;
  /** Rows behind `after`, up to `to`: a megabyte of them or `limit`, and at least one. */
  rows(after: number, limit: number, to?: number): Promise<PackedRows | null>;
  /** The same with the view before them. */
  page(after: number, limit: number, to?: number): Promise<PackedPage | null>;
  /** A `SessionDescription`, packed. */
  describe(): Promise<Uint8Array[] | null>;
  turn(turn: number): Promise<TurnInfo | null>;
  /** Turns before `before`, newest first. */
  turns(before: number, limit: number): Promise<TurnSummary[] | null>;
  /** Tool calls that wait for a client: its own, and questions about the session's. */
  pending(): Promise<OpenCall[] | null>;
  /**
   * A list of `PendingInput`, packed. Not named `queue`: the platform keeps the names of its event
   * handlers from remote callers.
   */
  waiting(): Promise<Uint8Array[] | null>;
  /** A `TurnRecord`, packed; null when there is no such turn. */
  record(turn: number): Promise<Uint8Array[] | null>;
  /** A `History`, packed; fewer records than asked for where they are long, but one. */
  history(offset: number, limit: number): Promise<Uint8Array[] | null>;
  /** A `JobRecord`, packed, or that the input `seq` is no job. */
  job(seq: number): Promise<Uint8Array[] | "unknown" | null>;
  /** A `JobList`, packed; the same holds. */
  jobs(offset: number, limit: number): Promise<Uint8Array[] | null>;
  /**
   * The submission to whose turn the row `seq` belongs, as if it had been sent again; refused with
   * `unknown_turn` where the row is in none. `inMessage`: of the message that was being written behind
   * that row.
   */
  attach(seq: number, inMessage?: boolean): Promise<SubmitAnswer>;
  /** Looks for a text in the log, backwards from a place, as far as one call may read. */
  search(asked: SearchAsked): Promise<SearchPage | null>;
  /** How large the context is, estimated, or as the API counts it. */
  context(exact: boolean): Promise<ContextSize | null>;
  /** The secret under which this session's stream tickets are made. */
  secret(): Promise<string | null>;
  /** Stores piece `n` of media; the submission that refers to it is admitted afterwards. */
  putMedia(sha: string, n: number, data: ArrayBuffer): Promise<void>;
  /** Reads or changes the session's files. */
  files<K extends keyof FileCalls>(call: K, asked: Asked<K>): Promise<FileAnswer<K> | null>;
  /** Deletes the session, for `caller`; false when there is none. */
  remove(submission: string, caller?: string): Promise<boolean>;
}

type PackedCalls = "rows" | "page" | "describe" | "waiting" | "record" | "history" | "job" | "jobs";

export interface SessionStub extends Omit<SessionCalls, PackedCalls> {
  describe(): Promise<SessionDescription | null>;
  record(turn: number): Promise<TurnRecord | null>;
  history(offset: number, limit: number): Promise<History | null>;
  job(seq: number): Promise<JobRecord | "unknown" | null>;
  jobs(offset: number, limit: number): Promise<JobList | null>;
  waiting(): Promise<PendingInput[] | null>;
  rows(...args: Parameters<SessionCalls["rows"]>): Promise<Rows | null>;
  page(...args: Parameters<SessionCalls["page"]>): Promise<RowPage | null>;
  /** `/follow` attaches a WebSocket; `/files` takes an upload; `/media/<sha256>` gives the bytes. */
  fetch(url: URL, init?: RequestInit): Promise<Response>;
}

export const sessionObjectName = (account: string, session: string): string =>
  `${account}/${session}`;

type SessionObject = SessionCalls & Pick<SessionStub, "fetch">;

/**
 * The session `session` of an account. Another account's id leads to an empty object. Each call
 * takes a stub of its own: one whose object was reset fails for ever.
 */
export function sessionStub(env: Env, account: string, session: string): SessionStub {
  const name = sessionObjectName(account, session);
  // The class implements `SessionCalls`; the platform's stub has these methods, made remote.
  const stub = () => env.SESSION.getByName(name) as unknown as SessionObject;
  return {
    create: (...args) => stub().create(...args),
    stage: (...args) => stub().stage(...args),
    createStaged: (...args) => stub().createStaged(...args),
    submitStaged: (...args) => stub().submitStaged(...args),
    submit: (...args) => stub().submit(...args),
    rows: async (...args) => unpacked(await stub().rows(...args)),
    page: async (...args) => unpacked(await stub().page(...args)),
    describe: async () => unpackedAs<SessionDescription>(await stub().describe()),
    record: async (turn) => unpackedPlain<TurnRecord>(await stub().record(turn)),
    async history(offset, limit) {
      let turns = 0;
      const records = await whole(limit, async (known, most) => {
        const page = unpackedPlain<History>(await stub().history(offset + known, most));
        turns = page?.turns ?? turns;
        return page && { records: page.records, left: turns - offset - known };
      });
      return records && { records, turns };
    },
    job: async (seq) => {
      const packed = await stub().job(seq);
      return packed === "unknown" ? packed : unpackedPlain<JobRecord>(packed);
    },
    async jobs(offset, limit) {
      let total = 0;
      const jobs = await whole(limit, async (known, most) => {
        const page = unpackedPlain<JobList>(await stub().jobs(offset + known, most));
        total = page?.total ?? total;
        return page && { records: page.jobs, left: total - offset - known };
      });
      return jobs && { jobs, total };
    },
    attach: (...args) => stub().attach(...args),
    turn: (...args) => stub().turn(...args),
    turns: (...args) => stub().turns(...args),
    pending: () => stub().pending(),
    waiting: async () => unpackedAs<PendingInput[]>(await stub().waiting()),
    search: (...args) => stub().search(...args),
    context: (exact) => stub().context(exact),
    secret: () => stub().secret(),
    putMedia: (...args) => stub().putMedia(...args),
    files: (...args) => stub().files(...args),
    remove: (...args) => stub().remove(...args),
    fetch: (...args) => stub().fetch(...args),
  };
}

const unpacked = <T extends PackedRows>(page: T | null) =>
  page && { ...page, rows: unpackRows(page.rows) };

/** The object packs values of these types and nothing else. */
const unpackedAs = <T>(packed: Uint8Array[] | null) =>
  packed && (unpackJson(packed) as unknown as T);

/** The same with plain strings only. */
const unpackedPlain = <T>(packed: Uint8Array[] | null) =>
  packed && (unpackJson(packed, false) as unknown as T);

/**
 * A session answers with fewer records than were asked for, and at least one, where they are long.
 * `left` counts those that there are from the first of an answer on.
 */
async function whole<R>(
  limit: number,
  read: (known: number, most: number) => Promise<{ records: R[]; left: number } | null>,
): Promise<R[] | null> {
  const all: R[] = [];
  for (;;) {
    const page = await read(all.length, limit - all.length);
    if (!page) return null;
    all.push(...page.records);
    const { length } = page.records;
    if (length === 0 || length >= page.left || all.length >= limit) return all;
  }
}
