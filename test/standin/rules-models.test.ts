import type { Rule } from "./rule.ts";
import { describeRules, on, set, without } from "./rule.ts";
import { baseRequest } from "./support.ts";

const RULES: readonly Rule[] = [
  {
    rule: "thinking of unknown type",
    base: baseRequest,
    broken: set("thinking", { type: "deep" }),
    message: /^thinking: Input tag 'deep'/,
  },
  {
    rule: "thinking budget on Sonnet 5.5",
    base: baseRequest,
    broken: set("thinking", { type: "enabled", budget_tokens: 1_024 }),
    message: /"enabled" is not supported/,
  },
  {
    rule: "thinking disabled on Sonnet 5.5",
    base: () => set("thinking", { type: "between_tools" })(baseRequest()),
    broken: set("thinking", { type: "disabled" }),
    message: /"disabled" is not supported/,
  },
  {
    rule: "thinking disabled on Fable",
    base: on("claude-fable-5"),
    broken: set("thinking", { type: "disabled" }),
    message: /"disabled" is not supported/,
  },
  {
    rule: "between_tools on Opus 5.5",
    base: on("claude-opus-5-5", { thinking: { type: "adaptive" } }),
    broken: set("thinking", { type: "between_tools" }),
    message: /"between_tools" is not supported/,
  },
  {
    rule: "thinking budget on Opus 4.8",
    base: on("claude-opus-4-8", { thinking: { type: "adaptive" } }),
    broken: set("thinking", { type: "enabled", budget_tokens: 1_024 }),
    message: /"enabled" is not supported/,
  },
  {
    rule: "adaptive thinking on Haiku 4.5",
    base: on("claude-haiku-4-5", {
      max_tokens: 2_000,
      thinking: { type: "enabled", budget_tokens: 1_024 },
    }),
    broken: set("thinking", { type: "adaptive" }),
    message: /"adaptive" is not supported/,
  },
  {
    rule: "thinking disabled above high effort on Opus 5",
    base: on("claude-opus-5", {
      thinking: { type: "disabled" },
      output_config: { effort: "high" },
    }),
    broken: set("output_config", { effort: "xhigh" }),
    message: /"disabled" is not supported at effort "xhigh"/,
  },
  {
    rule: "thinking budget too small",
    base: on("claude-haiku-4-5", {
      max_tokens: 2_000,
      thinking: { type: "enabled", budget_tokens: 1_024 },
    }),
    broken: set("thinking", { type: "enabled", budget_tokens: 1_023 }),
    message: /budget_tokens: Input should be greater than or equal to 1024/,
  },
  {
    rule: "thinking budget not below max_tokens",
    base: on("claude-haiku-4-5", {
      max_tokens: 1_025,
      thinking: { type: "enabled", budget_tokens: 1_024 },
    }),
    broken: set("max_tokens", 1_024),
    message: /`max_tokens` must be greater than `thinking.budget_tokens`/,
  },
  {
    rule: "thinking display unknown",
    base: () => set("thinking", { type: "adaptive", display: "summarized" })(baseRequest()),
    broken: set("thinking", { type: "adaptive", display: "loud" }),
    message: /display: Input should be 'summarized' or 'omitted'/,
  },
  {
    rule: "block_binding without its header",
    base: () => set("thinking", { type: "adaptive" })(baseRequest()),
    broken: set("thinking", { type: "adaptive", block_binding: {} }),
    message: /block_binding: Extra inputs/,
  },
  ...["claude-fable-5-1", "claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5"].flatMap(
    (model): Rule[] => [
      {
        rule: `tool_choice any on ${model}`,
        base: on(model, { tool_choice: { type: "auto" } }),
        broken: set("tool_choice", { type: "any" }),
        message: /^tool_choice.type: "any" is not supported/,
      },
      {
        rule: `tool_choice tool on ${model}`,
        base: on(model, { tool_choice: { type: "none" } }),
        broken: set("tool_choice", { type: "tool", name: "get_weather" }),
        message: /^tool_choice.type: "tool" is not supported/,
      },
    ],
  ),
  {
    rule: "forced tool with a thinking budget",
    base: on("claude-haiku-4-5", {
      max_tokens: 2_000,
      thinking: { type: "enabled", budget_tokens: 1_024 },
    }),
    broken: set("tool_choice", { type: "any" }),
    message: /Thinking may not be enabled when tool_choice forces tool use/,
  },
  {
    rule: "tool_choice without tools",
    base: on("claude-haiku-4-5", { tool_choice: { type: "any" } }),
    broken: without("tools"),
    message: /tool_choice: may only be specified while providing `tools`/,
  },
  {
    rule: "tool_choice of an unknown tool",
    base: on("claude-haiku-4-5", { tool_choice: { type: "tool", name: "get_weather" } }),
    broken: set("tool_choice", { type: "tool", name: "nothing" }),
    message: /Tool 'nothing' not found/,
  },
  {
    rule: "tool_choice without a name",
    base: on("claude-haiku-4-5"),
    broken: set("tool_choice", { type: "tool" }),
    message: /^tool_choice.tool.name: Field required/,
  },
  {
    rule: "tool_choice of unknown type",
    base: baseRequest,
    broken: set("tool_choice", { type: "maybe" }),
    message: /^tool_choice.type: Input should be/,
  },
];

describeRules("models", RULES);
