/** The events of CC API, as the description of the API shows them. Loaded for that only. */
import * as v from "valibot";
import type { EventType } from "../../../shared/events.ts";
import { Anything, BilledUsage, result, Time, Turn, texts } from "./answers.ts";

const Id = v.string();
const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Flag = v.exactOptional(v.literal(true));
const Content = v.pipe(Anything, v.description("A text, or a list of content blocks."));

const call = { id: Id, name: v.string(), arguments: v.string() };
const outcome = { turn: Id, ...result, ...texts };

/** The data of each event. */
const DATA: Readonly<Record<EventType, v.GenericSchema>> = {
  "session.created": v.object({
    model: v.string(),
    name: v.exactOptional(v.string()),
    title: v.nullable(v.string()),
    metadata: v.looseObject({}),
  }),
  "session.updated": v.looseObject({}),
  "session.deleted": v.object({ reason: v.exactOptional(v.literal("expired")) }),
  "turn.started": v.object({ turn: Id, input_id: Id, input: Content }),
  "input.queued": v.object({
    input_id: Id,
    input: Content,
    start: v.picklist(["queued", "steer"]),
  }),
  "input.taken": v.object({ input_id: Id, as: v.literal("steer") }),
  "input.cancelled": v.object({ input_id: Id, reason: v.string() }),
  "turn.resumed": v.object({ turn: Id, by: v.picklist(["results", "confirmations"]) }),
  "thinking.completed": v.object({ id: Id, text: v.string(), redacted: Flag, partial: Flag }),
  "assistant.completed": v.object({ id: Id, output_text: v.string(), partial: Flag }),
  "tool_call.requested": v.object(call),
  "tool.requested": v.object({ ...call, partial: Flag }),
  "confirmation.requested": v.object({ ...call, reason: v.string() }),
  "confirmation.accepted": v.object({ id: Id, allow: v.boolean() }),
  "tool.started": v.object({ id: Id }),
  "tool.completed": v.object({
    id: Id,
    status: v.string(),
    content: Anything,
    is_error: v.boolean(),
  }),
  "tool_result.accepted": v.object({ tool_call_id: Id, is_error: v.boolean() }),
  "call.completed": v.object({
    call: Count,
    end: v.picklist(["ok", "interrupted", "failed", "lost"]),
    stop_reason: v.nullable(v.string()),
    usage: v.nullable(BilledUsage),
    estimated: v.boolean(),
    cost_usd: v.nullable(v.number()),
    request_id: v.nullable(v.string()),
    ms: Count,
    purpose: v.exactOptional(v.literal("compact")),
    cache_miss: v.exactOptional(
      v.object({
        reason: v.string(),
        tokens: Count,
        settings: v.exactOptional(v.array(v.string())),
      }),
    ),
  }),
  "turn.retrying": v.object({ code: v.string(), message: v.string(), attempt: Count, at: Time }),
  "session.context_changed": v.object({
    reason: v.string(),
    message: v.string(),
    left_out: v.array(v.string()),
  }),
  "instructions.changed": v.object({ path: v.string(), by: v.picklist(["owner", "files"]) }),
  "session.compacted": v.object({
    messages_before: Count,
    messages_after: Count,
    tokens_before: Count,
    tokens_after: Count,
    cost_usd: v.nullable(v.number()),
    method: v.picklist(["api", "summary"]),
  }),
  notice: v.object({ code: v.string(), message: v.string() }),
  "turn.completed": v.object(outcome),
  "turn.interrupted": v.object(outcome),
  "turn.failed": v.object({ ...outcome, code: v.string(), message: v.string() }),
  "assistant.delta": v.object({ id: Id, text: v.string() }),
  "thinking.delta": v.object({ id: Id, text: v.string() }),
  "tool_call.delta": v.object(call),
  "tool.output": v.object({ id: Id, text: v.string() }),
};

const eventOf = (type: string, data: v.GenericSchema) =>
  v.object({
    id: Count,
    type: v.literal(type),
    session_id: v.string(),
    turn_id: v.nullable(v.string()),
    created_at: Time,
    data,
  });

/** Events that no row of the log keeps, so only streams have them. */
const PASSING: ReadonlySet<string> = new Set<EventType>([
  "assistant.delta",
  "thinking.delta",
  "tool_call.delta",
  "tool.output",
]);

/** `turn.started` is `TurnStartedEvent`. */
const nameOf = (type: string): string =>
  `${type.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase())}Event`;

const ENTRIES = Object.entries(DATA).map(([type, data]) => ({ type, schema: eventOf(type, data) }));

/** The schemas of all events, by name. */
export const EVENT_SCHEMAS: Readonly<Record<string, v.GenericSchema>> = Object.fromEntries(
  ENTRIES.map(({ type, schema }) => [nameOf(type), schema]),
);

/** An event of the history. */
export const Event = v.variant(
  "type",
  ENTRIES.filter(({ type }) => !PASSING.has(type)).map(({ schema }) => schema),
);

export const StreamError = v.object({
  type: v.literal("error"),
  code: v.string(),
  message: v.string(),
  retryable: v.pipe(
    v.boolean(),
    v.description("Send it again later, or connect again with `cursor`."),
  ),
  turn: v.exactOptional(v.string()),
  cursor: v.exactOptional(v.string()),
  head: v.exactOptional(v.number()),
});

/** The frames of a session's stream. */
export const STREAM_FRAMES: Readonly<Record<string, v.GenericSchema>> = {
  ...Object.fromEntries(ENTRIES.map(({ type, schema }) => [type, schema])),
  error: StreamError,
};

/** The frames of a turn's own stream. */
export const TURN_FRAMES: Readonly<Record<string, v.GenericSchema>> = {
  ...STREAM_FRAMES,
  "turn.response": Turn,
  done: v.object({ status: v.picklist(["completed", "interrupted"]) }),
};
