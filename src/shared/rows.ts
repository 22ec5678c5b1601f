/**
 * The rows of a session's log: the one place where facts are kept. Every other shape in the
 * system (state, view, request to the model, API answer) is computed from these.
 *
 * Ids that clients see contain `seq`, so every look-up is a primary-key read:
 * `turn_<seq of its input>`, `msg_<seq of call.started>_<block index>`,
 * `call_<seq of call.started>_<block index>`, `input_<seq of the input>`.
 */

import type { CacheTtl, ModelFacts, ModelSettings, SettingsChange } from "./settings.ts";

/** A JSON value as `JSON.parse` gives it. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** Bytes that live in the `media` table and not in the row. `bytes` is their decoded length. */
export interface MediaSource {
  type: "media";
  media_type: string;
  bytes: number;
  sha256: string;
}

export interface Base64Source {
  type: "base64";
  media_type: string;
  data: string;
}

export interface TextSource {
  type: "text";
  media_type: "text/plain";
  data: string;
}

export interface FileSource {
  type: "file";
  file_id: string;
}

export interface TextBlock {
  type: "text";
  text: string;
}

export interface ImageBlock {
  type: "image";
  source: Base64Source | MediaSource | FileSource;
}

export interface DocumentBlock {
  type: "document";
  source: Base64Source | MediaSource | TextSource | FileSource;
  title?: string;
  context?: string;
  citations?: { enabled: boolean };
}

/** What a client may put into a message or a tool result, after validation. */
export type ContentBlock = TextBlock | ImageBlock | DocumentBlock;

/** A content block of the model's message, exactly as received. Only `type` is relied on. */
export interface ModelBlock {
  type: string;
  [field: string]: Json;
}

/** A client tool in the form the Messages API takes. */
export interface ToolDefinition {
  name: string;
  description?: string;
  input_schema: JsonObject;
  strict?: boolean;
  eager_input_streaming?: boolean;
}

/** The API's own tools that a session may be offered. */
export const SERVER_TOOLS = ["web_search", "code_execution"] as const;

export type ServerToolName = (typeof SERVER_TOOLS)[number];

/** A tool that the API runs itself, named by its type. */
export interface ServerTool {
  type: string;
  name: string;
  /** How often the model may use it in one call. */
  max_uses?: number;
}

/**
 * The tools of a turn. The definitions stand in one row only: in this one (`list`), or in the
 * row `seq`. `tools` maps each name to a hash of its definition, which is all that decisions need.
 */
export interface Toolset {
  tools: Record<string, string>;
  list?: (ToolDefinition | ServerTool)[];
  seq?: number;
  /** The session runs them itself; without it the client does. */
  builtin?: true;
}

/** What a permission mode lets the built-in tools do without a question. */
export type PermissionMode = "default" | "acceptEdits" | "plan" | "bypassPermissions" | "dontAsk";

/** Rules are those of Claude Code: `Tool` or `Tool(pattern)`. A denial wins, then a question. */
export interface Permissions {
  mode: PermissionMode;
  allow: string[];
  ask: string[];
  deny: string[];
  /** Nobody can answer a question on this surface, so one is a denial with its reason. */
  unattended?: true;
}

/** What the shell keeps between two calls. */
export interface ShellState {
  cwd: string;
  env: Record<string, string>;
}

export type ToolChoice =
  | { type: "auto" }
  | { type: "any" }
  | { type: "none" }
  | { type: "tool"; name: string };

export interface TurnOptions {
  toolset: Toolset;
  tool_choice: ToolChoice;
  parallel_tool_calls: boolean;
  /** For built-in tools; absent where the session's hold. */
  permissions?: Permissions;
  /** What the turn sets itself; the rest is the session's. */
  settings?: ModelSettings;
}

/** Decided from the configuration when the turn starts, so that a later change cannot alter it. */
export interface Limits {
  /** Model calls since the client's last input. */
  max_turns: number;
  /** What the turn may cost from its first call to its end; absent: no limit of its own. */
  max_budget_usd?: number;
}

/** Tools that are added to or taken from the epoch by appending a system message. */
export interface ToolChange {
  added: string[];
  removed: string[];
}

export interface SessionConfig {
  model: string;
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
}

/** Whose act a row is: the id of one POST, and its idempotency key where one was sent. */
export interface Submitted {
  submission: string;
  key?: { id: string; hash: string };
}

/** Token counts of one call, as the API reported them, or estimated. */
export interface Usage {
  input_tokens: number;
  output_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  /** The part of `cache_creation_input_tokens` written for one hour. */
  cache_creation_1h_input_tokens?: number;
  /** The part of `output_tokens` that was thinking. */
  thinking_tokens?: number;
  web_search_requests?: number;
  /** Where the call was computed, when that changes its price. */
  inference_geo?: string;
  /** How it was served, when that was not as usual: both change the price. */
  speed?: string;
  service_tier?: string;
}

/** Figures of one submission, from its first row to its outcome. */
export interface Totals {
  calls: number;
  /** The whole prompt of the last model call: fresh, cached and written tokens. */
  prompt_tokens: number;
  completion_tokens: number;
  billed: Usage;
  /** US dollars; null when the model has no price in the table. */
  cost_usd: number | null;
  estimated: boolean;
  /** Milliseconds from the submission's first row to the outcome. */
  ms: number;
  model: string;
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

/**
 * Settings of a request whose change makes the API's cache of the messages unusable. A field is
 * absent where the request said nothing of it.
 */
export interface PromptSettings {
  tool_choice?: string;
  thinking?: string;
  effort?: string;
  /** The beginning of a hash. */
  output_format?: string;
  speed?: string;
  /** The messages hold an image, or a document with citations. */
  images?: true;
  citations?: true;
}

/** What has changed the beginning of the prompt between two calls. */
export type CacheChange =
  | "changed_tools"
  | "changed_system"
  | "model_switched"
  | "compacted"
  | "replayed"
  | "thinking_removed"
  | "left_out";

/** Why a call read less from the API's cache than was put there. */
export interface CacheMiss {
  reason: CacheChange | "first_call" | "below_minimum" | "expired" | "settings_changed" | "unknown";
  /** Tokens of the prompt that were expected from the cache and not read from it. */
  tokens: number;
  /** With `settings_changed`: which. */
  settings?: (keyof PromptSettings)[];
}

/** Why a context was not compacted; a call that failed has the code of its failure. */
export type CompactionEnd = "nothing" | "interrupted" | "deleted" | "superseded" | (string & {});

/** Who asks for a compaction: the client, the size of the context, or a window that was full. */
export type CompactionTrigger = "client" | "threshold" | "overflow";

/** A signed block of the API, or a summary that the model was asked for. */
export type CompactionMethod = "api" | "summary";

export interface CompactedBody {
  /** Seq of the `compaction.requested`. */
  request: number;
  turn: number | null;
  method: CompactionMethod;
  /** With a block: the epoch in which it is sent as it is. */
  epoch?: number;
  /** What stands for all that was covered: the API's block as received, or the model's text. */
  block?: ModelBlock;
  summary?: string;
  /** The context goes on with this row, behind the summary; everything before it is covered. */
  start: number;
  /** All thinking from before this row is left out from now on. */
  strip_thinking: boolean;
  /** Seqs of instructions that were covered and are given again here. */
  instructions?: number[];
  /** Messages of the context, those of the system not counted. */
  messages_before: number;
  messages_after: number;
  tokens_before: number;
  /** An estimate. */
  tokens_after: number;
  /** Decoded bytes of the images and documents that stay. */
  media: number;
  /** Of all calls that it took. */
  cost_usd: number | null;
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
    "model" | "title" | "metadata" | "permissions" | "cache_ttl" | "model_facts" | "max_budget_usd"
  >
> & { settings?: SettingsChange };

export interface RowBodies {
  "session.created": Submitted & { v: 1; surface: "cc"; config: SessionConfig };
  "session.updated": Submitted & {
    config: ConfigChange;
  };
  "session.deleted": Submitted;
  input: InputBody;
  "input.taken": {
    input: number;
    turn: number;
    as: "start" | "steer";
    limits: Limits;
    tool_change?: ToolChange;
  };
  "input.cancelled": Partial<Submitted> & {
    input: number;
    reason: "client" | "deleted";
  };
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
    /** What is tried instead: a summary of our own, or one with tool calls switched off. */
    fallback?: "summary" | "no_tools";
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
  };
  outcome: OutcomeBody;
}

export type RowType = keyof RowBodies;

/** A row before it has a place in the log. */
export type Fact = { [T in RowType]: { type: T; body: RowBodies[T] } }[RowType];

export type RowOf<T extends RowType> = { seq: number; at: number; type: T; body: RowBodies[T] };

/** A row of the log; `at` is in milliseconds since the epoch and never falls. */
export type Row = { [T in RowType]: RowOf<T> }[RowType];

export const sessionId = (ulid: string): string => `sess_${ulid}`;
export const turnId = (turn: number): string => `turn_${turn}`;
export const inputId = (input: number): string => `input_${input}`;
export const messageId = (call: number, i: number): string => `msg_${call}_${i}`;
export const toolCallId = (call: number, i: number): string => `call_${call}_${i}`;

/** The number in a public id of the given kind, or null when it is not one. */
export function numberInId(kind: "turn" | "input", id: string): number | null {
  const match = new RegExp(`^${kind}_([1-9][0-9]{0,14})$`).exec(id);
  return match ? Number(match[1]) : null;
}

/** The `call.started` seq and block index in a tool call's public id, or null. */
export function toolCallPlace(id: string): { call: number; i: number } | null {
  const match = /^call_([1-9][0-9]{0,14})_(0|[1-9][0-9]{0,5})$/.exec(id);
  return match ? { call: Number(match[1]), i: Number(match[2]) } : null;
}
