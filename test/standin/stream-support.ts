import type { RawMessageStreamEvent } from "@anthropic-ai/sdk/resources/messages";
import type { Scripted } from "../../src/standin/replies.ts";
import type { Standin } from "../../src/standin/standin.ts";
import { clientOf, MODEL } from "./support.ts";

export const PARAMS = {
  model: MODEL,
  max_tokens: 1_000,
  thinking: { type: "adaptive", display: "summarized" },
  messages: [{ role: "user", content: "hello" }],
} as const;

/** The events of one streamed answer, and the error that ended it. */
export async function read(
  standin: Standin,
  scripted: Scripted,
  params: Partial<typeof PARAMS> & { stop_sequences?: string[]; max_tokens?: number } = {},
): Promise<{ events: RawMessageStreamEvent[]; error: unknown }> {
  standin.script(scripted);
  const events: RawMessageStreamEvent[] = [];
  try {
    const stream = await clientOf(standin).messages.create({
      ...PARAMS,
      ...params,
      messages: [...PARAMS.messages],
      stream: true,
    });
    for await (const event of stream) events.push(event);
    return { events, error: undefined };
  } catch (error) {
    return { events, error };
  }
}

export function textOf(events: readonly RawMessageStreamEvent[]): string {
  return events
    .map((event) =>
      event.type === "content_block_delta" && event.delta.type === "text_delta"
        ? event.delta.text
        : "",
    )
    .join("");
}

export const types = (events: readonly RawMessageStreamEvent[]) => events.map(({ type }) => type);
