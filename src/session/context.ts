/**
 * The request's messages: a pure function of the log's rows from the context's start. Within an
 * epoch a later request begins with the blocks of an earlier one, so that the prompt cache and the
 * model's thinking stay valid; the transcript is valid whatever happened to the session.
 */
import { isReturnable } from "../model/blocks.ts";
import type { RequestBlock, RequestMessage } from "../model/request.ts";
import type { ModelBlock } from "../shared/content.ts";
import { toolCallId } from "../shared/ids.ts";
import type { InputBody, Row, RowBodies, RowOf } from "../shared/rows.ts";
import type { ServerTool, ToolChange, ToolDefinition } from "../shared/tools.ts";
import {
  CUT_SHORT,
  definedIn,
  forMessage,
  hasWords,
  instruction,
  isForMessage,
  isThinking,
  noResult,
  said,
  sendable,
  sentOf,
  settled,
  toolResult,
} from "./context-blocks.ts";
import { withoutServerTools } from "./context-server-tools.ts";
import { Cuts } from "./cuts.ts";

/** Texts that the session itself puts into the transcript. They are part of the cached prefix. */
const CONTINUE = "Continue exactly where you stopped.";
const INTERRUPTED = "[The user interrupted the previous reply.]";
const EMPTY = "(empty message)";
const ENDED = "[This reply ended here.]";
const CHANGED = "[The tools or the instructions change here.]";
const SUMMARY = "Summary of the conversation so far, which was too long to be kept as it was:";

export interface ContextRows {
  /** Rows from the context's start, in order. */
  rows: readonly Row[];
  /** An input that was queued before the context's start. */
  input: (seq: number) => InputBody | null;
  /** Definitions of the tools that the row `seq` brought. */
  definitions: (seq: number) => readonly (ToolDefinition | ServerTool)[];
  /** Seq of the row that opened the epoch; changes of tools before it are in its array. */
  epoch: number;
  /** Names of the tools in that array. */
  tools: readonly string[];
  /** What stands for everything before the first row: the API's block, or a text. */
  summary: ModelBlock | string | null;
  /** Those before the context's start that still hold. */
  instructions: readonly RowBodies["instruction"][];
  /** An instruction that a compaction gives again. */
  instructionAt: (seq: number) => RowBodies["instruction"] | null;
  /** The model takes system messages between the others. */
  systemMessages: boolean;
  /** The API has tools of its own for this model, and so takes the blocks of those. */
  serverTools: boolean;
}

interface Message {
  role: "user" | "assistant" | "system";
  content: RequestBlock[];
}

/** The messages of the next request. The last is of the user or system, except after a pause. */
export function buildContext(source: ContextRows): RequestMessage[] {
  return read(source).finish();
}

/** A place between two messages, of the assistant and of the user, at which a context can be cut. */
export interface Boundary {
  /** The context from this row on is what stands behind it, unchanged. */
  start: number;
  /** The row of the message that stands first behind it. */
  at: number;
  /** How many messages stand before it. */
  before: number;
}

/**
 * The messages up to the row `before`, with the places at which they can be cut. What a row behind
 * it leaves out is left out all the same.
 */
export function boundedContext(
  source: ContextRows,
  before = Number.POSITIVE_INFINITY,
): {
  messages: readonly RequestMessage[];
  boundaries: readonly Boundary[];
} {
  const builder = read(source, before);
  return { messages: builder.close(), boundaries: builder.boundaries };
}

function read(source: ContextRows, before = Number.POSITIVE_INFINITY): ContextBuilder {
  const builder = new ContextBuilder(source);
  for (const row of source.rows) {
    if (row.seq >= before) break;
    builder.add(row);
    builder.bound(row);
  }
  return builder;
}

class ContextBuilder {
  readonly boundaries: Boundary[] = [];
  /** The last row behind which nothing was left that a later message brings, and what stood then. */
  #whole: { seq: number; messages: number; last: Message; blocks: number } | null = null;
  readonly #source: ContextRows;
  readonly #cuts: Cuts;
  readonly #messages: Message[] = [];
  readonly #inputs = new Map<number, InputBody>();
  /** Blocks of the call whose end has not been read yet. */
  #answer: { seq: number; partial: boolean; i: number; block: ModelBlock }[] = [];
  /** Tool calls of the last assistant message, in order, and the results so far. */
  #calls: { id: string; use: string }[] = [];
  #results = new Map<string, RequestBlock>();
  #lastStop: string | null = null;
  #interrupted = false;
  /** An answer since the user's last message has lost its thinking to a new epoch. */
  #stripped = false;
  /** Changes of tools that wait for a user message, behind which they have to stand. */
  #changes: RequestBlock[] = [];
  /** A model call is open: what comes now was not in its request. */
  #calling = false;
  #later: RequestBlock[] = [];
  /** Tools whose definition the request carries already. */
  readonly #defined: Set<string>;

  constructor(source: ContextRows) {
    this.#source = source;
    this.#defined = new Set(source.tools);
    this.#cuts = new Cuts(source.rows);
    const { summary } = source;
    if (typeof summary === "string") {
      this.#messages.push({ role: "user", content: [said(`${SUMMARY}\n\n${summary}`)] });
    } else if (summary) {
      this.#messages.push({ role: "assistant", content: [summary] });
      for (const name of definedIn(summary)) this.#defined.add(name);
    }
    this.#changes.push(...source.instructions.map(instruction));
  }

  /** Notes what `row`, the last one, means for where the context can be cut. */
  bound(row: Row): void {
    const whole = this.#whole;
    const messages = this.#messages;
    if (whole && messages.length > whole.messages) {
      const same = messages[whole.messages - 1] === whole.last;
      if (same && beginsTurn(row) && messages[whole.messages]?.role === "user") {
        this.boundaries.push({ start: whole.seq + 1, at: row.seq, before: whole.messages });
      }
      this.#whole = null;
    } else if (whole && whole.last.content.length > whole.blocks) {
      this.#whole = null;
    }
    const last = messages.at(-1);
    const waiting = this.#changes.length + this.#later.length + this.#calls.length;
    if (last?.role !== "assistant" || waiting + this.#answer.length > 0) return;
    if (this.#calling || this.#interrupted) return;
    const blocks = last.content.length;
    this.#whole = { seq: row.seq, messages: messages.length, last, blocks };
  }

  add(row: Row): void {
    switch (row.type) {
      case "input":
        this.#inputs.set(row.seq, row.body);
        if (row.body.start === "now") this.#input(row.seq, row.seq, row.body, row.body.tool_change);
        return;
      case "input.taken": {
        const body = this.#inputs.get(row.body.input) ?? this.#source.input(row.body.input);
        if (body) this.#input(row.seq, row.body.input, body, row.body.tool_change);
        return;
      }
      case "call.started":
        // A compaction is not a part of the conversation.
        if (row.body.purpose === "turn") this.#calling = true;
        return;
      case "instruction": {
        const said = instruction(row.body);
        if (this.#calling) this.#later.push(said);
        else this.#changes.push(said);
        return;
      }
      case "turn.resumed":
        // What was confirmed has yet to run, and its results belong to the same message.
        if (row.body.by === "confirmations") return;
        this.#flushResults();
        this.#toolChange(row.seq, row.body.tool_change, row.body.options.toolset.seq ?? row.seq);
        return;
      case "block.thinking":
      case "block.text":
      case "block.tool":
      case "block.other": {
        const { i, block, partial } = row.body;
        this.#answer.push({ seq: row.seq, partial: partial ?? false, i, block });
        return;
      }
      case "call.ended":
        if (row.body.purpose !== "compact") this.#callEnded(row);
        return;
      case "tool.ended":
        this.#result(row);
        return;
      case "outcome":
        if (row.body.outcome === "interrupted") this.#interrupted = true;
        return;
      case "context.compacted": {
        for (const seq of row.body.instructions ?? []) {
          const given = this.#source.instructionAt(seq);
          if (given) this.#changes.push(instruction(given));
        }
        return;
      }
      default:
        return;
    }
  }

  finish(): RequestMessage[] {
    this.#flushResults();
    this.#placeChanges();
    this.#askOn();
    return this.#messages;
  }

  /** The same as a conversation that is over: nothing is left for a later message to bring. */
  close(): RequestMessage[] {
    this.#flushResults();
    const last = this.#messages.at(-1);
    if (this.#interrupted) this.#user([]);
    else if (this.#changes.length > 0 && last?.role === "assistant") this.#user([said(CHANGED)]);
    else this.#endAnswer();
    this.#placeChanges();
    this.#enclose();
    return this.#messages;
  }

  /** Only after a pause the API goes on with its own message; otherwise that would be a prefill. */
  #askOn(): void {
    const last = this.#messages.at(-1);
    if (last?.role === "assistant" && this.#lastStop !== "pause_turn") this.#user([said(CONTINUE)]);
  }

  /** An input at the place where it was taken, which is the row `at`. */
  #input(at: number, seq: number, body: InputBody, change: ToolChange | undefined): void {
    this.#flushResults();
    if (body.repeats === undefined && !this.#cuts.dropsInput(seq)) {
      const content = sendable(body.content);
      this.#user(content.length > 0 ? content : [said(EMPTY)]);
      this.#instruct(body.options.system);
    }
    this.#toolChange(at, change, body.options.toolset.seq ?? seq);
  }

  #instruct(text: string | undefined): void {
    if (text === undefined) return;
    this.#changes.push(forMessage(text));
    this.#placeChanges();
  }

  /** Where something else follows an instruction of one message, it stands in that message. */
  #enclose(): void {
    const last = this.#messages.at(-1);
    if (last?.role !== "system") return;
    this.#messages.at(-2)?.content.push(...last.content.filter(isForMessage));
    last.content = last.content.filter((block) => !isForMessage(block));
    if (last.content.length === 0) this.#messages.pop();
  }

  #toolChange(at: number, change: ToolChange | undefined, definitions: number): void {
    if (!change || at <= this.#source.epoch) return;
    const known = this.#source.definitions(definitions);
    const removed = change.removed.map((name) => ({
      type: "tool_removal",
      tool: { type: "tool_reference", name },
    }));
    const added = known
      .filter((tool) => change.added.includes(tool.name))
      .map((definition) => ({ type: "tool_addition", tool: this.#reference(definition) }));
    this.#changes.push(...removed, ...added);
    this.#placeChanges();
  }

  /** The message that brought a change may have been left out; the change still holds. */
  #placeChanges(): void {
    const last = this.#messages.at(-1);
    if (this.#changes.length === 0 || !last || last.role === "assistant") return;
    if (last.role === "system" || !this.#source.systemMessages) last.content.push(...this.#changes);
    else this.#messages.push({ role: "system", content: this.#changes });
    this.#changes = [];
  }

  /** A tool that was defined before comes back by its name. */
  #reference(definition: ToolDefinition | ServerTool): object {
    const { name } = definition;
    if (this.#defined.has(name)) return { type: "tool_reference", name };
    this.#defined.add(name);
    return { type: "tool_definition", definition };
  }

  #user(content: RequestBlock[]): void {
    this.#endAnswer();
    if (this.#interrupted) content = [said(INTERRUPTED), ...content];
    this.#interrupted = false;
    this.#enclose();
    // A system message may not stand before a user message, so the text goes in front of it.
    const last = this.#messages.at(-1);
    const user = last?.role === "system" ? this.#messages.at(-2) : last;
    // Tool calls without the thinking that led to them are valid only in a round that has ended.
    const ended = this.#stripped && user?.content[0]?.type === "tool_result";
    if (ended) this.#messages.push({ role: "assistant", content: [said(ENDED)] });
    if (user?.role === "user" && !ended) user.content.push(...content);
    else {
      this.#messages.push({ role: "user", content: [...content] });
      this.#stripped = false;
    }
    this.#placeChanges();
  }

  /** What the API takes only while it goes on with its own message: see `settled`. */
  #endAnswer(): void {
    const last = this.#messages.at(-1);
    if (last?.role !== "assistant") return;
    const kept = settled(last.content);
    if (kept.length === 0) this.#messages.pop();
    else last.content = kept;
  }

  #callEnded(row: RowOf<"call.ended">): void {
    const { call, end, stop_reason } = row.body;
    const blocks = this.#answer;
    this.#answer = [];
    this.#calling = false;
    if (end !== "ok" && end !== "interrupted") {
      this.#changes.push(...this.#later.splice(0));
      return;
    }
    this.#flushResults();
    this.#placeChanges();
    this.#changes.push(...this.#later.splice(0));
    if (this.#cuts.dropsCall(call)) return;
    this.#askOn();
    const whole = blocks.filter(({ seq, partial, block }) => {
      if (block.type === "text") return hasWords(block.text);
      if (partial || !isReturnable(block)) return false;
      return !(isThinking(block) && this.#cuts.stripsThinking(seq));
    });
    const cut = end === "interrupted" || CUT_SHORT.has(stop_reason);
    const sent = new Set(
      sentOf(
        whole.map(({ block }) => block),
        cut,
        stop_reason,
      ),
    );
    const kept = whole.filter(({ block }) => sent.has(block));
    // In the epoch itself an API that gives such blocks takes them, too.
    const rewrites = !this.#source.serverTools && call < this.#source.epoch;
    if (kept.length > 0) {
      this.#assistant(kept.map(({ block }) => (rewrites ? withoutServerTools(block) : block)));
      this.#stripped ||= blocks.some(
        ({ seq, block }) => isThinking(block) && this.#cuts.stripsThinking(seq),
      );
    }
    // What it had paused in is a text now, with which it cannot go on.
    this.#lastStop = rewrites ? null : stop_reason;
    this.#calls = kept
      .filter(({ block }) => block.type === "tool_use")
      .map(({ i, block }) => ({ id: toolCallId(call, i), use: String(block.id) }));
  }

  #assistant(blocks: ModelBlock[]): void {
    const last = this.#messages.at(-1);
    if (last?.role === "assistant") last.content.push(...blocks);
    else this.#messages.push({ role: "assistant", content: blocks });
  }

  #result(row: RowOf<"tool.ended">): void {
    const { tool } = row.body;
    const replaced = this.#cuts.replacement(tool);
    const call = this.#calls.find((one) => one.id === tool);
    if (call) this.#results.set(tool, toolResult(call.use, row.body, replaced));
  }

  /** Results go first into the next user message, in the order of the calls. */
  #flushResults(): void {
    if (this.#calls.length === 0) return;
    const blocks = this.#calls.map(({ id, use }) => this.#results.get(id) ?? noResult(use));
    this.#calls = [];
    this.#results = new Map();
    this.#messages.push({ role: "user", content: blocks });
  }
}

const beginsTurn = (row: Row): boolean =>
  row.type === "input" || (row.type === "input.taken" && row.body.as === "start");
