import { describe, expect, it } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { createStandin } from "../../src/standin/standin.ts";
import type { Rule } from "./rule.ts";
import {
  afterCall,
  describeRules,
  searchCall,
  searched,
  searchResult,
  set,
  textBlock,
  toolMessages,
  withResult,
} from "./rule.ts";
import {
  assistant,
  baseRequest,
  call,
  image,
  post,
  result,
  testClock,
  toolRequest,
  user,
} from "./support.ts";

const RULES: readonly Rule[] = [
  {
    rule: "tool_use without its result",
    base: toolRequest,
    broken: afterCall({ role: "user", content: [result("toolu_1")] }),
    message: /`tool_use` ids were found without `tool_result` blocks immediately after: toolu_2/,
  },
  {
    rule: "tool_use answered by text",
    base: toolRequest,
    broken: afterCall(user("never mind")),
    message: /without `tool_result` blocks immediately after: toolu_1, toolu_2/,
  },
  {
    rule: "result after other content",
    base: () =>
      afterCall({
        role: "user",
        content: [result("toolu_1"), result("toolu_2"), textBlock("go on")],
      })(baseRequest()),
    broken: afterCall({
      role: "user",
      content: [result("toolu_1"), textBlock("go on"), result("toolu_2")],
    }),
    message: /`tool_result` blocks must come before other content/,
  },
  {
    rule: "two results for one call",
    base: toolRequest,
    broken: afterCall({
      role: "user",
      content: [result("toolu_1"), result("toolu_2"), result("toolu_1")],
    }),
    message: /each tool_use must have a single result/,
  },
  {
    rule: "result for an unknown call",
    base: toolRequest,
    broken: afterCall({
      role: "user",
      content: [result("toolu_1"), result("toolu_2"), result("toolu_9")],
    }),
    message: /unexpected `tool_use_id` found in `tool_result` blocks: toolu_9/,
  },
  {
    rule: "result one message late",
    base: () =>
      afterCall(
        { role: "user", content: [result("toolu_1"), result("toolu_2")] },
        assistant("ok"),
        user("more"),
      )(baseRequest()),
    broken: afterCall(
      { role: "user", content: [result("toolu_1"), result("toolu_2")] },
      assistant("ok"),
      { role: "user", content: [result("toolu_1")] },
    ),
    message: /unexpected `tool_use_id`/,
  },
  {
    rule: "tool_use id used twice",
    base: toolRequest,
    broken: afterCall(
      { role: "user", content: [result("toolu_1"), result("toolu_2")] },
      { role: "assistant", content: [call("toolu_1", "Bern")] },
      { role: "user", content: [result("toolu_1")] },
    ),
    message: /`tool_use` ids must be unique/,
  },
  {
    rule: "tool_use id with a blank",
    base: toolRequest,
    broken: set("messages", [
      user("a"),
      { role: "assistant", content: [call("tool 1", "Oslo")] },
      { role: "user", content: [result("tool 1")] },
    ]),
    message: /tool_use.id: String should match pattern/,
  },
  {
    rule: "tool_use input no object",
    base: toolRequest,
    broken: set("messages", [
      user("a"),
      { role: "assistant", content: [{ ...call("toolu_1", "Oslo"), input: "Oslo" }] },
      { role: "user", content: [result("toolu_1")] },
    ]),
    message: /tool_use.input: Input should be a valid dictionary/,
  },
  {
    rule: "tool result with an empty text block",
    base: () =>
      withResult(
        { ...result("toolu_1"), content: [textBlock("x")] },
        result("toolu_2"),
      )(baseRequest()),
    broken: withResult({ ...result("toolu_1"), content: [textBlock("")] }, result("toolu_2")),
    message: /tool_result.content.0.text: text content blocks must be non-empty/,
  },
  {
    rule: "image in an error result",
    base: () =>
      withResult({ ...result("toolu_1"), content: [image()] }, result("toolu_2"))(baseRequest()),
    broken: withResult(
      { ...result("toolu_1"), content: [image()], is_error: true },
      result("toolu_2"),
    ),
    message: /all content must be type "text" if `is_error` is true/,
  },
  {
    rule: "tool_use inside a tool result",
    base: toolRequest,
    broken: withResult(
      { ...result("toolu_1"), content: [call("toolu_3", "Bern")] },
      result("toolu_2"),
    ),
    message: /Input tag 'tool_use'/,
  },
  {
    rule: "server tool call without its result",
    base: searched(searchCall, searchResult, textBlock("done")),
    broken: () => searched(searchCall, textBlock("done"))(),
    message: /`web_search` tool use with id `srvtoolu_1` was found without/,
  },
  {
    rule: "server tool result without its call",
    base: searched(searchCall, searchResult, textBlock("done")),
    broken: () => searched(searchResult, textBlock("done"))(),
    message: /unexpected `tool_use_id` found in `web_search_tool_result`/,
  },
  {
    rule: "server tool id of a client tool",
    base: searched(searchCall, searchResult, textBlock("done")),
    broken: () => searched({ ...searchCall, id: "toolu_1" }, textBlock("done"))(),
    message: /server_tool_use.id: String should match pattern/,
  },
];

describeRules("pairing", RULES);

describe("what the API accepts", () => {
  it("merges neighbouring messages of one role when alternation is not required", async () => {
    const standin = createStandin({ requireAlternation: false });
    standin.script(text("ok"));
    const messages = [
      ...toolMessages(),
      { role: "user", content: [result("toolu_1")] },
      { role: "user", content: [result("toolu_2")] },
    ];
    expect((await post(standin, { ...baseRequest(), messages })).status).toBe(200);
  });

  it("leaves a server tool call open beside a client call", async () => {
    const standin = createStandin();
    standin.script(text("ok"));
    const messages = [
      user("search and ask"),
      { role: "assistant", content: [searchCall, call("toolu_1", "Oslo")] },
      { role: "user", content: [result("toolu_1")] },
    ];
    expect((await post(standin, { ...baseRequest(), messages })).message).toBe("");
  });

  it("takes the result of such a call at the start of the next answer", async () => {
    const standin = createStandin();
    standin.script(text("ok"));
    const messages = [
      user("search and ask"),
      { role: "assistant", content: [searchCall, call("toolu_1", "Oslo")] },
      { role: "user", content: [result("toolu_1")] },
      { role: "assistant", content: [searchResult, textBlock("found")] },
      user("thanks"),
    ];
    expect((await post(standin, { ...baseRequest(), messages })).message).toBe("");
  });

  it("retires a model on its day", async () => {
    const clock = testClock(Date.parse("2026-11-29T23:59:59Z"));
    const standin = createStandin({ clock });
    standin.script(text("ok"));
    const body = { ...baseRequest(), model: "claude-sonnet-4-5" };
    expect((await post(standin, body)).status).toBe(200);
    clock.advance(1_000);
    standin.expectRefusal();
    expect((await post(standin, body)).status).toBe(404);
  });
});
