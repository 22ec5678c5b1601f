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
  ToolChoice,
  ToolDefinition,
} from "../shared/rows.ts";
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
  });
  const marks = cacheMarks(messages, state.context.mark);
  const max_tokens = rulesOf(epoch.model).max_output;
  const ttl = "5m";
  const request = buildRequest({
    model: epoch.model,
    system: systemOf(rowAt(1)),
    tools: epoch.base.seq === undefined ? [] : definitionsOf(rowAt(epoch.base.seq)),
    toolChoice: sentChoice(turn.options.tool_choice, epoch),
    parallelToolCalls: turn.options.parallel_tool_calls,
    messages: loadMedia(messages, media),
    maxTokens: max_tokens,
    marks,
    ttl,
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
  };
  return { request: encodeRequest(request), notices: request.notices, started };
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

const systemOf = (row: Row | undefined): string | null =>
  (row?.type === "session.created" && row.body.config.system_prompt) || null;

/** The tool definitions that a row brought. */
function definitionsOf(row: Row | undefined): readonly ToolDefinition[] {
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
