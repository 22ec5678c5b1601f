import type { Rule } from "./rule.ts";
import { describeRules, on, set, textBlock, without } from "./rule.ts";
import { baseRequest, image } from "./support.ts";

const RULES: readonly Rule[] = [
  {
    rule: "max_tokens missing",
    base: baseRequest,
    broken: without("max_tokens"),
    message: /^max_tokens: Field required/,
  },
  {
    rule: "max_tokens no integer",
    base: baseRequest,
    broken: set("max_tokens", "many"),
    message: /^max_tokens: Input should be a valid integer/,
  },
  {
    rule: "max_tokens negative",
    base: baseRequest,
    broken: set("max_tokens", -1),
    message: /^max_tokens: Input should be greater/,
  },
  {
    rule: "max_tokens above the model's",
    base: baseRequest,
    broken: set("max_tokens", 128_001),
    message: /^max_tokens: 128001 > 128000, which is the maximum/,
  },
  {
    rule: "model missing",
    base: baseRequest,
    broken: without("model"),
    message: /^model: Field required/,
  },
  {
    rule: "model unknown",
    base: baseRequest,
    broken: set("model", "claude-nobody"),
    message: /^model: claude-nobody/,
    status: 404,
    type: "not_found_error",
  },
  {
    rule: "model retired",
    base: baseRequest,
    broken: set("model", "claude-3-opus-20240229"),
    message: /^model: claude-3-opus/,
    status: 404,
    type: "not_found_error",
  },
  {
    rule: "messages missing",
    base: baseRequest,
    broken: without("messages"),
    message: /^messages: Field required/,
  },
  {
    rule: "messages empty",
    base: baseRequest,
    broken: set("messages", []),
    message: /at least one message is required/,
  },
  {
    rule: "unknown field",
    base: baseRequest,
    broken: set("colour", "red"),
    message: /^colour: Extra inputs are not permitted/,
  },
  {
    rule: "beta field without its header",
    base: baseRequest,
    broken: set("compaction", { type: "summarize" }),
    message: /^compaction: Extra inputs/,
  },
  {
    rule: "stop sequence of blanks",
    base: baseRequest,
    broken: set("stop_sequences", [" "]),
    message: /stop_sequences: each stop sequence must contain non-whitespace/,
  },
  {
    rule: "metadata field unknown",
    base: baseRequest,
    broken: set("metadata", { email: "x" }),
    message: /^metadata.email: Extra inputs/,
  },
  {
    rule: "service tier unknown",
    base: baseRequest,
    broken: set("service_tier", "gold"),
    message: /^service_tier: Input should be 'auto' or 'standard_only'/,
  },
  {
    rule: "system empty",
    base: baseRequest,
    broken: set("system", ""),
    message: /^system: text content blocks must be non-empty/,
  },
  {
    rule: "system block of another kind",
    base: baseRequest,
    broken: set("system", [image()]),
    message: /^system.0.type: Input should be 'text'/,
  },
  {
    rule: "system block empty",
    base: baseRequest,
    broken: set("system", [textBlock("")]),
    message: /^system.0: text content blocks must be non-empty/,
  },
  {
    rule: "speed on a slow model",
    base: on("claude-opus-5-5", { speed: "fast" }),
    broken: set("model", "claude-sonnet-5-5"),
    message: /^speed: "fast" is not supported/,
  },
  {
    rule: "effort level unknown",
    base: baseRequest,
    broken: set("output_config", { effort: "huge" }),
    message: /^output_config.effort: Input should be/,
  },
  {
    rule: "effort xhigh on 4.6",
    base: on("claude-opus-4-6", { output_config: { effort: "max" } }),
    broken: set("output_config", { effort: "xhigh" }),
    message: /'xhigh' is not supported on this model/,
  },
  {
    rule: "effort on Haiku 4.5",
    base: on("claude-haiku-4-5"),
    broken: set("output_config", { effort: "low" }),
    message: /does not support the effort parameter/,
  },
  {
    rule: "output schema open",
    base: () => ({
      ...baseRequest(),
      output_config: {
        format: { type: "json_schema", schema: { type: "object", additionalProperties: false } },
      },
    }),
    broken: set("output_config", { format: { type: "json_schema", schema: { type: "object" } } }),
    message: /additionalProperties/,
  },
  {
    rule: "temperature under 2026-10-21",
    base: on("claude-haiku-4-5"),
    broken: set("temperature", 1),
    message: /^temperature: Extra inputs/,
  },
  {
    rule: "temperature on a model without",
    base: baseRequest,
    broken: set("temperature", 1),
    message: /`temperature` is deprecated for this model/,
    headers: { "anthropic-version": "2023-06-01" },
  },
  {
    rule: "top_p on a model without",
    base: baseRequest,
    broken: set("top_p", 0.5),
    message: /`top_p` is deprecated/,
    headers: { "anthropic-version": "2023-06-01" },
  },
  {
    rule: "temperature out of range",
    base: on("claude-haiku-4-5", { temperature: 0.5 }),
    broken: set("temperature", 2),
    message: /^temperature: Input should be less than or equal to 1/,
    headers: { "anthropic-version": "2023-06-01" },
  },
];

describeRules("parameters", RULES);
