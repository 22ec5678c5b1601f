/**
 * What the routes of CC API answer, as the description of the API shows it. It is loaded for that only,
 * so it imports nothing that has to do with how routes work.
 */
import * as v from "valibot";
import { EFFORTS } from "../../../shared/settings.ts";
import { SESSION_STATUSES } from "../../../shared/summary.ts";

export const said = <S extends v.GenericSchema>(schema: S, words: string) =>
  v.pipe(schema, v.description(words));

export const Time = v.pipe(v.string(), v.isoTimestamp());
export const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
export const Usd = v.pipe(v.number(), v.minValue(0), v.description("US dollars"));
/** Any JSON. */
export const Anything = v.custom<unknown>(() => true);

/** A page of a list, newest first. */
export const page = <S extends v.GenericSchema>(item: S) =>
  v.object({
    data: v.array(item),
    has_more: said(v.boolean(), "There may be more: ask again with `cursor=<next_cursor>`."),
    next_cursor: v.nullable(v.string()),
  });

export const BilledUsage = v.object({
  input_tokens: Count,
  output_tokens: Count,
  cache_creation_input_tokens: Count,
  cache_read_input_tokens: Count,
  cache_creation_1h_input_tokens: v.exactOptional(Count),
  thinking_tokens: v.exactOptional(Count),
  web_search_requests: v.exactOptional(Count),
  inference_geo: v.exactOptional(v.string()),
  speed: v.exactOptional(v.string()),
  service_tier: v.exactOptional(v.string()),
});

const usageEntries = {
  prompt_tokens: Count,
  completion_tokens: Count,
  total_tokens: Count,
  prompt_tokens_details: v.object({ cached_tokens: Count }),
  billed: BilledUsage,
};

export const ToolCall = v.object({
  id: v.string(),
  type: v.literal("function"),
  function: v.object({
    name: v.string(),
    arguments: said(v.string(), "A JSON text."),
  }),
});

export const Permissions = v.object({
  mode: v.picklist(["default", "acceptEdits", "plan", "bypassPermissions", "dontAsk"]),
  allow: v.array(v.string()),
  ask: v.array(v.string()),
  deny: v.array(v.string()),
  unattended: v.exactOptional(v.literal(true)),
});

const listedSession = {
  id: v.string(),
  object: v.literal("session"),
  model: v.string(),
  name: v.nullable(v.string()),
  title: v.nullable(v.string()),
  first_message: said(v.nullable(v.string()), "The beginning of the first message."),
  metadata: v.looseObject({}),
  status: v.picklist(SESSION_STATUSES),
  turn_count: Count,
  usage: v.object(usageEntries),
  cost_usd: said(v.nullable(Usd), "Null once a model without a known price was used."),
  max_budget_usd: v.nullable(Usd),
  spent_usd: Usd,
  last_event_id: Count,
  created_at: Time,
  updated_at: Time,
};

export const ListedSession = v.object(listedSession);

export const Session = v.object({
  ...listedSession,
  system_prompt: v.nullable(v.string()),
  permissions: v.nullable(Permissions),
  thinking: v.nullable(
    v.object({
      type: v.picklist(["adaptive", "between_tools", "disabled", "enabled"]),
      budget_tokens: v.exactOptional(Count),
      display: v.exactOptional(v.picklist(["summarized", "omitted"])),
    }),
  ),
  effort: v.nullable(v.picklist(EFFORTS)),
  output_format: v.nullable(
    v.variant("type", [
      v.object({ type: v.literal("json_schema"), schema: v.looseObject({}) }),
      v.object({ type: v.literal("text") }),
    ]),
  ),
  stop_sequences: v.nullable(v.array(v.string())),
  service_tier: v.nullable(v.string()),
  speed: v.nullable(v.string()),
  user_id: v.nullable(v.string()),
  cache_ttl: v.picklist(["5m", "1h"]),
  own_anthropic_key: v.boolean(),
  pending_tool_calls: said(v.array(ToolCall), "Calls that wait for the client."),
});

const OUTCOMES = [
  "completed",
  "requires_action",
  "interrupted",
  "failed",
  "refused",
  "budget_reached",
  "max_turns",
] as const;

const TURN_STATUSES = [
  "queued",
  "cancelled",
  "running",
  "awaiting_tool_results",
  "finished",
] as const;

const turnId = {
  id: v.string(),
  object: v.literal("turn"),
  session_id: v.string(),
};

/** Figures and end of a turn. */
export const result = {
  outcome: v.picklist(OUTCOMES),
  finish_reason: v.picklist(["stop", "tool_calls"]),
  usage: v.object({ ...usageEntries, estimated: v.boolean() }),
  cost_usd: v.nullable(Usd),
  model: v.string(),
  duration_ms: Count,
  code: v.exactOptional(v.string()),
  message: v.exactOptional(v.string()),
};

export const texts = {
  output_text: v.string(),
  output_parsed: v.exactOptional(
    said(Anything, "With an `output_format`: the answer as a value, or null."),
  ),
  tool_calls: v.array(ToolCall),
};

export const Turn = v.object({ ...turnId, ...result, ...texts, created_at: Time });

const unfinished = {
  ...turnId,
  outcome: v.null(),
  finish_reason: v.null(),
  usage: v.null(),
  cost_usd: v.null(),
  status: v.picklist(TURN_STATUSES),
  created_at: Time,
};

const status = { status: v.picklist(TURN_STATUSES) };

export const TurnNow = v.union([
  said(v.object({ ...turnId, ...result, ...texts, ...status, created_at: Time }), "It has ended."),
  said(
    v.object({ ...unfinished, output_text: v.string(), tool_calls: v.array(ToolCall) }),
    "It goes on.",
  ),
]);

export const ListedTurn = v.union([
  said(v.object({ ...turnId, ...result, ...status, created_at: Time }), "It has ended."),
  said(v.object(unfinished), "It goes on."),
]);

export const AcceptedTurn = v.object({
  ...turnId,
  status: v.literal("accepted"),
  url: said(v.string(), "Where its result will be."),
});

export const ContextSize = v.object({
  used: Count,
  window: Count,
  reserve: Count,
  free: v.number(),
  exact: v.boolean(),
  categories: v.object({ system: Count, tools: Count, messages: Count, media: Count }),
  model: v.string(),
  cache: v.nullable(v.object({ read: Count, written: Count, fresh: Count })),
  compact_at: v.nullable(Count),
  notice: v.exactOptional(v.object({ code: v.string(), message: v.string() })),
});

export const Compaction = v.object({
  id: v.string(),
  compacted: v.boolean(),
  scheduled: v.exactOptional(said(v.literal(true), "It is done later.")),
  reason: v.exactOptional(v.string()),
  messages_before: v.exactOptional(v.nullable(Count)),
  messages_after: v.exactOptional(v.nullable(Count)),
  summary_chars: v.exactOptional(Count),
  tokens_before: v.exactOptional(v.nullable(Count)),
  tokens_after: v.exactOptional(v.nullable(Count)),
  cost_usd: v.exactOptional(v.nullable(Usd)),
  method: v.exactOptional(v.picklist(["api", "summary"])),
});

export const Interruption = v.object({
  id: v.string(),
  interrupted: v.boolean(),
  status: v.picklist(SESSION_STATUSES),
  turn: said(v.nullable(v.string()), "The turn that was stopped."),
  queued: said(v.array(v.string()), "Messages that still wait."),
  cancelled: v.array(v.string()),
});

export const SearchHit = v.object({
  id: said(Count, "The `id` of the event."),
  type: v.string(),
  role: v.picklist(["user", "assistant", "tool"]),
  snippet: v.string(),
  match: said(
    v.object({ start: Count, length: Count }),
    "Where it is in the snippet, in UTF-16 units.",
  ),
  session_id: v.string(),
  turn_id: v.nullable(v.string()),
  created_at: Time,
});

export const PendingCall = v.object({
  id: v.string(),
  type: v.picklist(["confirmation", "tool_call"]),
  name: v.string(),
  arguments: said(v.string(), "A JSON text."),
  reason: v.exactOptional(v.string()),
  rule: v.exactOptional(said(v.string(), "What `allow_always` adds to the session's rules.")),
  turn_id: v.string(),
  requested_at: Time,
});

export const QueuedInput = v.object({
  id: v.string(),
  input_id: v.string(),
  input: said(Anything, "A text, or a list of content blocks."),
  start: v.picklist(["queued", "steer"]),
  created_at: Time,
});

const file = {
  path: v.string(),
  name: v.string(),
  type: v.picklist(["file", "directory", "symlink"]),
  size: Count,
  modified_at: Time,
};

export const ListedFile = v.object(file);
export const File = v.object({ ...file, sha256: v.exactOptional(v.string()) });

/** The last line of an export that could not be finished. */
export const CutExport = v.object({
  type: v.literal("error"),
  code: v.string(),
  message: v.string(),
  retryable: v.boolean(),
});

export const Template = v.object({
  name: v.string(),
  object: v.literal("template"),
  builtin: said(v.boolean(), "It is one of Ledge's own."),
  description: v.nullable(v.string()),
  system_prompt: v.nullable(v.string()),
  model: v.nullable(v.string()),
  max_turns: v.nullable(Count),
  permission_mode: v.nullable(v.string()),
  effort: v.nullable(v.picklist(EFFORTS)),
  allowed_tools: v.nullable(v.string()),
  disallowed_tools: v.nullable(v.string()),
});
