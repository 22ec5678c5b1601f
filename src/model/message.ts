/**
 * Builds the model's message from the events of its stream. Pure: what it is given decides
 * everything.
 */
import type { Json, ModelBlock } from "../shared/content.ts";
import { promptTokens, type Usage } from "../shared/usage.ts";
import { wellFormed } from "../shared/well-formed.ts";
import { isCall, takesDelta } from "./blocks.ts";
import { CallFailed } from "./retry.ts";
import { flatten, isCount } from "./usage.ts";

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
  /**
   * As received, fields that are not known included. Only lone surrogates are replaced, or left
   * out at the end of a part: the API refuses every request that carries one.
   */
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
  #outputReported = false;
  #stopReason: string | null = null;
  #stopDetails: Json = null;
  #container: string | null = null;
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

  /** The API's machine for code execution that the answer used. */
  get container(): string | null {
    return this.#container;
  }

  /** UTF-16 units of text, thinking and partial JSON received so far. */
  get characters(): number {
    return this.#characters;
  }

  /** All blocks so far in order; the last may be open. */
  get blocks(): ReceivedBlock[] {
    return this.#blocks.map(({ json, ...received }) => {
      if (received.complete) return received;
      const open = { ...received, block: asPart(received.block) };
      return json === "" ? open : { ...open, raw_input: json };
    });
  }

  /** Usage as reported so far, or null before `message_start`. */
  get usage(): Usage | null {
    return this.#started ? flatten(this.#usage) : null;
  }

  /** The end of the message has told what all of it used: no prompt and answer are without tokens. */
  get usageComplete(): boolean {
    const { usage } = this;
    return this.#outputReported && usage !== null && promptTokens(usage) > 0;
  }

  #start(event: StreamEvent): void {
    if (this.#started) throw malformed("a second message_start");
    if (!isRecord(event.message)) throw malformed("message_start without a message");
    this.#started = true;
    if (isRecord(event.message.usage)) this.#usage = { ...event.message.usage };
    this.#noteContainer(event.message);
  }

  #startBlock(event: StreamEvent): Delta | null {
    const { index, content_block } = event;
    if (!this.#started) throw malformed("a content block before message_start");
    if (!isBlock(content_block)) throw malformed("a content block without a type");
    // Indexes count up from 0, so this also refuses one that was used before.
    if (index !== this.#blocks.length) throw malformed(`${place(index)} out of order`);
    const block = this.#checked({ ...content_block });
    this.#blocks.push({ i: index, block, complete: false, json: "" });
    const text = typeof block.text === "string" ? block.text : "";
    if (block.type === "text" && text !== "") return this.#grew({ i: index, kind: "text", text });
    const thinking = typeof block.thinking === "string" ? block.thinking : "";
    if (block.type === "thinking" && thinking !== "") {
      return this.#grew({ i: index, kind: "thinking", text: thinking });
    }
    return isToolUse(block) ? { i: index, kind: "tool", ...nameOf(block), text: "" } : null;
  }

  /** A call that cannot be told from another, or not be sent back with its result, is none. */
  #checked(block: ModelBlock): ModelBlock {
    if (!isCall(block)) return block;
    const { id, name } = nameOf(block);
    if (id === "" || name === "") throw malformed("a tool call without an id or a name");
    if (this.#blocks.some((one) => isCall(one.block) && one.block.id === id)) {
      throw malformed("two tool calls with one id");
    }
    const input = block.input ?? {};
    if (!isRecord(input)) throw malformed("a tool call whose input is no object");
    return { ...block, input };
  }

  #delta(event: StreamEvent): Delta | null {
    const { delta } = event;
    const open = this.#open(event);
    if (!isRecord(delta)) throw malformed("content_block_delta without a delta");
    const { i, block } = open;
    if (!takesDelta(block, delta.type)) {
      throw malformed(`a ${kindIn(delta.type)} in a ${kindIn(block.type)} block`);
    }
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
    const input = open.json === "" ? undefined : parseObject(open.json);
    if (input === null) open.raw_input = open.json;
    else if (input !== undefined) open.block.input = input;
    open.block = wellFormedBlock(open.block);
  }

  #amend(event: StreamEvent): void {
    if (!this.#started) throw malformed("message_delta before message_start");
    const { delta, usage } = event;
    if (isRecord(delta)) {
      if (typeof delta.stop_reason === "string") this.#stopReason = delta.stop_reason;
      if (delta.stop_details != null) this.#stopDetails = jsonIn(delta, "stop_details");
      this.#noteContainer(delta);
    }
    if (!isRecord(usage)) return;
    this.#outputReported ||= isCount(usage.output_tokens);
    for (const [field, value] of Object.entries(usage)) {
      const worse = isCount(this.#usage[field]) && !isCount(value);
      if (value !== null && !worse) this.#usage[field] = value;
    }
  }

  #noteContainer({ container }: Record<string, unknown>): void {
    if (isRecord(container) && typeof container.id === "string") this.#container = container.id;
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
    if (block === undefined || block.complete) throw malformed(`no open ${place(index)}`);
    return block;
  }

  #grew(delta: Delta): Delta {
    this.#characters += delta.text.length;
    return delta;
  }
}

const malformed = (detail: string): CallFailed => new CallFailed({ kind: "malformed", detail });

/** What answers need not be the API: only what looks like the name of a kind is repeated. */
const kindIn = (type: unknown): string =>
  typeof type === "string" && /^[a-z_]{1,40}$/.test(type) ? type : "piece of no kind";

const place = (index: unknown): string =>
  typeof index === "number" ? `content block ${index}` : "content block without a number";

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

/** A block stays an object with a type. */
const wellFormedBlock = (block: ModelBlock): ModelBlock => wellFormed(block) as ModelBlock;

/** The block as far as it came: of a character that came half nothing is kept. */
function asPart(block: ModelBlock): ModelBlock {
  const whole = (value: Json): Json =>
    typeof value === "string" ? value.replace(/[\ud800-\udbff]$/, "") : value;
  const { text, thinking } = block;
  return wellFormedBlock({
    ...block,
    ...(text === undefined ? {} : { text: whole(text) }),
    ...(thinking === undefined ? {} : { thinking: whole(thinking) }),
  });
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
