/**
 * The folded state of a session: what decisions need, and no content, so it stays small however
 * long the session gets. It is kept in `head` at each outcome and rebuilt from the log by `fold`.
 */

import type { CompactionMethod, CompactionTrigger } from "../shared/compaction.ts";
import type { JsonObject } from "../shared/content.ts";
import type {
  CallEndedBody,
  Limits,
  OutcomeKind,
  ToolBlockBody,
  TurnOptions,
} from "../shared/rows.ts";
import type { CacheTtl, ModelFacts } from "../shared/settings.ts";
import type { SessionStatus, Surface } from "../shared/summary.ts";
import type { Permissions, ShellState, Toolset } from "../shared/tools.ts";
import type { Usage } from "../shared/usage.ts";
import type { Money } from "./budget-state.ts";
import type { Cache } from "./cache-miss.ts";
import type { Jobs } from "./jobs.ts";
import type { Payer } from "./payer.ts";
import type { PlacedSettings } from "./settings.ts";

/** The model call that is open: started, without an end. */
export interface OpenCall {
  seq: number;
  at: number;
  /** Ordinal of the last block with a cache breakpoint, or null. */
  mark: number | null;
  /** The API's machine for code execution that it goes on in, or null. */
  container: string | null;
  /** Seq of the request for a compaction that it is made for, or null. */
  compaction: number | null;
}

/** A compaction that was asked for and has no end yet. */
export interface OpenCompaction {
  /** Seq of its `compaction.requested`. */
  seq: number;
  /** When it was asked for, in milliseconds since the epoch. */
  at: number;
  trigger: CompactionTrigger;
  keep: number;
  method: CompactionMethod;
  no_tools: boolean;
  /** How often what it covers was halved, because the model did not take it. */
  halved: number;
  /** A call was made for it. */
  began: boolean;
  /** It cannot be done before the open turn has ended. */
  later: boolean;
  step: Step;
  /** US dollars of its calls; null once one had no price. */
  cost_usd: number | null;
  payer: Payer | null;
}

/** A tool call without a result. */
export interface OpenTool {
  /** Public id. */
  id: string;
  /** Seq of its `block.tool` row. */
  seq: number;
  name: string;
  runner: ToolBlockBody["runner"];
  gate: ToolBlockBody["gate"];
  /** With a question: the rule that an answer for always adds. */
  rule: string | null;
  /** It is noted as started, and must not start again. */
  started: boolean;
  /** Seq of the row that confirmed it, or null. */
  confirmed: number | null;
}

/** What has been used since the last outcome. */
export interface Spent {
  /** When the submission's first row was written, in milliseconds since the epoch. */
  since: number;
  calls: number;
  prompt_tokens: number;
  billed: Usage;
  /** Null once a call had no price. */
  cost_usd: number | null;
  estimated: boolean;
}

/** The attempts of the step that is being made. */
export interface Step {
  /** The number of the next attempt. */
  attempt: number;
  /** Attempts so far; one that had produced output counts double. */
  weight: number;
  /** When the first attempt started, or null before it did. */
  first_at: number | null;
  /** Consecutive attempts that were lost with the object. */
  losses: number;
  /** When the next attempt may start; null when at once. */
  retry_at: number | null;
}

/** How the last successful call of a turn ended. */
export interface LastCall {
  stop_reason: string | null;
  empty: boolean;
  /** The request ended with tool results. */
  after_results: boolean;
  /** In a turn with an output format: the answer so far is JSON. */
  parses: boolean;
}

/** A step of which nothing was tried yet. */
export const FIRST_STEP: Step = {
  attempt: 1,
  weight: 0,
  first_at: null,
  losses: 0,
  retry_at: null,
};

/** The step after its attempt has ended so. */
export function stepAfter(step: Step, { end, produced }: CallEndedBody): Step {
  switch (end) {
    case "failed":
      return { ...step, weight: step.weight + (produced ? 2 : 1), losses: 0 };
    case "lost":
      // The time that the server was away is not the API's, so the limit on time begins anew.
      return { ...step, losses: step.losses + 1, first_at: null };
    default:
      return step;
  }
}

/** Losses of one step, after which whatever it is a part of is taken to be their cause. */
export const MAX_LOSSES = 5;

export interface OpenTurn {
  turn: number;
  /** When it began, in milliseconds since the epoch. */
  began_at: number;
  status: "running" | "awaiting";
  /** First seq of each submission that has no outcome yet. */
  inputs: number[];
  /** The message that runs: its seq, body hash and bytes of media. */
  input: { seq: number; hash: string; media: number; detached: boolean };
  options: TurnOptions;
  limits: Limits;
  payer: Payer | null;
  /** The turn's own settings and the session's, as they were when it began. */
  settings: PlacedSettings;
  cache_ttl: CacheTtl;
  /** Codes of the notices that it has given. */
  noticed: string[];
  /** Model calls of the turn so far (steps, not attempts). */
  n: number;
  /** Model calls since the client's last input, without continuations. */
  calls: number;
  /** Continuations after `max_tokens` and after `pause_turn`. */
  cuts: number;
  pauses: number;
  /** An empty answer after tool results was asked once more. */
  asked_again: boolean;
  step: Step;
  last: LastCall | null;
  tools: OpenTool[];
  /** Results came in since the last call. */
  results: boolean;
  /** The turn has begun a new epoch because the API refused the old one. */
  stripped: boolean;
  /** Why it has asked for a compaction, each at most once. */
  compacted: CompactionTrigger[];
  /** The model that it goes on with once the one before has compacted the context, which is too large. */
  switches: { model: string; facts: ModelFacts | null } | null;
  /** Something it had appended was left out of the context again. */
  dropped: boolean;
  /** Why the turn cannot go on. */
  fatal: { code: string; message: string } | null;
  spent: Spent;
}

/** An input that waits: what is needed to take it, without its content. */
export interface Queued {
  seq: number;
  /** When it came, in milliseconds since the epoch. */
  at: number;
  start: "queued" | "steer";
  hash: string;
  options: TurnOptions;
  limits: Limits;
  payer: Payer | null;
  settings: PlacedSettings;
  /** The session's from its turn on; null: the one that it has then. */
  prompt: PlacedPrompt | null;
  replay: boolean;
  /** Decoded bytes of its images and documents. */
  media: number;
  /** Nobody ever read its response. */
  detached: boolean;
}

/** A system prompt: the row that brought it, and SHA-256 of its text, or null where that is none. */
export interface PlacedPrompt {
  seq: number;
  sha: string | null;
}

/** A stretch of the log with one system text, one tool array and one model. */
export interface Epoch {
  /** Seq of the row that opened it. */
  seq: number;
  model: string;
  facts: ModelFacts | null;
  prompt: PlacedPrompt;
  /** The folder that the model is told to begin in. */
  cwd: string;
  /** The tool array that requests carry. */
  base: Toolset;
  /** Name → definition hash of the tools that are on now, after appended changes. */
  active: Record<string, string>;
  /** The same for all that were ever on: a name keeps its definition within an epoch. */
  defined: Record<string, string>;
  /** The toolset that is on now: that of the last change. */
  offered: Toolset;
  /** A request of it was accepted, so its prefix is worth keeping. */
  accepted: boolean;
  /** A change of tools was appended, and no request with it was accepted yet. */
  unaccepted_change: boolean;
}

export interface Context {
  /** The context begins with this row. */
  start: number;
  /**
   * The row of the summary that stands before it, or null. A block of the API is sent as it is in the
   * epoch in which it was made; after that, and where there was none, the summary is a text.
   */
  summary: { seq: number; epoch: number | null } | null;
  /** What was appended since the last accepted request: left out if the API refuses it. */
  inputs: number[];
  tools: string[];
  /** Ordinal of the block that carried the last mark of the last accepted request. */
  mark: number | null;
  /** Whole prompt of the last accepted request, in tokens. */
  tokens: number | null;
  /** Decoded bytes of the images and documents in it, and of those since the last acceptance. */
  media: number;
  media_appended: number;
  /** What was accepted but never answered to the end, so that it may still turn out to be refused. */
  unproven: Unproven;
}

export interface Unproven {
  inputs: number[];
  tools: string[];
  /** Interrupted calls. */
  calls: number[];
  media: number;
}

/** What decides about a compaction that nobody asks for. */
export interface Idle {
  /**
   * When the last turn ended, in milliseconds since the epoch; null where that failed, so that it can
   * be tried again, and once a compaction was asked for since.
   */
  since: number | null;
  /** Tokens that the last compaction has left. */
  left: number;
}

export const NOTHING_UNPROVEN: Unproven = { inputs: [], tools: [], calls: [], media: 0 };

/** The open calls that a client has to answer: its own tools', and questions. */
export const answerable = ({ tools }: OpenTurn): OpenTool[] =>
  tools.filter(({ runner, gate }) => runner === "client" || gate === "ask");

/** The open calls that the session runs itself, in their order. */
export const runnable = ({ tools }: OpenTurn): OpenTool[] =>
  tools.filter(({ runner, gate }) => runner === "server" && gate === "allow");

/** An open turn changed; the same state when there is none. */
export function withTurn(state: State, change: (turn: OpenTurn) => OpenTurn): State {
  return state.turn ? { ...state, turn: change(state.turn) } : state;
}

/** An instruction's row, and the row at which the context has it. */
export interface PlacedInstruction {
  seq: number;
  at: number;
}

export interface State {
  seq: number;
  at: number;
  created_at: number;
  deleted: boolean;
  surface: Surface;
  /** With the surface `code`: the label that its clients filter by. */
  user_id: string | null;
  config: { model: string; name: string | null; title: string | null; metadata: JsonObject };
  /** The beginning of the first message that has a text, which the account lists. */
  first_message: string | null;
  /** What the API said of that model, where the catalogue does not have it. */
  facts: ModelFacts | null;
  /** The session has an Anthropic key of its own, which stands beside the log. */
  own_key: boolean;
  settings: PlacedSettings;
  cache_ttl: CacheTtl;
  prompt: PlacedPrompt;
  /** Most model calls of a turn; null: what the configuration says. */
  max_turns: number | null;
  /** Where tools begin; `moved`: it was set since the last turn began, and so the shell goes there. */
  cwd: string;
  moved: boolean;
  /** The session's own tools; their definitions stand in row 1. */
  toolset: Toolset;
  /** What its built-in tools may do; null without such tools. */
  permissions: Permissions | null;
  shell: ShellState | null;
  /**
   * The row of the newest instruction, the file that it is about, and the row at which the context has
   * it: a compaction that covers it gives it again. `owner` is the owner's newest one.
   */
  instruction: (PlacedInstruction & { sha: string; owner: PlacedInstruction | null }) | null;
  turns: number;
  usage: Usage;
  cost_usd: number | null;
  money: Money;
  turn: OpenTurn | null;
  call: OpenCall | null;
  queue: Queued[];
  jobs: Jobs;
  /** In the order in which they were asked for. */
  compactions: OpenCompaction[];
  epoch: Epoch | null;
  /** The API takes appended changes of tools; a gateway before it may not know them. */
  appends: boolean;
  /** The API offers its own tools; an organization or a gateway may not have them. */
  server_tools: boolean;
  /** They have run here, so the context may hold their calls and results. */
  ran_server_tools: boolean;
  /** The API's machine for code execution that the next call goes on in. */
  container: string | null;
  context: Context;
  idle: Idle;
  cache: Cache;
  /** The last turn's message, how it ended, and whether the context still holds it. */
  last: {
    turn: number;
    input: number;
    hash: string;
    outcome: OutcomeKind;
    kept: boolean;
    options: TurnOptions;
    settings: PlacedSettings;
  } | null;
  /** The last submissions: id → first seq. */
  submissions: [id: string, seq: number][];
}

/** A turn that ended before its answer: the same message again asks for the rest of it. */
export const stopsShort = ({ outcome }: NonNullable<State["last"]>): boolean =>
  outcome === "failed" || outcome === "budget_reached";

export function statusOf(state: State): SessionStatus {
  if (state.turn?.status === "awaiting") {
    const asks = state.turn.tools.some(({ gate }) => gate === "ask");
    return asks ? "awaiting_confirmation" : "awaiting_tool_results";
  }
  return state.turn || state.queue.length > 0 ? "running" : "idle";
}
