import type { Rule } from "./rule.ts";
import { describeRules, marked, on, says, set, textBlock, withBlock } from "./rule.ts";
import { assistant, baseRequest, longText, user } from "./support.ts";

const RULES: readonly Rule[] = [
  {
    rule: "five cache marks",
    base: withBlock(textBlock("x", marked())),
    broken: says(...["a", "b", "c", "d", "e"].map((value) => textBlock(value, marked()))),
    message: /A maximum of 4 blocks with cache_control may be provided. Found 5/,
  },
  {
    rule: "1h mark after a 5m mark",
    base: () => says(textBlock("a", marked("1h")), textBlock("b", marked("5m")))(baseRequest()),
    broken: says(textBlock("a", marked("5m")), textBlock("b", marked("1h"))),
    message: /ttl='1h' cache_control block must not come after a ttl='5m'/,
  },
  {
    rule: "cache mark of unknown ttl",
    base: withBlock(textBlock("x", marked("5m"))),
    broken: says(textBlock("x", marked("1d"))),
    message: /cache_control.ttl: Input should be '5m' or '1h'/,
  },
  {
    rule: "cache mark on empty text",
    base: withBlock(textBlock("x", marked())),
    broken: says(textBlock("", marked())),
    message: /cache_control cannot be set for empty text blocks/,
  },
  {
    rule: "cache mark on thinking",
    base: () => set("messages", [user("a"), assistant("b"), user("c")])(baseRequest()),
    broken: set("messages", [
      user("a"),
      {
        role: "assistant",
        content: [{ type: "thinking", thinking: "x", signature: "y", ...marked() }],
      },
      user("c"),
    ]),
    message: /thinking.cache_control: Extra inputs/,
  },
  {
    rule: "automatic caching with all marks taken",
    base: () => ({
      ...says(
        ...["a", "b", "c"].map((value) => textBlock(value, marked())),
        textBlock("e"),
      )(baseRequest()),
      ...marked(),
    }),
    broken: says(
      ...["a", "b", "c", "d"].map((value) => textBlock(value, marked())),
      textBlock("e"),
    ),
    message: /automatic caching needs one of the 4/,
  },
  {
    rule: "automatic 1h caching behind a 5m mark",
    base: () => ({
      ...says(textBlock("a", marked("5m")), textBlock("b"))(baseRequest()),
      ...marked("5m"),
    }),
    broken: set("cache_control", { type: "ephemeral", ttl: "1h" }),
    message: /ttl='1h' cache_control block must not come after a ttl='5m'/,
  },
  {
    rule: "automatic caching against another ttl",
    base: () => ({ ...says(textBlock("a", marked()))(baseRequest()), ...marked() }),
    broken: says(textBlock("a", marked("1h"))),
    message: /automatic caching uses ttl='5m', but the last cacheable block/,
  },
  {
    rule: "prompt longer than the window",
    base: on("claude-haiku-4-5", { messages: [user(longText(190_000))] }),
    broken: set("messages", [user(longText(200_001))]),
    message: /^prompt is too long: \d+ tokens > 200000 maximum/,
  },
];

describeRules("cache marks", RULES);
