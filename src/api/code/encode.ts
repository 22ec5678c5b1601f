/** How claude-code-api says what became of a message: its events, its answer, its problems. */
import type { FrameBody } from "../../http/frames.ts";
import { type Problem, ProblemError } from "../../http/problems.ts";
import type { InlineEncoder } from "../../http/run.ts";
import type { SseDialect } from "../../http/sse.ts";
import { clock } from "../../shared/clock.ts";
import type { Event, OutcomeEvent } from "../../shared/events.ts";
import { type ChatResult, chatResult } from "../../shared/job-object.ts";
import { offsetTime } from "../../shared/offset-time.ts";
import type { OutcomeKind } from "../../shared/rows.ts";
import type { TurnRecord } from "../../shared/turn-record.ts";
import { sessionPath } from "./address.ts";
import type { Meta } from "./envelope.ts";

/** Lines end with CRLF. */
const DIALECT: SseDialect = {
  frame: ({ id, event, data }) => {
    const head = [
      ...(id === undefined ? [] : [`id: ${id}\r\n`]),
      ...(event === undefined ? [] : [`event: ${event}\r\n`]),
    ].join("");
    const before = `${head}data: `;
    return typeof data === "string" ? `${before}${data}\r\n\r\n` : around(before, data);
  },
  ping: () => `: ping - ${offsetTime(clock.now()).replace("T", " ")}\r\n\r\n`,
};

function* around(before: string, pieces: Iterable<string>): Generator<string> {
  yield before;
  yield* pieces;
  yield "\r\n\r\n";
}

interface Place {
  /** The session's public id. */
  id: string;
  ulid: string;
  meta: () => Meta;
}

/** The frames and the answer of one message. */
export function codeInline({ id, ulid, meta }: Place): InlineEncoder {
  return {
    dialect: DIALECT,
    recorded: true,
    row(row, events, _before, record) {
      if (row.type === "input.cancelled") return [errorFrame("cancelled", CANCELLED)];
      return events.flatMap((event) => frameOf(event, ulid, record ?? null));
    },
    preview: ({ kind, text }) =>
      kind === "text" ? [{ event: "delta", data: { delta: { text } } }] : [],
    output: () => [],
    error: ({ code, message }) => errorFrame(code, message),
    answer(outcome, _row, _before, record) {
      const budget = record && budgetReached(record);
      if (budget) throw new ProblemError(budget);
      return { data: { ...resultOf(outcome, ulid, record ?? null) }, meta: { ...meta() } };
    },
    unanswered,
    turnUrl: () => historyPath(id),
    accepted: () => ({
      data: { session_id: id, status: "accepted", url: historyPath(id) },
      meta: { ...meta() },
    }),
  };
}

/** Where a turn appears that nobody waits for. */
const historyPath = (id: string): string => `${sessionPath(id)}/history`;

const CANCELLED = "The message was cancelled before its turn began.";

const errorFrame = (code: string, error: string): FrameBody => ({
  event: "error",
  data: { error, code },
});

function frameOf(event: Event, ulid: string, record: TurnRecord | null): FrameBody[] {
  switch (event.type) {
    case "assistant.completed": {
      const content = event.data.output_text;
      return content === "" ? [] : [{ event: "assistant", data: { content, tool_name: null } }];
    }
    case "tool.requested":
    case "tool_call.requested":
    case "confirmation.requested":
      return [{ event: "tool", data: { content: null, tool_name: event.data.name } }];
    case "turn.failed":
      return [errorFrame(event.data.code, event.data.message)];
    case "turn.completed":
    case "turn.interrupted": {
      const budget = record && budgetReached(record);
      if (budget) return [errorFrame(budget.code, budget.detail)];
      return [{ event: "done", data: resultOf(event, ulid, record) }];
    }
    default:
      return [];
  }
}

/** The six members that clients know; and where the turn did not come to its end, how it ended. */
export type TurnAnswer = ChatResult & { outcome?: OutcomeKind };

/** @param record null where the session is gone by now */
function resultOf({ data }: OutcomeEvent, ulid: string, record: TurnRecord | null): TurnAnswer {
  const { outcome, output_text, cost_usd, duration_ms } = data;
  const known = record ?? {
    content: output_text.trim(),
    cost_usd,
    duration_ms,
    num_turns: 1,
    tools_used: [],
    message: data.message ?? null,
  };
  const result = chatResult(known, ulid);
  if (outcome === "completed") return result;
  return { ...result, content: result.content || (known.message ?? ""), outcome };
}

/** The original refuses a message beforehand; here it takes a turn to know that none can be paid. */
function budgetReached({ outcome, code, message, content }: TurnRecord): Problem | null {
  const ofAll = /^(?:account|key)_/.test(code ?? "");
  if (outcome !== "budget_reached" || !ofAll || content !== "") return null;
  const detail = `User budget exceeded: ${message ?? ""}`;
  return { status: 429, code: code ?? "budget_reached", detail };
}

const TIMED_OUT = "Claude timed out";

/** The types that the original's docs promise. */
function unanswered(problem: Problem): Problem {
  const { status, code } = problem;
  if (code === "turn_still_running") {
    return { ...problem, detail: TIMED_OUT, type: "claude:timeout" };
  }
  if (status !== 502 && status !== 503) return problem;
  return { ...problem, status: 502, type: `claude:${code}` };
}
