/** A chat with the friendly model, which keeps its transcript as a client would. */
import type { MessageParam } from "@anthropic-ai/sdk/resources/messages";
import { expect } from "vitest";
import type { Standin } from "../../src/standin/standin.ts";
import { clientOf, MODEL } from "./support.ts";

export class Chat {
  readonly messages: MessageParam[] = [];
  readonly #standin: Standin;
  readonly #more: object;

  constructor(standin: Standin, more: object = {}) {
    this.#standin = standin;
    this.#more = more;
  }

  async say(content: MessageParam["content"]) {
    this.messages.push({ role: "user", content });
    const message = await clientOf(this.#standin)
      .messages.stream({
        model: MODEL,
        max_tokens: 20_000,
        messages: this.messages,
        ...this.#more,
      })
      .finalMessage();
    this.messages.push({ role: "assistant", content: message.content });
    expect(this.#standin.unexpectedRefusals()).toEqual([]);
    const texts = message.content.flatMap((block) => (block.type === "text" ? [block.text] : []));
    const calls = message.content.flatMap((block) =>
      block.type === "tool_use" ? [{ id: block.id, name: block.name, input: block.input }] : [],
    );
    return { message, text: texts.join("\n"), calls };
  }
}
