/** What the routes of claude-code-api answer, as the description of the API shows it. Loaded for that only. */
import * as v from "valibot";

const said = <S extends v.GenericSchema>(schema: S, words: string) =>
  v.pipe(schema, v.description(words));

const Time = v.pipe(v.string(), v.isoTimestamp());
const Count = v.pipe(v.number(), v.integer(), v.minValue(0));
const Usd = v.pipe(v.number(), v.minValue(0), v.description("US dollars"));

export const Meta = v.object({
  request_id: v.string(),
  timestamp: Time,
  version: v.literal("v1"),
});

export const Pagination = v.object({ total: Count, page: Count, limit: Count, pages: Count });

/** The envelope. */
export const enveloped = <S extends v.GenericSchema, E extends v.ObjectEntries>(
  data: S,
  beside?: E,
) => v.object({ data, ...beside, meta: Meta });

export const CodeSession = v.object({
  name: v.string(),
  user_id: v.string(),
  working_dir: v.string(),
  system_prompt: v.nullable(v.string()),
  model: v.nullable(v.string()),
  max_turns: v.nullable(Count),
  permission_mode: v.nullable(v.string()),
  effort: v.nullable(v.string()),
  allowed_tools: v.nullable(v.string()),
  disallowed_tools: v.nullable(v.string()),
  status: said(v.picklist(["pending", "active"]), "`pending` until its first turn has begun."),
  total_cost: Usd,
  total_turns: Count,
  created_at: Time,
  updated_at: Time,
});

const ToolUse = v.object({ name: v.string(), input: v.looseObject({}) });

const result = {
  session_id: v.string(),
  content: v.string(),
  cost: Usd,
  duration_ms: Count,
  num_turns: Count,
  tools_used: v.array(ToolUse),
};

const ChatResult = v.object(result);

export const CodeAnswer = v.object({
  ...result,
  outcome: v.exactOptional(said(v.string(), "Where it is not `completed`: how the turn ended.")),
});

/** The frames of a chat. */
export const CHAT_FRAMES: Readonly<Record<string, v.GenericSchema>> = {
  delta: v.object({ delta: v.object({ text: v.string() }) }),
  assistant: v.object({ content: v.string(), tool_name: v.null() }),
  tool: v.object({ content: v.null(), tool_name: v.string() }),
  done: CodeAnswer,
  error: v.object({ error: v.string(), code: v.string() }),
};

export const CodeMessage = v.object({
  role: v.picklist(["user", "assistant"]),
  content: v.string(),
  tools_used: v.nullable(v.array(ToolUse)),
  cost: Usd,
  duration_ms: Count,
  created_at: Time,
});

const Delivery = v.object({
  id: v.string(),
  state: v.picklist(["pending", "delivered", "failed"]),
  attempts: Count,
  last_status: v.nullable(Count),
  last_error: v.nullable(v.string()),
  next_at: v.nullable(Time),
  delivered_at: v.nullable(Time),
});

export const Job = v.object({
  id: v.string(),
  status: v.picklist(["queued", "running", "done", "failed", "cancelled"]),
  message: v.string(),
  webhook_url: v.nullable(v.string()),
  result: v.nullable(ChatResult),
  error: v.nullable(v.string()),
  cost: Usd,
  duration_ms: Count,
  tools_used: v.nullable(v.array(ToolUse)),
  created_at: Time,
  started_at: v.nullable(Time),
  completed_at: v.nullable(Time),
  delivery: said(v.nullable(Delivery), "What became of the webhook."),
});

export const CodeFile = v.object({
  name: v.string(),
  path: v.string(),
  type: v.picklist(["file", "directory"]),
  size: v.nullable(Count),
});

export const CodeTemplate = v.object({
  name: v.string(),
  builtin: v.boolean(),
  description: v.nullable(v.string()),
  system_prompt: v.nullable(v.string()),
  model: v.nullable(v.string()),
  max_turns: v.nullable(Count),
  permission_mode: v.nullable(v.string()),
  effort: v.nullable(v.string()),
  allowed_tools: v.nullable(v.string()),
  disallowed_tools: v.nullable(v.string()),
});

export const CodeUsage = v.object({
  sessions: Count,
  cost: Usd,
  turns: Count,
  messages: Count,
  jobs: v.object({
    total: Count,
    completed: v.nullable(Count),
    running: v.nullable(Count),
    failed: v.nullable(Count),
  }),
});

export const AuditMessage = v.object({
  id: v.string(),
  session_rowid: v.string(),
  role: v.picklist(["user", "assistant"]),
  content: said(v.string(), "The first 500 characters."),
  tools_used: said(v.nullable(v.string()), "A JSON text."),
  cost: Usd,
  duration_ms: Count,
  created_at: Time,
  session_name: v.string(),
  user_id: v.string(),
});

export const Health = v.object({
  status: v.picklist(["ok", "degraded"]),
  checks: v.object({
    database: v.picklist(["ok", "error"]),
    claude_cli: said(
      v.picklist(["ok", "not_found"]),
      "There is no program: the same as `anthropic_api`.",
    ),
    anthropic_api: v.picklist(["ok", "no_key"]),
  }),
  meta: Meta,
});

export const TokenCount = v.object({
  characters: Count,
  words: Count,
  estimated_tokens: Count,
});

export const Accepted = v.object({
  session_id: v.string(),
  status: v.literal("accepted"),
  url: said(v.string(), "Where its messages will be."),
});
