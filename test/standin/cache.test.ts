import { describe, expect, it } from "vitest";
import { text, thinking } from "../../src/standin/replies.ts";
import type { Standin } from "../../src/standin/standin.ts";
import { createStandin } from "../../src/standin/standin.ts";
import type { JsonObject } from "../../src/standin/wire.ts";
import { bill, block, MARKED, mark, SYSTEM, says, total } from "./cache-support.ts";
import { assistant, image, longText, pdf, post, user, weather } from "./support.ts";

describe("reading and writing", () => {
  it("writes at a breakpoint and reads it in the next request", async () => {
    const standin = createStandin();
    const first = await bill(standin, { system: MARKED, messages: [user("a")] });
    expect(first).toMatchObject({ read: 0, write1h: 0 });
    expect(first.write5m).toBeGreaterThan(1_000);
    const second = await bill(standin, { system: MARKED, messages: [user("b")] });
    expect(second).toMatchObject({ read: first.write5m, write5m: 0 });
    expect(total(second)).toBe(total(first));
  });

  it("caches nothing without a breakpoint", async () => {
    const standin = createStandin();
    const system = [block(SYSTEM)];
    await bill(standin, { system, messages: [user("a")] });
    const again = await bill(standin, { system, messages: [user("a")] });
    expect(again).toMatchObject({ read: 0, write5m: 0 });
  });

  it("caches nothing below the model's minimum", async () => {
    const standin = createStandin();
    const short = [block(longText(450), mark())];
    for (let i = 0; i < 2; i++) {
      const found = await bill(standin, { system: short, messages: [user("a")] });
      expect(found).toMatchObject({ read: 0, write5m: 0 });
    }
    const model = "claude-haiku-4-5";
    const found = await bill(standin, { model, system: MARKED, messages: [user("a")] });
    expect(found).toMatchObject({ read: 0, write5m: 0 });
  });

  it("reads at least 95 % in the second turn of a conversation that marks its end", async () => {
    const standin = createStandin();
    const turn = (...messages: JsonObject[]) => ({ tools: [weather()], system: MARKED, messages });
    const opening = says(block(longText(3_000), mark()));
    const first = await bill(standin, turn(opening));
    const second = await bill(standin, turn(opening, assistant("a"), says(block("more", mark()))));
    expect(second.read).toBe(first.write5m);
    expect(second.read / total(second)).toBeGreaterThan(0.95);
  });

  it("adds up to what count_tokens says, however it is billed", async () => {
    const standin = createStandin();
    const body = {
      model: "claude-opus-5",
      tools: [{ ...weather(), ...mark("1h") }],
      system: MARKED,
      messages: [says(block(longText(900), mark()), block("tail"))],
    };
    const counted = await post(standin, body, {}, "/v1/messages/count_tokens");
    for (let i = 0; i < 2; i++) {
      expect(total(await bill(standin, body))).toBe(counted.body.input_tokens);
    }
  });

  it("moves a breakpoint without losing what is before it", async () => {
    const standin = createStandin();
    const parts = ["a", "b", "c"].map((name) => block(longText(600, name)));
    const [a, b, c] = parts;
    const first = await bill(standin, { messages: [says({ ...a, ...mark() })] });
    const second = await bill(standin, {
      messages: [says(a ?? {}, b ?? {}, { ...c, ...mark() })],
    });
    expect(second.read).toBe(first.write5m);
    expect(second.write5m).toBeGreaterThan(1_200);
  });
});

describe("looking back", () => {
  const blocks = (count: number) =>
    Array.from({ length: count }, (_, i) => block(`${i} ${longText(30)}`));
  const markLast = (list: JsonObject[]) =>
    list.map((item, i) => (i === list.length - 1 ? { ...item, ...mark() } : item));

  it.each([
    [19, true],
    [20, false],
  ])("%i blocks behind the last breakpoint: found %s", async (added, isFound) => {
    const standin = createStandin();
    const first = await bill(standin, { messages: [says(...markLast(blocks(30)))] });
    const second = await bill(standin, { messages: [says(...markLast(blocks(30 + added)))] });
    expect(second.read).toBe(isFound ? first.write5m : 0);
  });

  it("an intermediate breakpoint finds what the last one cannot", async () => {
    const standin = createStandin();
    const first = await bill(standin, { messages: [says(...markLast(blocks(30)))] });
    const between = markLast(blocks(60)).map((item, i) =>
      i === 29 ? { ...item, ...mark() } : item,
    );
    const second = await bill(standin, { messages: [says(...between)] });
    expect(second.read).toBe(first.write5m);
  });
});

describe("mixed lifetimes", () => {
  it("bill up to the last 1h breakpoint as 1h, the rest up to the last one as 5m", async () => {
    const standin = createStandin();
    const first = await bill(standin, {
      system: [block(longText(700), mark("1h"))],
      messages: [says(block(longText(800, "abc"), mark("5m")), block("tail"))],
    });
    expect(first.write1h).toBeGreaterThan(700);
    expect(first.write1h).toBeLessThan(720);
    expect(first.write5m).toBeGreaterThan(800);
    expect(first.read).toBe(0);
    const second = await bill(standin, {
      system: [block(longText(700), mark("1h"))],
      messages: [says(block(longText(900, "xyz"), mark("5m")), block("tail"))],
    });
    expect(second.read).toBe(first.write1h);
    expect(second.write1h).toBe(0);
  });
});

describe("automatic caching", () => {
  it("marks the last block, and moves on", async () => {
    const standin = createStandin();
    const first = await bill(standin, { ...mark(), messages: [says(block(longText(900)))] });
    expect(first.rest).toBe(0);
    const second = await bill(standin, {
      ...mark(),
      messages: [says(block(longText(900))), assistant("a"), user("b")],
    });
    expect(second.read).toBe(first.write5m);
    expect(second.rest).toBe(0);
  });

  it("does nothing more where the last block is marked already", async () => {
    const standin = createStandin();
    const found = await bill(standin, {
      ...mark(),
      messages: [
        says(...["a", "b", "c"].map((v) => block(v, mark())), block(longText(900), mark())),
      ],
    });
    expect(found.rest).toBe(0);
  });
});

describe("what a change costs", () => {
  const base = (): JsonObject => ({
    tools: [{ ...weather(), description: longText(600), ...mark() }],
    system: [block(longText(700), mark())],
    messages: [says(block(longText(800), mark()), block("tail"))],
  });
  const FAST = { "anthropic-beta": "fast-mode-2026-02-01" };
  const messages = (...content: JsonObject[]) => ({
    messages: [says(block(longText(800), mark()), ...content)],
  });

  it.each<[string, JsonObject, "all" | "system" | "tools" | "nothing"]>([
    ["nothing changed", {}, "all"],
    ["another tail", messages(block("other")), "all"],
    ["another max_tokens and metadata", { max_tokens: 7, metadata: { user_id: "u" } }, "all"],
    ["the default effort, named", { output_config: { effort: "high" } }, "all"],
    ["the default thinking, named", { thinking: { type: "adaptive" } }, "all"],
    ["the default tool_choice, named", { tool_choice: { type: "auto" } }, "all"],
    ["another tool_choice", { tool_choice: { type: "none" } }, "system"],
    ["an image added", messages(block("tail"), image()), "system"],
    ["thinking off", { thinking: { type: "disabled" } }, "system"],
    ["another effort", { output_config: { effort: "low" } }, "system"],
    [
      "structured output",
      {
        output_config: {
          format: { type: "json_schema", schema: { type: "object", additionalProperties: false } },
        },
      },
      "system",
    ],
    ["another speed", { speed: "fast" }, "tools"],
    ["citations on", messages({ ...pdf(), citations: { enabled: true } }), "tools"],
    ["another system prompt", { system: [block(longText(700, "other"), mark())] }, "tools"],
    ["a tool more in front", { tools: [weather("first"), { ...weather(), ...mark() }] }, "nothing"],
    ["another model", { model: "claude-opus-5-5" }, "nothing"],
  ])("%s", async (_, change, kept) => {
    const standin = createStandin();
    const first = await bill(standin, base(), FAST);
    const second = await bill(standin, { ...base(), ...change }, FAST);
    const tools = await bill(createStandin(), { tools: base().tools ?? [], messages: [user("x")] });
    const system = await bill(createStandin(), { ...base(), messages: [user("x")] });
    const expected = {
      all: first.write5m,
      system: system.write5m,
      tools: tools.write5m,
      nothing: 0,
    }[kept];
    expect(second.read).toBe(expected);
  });

  it("thinking blocks ride along in the cached prefix", async () => {
    const standin = createStandin();
    const shown = { thinking: { type: "adaptive", display: "summarized" } };
    standin.script([thinking(longText(500)), text("a")]);
    const opening = says(block(longText(600), mark()));
    const body = { model: "claude-opus-5", max_tokens: 2_000, ...shown };
    const answer = await post(standin, { ...body, messages: [opening] });
    const grown = [opening, { role: "assistant", content: answer.body.content ?? [] }];
    const second = await bill(standin, {
      ...body,
      messages: [...grown, says(block("next", mark()))],
    });
    expect(second.write5m).toBeGreaterThan(500);
    const third = await bill(standin, {
      ...body,
      messages: [...grown, says(block("next")), assistant("b"), says(block("more", mark()))],
    });
    expect(third.read).toBe(second.read + second.write5m);
  });
});

describe("diagnostics", () => {
  const body = (): JsonObject => ({
    model: "claude-opus-5",
    max_tokens: 100,
    tools: [weather()],
    system: MARKED,
    messages: [user("a")],
  });

  async function ask(standin: Standin, request: JsonObject) {
    standin.script(text("ok"));
    return (await post(standin, request)).body;
  }

  it.each<[string, JsonObject, string | null]>([
    ["only appended", { messages: [user("a"), assistant("ok"), user("b")] }, null],
    ["another model", { model: "claude-opus-5-5" }, "model_changed"],
    ["other tools", { tools: [weather("b")] }, "tools_changed"],
    ["another system prompt", { system: "Other." }, "system_changed"],
    ["other messages", { messages: [user("b")] }, "messages_changed"],
  ])("%s", async (_, change, type) => {
    const standin = createStandin();
    const first = await ask(standin, { ...body(), diagnostics: { previous_message_id: null } });
    expect(first.diagnostics).toBeNull();
    const second = await ask(standin, {
      ...body(),
      ...change,
      diagnostics: { previous_message_id: first.id ?? null },
    });
    if (type === null) expect(second.diagnostics).toBeNull();
    else {
      expect(second.diagnostics).toEqual({
        cache_miss_reason: { type, cache_missed_input_tokens: expect.any(Number) },
      });
    }
  });

  it("an unknown message", async () => {
    const request = { ...body(), diagnostics: { previous_message_id: "msg_unknown" } };
    expect((await ask(createStandin(), request)).diagnostics).toEqual({
      cache_miss_reason: { type: "previous_message_not_found" },
    });
  });
});
