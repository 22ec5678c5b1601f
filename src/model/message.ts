/**
 * Builds the model's message from the events of its stream, and estimates the usage of one that
 * did not end. Pure: what it is given decides everything.
 */
import type { Json, ModelBlock, Usage } from "../shared/rows.ts";
import type { PricedUsage } from "./prices.ts";
import { CallFailed } from "./retry.ts";

/**
 * An event of the stream as parsed from JSON. The API adds events and fields over time, so only
 * `type` is certain, and the accumulator checks the rest.
 */
export interface StreamEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** What one event adds to the preview of block `i`: units of text, thinking or partial JSON. */
export type Delta =
  | { i: number; kind: "text" | "thinking"; text: string }
  | { i: number; kind: "tool"; id: string; name: string; text: string };

/** A content block, as far as it has arrived. */
export interface ReceivedBlock {
  i: number;
  /** Exactly as received, fields that are not known included. */
  block: ModelBlock;
  /** False while the block is open. */
  complete: boolean;
  /**
   * The received text of a tool input that is no JSON object, or not yet: `block.input` is then
   * what the block began with (`{}`). Such a call must not run.
   */
  raw_input?: string;
}

interface OpenBlock extends ReceivedBlock {
  json: string;
}

/** Characters of text in a token of current tokenizers, about: code has fewer, prose more. */
const CHARACTERS_PER_TOKEN = 3.5;

/**
 * The message of one attempt.
 *
 * @example
 * const message = new MessageAccumulator();
 * for await (const event of openStream(upstream, request, options)) show(message.apply(event));
 * message.complete; // true
 */
export class MessageAccumulator {
  #started = false;
  #stopped = false;
  #blocks: OpenBlock[] = [];
  #usage: Record<string, unknown> = {};
  #stopReason: string | null = null;
  #stopDetails: Json = null;
  #characters = 0;

  /**
   * Takes in one event and returns what it adds to the preview, if anything. Unknown events and
   * deltas change nothing.
   *
   * @throws CallFailed `malformed` when no message can have this event here
   */
  apply(event: StreamEvent): Delta | null {
    switch (event.type) {
      case "content_block_delta":
        return this.#delta(event);
      case "content_block_start":
        return this.#startBlock(event);
      case "content_block_stop":
        this.#stopBlock(event);
        return null;
      case "message_start":
        this.#start(event);
        return null;
      case "message_delta":
        this.#amend(event);
        return null;
      case "message_stop":
        this.#stop();
        return null;
      default:
        return null;
    }
  }

  /** `message_start` was seen: the API accepted the request. */
  get started(): boolean {
    return this.#started;
  }

  /** At least one content block has begun. */
  get produced(): boolean {
    return this.#blocks.length > 0;
  }

  /** `message_stop` was seen: nothing is missing. */
  get complete(): boolean {
    return this.#stopped;
  }

  get stopReason(): string | null {
    return this.#stopReason;
  }

  get stopDetails(): Json {
    return this.#stopDetails;
  }

  /** UTF-16 units of text, thinking and partial JSON received so far. */
  get characters(): number {
    return this.#characters;
  }

  /** All blocks so far in order; the last may be open. */
  get blocks(): ReceivedBlock[] {
    return this.#blocks.map(({ json, ...received }) =>
      received.complete || json === "" ? received : { ...received, raw_input: json },
    );
  }

  /** Usage as reported so far, or null before `message_start`. */
  get usage(): PricedUsage | null {
    return this.#started ? flatten(this.#usage) : null;
  }

  #start(event: StreamEvent): void {
    if (this.#started) throw malformed("a second message_start");
    if (!isRecord(event.message)) throw malformed("message_start without a message");
    this.#started = true;
    if (isRecord(event.message.usage)) this.#usage = { ...event.message.usage };
  }

  #startBlock(event: StreamEvent): Delta | null {
    const { index, content_block: block } = event;
    if (!this.#started) throw malformed("a content block before message_start");
    if (!isBlock(block)) throw malformed("a content block without a type");
    // Indexes count up from 0, so this also refuses one that was used before.
    if (index !== this.#blocks.length) throw malformed(`content block ${index} out of order`);
    this.#blocks.push({ i: index, block: { ...block }, complete: false, json: "" });
    const text = typeof block.text === "string" ? block.text : "";
    if (block.type === "text" && text !== "") return this.#grew({ i: index, kind: "text", text });
    const thinking = typeof block.thinking === "string" ? block.thinking : "";
    if (block.type === "thinking" && thinking !== "") {
      return this.#grew({ i: index, kind: "thinking", text: thinking });
    }
    return isToolUse(block) ? { i: index, kind: "tool", ...nameOf(block), text: "" } : null;
  }

  #delta(event: StreamEvent): Delta | null {
    const { delta } = event;
    const open = this.#open(event);
    if (!isRecord(delta)) throw malformed("content_block_delta without a delta");
    const { i, block } = open;
    switch (delta.type) {
      case "text_delta": {
        const text = stringIn(delta, "text");
        block.text = `${block.text ?? ""}${text}`;
        return this.#grew({ i, kind: "text", text });
      }
      case "thinking_delta": {
        const text = stringIn(delta, "thinking");
        block.thinking = `${block.thinking ?? ""}${text}`;
        return this.#grew({ i, kind: "thinking", text });
      }
      case "input_json_delta": {
        const text = stringIn(delta, "partial_json");
        open.json += text;
        return this.#grew({ i, kind: "tool", ...nameOf(block), text });
      }
      case "signature_delta":
        block.signature = stringIn(delta, "signature");
        return null;
      case "citations_delta":
        block.citations = [
          ...(Array.isArray(block.citations) ? block.citations : []),
          jsonIn(delta, "citation"),
        ];
        return null;
      case "compaction_delta":
        // It carries final values, and null as the content of a compaction that failed.
        block.content = jsonIn(delta, "content");
        if ("encrypted_content" in delta) {
          block.encrypted_content = jsonIn(delta, "encrypted_content");
        }
        return null;
      default:
        return null;
    }
  }

  #stopBlock(event: StreamEvent): void {
    const open = this.#open(event);
    open.complete = true;
    if (open.json === "") return;
    const input = parseObject(open.json);
    if (input === null) open.raw_input = open.json;
    else open.block.input = input;
  }

  #amend(event: StreamEvent): void {
    if (!this.#started) throw malformed("message_delta before message_start");
    const { delta, usage } = event;
    if (isRecord(delta)) {
      if (typeof delta.stop_reason === "string") this.#stopReason = delta.stop_reason;
      if (delta.stop_details != null) this.#stopDetails = jsonIn(delta, "stop_details");
    }
    if (!isRecord(usage)) return;
    for (const [field, value] of Object.entries(usage)) {
      if (value !== null) this.#usage[field] = value;
    }
  }

  #stop(): void {
    if (!this.#started) throw malformed("message_stop before message_start");
    if (this.#blocks.some(({ complete }) => !complete)) {
      throw malformed("message_stop inside a content block");
    }
    if (this.#stopReason === null) throw malformed("a message without a stop reason");
    this.#stopped = true;
  }

  #open({ index }: StreamEvent): OpenBlock {
    const block = typeof index === "number" ? this.#blocks[index] : undefined;
    if (block === undefined || block.complete) throw malformed(`no open content block ${index}`);
    return block;
  }

  #grew(delta: Delta): Delta {
    this.#characters += delta.text.length;
    return delta;
  }
}

/**
 * Usage of a call that did not tell how much it used: interrupted, cut, or lost with the object.
 * Input is what `message_start` said, or else the last known size of the prompt, all of it fresh.
 * Output is counted from the characters received, thinking included, at 3.5 to a token.
 */
export function estimateUsage(call: {
  /** Usage from `message_start`, or null when it was not seen. */
  reported: PricedUsage | null;
  /** Tokens of the session's last known prompt. */
  promptTokens: number;
  /** UTF-16 units of text, thinking and partial JSON received. */
  characters: number;
}): PricedUsage {
  const reported = call.reported ?? {
    input_tokens: call.promptTokens,
    output_tokens: 0,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
  const output = Math.ceil(call.characters / CHARACTERS_PER_TOKEN);
  return { ...reported, output_tokens: Math.max(reported.output_tokens, output) };
}

/** The counts of the API's usage object that are kept in a row. */
function flatten(usage: Record<string, unknown>): PricedUsage {
  const written = isRecord(usage.cache_creation) ? usage.cache_creation : {};
  const output = isRecord(usage.output_tokens_details) ? usage.output_tokens_details : {};
  const server = isRecord(usage.server_tool_use) ? usage.server_tool_use : {};
  const flat: PricedUsage = {
    input_tokens: count(usage.input_tokens),
    output_tokens: count(usage.output_tokens),
    cache_creation_input_tokens: count(usage.cache_creation_input_tokens),
    cache_read_input_tokens: count(usage.cache_read_input_tokens),
  };
  const hour = count(written.ephemeral_1h_input_tokens);
  const thinking = count(output.thinking_tokens);
  const searches = count(server.web_search_requests);
  if (hour > 0) flat.cache_creation_1h_input_tokens = hour;
  if (thinking > 0) flat.thinking_tokens = thinking;
  if (searches > 0) flat.web_search_requests = searches;
  if (typeof usage.inference_geo === "string") flat.inference_geo = usage.inference_geo;
  // The tokens of a compaction stand in its own entry and not in the counts at the top.
  const iterations = Array.isArray(usage.iterations) ? usage.iterations : [];
  return iterations
    .filter(isRecord)
    .reduce<PricedUsage>(
      (sum, entry) => (entry.type === "compaction" ? add(sum, flatten(entry)) : sum),
      flat,
    );
}

function add(a: PricedUsage, b: Usage): PricedUsage {
  const sum: PricedUsage = {
    ...a,
    input_tokens: a.input_tokens + b.input_tokens,
    output_tokens: a.output_tokens + b.output_tokens,
    cache_creation_input_tokens: a.cache_creation_input_tokens + b.cache_creation_input_tokens,
    cache_read_input_tokens: a.cache_read_input_tokens + b.cache_read_input_tokens,
  };
  const hour = (a.cache_creation_1h_input_tokens ?? 0) + (b.cache_creation_1h_input_tokens ?? 0);
  return hour > 0 ? { ...sum, cache_creation_1h_input_tokens: hour } : sum;
}

const malformed = (detail: string): CallFailed => new CallFailed({ kind: "malformed", detail });

const count = (value: unknown): number =>
  typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Events come from `JSON.parse`, so an object with a type is a block of JSON values. */
const isBlock = (value: unknown): value is ModelBlock =>
  isRecord(value) && typeof value.type === "string";

const isToolUse = ({ type }: ModelBlock): boolean => type.endsWith("tool_use");

function nameOf(block: ModelBlock): { id: string; name: string } {
  const { id, name } = block;
  return { id: typeof id === "string" ? id : "", name: typeof name === "string" ? name : "" };
}

function stringIn(record: Record<string, unknown>, field: string): string {
  const value = record[field];
  if (typeof value !== "string") throw malformed(`a delta without ${field}`);
  return value;
}

/** A field of an event, null where it is absent. */
function jsonIn(record: Record<string, unknown>, field: string): Json {
  // Events come from `JSON.parse`, which gives JSON values only.
  return (record[field] ?? null) as Json;
}

function parseObject(text: string): { [key: string]: Json } | null {
  try {
    const value: unknown = JSON.parse(text);
    // `JSON.parse` gives JSON values only.
    return isRecord(value) ? (value as { [key: string]: Json }) : null;
  } catch {
    return null;
  }
}
