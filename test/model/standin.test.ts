import { describe, expect, it } from "vitest";
import { MODELS } from "../../src/model/catalogue.ts";
import { openStream } from "../../src/model/client.ts";
import { MessageAccumulator } from "../../src/model/message.ts";
import { buildRequest, type RequestInput, type RequestMessage } from "../../src/model/request.ts";
import { encodeRequest } from "../../src/model/request-body.ts";
import { findModel } from "../../src/standin/models.ts";
import { text, thinking, toolUse } from "../../src/standin/replies.ts";
import { createStandin } from "../../src/standin/standin.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");
const CLOCK = { now: () => NOW, after: () => () => {} };
const TOOL = { name: "Read", description: "Reads.", input_schema: { type: "object" } };
const QUESTION = { type: "text", text: "Read it." };

// The stand-in has its own reading of the model reference, and the strict one where it is open.
describe.each(MODELS.map((rules) => [rules.id, rules] as const))("%s", (id, rules) => {
  it("is promised no more than the API gives", () => {
    const model = findModel(id);
    expect(model).toBeDefined();
    if (!model) return;
    expect(rules.context_window).toBeLessThanOrEqual(model.window);
    expect(rules.max_output).toBeLessThanOrEqual(model.maxOutput);
    expect(model.efforts).toEqual(expect.arrayContaining([...rules.effort]));
    expect(rules.forced_tool_choice && !model.forcedToolChoice).toBe(false);
    expect(rules.system_messages && !model.systemMessages).toBe(false);
    expect(rules.tool_changes && !model.toolChanges).toBe(false);
    expect(rules.prefill && !model.prefill).toBe(false);
    expect(model.preservedThinking && !rules.preserved_thinking).toBe(false);
    expect(rules.retirement?.date ?? null).toBe(model.retires);
    if (rules.cache_minimum !== null) expect(rules.cache_minimum).toBe(model.minCacheable);
    if (rules.thinking.kind === "always") expect(model.thinking).toEqual(["adaptive"]);
    if (rules.thinking.kind === "adaptive") {
      expect(model.thinking).toEqual(expect.arrayContaining(["adaptive", rules.thinking.off]));
      expect(model.thinksUnasked).toBe(rules.thinking.on);
    }
  });

  it("accepts a conversation with every tool choice, marks on thinking included", async () => {
    const standin = createStandin({ clock: CLOCK });
    const thinks = rules.thinking.kind === "always" || findModel(id)?.thinksUnasked === true;
    const messages: RequestMessage[] = [{ role: "user", content: [QUESTION] }];
    const call = async (toolChoice: RequestInput["toolChoice"]) => {
      const request = encodeRequest(
        buildRequest({
          model: id,
          system: "Be brief.",
          tools: [TOOL],
          toolChoice,
          parallelToolCalls: toolChoice.type !== "any",
          messages,
          maxTokens: rules.max_output,
          marks: [0, 1, 2, 3, 4],
          ttl: "1h",
        }),
      );
      const message = new MessageAccumulator();
      const upstream = { apiKey: "key", fetch: standin.fetch };
      const { signal } = new AbortController();
      for await (const event of openStream(upstream, request, { signal })) message.apply(event);
      expect(message.complete).toBe(true);
      return message;
    };
    const use = toolUse("Read", { path: "/a" }, { id: "toolu_1" });
    standin.script(thinks ? [thinking("Hm."), use] : [use], [text("Done.")], [text("Done.")]);
    const first = await call({ type: "tool", name: "Read" });
    const answer = first.blocks.map(({ block }) => block);
    const result = { type: "tool_result", tool_use_id: "toolu_1", content: "hello" };
    messages.push({ role: "assistant", content: answer }, { role: "user", content: [result] });
    await call({ type: "any" });
    await call({ type: "none" });
    expect(standin.unexpectedRefusals()).toEqual([]);
  });
});
