/**
 * `fold(state, row)`: the state after a row. Pure, total over every log that `admit` and the loop
 * can write, and the only place where a row's meaning for later decisions is defined.
 */

import type { Row, RowBodies, RowOf } from "../shared/rows.ts";
import { NO_USAGE } from "../shared/usage.ts";
import { ROOT } from "../workspace/paths.ts";
import { beginMoney, foldMoney } from "./budget-state.ts";
import { foldCache, NO_CACHE } from "./cache-miss.ts";
import {
  onCompacted,
  onCompactionDeferred,
  onCompactionEnded,
  onCompactionRequested,
} from "./compact-fold.ts";
import { epochAt, frameFor } from "./epoch.ts";
import { onCallEnded, onCallStarted, onFailure, onToolBlock } from "./fold-call.ts";
import {
  onCancelled,
  onInput,
  onResumed,
  onTaken,
  placed,
  spentSince,
  withMedia,
} from "./fold-input.ts";
import { onNotice, onUpdated } from "./fold-settings.ts";
import { foldJobs, NO_JOBS } from "./jobs.ts";
import { mediaBytes } from "./media.ts";
import { isOutputFailure } from "./output.ts";
import { withBudget } from "./payer.ts";
import { placedPrompt } from "./prompt.ts";
import { placedSettings } from "./settings.ts";
import {
  FIRST_STEP,
  NOTHING_UNPROVEN,
  type OpenTool,
  type OpenTurn,
  type State,
  stopsShort,
  withTurn,
} from "./state.ts";

/** How many submission ids are remembered to answer a repeated call alike. */
const SUBMISSIONS_KEPT = 100;

/** The state of a session that is being created by `row`. */
export function begin(row: RowOf<"session.created">): State {
  const { surface, config } = row.body;
  const { model, name = null, title, metadata, toolset, permissions, settings } = config;
  return {
    seq: row.seq,
    at: row.at,
    created_at: row.at,
    deleted: false,
    surface,
    user_id: config.code?.user_id ?? null,
    config: { model, name, title, metadata },
    first_message: null,
    facts: config.model_facts ?? null,
    own_key: config.own_anthropic_key ?? false,
    settings: placedSettings(settings, row.seq),
    cache_ttl: config.cache_ttl ?? "5m",
    prompt: placedPrompt(config.system_prompt, row.seq),
    max_turns: config.max_turns ?? null,
    cwd: config.cwd ?? ROOT,
    moved: config.cwd !== undefined,
    toolset: placed(toolset, row.seq),
    permissions: permissions ?? null,
    shell: null,
    instruction: null,
    turns: 0,
    usage: NO_USAGE,
    cost_usd: 0,
    money: beginMoney(row),
    turn: null,
    call: null,
    queue: [],
    jobs: NO_JOBS,
    compactions: [],
    epoch: null,
    appends: true,
    server_tools: true,
    ran_server_tools: false,
    container: null,
    context: {
      start: row.seq,
      summary: null,
      inputs: [],
      tools: [],
      mark: null,
      tokens: null,
      media: 0,
      media_appended: 0,
      unproven: NOTHING_UNPROVEN,
    },
    idle: { since: null, left: 0 },
    cache: NO_CACHE,
    last: null,
    submissions: [[row.body.submission, row.seq]],
  };
}

/** The state after `row`. */
export function fold(before: State, row: Row): State {
  if (row.type === "session.created") return begin(row);
  const money = foldMoney(before, row);
  const jobs = foldJobs(before.jobs, row);
  return { ...foldRow(before, row), money, jobs, cache: foldCache(before, row) };
}

function foldRow(before: State, row: Row): State {
  const state = remember({ ...before, seq: row.seq, at: row.at }, row);
  switch (row.type) {
    case "session.updated":
      return onUpdated(state, row);
    case "session.deleted":
      return { ...state, deleted: true, turn: null, call: null, queue: [], compactions: [] };
    case "input":
      return onInput(state, row);
    case "input.taken":
      return onTaken(state, row);
    case "input.cancelled":
      return onCancelled(state, row.body.input);
    case "turn.resumed":
      return onResumed(state, row);
    case "call.started":
      return onCallStarted(state, row);
    case "block.tool":
      return onToolBlock(state, row);
    case "block.other":
      return row.body.block.type === "server_tool_use"
        ? { ...state, ran_server_tools: true }
        : state;
    case "call.ended":
      return onCallEnded(state, row);
    case "failure":
      return onFailure(state, row);
    case "tool.started":
      return withTool(state, row.body.tool, (tool) => ({ ...tool, started: true }));
    case "tool.ended":
      return onToolEnded(state, row);
    case "tool.confirmed":
      return onConfirmed(state, row);
    case "instruction":
      return { ...state, instruction: instructionAt(state, row.seq, row.body) };
    case "compaction.requested":
      return onCompactionRequested(state, row);
    case "compaction.deferred":
      return onCompactionDeferred(state, row);
    case "context.compacted":
      return onCompacted(state, row);
    case "compaction.ended":
      return onCompactionEnded(state, row);
    case "context.cut":
      return onCut(state, row);
    case "notice":
      return onNotice(state, row);
    case "outcome":
      return onOutcome(state, row);
    // The others decide nothing, nor do those that only a newer version knows.
    default:
      return state;
  }
}

function remember(state: State, row: Row): State {
  const submission = "submission" in row.body ? row.body.submission : undefined;
  // Several rows of one submission carry its id; the first of them is its place.
  if (submission === undefined || state.submissions.some(([id]) => id === submission)) return state;
  const kept = state.submissions.slice(1 - SUBMISSIONS_KEPT);
  return { ...state, submissions: [...kept, [submission, row.seq]] };
}

/** An open tool call changed. */
function withTool(state: State, id: string, change: (tool: OpenTool) => OpenTool): State {
  return withTurn(state, (turn) => ({
    ...turn,
    tools: turn.tools.map((tool) => (tool.id === id ? change(tool) : tool)),
  }));
}

/** An allowed call can run; a denied one gets its result in a row of its own. */
function onConfirmed(state: State, row: RowOf<"tool.confirmed">): State {
  const { tool, allow, remember } = row.body;
  const { permissions } = state;
  const rules = remember && permissions && !permissions.allow.includes(remember);
  const next = withTool(state, tool, (one) => ({
    ...one,
    ...(allow ? { gate: "allow" as const, confirmed: row.seq } : {}),
  }));
  const confirmed = withTurn(next, (turn) => ({
    ...turn,
    inputs: withSubmission(turn.inputs, state, row),
    payer: withBudget(turn.payer, row.body),
    spent: turn.inputs.length === 0 ? spentSince(row.at) : turn.spent,
  }));
  if (!rules) return confirmed;
  return { ...confirmed, permissions: { ...permissions, allow: [...permissions.allow, remember] } };
}

function onToolEnded(before: State, row: RowOf<"tool.ended">): State {
  const { tool, by, content, shell } = row.body;
  const state = shell ? { ...before, shell } : before;
  const context = { ...state.context, tools: [...state.context.tools, tool] };
  const media = mediaBytes(content);
  return withTurn(withMedia({ ...state, context }, media, media), (turn) => ({
    ...turn,
    tools: turn.tools.filter((one) => one.id !== tool),
    step: by === "server" ? FIRST_STEP : turn.step,
    results: true,
    inputs: by === "client" ? withSubmission(turn.inputs, state, row) : turn.inputs,
    payer: withBudget(turn.payer, row.body),
    spent: turn.inputs.length === 0 && by === "client" ? spentSince(row.at) : turn.spent,
  }));
}

/** A submission of several results is named by its first row. */
function withSubmission(
  inputs: number[],
  state: State,
  row: RowOf<"tool.ended" | "tool.confirmed">,
): number[] {
  const place = state.submissions.find(([id]) => id === row.body.submission)?.[1] ?? row.seq;
  return inputs.includes(place) ? inputs : [...inputs, place];
}

function onCut(state: State, row: RowOf<"context.cut">): State {
  const { reason, start } = row.body;
  const { turn, context } = state;
  if (reason === "refusal" || reason === "rejected") {
    const refused = reason === "refusal";
    const unproven = refused ? NOTHING_UNPROVEN : context.unproven;
    const freed = context.media_appended + (refused ? context.unproven.media : 0);
    const media = context.media - freed;
    const next = { ...context, inputs: [], tools: [], media, media_appended: 0, unproven };
    return withTurn({ ...state, context: next }, (open) => ({ ...open, dropped: true }));
  }
  if (!turn) return state;
  // After an attempt the API has refused the epoch; before one the message needs another.
  const refused = turn.step.weight > 0;
  // Whatever is new otherwise waits for the next message.
  const of =
    refused && state.epoch ? state.epoch : { ...frameFor(state, turn.options), ...turn.switches };
  const epoch = epochAt(row.seq, of, turn.options.toolset);
  if (start === undefined) {
    const open = { ...turn, stripped: turn.stripped || refused, switches: null };
    const appends = state.appends && !(refused && reason === "tools");
    const server_tools = state.server_tools && reason !== "server_tools";
    const next = { ...state, epoch, appends, server_tools, turn: open };
    return { ...next, context: { ...context, mark: null } };
  }
  const { seq, media } = turn.input;
  const waiting = state.queue.reduce((bytes, one) => bytes + one.media, 0);
  return {
    ...state,
    epoch,
    idle: { ...state.idle, left: 0 },
    context: {
      start,
      summary: null,
      inputs: [seq],
      tools: [],
      mark: null,
      tokens: null,
      media: media + waiting,
      media_appended: media,
      unproven: NOTHING_UNPROVEN,
    },
  };
}

function onOutcome(state: State, row: RowOf<"outcome">): State {
  const { outcome, inputs } = row.body;
  const turn = state.turn;
  if (!turn) return state;
  const { seq, hash } = turn.input;
  const { options, settings } = turn;
  // An answer of the wrong form is one all the same: the message is not waiting for another.
  const kept = !turn.dropped && !isOutputFailure(row.body.code);
  const last = { turn: turn.turn, input: seq, hash, outcome, kept, options, settings };
  if (outcome !== "requires_action") {
    const idle = { ...state.idle, since: stopsShort(last) ? null : row.at };
    return { ...state, turn: null, last, idle };
  }
  const open: OpenTurn = {
    ...turn,
    status: "awaiting",
    inputs: turn.inputs.filter((seq) => !inputs.includes(seq)),
    spent: spentSince(row.at),
  };
  return { ...state, turn: open, last };
}

/** What is only announced does not end what the owner has said. */
const instructionAt = (
  { instruction }: State,
  seq: number,
  { sha, text }: RowBodies["instruction"],
): State["instruction"] => ({
  seq,
  at: seq,
  sha,
  owner: text === null ? (instruction?.owner ?? null) : { seq, at: seq },
});
