/** What a client may know of a session without reading its log. */
import type { ContentBlock } from "../shared/rows.ts";
import type { SessionInfo } from "./commands.ts";
import { type State, statusOf } from "./state.ts";
import type { Store } from "./store.ts";

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

export function queuedInputs(store: Store): PendingInput[] {
  return store.state.queue.flatMap(({ seq, start }) => {
    const [row] = store.log.contents(seq, seq);
    if (row?.type !== "input") return [];
    return [{ input: seq, start, content: row.body.content, created_at: row.at }];
  });
}
