/** What clients see of each row: the row and the view before it make a list of events. Pure. */
import type { Json, ModelBlock } from "./content.ts";
import type { Event, TurnResult, TurnUsage } from "./events.ts";
import { inputId, messageId, toolCallId, turnId } from "./ids.ts";
import type { Row, RowOf } from "./rows.ts";
import type { Totals } from "./usage.ts";
import { finalText, type View } from "./view.ts";

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
      const { model, name, title, metadata } = row.body.config;
      const named = name == null ? {} : { name };
      return { type: row.type, turn: null, data: { model, ...named, title, metadata } };
    }
    case "session.updated": {
      const { settings, model_facts: _, system_prompt, ...config } = row.body.config;
      const prompt = system_prompt === undefined ? {} : { system_prompt_changed: true as const };
      return { type: row.type, turn: null, data: { ...config, ...prompt, ...settings } };
    }
    case "session.deleted": {
      const { reason } = row.body;
      return { type: row.type, turn: null, data: reason ? { reason } : {} };
    }
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
    case "webhook.requested":
    case "webhook.attempted":
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
