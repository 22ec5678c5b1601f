/**
 * The native events: what a row of the log says to a client, and the previews of what the model
 * is writing. `eventsOf` is a function of the row and the view before it, so any reader at any
 * time gets the same events.
 */

import type { CompactionMethod } from "./compaction.ts";
import type { ContentBlock, Json, JsonObject } from "./content.ts";
import { messageId, toolCallId, turnId } from "./ids.ts";
import type { CacheMiss } from "./prompt-cache.ts";
import type { ConfigChange, OutcomeKind } from "./rows.ts";
import type { SettingsChange } from "./settings.ts";
import type { Usage } from "./usage.ts";

/** A tool call in the form that OpenAI clients read: `arguments` is a JSON text. */
export interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export interface TurnUsage {
  /** The whole prompt of the last model call. */
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
  /** The sum over all model calls. */
  billed: Usage;
  estimated: boolean;
}

/** What a submission came to: the data of `turn.completed` and its kin, and the JSON answer. */
export interface TurnResult {
  turn: string;
  outcome: OutcomeKind;
  finish_reason: "stop" | "tool_calls";
  output_text: string;
  /** With an output format: the answer as a value; null where there is none, never a part of it. */
  output_parsed?: Json;
  tool_calls: ToolCall[];
  usage: TurnUsage;
  cost_usd: number | null;
  model: string;
  duration_ms: number;
  /** With `budget_reached`: which budget, and how to raise it. */
  code?: string;
  message?: string;
}

export interface TurnFailure extends TurnResult {
  code: string;
  message: string;
}

export interface EventData {
  "session.created": {
    model: string;
    name?: string;
    title: string | null;
    metadata: JsonObject;
  };
  /** The text of a prompt is not shown to everybody who may follow the session. */
  "session.updated": Omit<ConfigChange, "settings" | "model_facts" | "system_prompt"> &
    SettingsChange & { system_prompt_changed?: true };
  "session.deleted": { reason?: "expired" };
  "turn.started": { turn: string; input_id: string; input: ContentBlock[] | null };
  "input.queued": { input_id: string; input: ContentBlock[]; start: "queued" | "steer" };
  "input.taken": { input_id: string; as: "steer" };
  "input.cancelled": { input_id: string; reason: string };
  "turn.resumed": { turn: string; by: "results" | "confirmations" };
  "thinking.completed": { id: string; text: string; redacted?: true; partial?: true };
  "assistant.completed": { id: string; output_text: string; partial?: true };
  "tool_call.requested": { id: string; name: string; arguments: string };
  "tool.requested": { id: string; name: string; arguments: string; partial?: true };
  "confirmation.requested": { id: string; name: string; arguments: string; reason: string };
  "confirmation.accepted": { id: string; allow: boolean };
  "tool.started": { id: string };
  "tool.completed": { id: string; status: string; content: Json; is_error: boolean };
  "tool_result.accepted": { tool_call_id: string; is_error: boolean };
  "call.completed": {
    call: number;
    end: "ok" | "interrupted" | "failed" | "lost";
    stop_reason: string | null;
    usage: Usage | null;
    estimated: boolean;
    cost_usd: number | null;
    request_id: string | null;
    ms: number;
    /** The call was made for a compaction, and its answer is no part of the conversation. */
    purpose?: "compact";
    /** Why it read less from the API's cache than was put there, and how many tokens. */
    cache_miss?: CacheMiss;
  };
  "turn.retrying": { code: string; message: string; attempt: number; at: string };
  "session.context_changed": { reason: string; message: string; left_out: string[] };
  "instructions.changed": { path: string; by: "owner" | "files" };
  "session.compacted": {
    messages_before: number;
    messages_after: number;
    tokens_before: number;
    tokens_after: number;
    cost_usd: number | null;
    method: CompactionMethod;
  };
  notice: { code: string; message: string };
  "turn.completed": TurnResult;
  "turn.interrupted": TurnResult;
  "turn.failed": TurnFailure;
  "assistant.delta": { id: string; text: string };
  "thinking.delta": { id: string; text: string };
  "tool_call.delta": { id: string; name: string; arguments: string };
  "tool.output": { id: string; text: string };
}

export type EventType = keyof EventData;

export type EventOf<T extends EventType> = { type: T; turn: string | null; data: EventData[T] };

/** One native event. `turn` is the public id of the turn it belongs to. */
export type Event = { [T in EventType]: EventOf<T> }[EventType];

export type OutcomeEvent = Extract<
  Event,
  { type: "turn.completed" | "turn.interrupted" | "turn.failed" }
>;

/** The event ends a submission. */
export const isOutcome = (event: Event): event is OutcomeEvent =>
  event.type === "turn.completed" ||
  event.type === "turn.interrupted" ||
  event.type === "turn.failed";

/** A stretch of what the model is writing, from `offset` units after the start of its call. */
export interface Preview {
  call: number;
  turn: number;
  i: number;
  kind: "text" | "thinking" | "tool";
  /** The tool's name; empty for the other kinds. */
  name: string;
  text: string;
  offset: number;
}

/** A piece of what a running tool prints. */
export interface ToolOutput {
  /** Public id of the call. */
  tool: string;
  turn: number;
  text: string;
}

/** The event that shows a tool's output to a client. */
export const outputEvent = ({ tool, turn, text }: ToolOutput): Event => ({
  type: "tool.output",
  turn: turnId(turn),
  data: { id: tool, text },
});

/** The event that shows a preview to a client. */
export function previewEvent(preview: Preview): Event {
  const turn = turnId(preview.turn);
  const { call, i, text } = preview;
  switch (preview.kind) {
    case "text":
      return { type: "assistant.delta", turn, data: { id: messageId(call, i), text } };
    case "thinking":
      return { type: "thinking.delta", turn, data: { id: messageId(call, i), text } };
    case "tool":
      return {
        type: "tool_call.delta",
        turn,
        data: { id: toolCallId(call, i), name: preview.name, arguments: text },
      };
  }
}
