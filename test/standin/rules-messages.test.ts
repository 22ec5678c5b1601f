import type { Rule } from "./rule.ts";
import { describeRules, says, set, textBlock, withBlock } from "./rule.ts";
import { assistant, baseRequest, call, pdf, result, user } from "./support.ts";

const RULES: readonly Rule[] = [
  {
    rule: "first message by the assistant",
    base: baseRequest,
    broken: set("messages", [assistant("hi"), user("hello")]),
    message: /first message must use the "user" role/,
  },
  {
    rule: "more than 100,000 messages",
    base: baseRequest,
    broken: set(
      "messages",
      Array.from({ length: 100_001 }, () => user("x")),
    ),
    message: /List should have at most 100000 items, not 100001/,
  },
  {
    rule: "role unknown",
    base: baseRequest,
    broken: set("messages", [{ role: "tool", content: "x" }]),
    message: /^messages.0.role: Input should be/,
  },
  {
    rule: "role missing",
    base: baseRequest,
    broken: set("messages", [{ content: "x" }]),
    message: /^messages.0.role: Field required/,
  },
  {
    rule: "content missing",
    base: baseRequest,
    broken: set("messages", [{ role: "user" }]),
    message: /^messages.0.content: Field required/,
  },
  {
    rule: "message with an unknown field",
    base: baseRequest,
    broken: set("messages", [{ ...user("x"), id: "1" }]),
    message: /^messages.0.id: Extra inputs/,
  },
  {
    rule: "roles do not alternate",
    base: baseRequest,
    broken: set("messages", [user("a"), user("b")]),
    message: /roles must alternate/,
  },
  {
    rule: "content empty string",
    base: baseRequest,
    broken: set("messages", [user("")]),
    message: /all messages must have non-empty content/,
  },
  {
    rule: "content empty list",
    base: baseRequest,
    broken: says(),
    message: /all messages must have non-empty content/,
  },
  {
    rule: "assistant content empty",
    base: baseRequest,
    broken: set("messages", [user("a"), { role: "assistant", content: [] }, user("b")]),
    message: /messages.1: all messages must have non-empty content/,
  },
  {
    rule: "text block empty",
    base: withBlock(textBlock("x")),
    broken: says(textBlock("")),
    message: /text content blocks must be non-empty/,
  },
  {
    rule: "text block of blanks",
    base: withBlock(textBlock("x")),
    broken: says(textBlock(" \n")),
    message: /must contain non-whitespace text/,
  },
  {
    rule: "block of unknown type",
    base: withBlock(textBlock("x")),
    broken: says({ type: "video" }),
    message: /messages.0.content.0: Input tag 'video'/,
  },
  {
    rule: "block with an unknown field",
    base: withBlock(textBlock("x")),
    broken: says(textBlock("x", { partial: true })),
    message: /messages.0.content.0.text.partial: Extra inputs/,
  },
  {
    rule: "tool_use in a user message",
    base: withBlock(textBlock("x")),
    broken: says(call("toolu_1", "Oslo")),
    message: /`tool_use` blocks can only be in `assistant` messages/,
  },
  {
    rule: "tool_result in an assistant message",
    base: () => set("messages", [user("a"), assistant("b"), user("c")])(baseRequest()),
    broken: set("messages", [
      user("a"),
      { role: "assistant", content: [result("toolu_1")] },
      user("c"),
    ]),
    message: /`tool_result` blocks can only be in `user` messages/,
  },
  {
    rule: "user text with citations",
    base: withBlock(textBlock("x", { citations: [] })),
    broken: says(textBlock("x", { citations: [{ type: "char_location" }] })),
    message: /citations are not permitted on text in `user` messages/,
  },
  {
    rule: "document in an assistant message",
    base: () =>
      set("messages", [user("a"), { role: "assistant", content: [textBlock("b")] }, user("c")])(
        baseRequest(),
      ),
    broken: set("messages", [user("a"), { role: "assistant", content: [pdf()] }, user("c")]),
    message: /`document` blocks are not supported in `assistant` messages/,
  },
  {
    rule: "citations on some documents",
    base: withBlock({ ...pdf(), citations: { enabled: true } }),
    broken: says({ ...pdf(), citations: { enabled: true } }, pdf()),
    message: /Citations must be enabled for all documents or for none/,
  },
  {
    rule: "citations with structured output",
    base: withBlock({ ...pdf(), citations: { enabled: true } }),
    broken: set("output_config", {
      format: { type: "json_schema", schema: { type: "object", additionalProperties: false } },
    }),
    message: /cannot be used together with citations/,
  },
  {
    rule: "last message by the assistant",
    base: baseRequest,
    broken: set("messages", [user("a"), assistant("b")]),
    message: /does not support assistant message prefill/,
  },
  {
    rule: "prefill that ends in a blank",
    base: () => ({
      ...baseRequest(),
      model: "claude-haiku-4-5",
      messages: [user("a"), assistant("b")],
    }),
    broken: set("messages", [user("a"), assistant("b ")]),
    message: /cannot end with trailing whitespace/,
  },
  {
    rule: "prefill while thinking",
    base: () => ({
      ...baseRequest(),
      model: "claude-haiku-4-5",
      max_tokens: 2_000,
      messages: [user("a"), assistant("b")],
    }),
    broken: set("thinking", { type: "enabled", budget_tokens: 1_024 }),
    message: /prefill/,
  },
];

describeRules("messages", RULES);
