/** Turns through Ledge and the same model calls made directly. */
import { type Frame, json, now, type Payload, sse } from "./client.ts";
import { LOOK, prompt, type Script } from "./model.ts";

/** When things happened, in milliseconds from the request. */
export interface Timing {
  /** The request reached the model. */
  model: number;
  /** The first text reached the client. */
  first: number;
  /** The answer has ended. */
  end: number;
}

export const createSession = async (ledge: string): Promise<string> =>
  (await json<{ id: string }>(`${ledge}/api/sessions`, {})).id;

/** A turn, read to its end. */
export async function turn(
  ledge: string,
  session: string,
  script: Script,
  // Blocks before the prompt.
  content: object[] = [],
): Promise<Timing & { frames: Frame[] }> {
  const text = prompt(script);
  const input = content.length > 0 ? [...content, { type: "text", text }] : text;
  const body = { input, stream: true };
  return timed(sse(`${ledge}/api/sessions/${session}/turns`, body), ledgeText);
}

const ledgeText = (frame: Frame): string | null =>
  frame.event === "assistant.delta" ? (frame.data.data?.text ?? null) : null;

const modelText = (frame: Frame): string | null =>
  frame.data.delta?.type === "text_delta" ? (frame.data.delta.text ?? null) : null;

/** Reads an answer to its end. */
export async function timed(
  frames: AsyncIterable<Frame>,
  textOf: (frame: Frame) => string | null = ledgeText,
): Promise<Timing & { frames: Frame[] }> {
  const began = now();
  const read: Frame[] = [];
  let first: { at: number; arrived: number } | null = null;
  for await (const frame of frames) {
    read.push(frame);
    if (first) continue;
    const text = textOf(frame);
    // The model's answer begins with the time at which the request reached it.
    if (text !== null) first = { at: frame.at, arrived: Number.parseFloat(text) };
  }
  if (!first) throw new Error(`no text came: ${JSON.stringify(read.at(-1)?.data)}`);
  return {
    model: first.arrived - began,
    first: first.at - began,
    end: now() - began,
    frames: read,
  };
}

/** A client that calls the Messages API itself and keeps the transcript. */
export class DirectClient {
  readonly #model: string;
  readonly #messages: object[] = [];

  constructor(model: string) {
    this.#model = model;
  }

  turn(script: Script): Promise<Timing & { frames: Frame[] }> {
    this.#messages.push({ role: "user", content: prompt(script) });
    return timed(this.#call([]), modelText);
  }

  /** Calls until the model asks for no more tools; answers each call with `result`. */
  async toolTurn(script: Script, result: string, tools: object[] = [LOOK]): Promise<void> {
    this.#messages.push({ role: "user", content: prompt(script) });
    for (;;) {
      let id: string | undefined;
      for await (const { data } of this.#call(tools)) {
        if (data.content_block?.type === "tool_use") id = data.content_block.id;
      }
      if (id === undefined) return;
      const content = [{ type: "tool_result", tool_use_id: id, content: result }];
      this.#messages.push({ role: "user", content });
    }
  }

  async *#call(tools: object[]): AsyncGenerator<Frame> {
    const body = {
      model: "claude-sonnet-5-5",
      max_tokens: 64_000,
      stream: true,
      messages: this.#messages,
      ...(tools.length > 0 ? { tools } : {}),
    };
    const headers = { "x-api-key": "benchmark", "anthropic-version": "2023-06-01" };
    let text = "";
    let use: Payload["content_block"];
    let input = "";
    for await (const frame of sse(`${this.#model}/v1/messages`, body, { headers })) {
      if (frame.data.content_block?.type === "tool_use") use = frame.data.content_block;
      input += frame.data.delta?.partial_json ?? "";
      text += modelText(frame) ?? "";
      yield frame;
    }
    const content = use ? [{ ...use, input: JSON.parse(input) }] : [{ type: "text", text }];
    this.#messages.push({ role: "assistant", content });
  }
}
