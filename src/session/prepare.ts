/** From the log to the next request: reads the context's rows and decides what the call needs. */
import { rulesOf } from "../model/catalogue.ts";
import {
  buildRequest,
  type ModelRequest,
  markable,
  type RequestBlock,
  type RequestInput,
  type RequestMessage,
} from "../model/request.ts";
import { type EncodedRequest, encodeRequest } from "../model/request-body.ts";
import type { CallStartedBody, InputBody, Row } from "../shared/rows.ts";
import type { ModelSettings } from "../shared/settings.ts";
import type { ServerTool, ToolChoice, ToolDefinition } from "../shared/tools.ts";
import { harnessIn } from "../tools/registry.ts";
import { isServerTool } from "../tools/server-tools.ts";
import type { SizedCall, Verdict } from "./budget.ts";
import { sizeOf } from "./budget-size.ts";
import { promptSettings } from "./cache-miss.ts";
import { buildContext, type ContextRows } from "./context.ts";
import { instructionsBefore } from "./instructions.ts";
import type { Log } from "./log.ts";
import { loadMedia, type MediaStore } from "./media.ts";
import { promptIn } from "./prompt.ts";
import { wholeSettings } from "./settings.ts";
import type { Epoch, OpenTurn, State } from "./state.ts";

/** What of the log a context is read from. */
export type ContextLog = Pick<Log, "contents" | "rowOf">;

export interface PreparedCall {
  kind: "go";
  request: EncodedRequest;
  notices: ModelRequest["notices"];
  started: CallStartedBody;
}

/**
 * The request of the turn's next model call, and the row that records what was decided for it. The
 * request is bytes already: its context, which may be large, is forgotten when this returns.
 */
export function prepareCall(
  state: State,
  turn: OpenTurn,
  epoch: Epoch,
  log: Log,
  media: MediaStore,
  decide: ((call: SizedCall) => Verdict) | null,
): PreparedCall | Exclude<Verdict, { kind: "go" }> {
  const rules = rulesOf(epoch.model, epoch.facts);
  const said = nextRequest(state, turn, epoch, log);
  const { messages, settings, container } = said;
  const marks = cacheMarks(messages, state.context.mark);
  const ttl = turn.cache_ttl;
  const fast = settings.speed === "fast" && rules.fast !== "no";
  const sized = decide && {
    ttl,
    max_tokens: rules.max_output,
    size: sizeOf([said.system, said.tools, messages]),
    fast,
  };
  const verdict = sized && decide(sized);
  if (verdict && verdict.kind !== "go") return verdict;
  const max_tokens = verdict?.max_tokens ?? rules.max_output;
  const request = buildRequest({
    ...said,
    messages: loadMedia(messages, media),
    maxTokens: max_tokens,
    marks,
    ttl,
  });
  const sent = promptSettings(request.params);
  // A retry is the same step once more; only a finished call makes the next one.
  const again = turn.step.weight + turn.step.losses > 0;
  const started: CallStartedBody = {
    turn: turn.turn,
    n: again ? turn.n : turn.n + 1,
    attempt: turn.step.attempt,
    purpose: "turn",
    model: epoch.model,
    epoch: epoch.seq,
    max_tokens,
    marks,
    ttl,
    ...(Object.keys(sent).length > 0 ? { sent } : {}),
    ...(container === null ? {} : { container }),
    ...(verdict?.by_budget ? { by_budget: true as const } : {}),
    ...(sized ? { size: sized.size } : {}),
    ...(fast ? { speed: "fast" as const } : {}),
  };
  return { kind: "go", request: encodeRequest(request), notices: request.notices, started };
}

/** What the turn's next model call says. Its images and documents are references yet. */
export function nextRequest(state: State, turn: OpenTurn, epoch: Epoch, log: ContextLog) {
  const { source, rowAt } = contextOf(state, epoch, log);
  return {
    ...frameOf(state, epoch, rowAt),
    toolChoice: sentChoice(turn.options.tool_choice, epoch),
    parallelToolCalls: turn.options.parallel_tool_calls,
    messages: buildContext(source),
    settings: settingsOfCall(turn, rowAt),
  };
}

/** The rows of the context, and how any row of the log is read beside them. */
export function contextOf(
  state: State,
  epoch: Epoch,
  log: ContextLog,
): { source: ContextRows; rowAt: (seq: number) => Row | undefined } {
  const { start } = state.context;
  const rows = log.contents(start, state.seq);
  // A row of the context is not read twice.
  const rowAt = (seq: number) => rows[seq - start] ?? log.contents(seq, seq)[0];
  const instructionAt = (seq: number) => log.rowOf("instruction", seq)?.body ?? null;
  const source: ContextRows = {
    rows,
    input: (seq) => inputOf(rowAt(seq)),
    definitions: (seq) => definitionsOf(rowAt(seq)),
    epoch: epoch.seq,
    tools: Object.keys(epoch.base.tools),
    summary: summaryOf(state, epoch, rowAt),
    instructions: instructionsBefore(state, start).flatMap((seq) => instructionAt(seq) ?? []),
    instructionAt,
    systemMessages: rulesOf(epoch.model, epoch.facts).system_messages,
    serverTools: hasServerTools(state, epoch),
  };
  return { source, rowAt };
}

/** What stands for the messages before the context's start: see `Context.summary`. */
function summaryOf(
  { context: { summary } }: State,
  epoch: Epoch,
  rowAt: (seq: number) => Row | undefined,
): ContextRows["summary"] {
  const row = summary && rowAt(summary.seq);
  if (row?.type !== "context.compacted") return null;
  const { block, summary: text } = row.body;
  if (!block) return text ?? null;
  return summary?.epoch === epoch.seq ? block : String(block.content);
}

/** What all requests of an epoch share. */
export function frameOf(
  state: State,
  epoch: Epoch,
  rowAt: (seq: number) => Row | undefined,
): Pick<RequestInput, "model" | "facts" | "system" | "tools"> & { container: string | null } {
  const tools = toolsOf(state, epoch, rowAt);
  const runsCode = tools.some(({ name }) => name === "code_execution");
  return {
    model: epoch.model,
    facts: epoch.facts,
    system: systemOf(epoch, rowAt),
    tools,
    container: runsCode ? state.container : null,
  };
}

/**
 * The turn's settings. Where an answer is continued the API would begin one of the form anew, and the
 * two would not join.
 */
function settingsOfCall(
  { settings, last, results }: OpenTurn,
  rowAt: (seq: number) => Row | undefined,
): ModelSettings {
  const whole = wholeSettings(settings, rowAt);
  if (last?.stop_reason !== "max_tokens" || results) return whole;
  const { output_format: _, ...rest } = whole;
  return rest;
}

/**
 * Where the cache breakpoints go, besides the one behind system and tools: on the block that
 * carried the last one in the last accepted request, so that it is found without a look-back, and
 * on the new last block.
 */
function cacheMarks(messages: readonly RequestMessage[], last: number | null): number[] {
  const blocks: RequestBlock[] = messages.flatMap(({ content }) => [...content]);
  const newest = blocks.findLastIndex(markable);
  if (newest < 0) return [];
  return last === null || last >= newest ? [newest] : [last, newest];
}

/** Tools that came with results and cannot be appended are not in the request, so none is forced. */
function sentChoice(choice: ToolChoice, epoch: Epoch): ToolChoice {
  const sent = choice.type !== "tool" || Object.hasOwn(epoch.active, choice.name);
  return sent ? choice : { type: "auto" };
}

const inputOf = (row: Row | undefined): InputBody | null =>
  row?.type === "input" ? row.body : null;

/** The session's own prompt, then what has to be known to use built-in tools. */
function systemOf(
  { base, prompt, cwd }: Epoch,
  rowAt: (seq: number) => Row | undefined,
): string | null {
  const created = rowAt(1);
  const text = promptIn(rowAt(prompt.seq));
  const own = created?.type === "session.created" ? created.body.config.harness : undefined;
  const harness = base.builtin && own ? harnessIn(own, cwd) : null;
  if (!text || !harness) return text || harness;
  return `${text}\n\n${harness}`;
}

/** The tool array of the epoch; the API's own tools only where it and the model have them. */
function toolsOf(
  state: State,
  epoch: Epoch,
  rowAt: (seq: number) => Row | undefined,
): readonly (ToolDefinition | ServerTool)[] {
  const { seq } = epoch.base;
  const tools = seq === undefined ? [] : definitionsOf(rowAt(seq));
  return hasServerTools(state, epoch) ? tools : tools.filter((tool) => !isServerTool(tool));
}

const hasServerTools = ({ server_tools }: State, { model, facts }: Epoch): boolean =>
  server_tools && rulesOf(model, facts).server_tools;

/** The tool definitions that a row brought. */
function definitionsOf(row: Row | undefined): readonly (ToolDefinition | ServerTool)[] {
  switch (row?.type) {
    case "session.created":
      return row.body.config.toolset.list ?? [];
    case "input":
    case "turn.resumed":
      return row.body.options.toolset.list ?? [];
    default:
      return [];
  }
}
