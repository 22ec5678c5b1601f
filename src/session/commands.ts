/**
 * What the Worker asks of a session, and what it is answered. Everything crosses as plain data: an
 * error class does not survive a call between objects, and a newer Worker may meet an older object
 * during a deploy, so each message says its version.
 */

import type { ContentBlock, JsonObject } from "../shared/content.ts";
import type { ConfigChange, Submitted, TurnModel } from "../shared/rows.ts";
import type { ModelSettings } from "../shared/settings.ts";
import type { SessionStatus, Surface } from "../shared/summary.ts";
import type { Permissions, ToolChoice, Toolset } from "../shared/tools.ts";
import type { Usage } from "../shared/usage.ts";

/** What a message may ask for when the session is busy. */
export type OnBusy = "queue" | "steer" | "interrupt" | "reject";

/** Settings of a turn as the client gave them; null or absent where it gave none. */
export interface AskedOptions {
  toolset: Toolset | null;
  tool_choice: ToolChoice | null;
  parallel_tool_calls: boolean | null;
  permissions?: Permissions;
  settings?: ModelSettings;
  /** For a message only: it answers in the place of the session's model. */
  model?: TurnModel;
  /** For a message only: an instruction that holds for it alone, of 50,000 code points at most. */
  system?: string;
  /** For a message only: the session's folder from its turn on, as `resolvePath` makes it. */
  cwd?: string;
  /** For a message only: the session's system prompt from its turn on. */
  system_prompt?: string;
}

/** Limits of the configuration, for turns without and with client tools. */
export interface AskedLimits {
  plain: number;
  tools: number;
  /** What the turn may cost; absent: as before, or no limit. */
  max_budget_usd?: number;
}

export interface ToolResult {
  /** Public id of the tool call. */
  tool: string;
  content: ContentBlock[];
  is_error: boolean;
}

/** An answer to the question whether a call of a built-in tool may run. */
export interface Confirmation {
  /** Public id of the tool call. */
  tool: string;
  allow: boolean;
  /** With a denial: what the model is told. */
  message?: string;
  /** Runs instead of the model's own input. */
  input?: JsonObject;
  /** Calls like this one are allowed from now on. */
  always?: boolean;
}

export type Command =
  | {
      kind: "input";
      content: ContentBlock[];
      on_busy: OnBusy;
      options: AskedOptions;
      limits: AskedLimits;
      /** The content is the client's whole transcript: the context begins anew with it. */
      replay: boolean;
      /** SHA-256 of the request's body. */
      hash: string;
      /** Nobody waits for it. It always queues, and never settles a turn that waits for its client. */
      job?: { webhook_url: string | null };
    }
  | {
      kind: "results";
      results: ToolResult[];
      options: AskedOptions;
      limits: AskedLimits;
      hash: string;
    }
  | {
      kind: "confirmations";
      confirmations: Confirmation[];
      limits: AskedLimits;
      /** SHA-256 of the request's body. */
      hash: string;
    }
  | {
      kind: "interrupt";
      cancel_queued: boolean;
      /** When its sender meant it, in milliseconds since the epoch: what began later goes on. */
      sent_at: number;
    }
  | {
      kind: "update";
      config: ConfigChange;
      /** The session's own Anthropic key from now on, sealed; null takes it away. */
      own_key?: string | null;
    }
  | { kind: "cancel"; input: number }
  /** The job is taken from the queue, or the turn that it is now is interrupted. */
  | { kind: "cancel_job"; input: number }
  /** The job's webhook is told of its end once more. */
  | { kind: "redeliver"; input: number }
  | { kind: "compact"; keep: number | null; instructions: string | null };

export interface Submission extends Submitted {
  v: 1;
  /** Nobody reads its response. */
  detached?: true;
  command: Command;
}

export type RefusalCode =
  | "not_found"
  | "busy"
  | "call_settled"
  | "unknown_tool_call"
  | "duplicate_tool_call"
  | "unknown_tool"
  | "unknown_input"
  | "not_queued"
  | "unknown_job"
  /** It cannot be cancelled; `about` is its status: done, failed or cancelled. */
  | "job_ended"
  /** Its end cannot be told before it has one. */
  | "job_open"
  | "no_webhook"
  /** The row is in no turn. */
  | "unknown_turn"
  | "media_limit"
  | "session_full"
  | "name_taken"
  | "key_conflict"
  | "parts_missing"
  | "media_missing";

export interface Refusal {
  code: RefusalCode;
  message: string;
  /** The tool call or tool that it is about. */
  about?: string;
  /** With `media_missing`: the hashes of the media that have to be stored first. */
  missing?: string[];
}

export interface Accepted {
  /** The first row that the submission wrote. */
  s: number;
  /** The row by which an outcome names it; null for commands that no outcome ends. */
  input: number | null;
  /** The turn it belongs to; for a queued input the one that it will open. */
  turn: number | null;
  /** The turn under whose id its result can be read: a steer may come to have one of its own. */
  result: number | null;
  /** It was known already: by its submission id, its key or its content. */
  replayed: boolean;
  /** What an interrupt has stopped outside a turn. */
  stopped?: "compaction";
  /** A compaction that waits for the end of the turn. */
  scheduled?: true;
}

export type SubmitAnswer =
  | { ok: true; accepted: Accepted; session: SessionInfo; queued: number[]; cancelled: number[] }
  | { ok: false; refusal: Refusal };

/** What is known of a session without its content. */
export interface SessionInfo {
  seq: number;
  surface: Surface;
  /** The session's own; a turn may have another. */
  model: string;
  name: string | null;
  title: string | null;
  first_message: string | null;
  metadata: JsonObject;
  status: SessionStatus;
  turn: number | null;
  turn_count: number;
  usage: Usage;
  cost_usd: number | null;
  max_budget_usd: number | null;
  spent_usd: number;
  created_at: number;
  updated_at: number;
}
