import type { Rule } from "./rule.ts";
import { CHANGES, change, define, describeRules, INLINE, on, ref, set } from "./rule.ts";
import { assistant, baseRequest, image, system, user, weather } from "./support.ts";

const RULES: readonly Rule[] = [
  {
    rule: "system message on a model without",
    base: on("claude-sonnet-5", { messages: [user("a"), system("b")] }),
    broken: set("model", "claude-haiku-4-5"),
    message: /does not support "system" messages/,
  },
  {
    rule: "system message first",
    base: baseRequest,
    broken: set("messages", [system("a"), user("b")]),
    message: /first message must use the "user" role/,
  },
  {
    rule: "system message after an assistant",
    base: () => set("messages", [user("a"), assistant("b"), user("c"), system("d")])(baseRequest()),
    broken: set("messages", [user("a"), assistant("b"), system("c")]),
    message: /must follow a "user" message/,
  },
  {
    rule: "system message before a user",
    base: () => set("messages", [user("a"), system("b"), assistant("c"), user("d")])(baseRequest()),
    broken: set("messages", [user("a"), system("b"), user("c")]),
    message: /must not precede a "user" message/,
  },
  {
    rule: "image in a system message",
    base: () => set("messages", [user("a"), system("b")])(baseRequest()),
    broken: set("messages", [user("a"), { role: "system", content: [image()] }]),
    message: /`image` blocks can only be in `user` messages/,
  },
  {
    rule: "tool change without its header",
    base: () => set("messages", [user("a"), system("b")])(baseRequest()),
    broken: set("messages", [user("a"), change("tool_removal", ref("get_weather"))]),
    message: /Input tag 'tool_removal'/,
  },
  {
    rule: "tool change on a model without",
    base: on("claude-opus-5", {
      messages: [user("a"), change("tool_removal", ref("get_weather"))],
    }),
    broken: set("model", "claude-sonnet-5"),
    message: /`tool_removal` blocks are not supported on this model/,
    headers: { "anthropic-beta": CHANGES },
  },
  {
    rule: "removal of an unknown tool",
    base: () =>
      set("messages", [user("a"), change("tool_removal", ref("get_weather"))])(baseRequest()),
    broken: set("messages", [user("a"), change("tool_removal", ref("nothing"))]),
    message: /tool 'nothing' is not defined at this point/,
    code: "tool_reference_unresolved",
    headers: { "anthropic-beta": CHANGES },
  },
  {
    rule: "removal twice",
    base: () =>
      set("messages", [user("a"), change("tool_removal", ref("get_weather"))])(baseRequest()),
    broken: set("messages", [
      user("a"),
      change("tool_removal", ref("get_weather")),
      change("tool_removal", ref("get_weather")),
    ]),
    message: /is not available at this point/,
    headers: { "anthropic-beta": CHANGES },
  },
  {
    rule: "addition of an offered tool",
    base: () =>
      set("messages", [
        user("a"),
        change("tool_removal", ref("get_weather")),
        change("tool_addition", ref("get_weather")),
      ])(baseRequest()),
    broken: set("messages", [user("a"), change("tool_addition", ref("get_weather"))]),
    message: /is already available at this point/,
    headers: { "anthropic-beta": CHANGES },
  },
  {
    rule: "inline definition without its header",
    base: () =>
      set("messages", [user("a"), change("tool_removal", ref("get_weather"))])(baseRequest()),
    broken: set("messages", [user("a"), change("tool_addition", define(weather("b")))]),
    message: /inline tool definitions require the `inline-tools-2026-09-15` beta header/,
    headers: { "anthropic-beta": CHANGES },
  },
  {
    rule: "inline definition that is invalid",
    base: () =>
      set("messages", [user("a"), change("tool_addition", define(weather("b")))])(baseRequest()),
    broken: set("messages", [user("a"), change("tool_addition", define(weather("b c")))]),
    message: /definition.custom.name: String should match pattern/,
    headers: { "anthropic-beta": INLINE },
  },
  {
    rule: "inline definition of a taken name",
    base: () =>
      set("messages", [user("a"), change("tool_addition", define(weather("b")))])(baseRequest()),
    broken: set("messages", [user("a"), change("tool_addition", define(weather()))]),
    message: /is already available/,
    code: "tool_name_conflict",
    headers: { "anthropic-beta": INLINE },
  },
  {
    rule: "tool_choice of a removed tool",
    base: on("claude-opus-5", {
      tools: [weather(), weather("b")],
      tool_choice: { type: "tool", name: "b" },
      messages: [user("a"), change("tool_removal", ref("get_weather"))],
    }),
    broken: set("tool_choice", { type: "tool", name: "get_weather" }),
    message: /Tool 'get_weather' not found/,
    headers: { "anthropic-beta": CHANGES },
  },
];

describeRules("system messages", RULES);
