import type { Answer } from "./answer.ts";
import type { At } from "./replies.ts";
import { outputTokens } from "./tokens.ts";
import type { JsonObject } from "./wire.ts";

/** One event of a streamed answer. */
export interface PlannedEvent {
  readonly data: JsonObject;
  /** Output tokens generated once this event is sent. */
  readonly tokens: number;
  /** The block and delta this event carries; delta 0 is the start of the block. */
  readonly block?: number;
  readonly delta?: number;
}

/** An answer as the API streams it. */
export function planEvents(answer: Answer): PlannedEvent[] {
  const events: PlannedEvent[] = [
    { data: { type: "message_start", message: answer.opening }, tokens: 1 },
  ];
  let bytes = 0;
  for (const [index, block] of answer.blocks.entries()) {
    bytes += block.weight;
    const count = index + 1;
    events.push({
      data: { type: "content_block_start", index, content_block: block.start },
      tokens: outputTokens(bytes, count),
      block: index,
      delta: 0,
    });
    for (const [i, delta] of block.deltas.entries()) {
      bytes += block.weights[i] ?? 0;
      events.push({
        data: { type: "content_block_delta", index, delta },
        tokens: outputTokens(bytes, count),
        block: index,
        delta: i + 1,
      });
    }
    events.push({
      data: { type: "content_block_stop", index },
      tokens: outputTokens(bytes, count),
    });
  }
  const tokens = Math.max(1, outputTokens(bytes, answer.blocks.length));
  events.push({
    data: { type: "message_delta", delta: answer.ending, usage: answer.endingUsage },
    tokens,
  });
  events.push({ data: { type: "message_stop" }, tokens });
  return events;
}

/** How many events lie before a place; 0 is before the first byte. */
export function eventsBefore(at: Exclude<At, "request">, events: readonly PlannedEvent[]): number {
  if (at === "headers") return 0;
  if (typeof at === "number") {
    if (at >= 0 && at <= events.length) return at;
    throw new Error(`the scripted reply has no event ${at}; it has ${events.length}`);
  }
  const delta = at.delta ?? 0;
  const index = events.findIndex((event) => event.block === at.block && event.delta === delta);
  if (index === -1) {
    throw new Error(`the scripted reply has no delta ${delta} in block ${at.block}`);
  }
  return index + 1;
}
