import { describe, expect, it } from "vitest";
import type { ReplyBlock } from "../../src/standin/replies.ts";
import { redactedThinking, text, thinking, toolUse } from "../../src/standin/replies.ts";
import type { Standin } from "../../src/standin/standin.ts";
import { createStandin } from "../../src/standin/standin.ts";
import type { JsonObject } from "../../src/standin/wire.ts";
import { isThinking, objectsAt } from "../../src/standin/wire.ts";
import { baseRequest, image, MODEL, post, user, weather } from "./support.ts";

const MODIFIED = /in the latest assistant message cannot be modified/;
const UNBOUND = /bound to a different conversation/;
const LEFT_OUT = /left out or moved/;

const SHOWN = { type: "adaptive", display: "summarized" };

/** Three turns with thinking, the second one with a tool round: what a good client would send next. */
async function conversation(
  standin: Standin,
  more: JsonObject = {},
): Promise<JsonObject & { messages: JsonObject[] }> {
  const body = { ...baseRequest(), thinking: SHOWN, ...more };
  const messages: JsonObject[] = [];
  const ask = async (content: JsonObject[] | string, blocks: ReplyBlock[]) => {
    messages.push({ role: "user", content });
    standin.script(blocks);
    const answer = await post(standin, { ...body, messages });
    expect(answer.message).toBe("");
    messages.push({ role: "assistant", content: answer.body.content ?? [] });
  };
  await ask("first question", [thinking("one"), text("first answer")]);
  await ask("second question", [
    thinking("two"),
    text("let me look"),
    toolUse("get_weather", { city: "Oslo", unit: "C" }, { id: "toolu_a" }),
  ]);
  const sunny = { type: "tool_result", tool_use_id: "toolu_a", content: "sunny" };
  await ask([sunny], [thinking("three"), redactedThinking(), text("it is sunny")]);
  await ask("third question", [
    thinking("four"),
    toolUse("get_weather", { city: "Rome" }, { id: "toolu_b" }),
  ]);
  messages.push({
    role: "user",
    content: [{ type: "tool_result", tool_use_id: "toolu_b", content: "rain" }],
  });
  return { ...body, messages };
}

/** The transcript with the blocks of message `index` replaced. */
function edit(
  request: JsonObject & { messages: JsonObject[] },
  index: number,
  change: (blocks: JsonObject[]) => JsonObject[],
): JsonObject {
  return {
    ...request,
    messages: request.messages.map((message, i) =>
      i === index ? { ...message, content: change(objectsAt(message, "content")) } : message,
    ),
  };
}

function withoutThinking(
  request: JsonObject & { messages: JsonObject[] },
  isGone: (message: number) => boolean,
): JsonObject {
  return {
    ...request,
    messages: request.messages.map((message, i) =>
      message.role === "assistant" && isGone(i)
        ? {
            ...message,
            content: objectsAt(message, "content").filter((block) => !isThinking(block)),
          }
        : message,
    ),
  };
}

type Request = JsonObject & { messages: JsonObject[] };

interface Case {
  readonly name: string;
  readonly change: (request: Request) => JsonObject;
  /** Undefined: accepted. */
  readonly refusal?: RegExp;
}

const CASES: readonly Case[] = [
  { name: "the transcript as it was", change: (request) => request },
  {
    name: "other cache marks",
    change: (request) =>
      edit(request, 4, ([block]) => [{ ...block, cache_control: { type: "ephemeral" } }]),
  },
  { name: "another max_tokens", change: (request) => ({ ...request, max_tokens: 5 }) },
  {
    name: "another effort",
    change: (request) => ({ ...request, output_config: { effort: "low" } }),
  },
  {
    name: "another tool_choice",
    change: (request) => ({ ...request, tool_choice: { type: "none" } }),
  },
  { name: "other metadata", change: (request) => ({ ...request, metadata: { user_id: "u" } }) },
  {
    name: "system as a list of one block",
    change: (request) => ({ ...request, system: [{ type: "text", text: "Be brief." }] }),
  },
  {
    name: "a deferred tool more",
    change: (request) => ({
      ...request,
      tools: [weather(), { ...weather("later"), defer_loading: true }],
    }),
  },
  {
    name: "a system message at the end",
    change: (request) => ({
      ...request,
      messages: [...request.messages, { role: "system", content: "Be kind." }],
    }),
  },
  { name: "all thinking removed", change: (request) => withoutThinking(request, () => true) },
  {
    name: "the first thinking removed",
    change: (request) => withoutThinking(request, (i) => i < 2),
  },
  {
    name: "all thinking but the last removed",
    change: (request) => withoutThinking(request, (i) => i < 7),
  },
  {
    name: "another system prompt",
    change: (request) => ({ ...request, system: "Be long." }),
    refusal: UNBOUND,
  },
  {
    name: "a tool more",
    change: (request) => ({ ...request, tools: [weather(), weather("b")] }),
    refusal: UNBOUND,
  },
  {
    name: "a tool described otherwise",
    change: (request) => ({ ...request, tools: [{ ...weather(), description: "other" }] }),
    refusal: UNBOUND,
  },
  {
    name: "an earlier question reworded",
    change: (request) => edit(request, 2, () => [{ type: "text", text: "Second question" }]),
    refusal: UNBOUND,
  },
  {
    name: "an earlier answer reworded",
    change: (request) =>
      edit(request, 1, ([thought]) => [thought ?? {}, { type: "text", text: "other" }]),
    refusal: UNBOUND,
  },
  {
    name: "a tool result rewritten",
    change: (request) => edit(request, 4, ([block]) => [{ ...block, content: "rainy" }]),
    refusal: UNBOUND,
  },
  {
    name: "an image added to an earlier message",
    change: (request) =>
      edit(request, 2, () => [{ type: "text", text: "second question" }, image()]),
    refusal: UNBOUND,
  },
  {
    name: "keys of a tool input reordered",
    change: (request) =>
      edit(request, 3, (blocks) =>
        blocks.map((block) =>
          block.type === "tool_use" ? { ...block, input: { unit: "C", city: "Oslo" } } : block,
        ),
      ),
    refusal: UNBOUND,
  },
  {
    name: "the first turn left out",
    change: (request) => ({ ...request, messages: request.messages.slice(2) }),
    refusal: UNBOUND,
  },
  {
    name: "thinking between others left out",
    change: (request) => withoutThinking(request, (i) => i === 3),
    refusal: LEFT_OUT,
  },
  {
    name: "one of two neighbouring thinking blocks left out",
    change: (request) => edit(request, 5, (blocks) => blocks.slice(1)),
    refusal: UNBOUND,
  },
  {
    name: "thinking of the open tool round left out",
    change: (request) => withoutThinking(request, (i) => i === 7),
    refusal: MODIFIED,
  },
  {
    name: "thinking moved within its message",
    change: (request) =>
      edit(request, 3, ([thought, said, called]) => [said ?? {}, thought ?? {}, called ?? {}]),
    refusal: LEFT_OUT,
  },
  {
    name: "two neighbouring thinking blocks swapped",
    change: (request) =>
      edit(request, 5, ([first, second, said]) => [second ?? {}, first ?? {}, said ?? {}]),
    refusal: UNBOUND,
  },
  {
    name: "an earlier thinking text changed",
    change: (request) =>
      edit(request, 1, ([thought, ...rest]) => [{ ...thought, thinking: "One" }, ...rest]),
    refusal: /Invalid `signature` in `thinking` block/,
  },
  {
    name: "the latest thinking text changed",
    change: (request) =>
      edit(request, 7, ([thought, ...rest]) => [{ ...thought, thinking: "four " }, ...rest]),
    refusal: MODIFIED,
  },
  {
    name: "a signature changed",
    change: (request) =>
      edit(request, 7, ([thought, ...rest]) => [
        { ...thought, signature: "c2lnbmF0dXJl" },
        ...rest,
      ]),
    refusal: /Invalid `signature` in `thinking` block/,
  },
  {
    name: "redacted data changed",
    change: (request) =>
      edit(request, 5, ([thought, , said]) => [
        thought ?? {},
        { type: "redacted_thinking", data: "ZGF0YQ==" },
        said ?? {},
      ]),
    refusal: /Invalid `data` in `redacted_thinking` block/,
  },
  {
    name: "an answer that ends in thinking",
    change: (request) => ({
      ...request,
      messages: [
        ...request.messages.slice(0, 5),
        { role: "assistant", content: objectsAt(request.messages[5] ?? {}, "content").slice(0, 1) },
        user("go on"),
      ],
    }),
    refusal: /The final block in an assistant message cannot be `thinking`/,
  },
  {
    name: "another model",
    change: (request) => ({ ...request, model: "claude-opus-5-5" }),
    refusal: /the block was created by another model/,
  },
];

describe("on a model with preserved thinking", () => {
  it.each(CASES)("$name", async ({ change, refusal }) => {
    const standin = createStandin();
    const request = await conversation(standin);
    standin.script(text("done"));
    if (refusal) standin.expectRefusal();
    const answer = await post(standin, change(request));
    if (refusal) expect(answer.message).toMatch(refusal);
    else expect(answer.message).toBe("");
    expect(answer.status).toBe(refusal ? 400 : 200);
  });

  it.each([
    "claude-fable-5-1",
    "claude-fable-5-2",
    "claude-mythos-5-1",
    "claude-opus-5-5",
    "claude-haiku-5-5",
  ])("%s binds thinking to its prefix", async (model) => {
    const standin = createStandin();
    const request = await conversation(standin, { model });
    standin.script(text("done"));
    expect((await post(standin, request)).message).toBe("");
    standin.expectRefusal();
    expect((await post(standin, { ...request, system: "Be long." })).message).toMatch(UNBOUND);
  });

  it("signs text that follows interrupted text, without the missing rest", async () => {
    const standin = createStandin();
    standin.script([thinking("one"), text("a long answer that is cut")]);
    const body = { ...baseRequest(), thinking: SHOWN };
    const first = await post(standin, body);
    const [thought] = objectsAt(first.body, "content");
    const kept = { role: "assistant", content: [thought ?? {}, { type: "text", text: "a long" }] };
    standin.script(text("ok"));
    const next = await post(standin, { ...body, messages: [user("hello"), kept, user("stop")] });
    expect(next.message).toBe("");
  });

  it("drops what does not fit when the request says so, and reports it", async () => {
    const standin = createStandin();
    const request = await conversation(standin);
    standin.script(text("done"));
    const changed = {
      ...request,
      system: "Be long.",
      thinking: { ...SHOWN, block_binding: { prefix_mismatch_behavior: "drop_block" } },
    };
    const headers = { "anthropic-beta": "thinking-binding-controls-2026-08-01" };
    const answer = await post(standin, changed, headers);
    expect(answer.body.input_transformations).toEqual(
      ["1.content.0", "3.content.0", "5.content.0", "5.content.1", "7.content.0"].map((path) => ({
        type: "thinking_dropped",
        path: `messages.${path}`,
        reason: "prefix_binding_mismatch",
      })),
    );
  });

  it("drops them always when the stand-in is set so", async () => {
    const standin = createStandin({ bindingMismatch: "drop_block" });
    const request = await conversation(standin);
    standin.script(text("done"));
    expect((await post(standin, { ...request, model: "claude-opus-5-5" })).status).toBe(200);
  });

  it("accepts a second sampling of the same request in place of the first", async () => {
    const standin = createStandin();
    const body = { ...baseRequest(), thinking: SHOWN };
    standin.script([thinking("one"), text("same")], [thinking("other"), text("same")], text("ok"));
    const answers = [await post(standin, body), await post(standin, body)];
    const [first] = answers;
    const next = { role: "assistant", content: first?.body.content ?? [] };
    const sent = await post(standin, { ...body, messages: [user("hello"), next, user("more")] });
    expect(sent.message).toBe("");
  });
});

describe("on a model that reads any earlier thinking", () => {
  const model = "claude-sonnet-5";

  it("lets the prefix change and earlier thinking go", async () => {
    const standin = createStandin();
    const request = await conversation(standin, { model });
    standin.script(text("one"), text("two"));
    expect((await post(standin, { ...request, system: "Be long." })).message).toBe("");
    const gone = withoutThinking(request, (i) => i === 3);
    expect((await post(standin, gone)).message).toBe("");
  });

  it("keeps the thinking of the open tool round", async () => {
    const standin = createStandin();
    const request = await conversation(standin, { model });
    standin.expectRefusal();
    const answer = await post(
      standin,
      withoutThinking(request, (i) => i === 7),
    );
    expect(answer.message).toMatch(MODIFIED);
    standin.script(text("ok"));
    expect(
      (
        await post(
          standin,
          withoutThinking(request, () => true),
        )
      ).message,
    ).toBe("");
  });

  it("refuses a changed thinking text all the same", async () => {
    const standin = createStandin();
    const request = await conversation(standin, { model });
    standin.expectRefusal();
    const changed = edit(request, 7, ([thought, ...rest]) => [
      { ...thought, thinking: "Four" },
      ...rest,
    ]);
    expect((await post(standin, changed)).message).toMatch(MODIFIED);
  });
});

it("withholds the text of thinking where display is omitted, and still signs it", async () => {
  const standin = createStandin();
  standin.script([thinking("secret"), text("said")]);
  const first = await post(standin, { ...baseRequest(), model: MODEL });
  const [thought] = objectsAt(first.body, "content");
  expect(thought?.thinking).toBe("");
  expect(thought?.signature).not.toBe("");
  standin.script(text("ok"));
  const messages = [
    user("hello"),
    { role: "assistant", content: first.body.content ?? [] },
    user("x"),
  ];
  expect((await post(standin, { ...baseRequest(), messages })).message).toBe("");
});
