import { describe, expect, it } from "vitest";
import { reply, serverResult, serverToolUse, text, thinking } from "../../src/standin/replies.ts";
import type { Standin } from "../../src/standin/standin.ts";
import { createStandin } from "../../src/standin/standin.ts";
import type { JsonObject } from "../../src/standin/wire.ts";
import { objectsAt } from "../../src/standin/wire.ts";
import { baseRequest, post, user } from "./support.ts";

const SHOWN = { type: "adaptive", display: "summarized" };

describe("pause_turn", () => {
  const search = { type: "web_search_20260318", name: "web_search" };
  const body = (): JsonObject => ({ ...baseRequest(), tools: [search], thinking: SHOWN });

  async function paused(standin: Standin): Promise<JsonObject[]> {
    standin.script(
      reply({
        blocks: [thinking("one"), serverToolUse("web_search", { query: "x" })],
        stop_reason: "pause_turn",
      }),
    );
    const answer = await post(standin, body());
    expect(answer.body.stop_reason).toBe("pause_turn");
    return [user("hello"), { role: "assistant", content: answer.body.content ?? [] }];
  }

  it("goes on with the answer sent back unchanged, and merges both into one message", async () => {
    const standin = createStandin();
    const messages = await paused(standin);
    standin.script([serverResult("web_search_tool_result", []), thinking("two"), text("found")]);
    const rest = await post(standin, { ...body(), messages });
    expect(rest.message).toBe("");
    const call = objectsAt(messages[1] ?? {}, "content")[1];
    const [result, ...others] = objectsAt(rest.body, "content");
    expect(call?.type).toBe("server_tool_use");
    expect(result?.tool_use_id).toBe(call?.id);
    const whole = {
      role: "assistant",
      content: [...objectsAt(messages[1] ?? {}, "content"), result ?? {}, ...others],
    };
    standin.script(text("ok"));
    const next = await post(standin, {
      ...body(),
      messages: [user("hello"), whole, user("thanks")],
    });
    expect(next.message).toBe("");
  });

  it("refuses an answer that did not pause", async () => {
    const standin = createStandin();
    const messages = await paused(standin);
    standin.expectRefusal();
    const changed = [
      ...messages.slice(0, 1),
      { role: "assistant", content: [{ type: "text", text: "x" }] },
    ];
    const answer = await post(standin, { ...body(), messages: changed });
    expect(answer.message).toMatch(/does not support assistant message prefill/);
  });
});
