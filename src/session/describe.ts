/** What a client may know of a session without reading its log. */
import type { ContentBlock } from "../shared/content.ts";
import type { SessionDescription } from "./calls.ts";
import type { SessionInfo } from "./commands.ts";
import { promptIn } from "./prompt.ts";
import { wholeSettings } from "./settings.ts";
import { answerable, type State, statusOf } from "./state.ts";
import type { Store } from "./store.ts";
import { pendingCalls } from "./view-at.ts";

/** An input that waits for its turn. */
export interface PendingInput {
  input: number;
  start: "queued" | "steer";
  content: ContentBlock[];
  created_at: number;
}

export function sessionInfo(state: State): SessionInfo {
  const { model, name, title, metadata } = state.config;
  return {
    seq: state.seq,
    surface: state.surface,
    model,
    name,
    title,
    first_message: state.first_message,
    metadata,
    status: statusOf(state),
    turn: state.turn?.turn ?? null,
    turn_count: state.turns,
    usage: state.usage,
    cost_usd: state.cost_usd,
    max_budget_usd: state.money.max_budget_usd,
    spent_usd: state.money.spent_usd,
    created_at: state.created_at,
    updated_at: state.at,
  };
}

export function description({ log, state }: Store): SessionDescription {
  const [created] = log.contents(1, 1);
  const config = created?.type === "session.created" ? created.body.config : null;
  return {
    session: sessionInfo(state),
    system_prompt: promptIn(log.contents(state.prompt.seq, state.prompt.seq)[0]),
    permissions: state.permissions,
    settings: wholeSettings(state.settings, (seq) => log.contents(seq, seq)[0]),
    cache_ttl: state.cache_ttl,
    own_key: state.own_key,
    max_turns: state.max_turns,
    cwd: state.cwd,
    code: config?.code ?? null,
    pending: pendingCalls(log, state),
  };
}

export function queuedInputs(store: Store): PendingInput[] {
  return store.state.queue.flatMap(({ seq, start }) => {
    const [row] = store.log.contents(seq, seq);
    if (row?.type !== "input") return [];
    return [{ input: seq, start, content: row.body.content, created_at: row.at }];
  });
}

/** A tool call that waits for a client. */
export interface OpenCall {
  id: string;
  kind: "tool_call" | "confirmation";
  name: string;
  /** JSON text. */
  arguments: string;
  /** With a question: why it is asked, and the rule that an answer for always adds. */
  reason: string;
  rule: string | null;
  turn: number;
  /** Milliseconds since the epoch. */
  since: number;
}

export function openCalls({ state, log }: Store): OpenCall[] {
  const { turn } = state;
  if (turn?.status !== "awaiting") return [];
  return answerable(turn).flatMap(({ id, seq, name, gate, rule }) => {
    const row = log.rowOf("block.tool", seq);
    if (!row) return [];
    const { block, reason = "" } = row.body;
    return [
      {
        id,
        kind: gate === "ask" ? ("confirmation" as const) : ("tool_call" as const),
        name,
        arguments: JSON.stringify(block.input ?? {}),
        reason,
        rule,
        turn: turn.turn,
        since: row.at,
      },
    ];
  });
}
