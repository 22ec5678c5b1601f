/** From the log to the next request: reads the context's rows and decides what the call needs. */
import { rulesOf } from "../model/catalogue.ts";
import {
  buildRequest,
  type ModelRequest,
  markable,
  type RequestBlock,
  type RequestMessage,
} from "../model/request.ts";
import { type EncodedRequest, encodeRequest } from "../model/request-body.ts";
import type {
  CallStartedBody,
  InputBody,
  Row,
  RowBodies,
  ServerTool,
  ToolChoice,
  ToolDefinition,
} from "../shared/rows.ts";
import { isServerTool } from "../tools/server-tools.ts";
import { buildContext } from "./context.ts";
import type { Log } from "./log.ts";
import { loadMedia, type MediaStore } from "./media.ts";
import type { Epoch, OpenTurn, State } from "./state.ts";

export interface PreparedCall {
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
): PreparedCall {
  const { start } = state.context;
  const rows = log.contents(start, state.seq);
  // A row of the context is not read twice.
  const rowAt = (seq: number) => rows[seq - start] ?? log.contents(seq, seq)[0];
  const messages = buildContext({
    rows,
    input: (seq) => inputOf(rowAt(seq)),
    definitions: (seq) => definitionsOf(rowAt(seq)),
    epoch: epoch.seq,
    tools: Object.keys(epoch.base.tools),
    instructions: instructionsBefore(state, log),
    systemMessages: rulesOf(epoch.model).system_messages,
  });
  const marks = cacheMarks(messages, state.context.mark);
  const max_tokens = rulesOf(epoch.model).max_output;
  const ttl = "5m";
  const tools = toolsOf(state, epoch, rowAt);
  const runsCode = tools.some(({ name }) => name === "code_execution");
  const container = runsCode ? state.container : null;
  const request = buildRequest({
    model: epoch.model,
    system: systemOf(rowAt(1), epoch),
    tools,
    toolChoice: sentChoice(turn.options.tool_choice, epoch),
    parallelToolCalls: turn.options.parallel_tool_calls,
    messages: loadMedia(messages, media),
    maxTokens: max_tokens,
    marks,
    ttl,
    container,
  });
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
    ...(container === null ? {} : { container }),
  };
  return { request: encodeRequest(request), notices: request.notices, started };
}

/** What stands before the context's start and still holds: the owner's, then what was announced since. */
function instructionsBefore({ instruction, context }: State, log: Log): RowBodies["instruction"][] {
  if (!instruction) return [];
  const { owner, seq } = instruction;
  return [...(owner === null || owner === seq ? [] : [owner]), seq]
    .filter((one) => one < context.start)
    .flatMap((one) => log.rowOf("instruction", one)?.body ?? []);
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
function systemOf(row: Row | undefined, { base }: Epoch): string | null {
  if (row?.type !== "session.created") return null;
  const { system_prompt } = row.body.config;
  const harness = base.builtin ? row.body.config.harness : null;
  if (!system_prompt || !harness) return system_prompt || harness || null;
  return `${system_prompt}\n\n${harness}`;
}

/** The tool array of the epoch; the API's own tools only where it and the model have them. */
function toolsOf(
  { server_tools }: State,
  { base, model }: Epoch,
  rowAt: (seq: number) => Row | undefined,
): readonly (ToolDefinition | ServerTool)[] {
  const tools = base.seq === undefined ? [] : definitionsOf(rowAt(base.seq));
  const offered = server_tools && rulesOf(model).server_tools;
  return offered ? tools : tools.filter((tool) => !isServerTool(tool));
}

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
