import type { EventData, EventType } from "../../src/shared/events.ts";

const usage = {
  input_tokens: 161,
  output_tokens: 31,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};

const result = {
  turn: "turn_8",
  outcome: "completed",
  finish_reason: "stop",
  output_text: "1 2 3",
  tool_calls: [],
  usage: {
    prompt_tokens: 161,
    completion_tokens: 31,
    total_tokens: 192,
    prompt_tokens_details: { cached_tokens: 0 },
    billed: usage,
    estimated: false,
  },
  cost_usd: 0.000632,
  model: "claude-sonnet-5-5",
  duration_ms: 628,
} as const;

/** One example of each event, as `docs/wire.md` shows them. */
const EVENT_EXAMPLES = {
  "session.created": { model: "claude-sonnet-5-5", title: null, metadata: {} },
  "session.updated": { title: "Trip to Oslo" },
  "session.deleted": {},
  "turn.started": { turn: "turn_8", input_id: "input_8", input: "Count to 3." },
  "input.queued": { input_id: "input_12", input: "And to 5.", start: "queued" },
  "input.taken": { input_id: "input_12", as: "steer" },
  "input.cancelled": { input_id: "input_12", reason: "client" },
  "turn.resumed": { turn: "turn_2", by: "results" },
  "thinking.delta": { id: "msg_9_0", text: "The user wants" },
  "thinking.completed": { id: "msg_9_0", text: "The user wants three numbers." },
  "assistant.delta": { id: "msg_9_1", text: " 2 3" },
  "assistant.completed": { id: "msg_9_1", output_text: "1 2 3" },
  "tool_call.delta": { id: "call_3_2", name: "weather", arguments: '{"city":' },
  "tool_call.requested": { id: "call_3_2", name: "weather", arguments: '{"city":"Paris"}' },
  "tool.requested": { id: "call_3_3", name: "wether", arguments: "{}" },
  "confirmation.requested": {
    id: "call_3_4",
    name: "Bash",
    arguments: '{"command":"rm notes.md"}',
    reason: "The mode default asks before Bash runs.",
  },
  "confirmation.accepted": { id: "call_3_4", allow: true },
  "tool.started": { id: "call_3_3" },
  "tool.output": { id: "call_3_3", text: "line 1\n" },
  "tool.completed": {
    id: "call_3_3",
    status: "error",
    content: [
      { type: "text", text: "Not run: there is no tool wether in this turn. Offered: weather." },
    ],
    is_error: true,
  },
  "tool_result.accepted": { tool_call_id: "call_3_2", is_error: false },
  "call.completed": {
    call: 9,
    end: "ok",
    stop_reason: "end_turn",
    usage,
    estimated: false,
    cost_usd: 0.000632,
    request_id: "req_015NKhDd6tCQcg113MnXuDQ6",
    ms: 628,
  },
  "turn.retrying": {
    code: "overloaded",
    message: "The model API is overloaded.",
    attempt: 2,
    at: "2026-11-20T05:14:10.570Z",
  },
  "session.context_changed": {
    reason: "refusal",
    message: "The model refused this message, so it was left out of the context.",
    left_out: ["input_8"],
  },
  "instructions.changed": { path: "/workspace/CLAUDE.md", by: "owner" },
  "session.compacted": {
    messages_before: 64,
    messages_after: 21,
    tokens_before: 812_304,
    tokens_after: 96_400,
    cost_usd: 0.112,
    method: "api",
  },
  notice: {
    code: "output_limit",
    message: "The answer reached the output limit 4 times and was not continued further.",
  },
  "turn.completed": result,
  "turn.interrupted": { ...result, outcome: "interrupted" },
  "turn.failed": {
    ...result,
    outcome: "failed",
    output_text: "",
    code: "overloaded",
    message:
      "The model API is overloaded. It was tried 8 times. Send the message again in a few minutes.",
  },
} satisfies { [T in EventType]: { [Field in keyof EventData[T]]: unknown } };

/** The block of examples in `docs/wire.md`. */
export const exampleLines = (): string =>
  Object.entries(EVENT_EXAMPLES)
    .map(([type, data]) => JSON.stringify({ type, data }))
    .join("\n");
