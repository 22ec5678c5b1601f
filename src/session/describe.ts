/** What a client may know of a session without reading its log. */
import type { ToolCall } from "../shared/events.ts";
import type { ContentBlock } from "../shared/rows.ts";
import type { SessionInfo } from "./commands.ts";
import { type State, statusOf } from "./state.ts";
import type { Store } from "./store.ts";
import { toolCallAt } from "./view-at.ts";

/** An input that waits for its turn. */
export interface PendingInput {
  input: number;
  start: "queued" | "steer";
  content: ContentBlock[];
  created_at: number;
}

export function sessionInfo(state: State): SessionInfo {
  const { model, title, metadata } = state.config;
  return {
    seq: state.seq,
    model,
    title,
    metadata,
    status: statusOf(state),
    turn: state.turn?.turn ?? null,
    turn_count: state.turns,
    usage: state.usage,
    cost_usd: state.cost_usd,
    created_at: state.created_at,
    updated_at: state.at,
  };
}

/** The tool calls that wait for the client, with their arguments. */
export function pendingCalls(store: Store): ToolCall[] {
  const turn = store.state.turn;
  if (turn?.status !== "awaiting") return [];
  return turn.tools.flatMap(({ seq }) => toolCallAt(store.log, seq));
}

export function queuedInputs(store: Store): PendingInput[] {
  return store.state.queue.flatMap(({ seq, start }) => {
    const row = store.log.rowOf("input", seq);
    return row ? [{ input: seq, start, content: row.body.content, created_at: row.at }] : [];
  });
}
