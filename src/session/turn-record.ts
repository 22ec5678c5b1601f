/** What a turn came to: a function of its rows. */
import { type ContentBlock, isJsonObject, type Json } from "../shared/content.ts";
import { toolCallId } from "../shared/ids.ts";
import type { CallEndedBody, Row, RowType, ToolBlockBody } from "../shared/rows.ts";
import type { TurnRecord, TurnStatus } from "../shared/turn-record.ts";
import { addCost, addUsage, NO_USAGE } from "../shared/usage.ts";
import { CONTINUED } from "../shared/view.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store.ts";
import { joinedTurn, lastOutcome, statusOfTurn } from "./turns.ts";

/** What a record needs besides the rows. */
interface KnownTurn {
  turn: number;
  status: TurnStatus;
  /** The session's, which a turn without a call has unless it named another one. */
  model: string;
  /** Public ids of its tool calls that have no result. */
  open: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  started_at: number | null;
  ended_at: number | null;
}

const TYPES: readonly RowType[] = [
  "input.taken",
  "call.started",
  "block.text",
  "block.tool",
  "block.other",
  "call.ended",
  "outcome",
];

/** A model message that is being written. */
interface Message {
  text: string;
  tools: string[];
}

/** `rows` are those of the turn, in order; before what was done with a message stands its `input`. */
function turnRecord(rows: Iterable<Row>, known: KnownTurn): TurnRecord {
  const { open, ...told } = known;
  const record: TurnRecord = {
    ...told,
    outcome: null,
    code: null,
    message: null,
    prompt: "",
    content: "",
    tools_used: [],
    usage: NO_USAGE,
    cost_usd: 0,
    duration_ms: 0,
    num_turns: 0,
    created_at: 0,
  };
  const prompts: string[] = [];
  let message: Message = { text: "", tools: [] };
  let continues = false;
  for (const row of rows) {
    switch (row.type) {
      case "input":
        if (row.seq === known.turn) {
          record.created_at = row.at;
          record.model = row.body.options.model?.id ?? record.model;
        }
        prompts.push(promptOf(row.body.content));
        break;
      case "call.started":
        if (row.body.purpose === "turn") record.model = row.body.model;
        message = { text: "", tools: [] };
        break;
      case "block.text":
        message.text += textOf(row.body.block.text);
        break;
      case "block.tool":
        if (row.body.partial) break;
        message.tools.push(toolCallId(row.body.call, row.body.i));
        record.tools_used.push(usedTool(row.body));
        break;
      case "block.other":
        if (row.body.block.type !== "server_tool_use" || row.body.partial) break;
        record.tools_used.push(usedTool(row.body));
        break;
      case "call.ended": {
        record.usage = addUsage(record.usage, row.body.usage ?? NO_USAGE);
        record.cost_usd = addCost(record.cost_usd, row.body.cost_usd);
        if (!isMessage(row.body)) break;
        const answered = message.tools.length > 0 && !message.tools.some((id) => open.has(id));
        record.num_turns += answered ? 2 : 1;
        record.content = continues ? record.content + message.text : message.text;
        continues = CONTINUED.has(row.body.stop_reason ?? "");
        break;
      }
      case "outcome": {
        const { outcome, code = null, message: said = null, totals } = row.body;
        Object.assign(record, { outcome, code, message: said });
        record.duration_ms += totals.ms;
      }
    }
  }
  return { ...record, prompt: prompts.join("\n\n"), content: record.content.trim() };
}

/** Of a call that was interrupted something may have been kept; an answer may also be empty. */
const isMessage = ({ end, blocks, purpose }: CallEndedBody): boolean =>
  purpose !== "compact" && (end === "ok" || (end === "interrupted" && blocks > 0));

const textOf = (value: Json | undefined): string => (typeof value === "string" ? value : "");

function usedTool({ block }: Pick<ToolBlockBody, "block">): TurnRecord["tools_used"][number] {
  return { name: textOf(block.name), input: isJsonObject(block.input) ? block.input : {} };
}

const promptOf = (content: readonly ContentBlock[]): string =>
  content.map((block) => (block.type === "text" ? block.text : `[${block.type}]`)).join("\n\n");

/** The rows of a turn from where it started to `end`, and the messages that it is about. */
function* rowsOfTurn(
  log: Log,
  turn: number,
  place: { start: number; end: number } | null,
): Generator<Row> {
  yield* inputRow(log, turn);
  if (!place) return;
  for (const row of log.typedBetween(TYPES, place.start, place.end)) {
    if (!("turn" in row.body) || row.body.turn !== turn) continue;
    if (row.type !== "input.taken") yield row;
    else if (row.body.as === "steer") yield* inputRow(log, row.body.input);
  }
}

function* inputRow(log: Log, input: number): Generator<Row> {
  const row = log.rowOf("input", input);
  if (row) yield row;
}

const NONE: ReadonlySet<string> = new Set();

/** Of a message that waits, or was cancelled before it was taken. */
function unstarted(
  { log, state }: Store,
  turn: number,
  status: "queued" | "cancelled",
  ended_at: number | null,
): TurnRecord {
  const { model } = state.config;
  const known = { turn, status, model, open: NONE, started_at: null, ended_at };
  return turnRecord(rowsOfTurn(log, turn, null), known);
}

/** What the turn that the input `turn` opened, or joined, has come to; null when there is none. */
export function recordOf(store: Store, turn: number): TurnRecord | null {
  const { log, state } = store;
  if (log.timeOf("input", turn) === null) return null;
  if (state.queue.some(({ seq }) => seq === turn)) return unstarted(store, turn, "queued", null);
  const start = store.turnStart(turn);
  if (start !== null) return startedRecord(store, turn, start);
  const joined = joinedTurn(log, turn);
  if (joined !== null) return recordOf(store, joined);
  return unstarted(store, turn, "cancelled", cancelledAt(log, turn));
}

/** Of the turn that has begun with the row `start`. */
export function startedRecord(store: Store, turn: number, start: number): TurnRecord {
  const { log, state } = store;
  const status = statusOfTurn(store, turn);
  const last = status === "finished" ? lastOutcome(store, turn, start) : null;
  const tools = status === "finished" ? [] : (state.turn?.tools ?? []);
  return turnRecord(rowsOfTurn(log, turn, { start, end: last?.seq ?? state.seq }), {
    turn,
    status,
    model: state.config.model,
    open: new Set(tools.map(({ id }) => id)),
    started_at: log.at(start),
    ended_at: last?.at ?? null,
  });
}

function cancelledAt(log: Log, input: number): number | null {
  for (const row of log.typed(["input.cancelled"], input)) {
    if (row.type === "input.cancelled" && row.body.input === input) return row.at;
  }
  return null;
}
