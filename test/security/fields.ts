/** What the bodies and queries of routes may hold, each with a value that fits. */
import type { JsonObject } from "../../src/shared/content.ts";

const SETTINGS: JsonObject = {
  thinking: { type: "enabled", budget_tokens: 4_096, display: "summarized" },
  effort: "low",
  output_format: {
    type: "json_schema",
    schema: {
      type: "object",
      properties: { a: { type: "string" } },
      required: ["a"],
      additionalProperties: false,
    },
  },
  stop_sequences: ["END"],
  service_tier: "auto",
  speed: "standard",
  user_id: "user-1",
  permissions: { mode: "default", allow: ["Bash(git *)"], ask: ["WebFetch"], deny: ["Read(a/**)"] },
  max_budget_usd: 1,
};

const TOOLS = [
  {
    type: "function",
    function: {
      name: "look",
      description: "Looks.",
      parameters: { type: "object", properties: { at: { type: "string" } } },
    },
  },
  { name: "hear", input_schema: { type: "object" } },
];

const SESSION: JsonObject = {
  ...SETTINGS,
  title: "A title",
  metadata: { a: { b: [1] } },
  cache_ttl: "1h",
};

/** An image of 16 by 16 without pixels. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9hAAAAAElFTkSuQmCC";

const BLOCKS = [
  { type: "text", text: "Hello" },
  { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } },
  { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
  {
    type: "document",
    source: { type: "text", media_type: "text/plain", data: "A text" },
    title: "T",
    context: "C",
    citations: { enabled: false },
  },
];

const KEY: JsonObject = {
  name: "a key",
  scopes: ["read"],
  expires_at: "2099-01-01T00:00:00Z",
  expires_in_seconds: 60,
  rate_limit: { requests: 30, window_seconds: 60 },
  budgets: { day_usd: 1, month_usd: 2, total_usd: 3 },
};

const TEMPLATE: JsonObject = {
  description: "Short answers.",
  system_prompt: "Be brief.",
  model: "claude-sonnet-5-5",
  max_turns: 3,
  permission_mode: "plan",
  effort: "low",
  allowed_tools: "Read,Bash(git *)",
  disallowed_tools: "WebFetch",
};

const CHAT: JsonObject = {
  prompt: "Hello",
  session_id: "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV",
  model: "sonnet",
  system_prompt: "Be brief.",
  max_budget_usd: 1,
  permission_mode: "plan",
  allowed_tools: ["Read", "Bash(git *)"],
  cwd: "/home/me/project",
};

const MESSAGE: JsonObject = {
  message: "Hello",
  model: "sonnet",
  system: "Be brief.",
  effort: "low",
  permission_mode: "plan",
  output_format: { type: "json" },
};

/** By route; routes without a body that can be taken apart are not here. */
export const FIELDS: Readonly<Record<string, JsonObject>> = {
  "PUT /api/account/anthropic-key": { api_key: "sk-ant-0123456789" },
  "POST /api/keys": { ...KEY, account: "somebody" },
  "PATCH /api/keys/:key": KEY,
  "POST /api/templates/import": { imported: TEMPLATE },
  "PUT /api/templates/:template": TEMPLATE,
  "POST /api/sessions": {
    ...SESSION,
    template: "docs",
    model: "claude-sonnet-5-5",
    system_prompt: "Be brief.",
    name: "a name",
    tools: TOOLS,
  },
  "PATCH /api/sessions/:id": SESSION,
  "POST /api/sessions/:id/interrupt": { cancel_queued: true },
  "POST /api/sessions/:id/compact": { keep_recent_messages: 500, instructions: "Short." },
  "POST /api/sessions/:id/turns": {
    ...SETTINGS,
    input: BLOCKS,
    tools: TOOLS,
    tool_choice: "auto",
    parallel_tool_calls: true,
    stream: false,
    on_busy: "queue",
  },
  "POST /api/v1/sessions": {
    name: "a project",
    template: "docs",
    user_id: "somebody",
    system_prompt: "Be brief.",
    model: "sonnet",
    max_turns: 3,
    permission_mode: "plan",
    effort: "low",
    allowed_tools: "Read,Bash(git *)",
    disallowed_tools: "WebFetch",
  },
  "POST /api/v1/sessions/:name/repo": { working_dir: "." },
  "POST /api/v1/sessions/:name/chat": MESSAGE,
  "POST /api/v1/sessions/:name/chat/stream": {
    ...MESSAGE,
    output_format: SETTINGS.output_format ?? null,
  },
  "POST /api/v1/sessions/:name/jobs": { ...MESSAGE, webhook_url: "https://hooks.example.com/" },
  "POST /api/v1/tokens/count": { text: "Hello" },
  "POST /v1/chat": CHAT,
  "POST /v1/chat/stream": CHAT,
  "POST /api/sessions/:id/tool-results": {
    results: [
      { tool_call_id: "call_5_0", content: BLOCKS, is_error: false },
      { tool_call_id: "call_5_1", content: { any: ["thing"] } },
    ],
    tools: TOOLS,
    tool_choice: "none",
    parallel_tool_calls: false,
    stream: true,
  },
  "POST /api/sessions/:id/confirmations": {
    confirmations: [
      { tool_call_id: "call_5_0", decision: "deny", message: "No.", input: { command: "ls" } },
    ],
    stream: false,
  },
  "POST /api/sessions/:id/files/move": { from: "a.txt", to: "b.txt", overwrite: true },
  "POST /api/sessions/:id/files/directories": { path: "d/e" },
  "POST /api/sessions/:id/files/git": {
    url: "https://127.0.0.1/a.git",
    path: "repo",
    ref: "main",
  },
};

/** Of all routes; `wait`, which would make a test wait, is not here. */
export const QUERY_NAMES = [
  "account",
  "action",
  "after",
  "before",
  "created_after",
  "created_before",
  "cursor",
  "exact",
  "from",
  "group",
  "key",
  "limit",
  "media",
  "model",
  "name",
  "page",
  "path",
  "q",
  "recursive",
  "session",
  "status",
  "ticket",
  "to",
  "type",
  "user_id",
  "__proto__",
  "limit[]",
] as const;
