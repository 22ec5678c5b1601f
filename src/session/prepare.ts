/** From the log to the next request: reads the context's rows and decides what the call needs. */
import { rulesOf } from "../model/catalogue.ts";
import {
  buildRequest,
  type ModelRequest,
  markable,
  type RequestBlock,
  type RequestMessage,
} from "../model/request.ts";
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
  request: ModelRequest;
  started: CallStartedBody;
}

/**
 * The request of the turn's next model call, and the row that records what was decided for it.
 * `rows` are those of the context, from `state.context.start`.
 */
export function prepareCall(
  state: State,
  turn: OpenTurn,
  epoch: Epoch,
  rows: readonly Row[],
  log: Log,
  media: MediaStore,
): PreparedCall {
  const messages = buildContext({
    rows,
    input: (seq) => inputAt(log, seq),
    definitions: (seq) => definitionsAt(log, seq),
    epoch: epoch.seq,
    tools: Object.keys(epoch.base.tools),
  });
  const marks = cacheMarks(messages, state.context.mark);
  const max_tokens = rulesOf(epoch.model).max_output;
  const ttl = "5m";
  const request = buildRequest({
    model: epoch.model,
    system: log.rowOf("session.created", 1)?.body.config.system_prompt || null,
    tools: epoch.base.seq === undefined ? [] : definitionsAt(log, epoch.base.seq),
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
  return { request, started };
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

function inputAt(log: Log, seq: number): InputBody | null {
  return log.rowOf("input", seq)?.body ?? null;
}

/** The tool definitions that the row `seq` brought. */
function definitionsAt(log: Log, seq: number): readonly ToolDefinition[] {
  const row = log.row(seq);
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
