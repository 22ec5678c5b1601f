/**
 * The native events: what a row of the log says to a client, and the previews of what the model
 * is writing. `eventsOf` is a function of the row and the view before it, so any reader at any
 * time gets the same events.
 */

import type { ContentBlock, Json, JsonObject, ModelBlock } from "./content.ts";
import { inputId, messageId, toolCallId, turnId } from "./ids.ts";
import type { CacheMiss } from "./prompt-cache.ts";
import type { CompactionMethod, ConfigChange, OutcomeKind, Row, RowOf } from "./rows.ts";
import type { SettingsChange } from "./settings.ts";
import type { Totals, Usage } from "./usage.ts";
import { finalText, type View } from "./view.ts";

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
  "session.created": { model: string; title: string | null; metadata: JsonObject };
  "session.updated": Omit<ConfigChange, "settings" | "model_facts"> & SettingsChange;
  "session.deleted": Record<string, never>;
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

const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");

function toolBlock(block: ModelBlock): { name: string; arguments: string } {
  return { name: text(block.name), arguments: JSON.stringify(block.input ?? {}) };
}

/** A row's native events, given the view before it: none, or one. */
export function eventsOf(row: Row, view: View): Event[] {
  const event = eventOf(row, view);
  return event ? [event] : [];
}

function eventOf(row: Row, view: View): Event | null {
  switch (row.type) {
    case "session.created": {
      const { model, title, metadata } = row.body.config;
      return { type: row.type, turn: null, data: { model, title, metadata } };
    }
    case "session.updated": {
      const { settings, model_facts: _, ...config } = row.body.config;
      return { type: row.type, turn: null, data: { ...config, ...settings } };
    }
    case "session.deleted":
      return { type: row.type, turn: null, data: {} };
    case "input":
      return inputEvent(row);
    case "input.taken":
      return takenEvent(row);
    case "input.cancelled":
      return {
        type: row.type,
        turn: null,
        data: { input_id: inputId(row.body.input), reason: row.body.reason },
      };
    case "turn.resumed": {
      const turn = turnId(row.body.turn);
      return { type: row.type, turn, data: { turn, by: row.body.by } };
    }
    case "block.thinking":
    case "block.text":
    case "block.tool":
    case "block.other":
      return blockEvent(row);
    case "call.ended": {
      const { call, end, stop_reason, usage, estimated, cost_usd, request_id, ms } = row.body;
      const data = { call, end, stop_reason, usage, estimated, cost_usd, request_id, ms };
      const { cache_miss } = row.body;
      const missed = cache_miss ? { cache_miss } : {};
      const { turn, purpose } = row.body;
      const made = purpose ? { purpose } : {};
      const id = turn === 0 ? null : turnId(turn);
      return { type: "call.completed", turn: id, data: { ...data, ...missed, ...made } };
    }
    case "failure": {
      const { turn, code, message, retry, purpose } = row.body;
      if (!retry || purpose === "compact") return null;
      const data = { code, message, attempt: retry.attempt, at: new Date(retry.at).toISOString() };
      return { type: "turn.retrying", turn: turnId(turn), data };
    }
    case "tool.started":
      return { type: row.type, turn: turnId(row.body.turn), data: { id: row.body.tool } };
    case "tool.ended":
      return toolEndedEvent(row);
    case "context.cut": {
      const { reason, message, drop, replace } = row.body;
      const left_out = [...drop.map(inputId), ...replace.map((one) => one.tool)];
      const data = { reason, message, left_out };
      return { type: "session.context_changed", turn: turnId(row.body.turn), data };
    }
    case "instruction": {
      const { path, text } = row.body;
      const by = text === null ? ("files" as const) : ("owner" as const);
      return { type: "instructions.changed", turn: null, data: { path, by } };
    }
    case "context.compacted": {
      const { turn, method, cost_usd } = row.body;
      const { messages_before, messages_after, tokens_before, tokens_after } = row.body;
      const messages = { messages_before, messages_after };
      const data = { ...messages, tokens_before, tokens_after, cost_usd, method };
      return { type: "session.compacted", turn: turn === null ? null : turnId(turn), data };
    }
    case "compaction.ended": {
      const { turn, code, message } = row.body;
      if (QUIET_ENDS.has(code)) return null;
      const said = `The conversation was not compacted: ${message}`;
      const data = { code: "compaction_failed", message: said };
      return { type: "notice", turn: turn === null ? null : turnId(turn), data };
    }
    case "notice": {
      const { turn, code, message } = row.body;
      return { type: row.type, turn: turn === null ? null : turnId(turn), data: { code, message } };
    }
    case "outcome":
      return outcomeEvent(row, view);
    case "tool.confirmed": {
      const { tool, turn, allow } = row.body;
      return { type: "confirmation.accepted", turn: turnId(turn), data: { id: tool, allow } };
    }
    case "call.started":
    case "lease":
    case "interrupt":
    case "compaction.requested":
    case "compaction.deferred":
      return null;
  }
}

/** Ends of a compaction in which nothing failed. */
const QUIET_ENDS: ReadonlySet<string> = new Set([
  "nothing",
  "interrupted",
  "deleted",
  "superseded",
]);

function inputEvent(row: RowOf<"input">): Event {
  const { turn, content, start } = row.body;
  const input_id = inputId(row.seq);
  if (start === "now") {
    const id = turnId(turn);
    return { type: "turn.started", turn: id, data: { turn: id, input_id, input: content } };
  }
  return { type: "input.queued", turn: null, data: { input_id, input: content, start } };
}

function takenEvent(row: RowOf<"input.taken">): Event {
  const { input, turn, as } = row.body;
  const input_id = inputId(input);
  const id = turnId(turn);
  if (as === "steer") return { type: "input.taken", turn: id, data: { input_id, as } };
  return { type: "turn.started", turn: id, data: { turn: id, input_id, input: null } };
}

function blockEvent(
  row: Extract<Row, { type: "block.thinking" | "block.text" | "block.tool" | "block.other" }>,
): Event | null {
  const { call, i, block, partial } = row.body;
  const turn = turnId(row.body.turn);
  const cut = partial ? { partial } : {};
  switch (row.type) {
    case "block.thinking": {
      const redacted = block.type === "redacted_thinking" ? { redacted: true as const } : {};
      const said = row.body.hidden ? "" : text(block.thinking);
      const data = { id: messageId(call, i), text: said, ...redacted, ...cut };
      return { type: "thinking.completed", turn, data };
    }
    case "block.text": {
      const data = { id: messageId(call, i), output_text: text(block.text), ...cut };
      return { type: "assistant.completed", turn, data };
    }
    case "block.tool": {
      const shown = toolBlock(block);
      const data = {
        id: toolCallId(call, i),
        ...shown,
        arguments: row.body.raw ?? shown.arguments,
      };
      // A call that was cut in the middle is shown, but nobody can answer it.
      if (row.body.runner === "client" && !partial)
        return { type: "tool_call.requested", turn, data };
      if (row.body.gate === "ask" && !partial) {
        const { reason = "" } = row.body;
        return { type: "confirmation.requested", turn, data: { ...data, reason } };
      }
      return { type: "tool.requested", turn, data: { ...data, ...cut } };
    }
    case "block.other": {
      const id = toolCallId(call, i);
      if (block.type === "server_tool_use") {
        return { type: "tool.requested", turn, data: { id, ...toolBlock(block), ...cut } };
      }
      if (typeof block.tool_use_id !== "string") return null;
      const data = { id, status: "ok", content: block.content ?? null, is_error: false };
      return { type: "tool.completed", turn, data };
    }
  }
}

function toolEndedEvent(row: RowOf<"tool.ended">): Event {
  const { tool, by, status, content, is_error } = row.body;
  const turn = turnId(row.body.turn);
  if (by === "client") {
    return { type: "tool_result.accepted", turn, data: { tool_call_id: tool, is_error } };
  }
  // Content blocks are JSON by construction; the interface has no index signature.
  const data = { id: tool, status, content: content as unknown as Json, is_error };
  return { type: "tool.completed", turn, data };
}

function turnUsage(totals: Totals): TurnUsage {
  const { prompt_tokens, completion_tokens, billed, estimated } = totals;
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: billed.cache_read_input_tokens },
    billed,
    estimated,
  };
}

/** The value of a JSON text; null where the view has not the text, as in a list of turns. */
function parsed(answer: string): Json {
  try {
    return JSON.parse(answer);
  } catch {
    return null;
  }
}

function outcomeEvent(row: RowOf<"outcome">, view: View): Event {
  const { outcome, totals, code, message, pending } = row.body;
  const ended = outcome === "budget_reached" && code !== undefined && message !== undefined;
  const turn = turnId(row.body.turn);
  const open = new Set(pending.map((call) => call.id));
  const result: TurnResult = {
    turn,
    outcome,
    finish_reason: outcome === "requires_action" ? "tool_calls" : "stop",
    output_text: view.output_text,
    ...(row.body.parsed === undefined
      ? {}
      : { output_parsed: row.body.parsed ? parsed(finalText(view)) : null }),
    tool_calls: view.pending.filter((call) => open.has(call.id)),
    usage: turnUsage(totals),
    cost_usd: totals.cost_usd,
    model: totals.model,
    duration_ms: totals.ms,
    ...(ended ? { code, message } : {}),
  };
  if (outcome === "interrupted") return { type: "turn.interrupted", turn, data: result };
  if (outcome === "failed") {
    const data = {
      ...result,
      code: code ?? "internal_error",
      message: message ?? "The turn failed.",
    };
    return { type: "turn.failed", turn, data };
  }
  return { type: "turn.completed", turn, data: result };
}
