import type { Rule } from "./rule.ts";
import { describeRules, manyProperties, marked, search, set, strictTool, without } from "./rule.ts";
import { baseRequest, weather } from "./support.ts";

const RULES: readonly Rule[] = [
  {
    rule: "tool name with a blank",
    base: baseRequest,
    broken: set("tools", [weather("get weather")]),
    message: /tools.0.custom.name: String should match pattern/,
  },
  {
    rule: "tool name too long",
    base: () => set("tools", [weather("a".repeat(128))])(baseRequest()),
    broken: set("tools", [weather("a".repeat(129))]),
    message: /tools.0.custom.name: String should match pattern/,
  },
  {
    rule: "tool name missing",
    base: baseRequest,
    broken: set("tools", [without("name")(weather())]),
    message: /tools.0.custom.name: Field required/,
  },
  {
    rule: "tool names not unique",
    base: () => set("tools", [weather("a"), weather("b")])(baseRequest()),
    broken: set("tools", [weather("a"), weather("a")]),
    message: /Tool names must be unique/,
  },
  {
    rule: "input_schema missing",
    base: baseRequest,
    broken: set("tools", [without("input_schema")(weather())]),
    message: /tools.0.custom.input_schema: Field required/,
  },
  {
    rule: "input_schema no object",
    base: baseRequest,
    broken: set("tools", [{ ...weather(), input_schema: "object" }]),
    message: /input_schema: Input should be a valid dictionary/,
  },
  {
    rule: "input_schema of another type",
    base: baseRequest,
    broken: set("tools", [{ ...weather(), input_schema: { type: "array" } }]),
    message: /input_schema.type: Input should be 'object'/,
  },
  {
    rule: "input_schema with anyOf on top",
    base: baseRequest,
    broken: set("tools", [{ ...weather(), input_schema: { type: "object", anyOf: [{}] } }]),
    message: /does not support oneOf, allOf, or anyOf at the top level/,
  },
  {
    rule: "input_schema invalid",
    base: baseRequest,
    broken: set("tools", [
      { ...weather(), input_schema: { type: "object", properties: { a: { type: "text" } } } },
    ]),
    message: /JSON schema is invalid/,
  },
  {
    rule: "property key with a blank",
    base: baseRequest,
    broken: set("tools", [
      { ...weather(), input_schema: { type: "object", properties: { "a b": {} } } },
    ]),
    message: /Property keys should match pattern/,
  },
  {
    rule: "tool of unknown type",
    base: baseRequest,
    broken: set("tools", [{ ...weather(), type: "robot_20300101" }]),
    message: /tools.0: Input tag 'robot_20300101'/,
  },
  {
    rule: "tool with an unknown field",
    base: baseRequest,
    broken: set("tools", [{ ...weather(), parameters: {} }]),
    message: /tools.0.custom.parameters: Extra inputs/,
  },
  {
    rule: "web search with both domain lists",
    base: () => set("tools", [search])(baseRequest()),
    broken: set("tools", [{ ...search, blocked_domains: ["example.org"] }]),
    message: /only one of allowed_domains and blocked_domains/,
  },
  {
    rule: "API tool under another name",
    base: () => set("tools", [search])(baseRequest()),
    broken: set("tools", [{ ...search, name: "WebSearch" }]),
    message: /name: Input should be 'web_search'/,
  },
  {
    rule: "all tools deferred",
    base: () =>
      set("tools", [weather("a"), { ...weather("b"), defer_loading: true }])(baseRequest()),
    broken: set("tools", [{ ...weather("b"), defer_loading: true }]),
    message: /At least one tool must have defer_loading=false/,
  },
  {
    rule: "deferred tool with a cache mark",
    base: () =>
      set("tools", [weather("a"), { ...weather("b"), defer_loading: true }])(baseRequest()),
    broken: set("tools", [weather("a"), { ...weather("b"), defer_loading: true, ...marked() }]),
    message: /cannot have both defer_loading=true and cache_control/,
  },
  {
    rule: "strict tool with an open schema",
    base: () => set("tools", [strictTool("a", {})])(baseRequest()),
    broken: set("tools", [{ ...weather(), strict: true }]),
    message: /'additionalProperties' must be explicitly set to false/,
  },
  {
    rule: "21 strict tools",
    base: () =>
      set(
        "tools",
        Array.from({ length: 20 }, (_, i) => strictTool(`t${i}`, {})),
      )(baseRequest()),
    broken: set(
      "tools",
      Array.from({ length: 21 }, (_, i) => strictTool(`t${i}`, {})),
    ),
    message: /Too many strict tools \(21\)/,
  },
  {
    rule: "25 optional strict parameters",
    base: () =>
      set("tools", [strictTool("a", manyProperties(24, { type: "string" }))])(baseRequest()),
    broken: set("tools", [strictTool("a", manyProperties(25, { type: "string" }))]),
    message: /too many optional parameters \(25\)/,
  },
  {
    rule: "17 strict union parameters",
    base: () =>
      set("tools", [
        strictTool(
          "a",
          manyProperties(16, { type: ["string", "null"] }),
          Object.keys(manyProperties(16, {})),
        ),
      ])(baseRequest()),
    broken: set("tools", [
      strictTool(
        "a",
        manyProperties(17, { type: ["string", "null"] }),
        Object.keys(manyProperties(17, {})),
      ),
    ]),
    message: /union types \(17/,
  },
];

describeRules("tools", RULES);
