/**
 * What can be called on a session object from a Worker. Written out, because the platform's own
 * type of a stub cannot follow types as recursive as JSON.
 */
import type { Env } from "../env.ts";
import type { ToolCall } from "../shared/events.ts";
import type { SessionConfig } from "../shared/rows.ts";
import type { CacheTtl, ModelSettings } from "../shared/settings.ts";
import type { Permissions } from "../shared/tools.ts";
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
  /** Tool calls that wait for the client. */
  pending: ToolCall[];
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

export interface SessionStub extends Omit<SessionCalls, "rows" | "page" | "describe" | "waiting"> {
  describe(): Promise<SessionDescription | null>;
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
    describe: async () => {
      const packed = await stub().describe();
      // Packed by the object.
      return packed && (unpackJson(packed) as unknown as SessionDescription);
    },
    turn: (...args) => stub().turn(...args),
    turns: (...args) => stub().turns(...args),
    pending: () => stub().pending(),
    waiting: async () => {
      const packed = await stub().waiting();
      // Packed by the object.
      return packed && (unpackJson(packed) as unknown as PendingInput[]);
    },
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
