/**
 * The rows of a session's log: the one place where facts are kept. Every other shape in the
 * system (state, view, request to the model, API answer) is computed from these.
 *
 * Ids that clients see contain `seq`, so every look-up is a primary-key read:
 * `turn_<seq of its input>`, `msg_<seq of call.started>_<block index>`,
 * `call_<seq of call.started>_<block index>`, `input_<seq of the input>`.
 */
import type { CodeSettings } from "./code-settings.ts";
import type {
  CompactedBody,
  CompactionEnd,
  CompactionMethod,
  CompactionTrigger,
} from "./compaction.ts";
import type { ContentBlock, Json, JsonObject, ModelBlock } from "./content.ts";
import type { CacheMiss, PromptSettings } from "./prompt-cache.ts";
import type { CacheTtl, ModelFacts, ModelSettings, SettingsChange } from "./settings.ts";
import type { Surface } from "./summary.ts";
import type { Permissions, ShellState, ToolChange, ToolChoice, Toolset } from "./tools.ts";
import type { Totals, Usage } from "./usage.ts";
import type { WebhookAttemptedBody } from "./webhook.ts";

export interface TurnOptions {
  toolset: Toolset;
  tool_choice: ToolChoice;
  parallel_tool_calls: boolean;
  /** For built-in tools; absent where the session's hold. */
  permissions?: Permissions;
  /** What the turn sets itself; the rest is the session's. */
  settings?: ModelSettings;
  /** Answers this turn in the place of the session's model. */
  model?: TurnModel;
  /** An instruction that holds for this message only; it stands behind it in the context. */
  system?: string;
  /** The session's folder from this turn on: see `SessionConfig`. */
  cwd?: string;
  /** The session's system prompt from this turn on; it stays in its row. */
  system_prompt?: string;
}

/** A model for one turn, with what was said of it where the catalogue does not have it. */
export interface TurnModel {
  id: string;
  facts?: ModelFacts;
}

/** Decided from the configuration when the turn starts, so that a later change cannot alter it. */
export interface Limits {
  /** Model calls since the client's last input. */
  max_turns: number;
  /** What the turn may cost from its first call to its end; absent: no limit of its own. */
  max_budget_usd?: number;
}

export interface SessionConfig {
  model: string;
  /** Unique among the living sessions of its account; absent or null: none. */
  name?: string | null;
  title: string | null;
  system_prompt: string | null;
  metadata: JsonObject;
  /** Tools of every turn that brings none. */
  toolset: Toolset;
  /** What the model is told of its workspace, behind the system prompt; with built-in tools only. */
  harness?: string;
  permissions?: Permissions;
  /** What the session may cost; absent or null: no limit of its own. */
  max_budget_usd?: number | null;
  settings?: ModelSettings;
  /** Absent: `5m`. */
  cache_ttl?: CacheTtl;
  model_facts?: ModelFacts;
  /** The session has an Anthropic key of its own, which is kept beside the log. */
  own_anthropic_key?: boolean;
  /** Most model calls of a turn; absent or null: what the configuration says. */
  max_turns?: number | null;
  /** Where tools begin: an absolute path, `/workspace` or below; absent: `/workspace`. */
  cwd?: string;
  /** With the surface `code` only. */
  code?: CodeSettings;
}

/** Whose act a row is: the id of one POST, and its idempotency key where one was sent. */
export interface Submitted {
  submission: string;
  key?: { id: string; hash: string };
  /** The sender's key: `key_<ulid>` of a managed one, else what the audit calls it; had it a budget? */
  caller?: string;
  key_budget?: true;
}

export type OutcomeKind =
  | "completed"
  | "requires_action"
  | "interrupted"
  | "failed"
  | "refused"
  | "budget_reached"
  | "max_turns";

export type CutReason =
  | "replay"
  | "tools"
  | "server_tools"
  | "system"
  | "model"
  | "refusal"
  | "rejected"
  | "gone";

export interface InputBody extends Submitted {
  /** Seq of the input that opened the turn it belongs to; its own seq unless it is a steer. */
  turn: number;
  source: "client" | "ledge";
  kind: "user" | "system";
  content: ContentBlock[];
  start: "now" | "queued" | "steer";
  options: TurnOptions;
  limits: Limits;
  /** SHA-256 of the request's body, by which a re-posted turn is recognised. */
  hash: string;
  /** Seq of a failed input with the same body: this one then adds nothing to the context. */
  repeats?: number;
  /** Whoever sent it did not wait for its response, so nobody can have lost that. */
  detached?: true;
  /** The client sent its whole transcript again: the context begins anew with this input. */
  replay?: true;
  /** The turn that failed goes on, so its settings hold. */
  resumes?: true;
  /** Only with `start: "now"`: the change of tools that this turn appends. */
  tool_change?: ToolChange;
  /** Nobody waits for it: its end is kept, and told to the webhook where there is one. */
  job?: { webhook_url: string | null };
}

export interface ToolEndedBody extends Partial<Submitted> {
  /** Public id of the tool call. */
  tool: string;
  turn: number;
  by: "client" | "ledge" | "server";
  status: "ok" | "error" | "denied" | "unknown" | "interrupted" | "skipped";
  content: ContentBlock[];
  is_error: boolean;
  /** SHA-256 of the body of the request that brought it. */
  hash?: string;
  /** Files whose content the model knows by this call: path → SHA-256. */
  seen?: Record<string, string>;
  /** The shell behind the call, where the call changed it. */
  shell?: ShellState;
}

export interface CallStartedBody {
  turn: number;
  /** 1 for the turn's first model call, counting steps and not attempts. */
  n: number;
  /** 1 for a step's first attempt. */
  attempt: number;
  purpose: "turn" | "compact";
  model: string;
  /** Seq of the row that opened the epoch. */
  epoch: number;
  max_tokens: number;
  /** Ordinals of the blocks, over the flattened messages, that carry a cache breakpoint. */
  marks: number[];
  ttl: "5m" | "1h";
  /** What of the request decides which of the cached messages it can read; absent: the defaults. */
  sent?: PromptSettings;
  /** The API's machine for code execution that the call goes on in. */
  container?: string;
  /** `max_tokens` is what a budget buys, and not the model's limit. */
  by_budget?: true;
  /** Bytes of the request's texts, counted where a budget holds. */
  size?: number;
  /** Asked for at a higher price. */
  speed?: "fast";
  /** With the purpose `compact`: seq of the request, how, and with tool calls switched off. */
  compaction?: { request: number; method: CompactionMethod; no_tools?: true };
}

export interface BlockBody {
  call: number;
  turn: number;
  i: number;
  block: ModelBlock;
  /** The block was cut by an interrupt. */
  partial?: true;
  /** Thinking that clients are not shown. */
  hidden?: true;
}

export interface ToolBlockBody extends BlockBody {
  /** The received input where it is no JSON object; `block.input` is then empty. */
  raw?: string;
  runner: "client" | "server" | "mcp";
  gate: "allow" | "ask" | "deny";
  /** With a question: why it is asked, and the rule that an answer for always adds. */
  reason?: string;
  rule?: string;
}

export interface CallEndedBody {
  call: number;
  turn: number;
  end: "ok" | "interrupted" | "failed" | "lost";
  /** The API began to answer (`message_start` was seen) and did not refuse: its prefix is good. */
  accepted: boolean;
  stop_reason: string | null;
  stop_details?: Json;
  usage: Usage | null;
  estimated: boolean;
  cost_usd: number | null;
  request_id: string | null;
  /** Milliseconds from `call.started` to the end. */
  ms: number;
  /** How many content blocks were kept. */
  blocks: number;
  /** In a turn with an output format: whether the answer as it is now is JSON. */
  parses?: boolean;
  /** The attempt had produced output before it failed: it counts double among the attempts. */
  produced?: true;
  /** The API's machine for code execution that this call used; later calls go on in it. */
  container?: string;
  /** The call was made for a compaction; `turn` is 0 outside a turn. */
  purpose?: "compact";
  cache_miss?: CacheMiss;
}

export interface OutcomeBody {
  turn: number;
  /** First seq of each submission that this outcome ends. */
  inputs: number[];
  outcome: OutcomeKind;
  /** Open tool calls, each with the seq of its `block.tool` row. */
  pending: { id: string; seq: number }[];
  /** Inputs that wait. With these two a reader knows the session from its last outcome on. */
  queued: number[];
  code?: string;
  message?: string;
  /** In a turn with an output format: whether the answer is whole, and JSON. */
  parsed?: boolean;
  totals: Totals;
}

/** What an update changes of a session. A new model comes with what was said of it, or nothing. */
export type ConfigChange = Partial<
  Pick<
    SessionConfig,
    | "model"
    | "name"
    | "title"
    | "metadata"
    | "permissions"
    | "cache_ttl"
    | "model_facts"
    | "max_budget_usd"
    | "own_anthropic_key"
    | "system_prompt"
    | "cwd"
  >
> & { settings?: SettingsChange };

export interface RowBodies {
  "session.created": Submitted & { v: 1; surface: Surface; config: SessionConfig };
  "session.updated": Submitted & { config: ConfigChange };
  /** `expired`: nobody asked for it; nothing had happened in the session for long. */
  "session.deleted": Submitted & { reason?: "expired" };
  input: InputBody;
  "input.taken": {
    input: number;
    turn: number;
    as: "start" | "steer";
    limits: Limits;
    tool_change?: ToolChange;
  };
  "input.cancelled": Partial<Submitted> & { input: number; reason: "client" | "deleted" };
  "turn.resumed": {
    turn: number;
    by: "results" | "confirmations";
    options: TurnOptions;
    limits: Limits;
    tool_change?: ToolChange;
  };
  interrupt: Partial<Submitted> & { turn: number; cancel_queued: boolean };
  "call.started": CallStartedBody;
  "block.thinking": BlockBody;
  "block.text": BlockBody;
  "block.tool": ToolBlockBody;
  "block.other": BlockBody;
  "call.ended": CallEndedBody;
  failure: {
    turn: number;
    call?: number;
    /** Public id of the tool call that was lost. */
    tool?: string;
    code: string;
    message: string;
    /** The number of the next attempt and when it starts, in milliseconds since the epoch. */
    retry?: { attempt: number; at: number };
    /** A call for a compaction failed; `turn` is 0 outside a turn. */
    purpose?: "compact";
    /**
     * What is tried instead: a summary of our own, one with tool calls switched off, or one of half
     * as much.
     */
    fallback?: "summary" | "no_tools" | "part";
  };
  "tool.started": { tool: string; turn: number; runner: "server" | "mcp" };
  "tool.ended": ToolEndedBody;
  "tool.confirmed": Submitted & {
    tool: string;
    turn: number;
    allow: boolean;
    message?: string;
    /** What runs instead of the model's own input. */
    input?: JsonObject;
    /** A rule that is allowed from now on. */
    remember?: string;
  };
  "context.cut": {
    turn: number;
    reason: CutReason;
    message: string;
    /** The context begins with this row (in order of application) from now on. */
    start?: number;
    /** Inputs that are left out from now on. */
    drop: number[];
    /** Calls (by the seq of `call.started`) whose answers are left out from now on. */
    drop_calls: number[];
    /** Results that the API did not take, replaced by an error result. */
    replace: { tool: string; text: string }[];
    /** All thinking from before this row is left out from now on. */
    strip_thinking: boolean;
  };
  /**
   * A CLAUDE.md of the workspace appeared or changed. What the owner wrote is an instruction to the
   * model, from here on; what came with other files or was written by a tool is only announced, so
   * that a stranger's text reaches the model as the result of a tool.
   */
  instruction: {
    path: string;
    /** SHA-256 of the file. */
    sha: string;
    /** The file's text; null when it is only announced. */
    text: string | null;
  };
  /** Someone wants the context to be compacted. It has one end: one of the two rows below. */
  "compaction.requested": Partial<Submitted> & {
    /** The turn that is open then. */
    turn: number | null;
    trigger: CompactionTrigger;
    /** So many messages at the end stay as they are. */
    keep?: number;
    instructions?: string;
    /** With the trigger `idle`: after so many minutes, as the configuration said. */
    idle_minutes?: number;
  };
  /** It cannot be made while this turn is open. */
  "compaction.deferred": { request: number; turn: number };
  "context.compacted": CompactedBody;
  /** The context stays as it is. */
  "compaction.ended": Partial<Submitted> & {
    request: number;
    turn: number | null;
    code: CompactionEnd;
    message: string;
    messages: number | null;
    tokens: number | null;
    cost_usd: number | null;
  };
  notice: { turn: number | null; code: string; message: string };
  /** What the account lets the session spend, or that the session has given it back. */
  lease: {
    /** Counts the session's leases: a new one replaces the one before it. */
    n: number;
    /** The session may have cost so much in all; null when the lease is given back. */
    ceiling_usd: number | null;
    /** No model call begins under it from here on, in milliseconds since the epoch. */
    expires_at: number;
    /** It outlives its turn. */
    keep: boolean;
    /** The managed key whose budgets it counts against, besides the account's. */
    key?: string;
  };
  outcome: OutcomeBody;
  /** The webhook of the job `input` is to be told of its end once more, and as something new. */
  "webhook.requested": Submitted & { input: number };
  "webhook.attempted": WebhookAttemptedBody;
}

export type RowType = keyof RowBodies;

/** A row before it has a place in the log. */
export type Fact = { [T in RowType]: { type: T; body: RowBodies[T] } }[RowType];

export type RowOf<T extends RowType> = { seq: number; at: number; type: T; body: RowBodies[T] };

/** A row of the log; `at` is in milliseconds since the epoch and never falls. */
export type Row = { [T in RowType]: RowOf<T> }[RowType];
