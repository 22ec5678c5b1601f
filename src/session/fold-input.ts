/** The part of `fold` that is about inputs: what waits, and the turns that they open. */
import type { Row, RowOf } from "../shared/rows.ts";
import type { ToolChange, Toolset } from "../shared/tools.ts";
import { NO_USAGE } from "../shared/usage.ts";
import { beginningOf } from "./beginning.ts";
import { epochAt, frameFor } from "./epoch.ts";
import { mediaBytes } from "./media.ts";
import { payerOf } from "./payer.ts";
import { broughtPrompt, withPrompt } from "./prompt.ts";
import { placedSettings } from "./settings.ts";
import {
  FIRST_STEP,
  type OpenTurn,
  type Queued,
  type Spent,
  type State,
  withTurn,
} from "./state.ts";

export const spentSince = (at: number): Spent => ({
  since: at,
  calls: 0,
  prompt_tokens: 0,
  billed: NO_USAGE,
  cost_usd: 0,
  estimated: false,
});

/** A toolset whose definitions stand in the row `seq` if they stood in the row itself. */
export const placed = ({ list, ...toolset }: Toolset, seq: number): Toolset =>
  list ? { ...toolset, seq } : toolset;

/** Opens a turn with the input `from.seq`, at the row `row`. */
function opened(before: State, from: Queued, row: Row, repeats: boolean): State {
  const state = withPrompt(before, from.prompt);
  const turn: OpenTurn = {
    turn: from.seq,
    began_at: row.at,
    status: "running",
    inputs: [from.seq],
    input: { seq: from.seq, hash: from.hash, media: from.media, detached: from.detached },
    options: from.options,
    limits: from.limits,
    payer: from.payer,
    settings: { ...state.settings, ...from.settings },
    cache_ttl: state.cache_ttl,
    noticed: [],
    n: 0,
    calls: 0,
    cuts: 0,
    pauses: 0,
    asked_again: false,
    step: FIRST_STEP,
    last: null,
    tools: [],
    results: false,
    stripped: false,
    compacted: [],
    switches: null,
    dropped: false,
    fatal: null,
    spent: spentSince(row.at),
  };
  // The first turn opens the first epoch; any other epoch is opened by a `context.cut`.
  const { options } = from;
  const epoch = state.epoch ?? epochAt(row.seq, frameFor(state, options), options.toolset);
  const inputs = repeats ? state.context.inputs : [...state.context.inputs, from.seq];
  const context = { ...state.context, inputs };
  return { ...inFolder(state, options.cwd), turns: state.turns + 1, turn, epoch, context };
}

/** Tools begin in the folder `asked`, or where the session was moved to. */
function inFolder(state: State, asked: string | undefined): State {
  const { shell, moved } = state;
  const cwd = asked ?? state.cwd;
  if (asked === undefined && !moved) return state;
  return { ...state, cwd, moved: false, shell: { cwd, env: shell?.env ?? {} } };
}

function changed(state: State, change: ToolChange | undefined, toolset: Toolset): State {
  if (!change || !state.epoch) return state;
  const active = { ...state.epoch.active };
  const defined = { ...state.epoch.defined };
  for (const name of change.removed) delete active[name];
  for (const name of change.added) {
    active[name] = toolset.tools[name] ?? "";
    defined[name] = active[name];
  }
  const offered = toolset;
  return { ...state, epoch: { ...state.epoch, active, defined, offered, unaccepted_change: true } };
}

export function onInput(before: State, row: RowOf<"input">): State {
  const { content, start, hash, limits, replay, repeats, detached, tool_change } = row.body;
  // A text stays in its row.
  const { settings, system: _, system_prompt: __, ...options } = row.body.options;
  const toolset = placed(options.toolset, row.seq);
  const media = repeats === undefined ? mediaBytes(content) : 0;
  const waits = start !== "now";
  const first_message = before.first_message ?? beginningOf(content);
  const state = withMedia({ ...before, first_message }, media, waits ? 0 : media);
  const placedOptions = { ...options, toolset };
  const waiting = {
    seq: row.seq,
    at: row.at,
    hash,
    limits,
    payer: payerOf(row.body),
    options: placedOptions,
    settings: (row.body.resumes && before.last?.settings) || placedSettings(settings, row.seq),
    prompt: broughtPrompt(row.body.options, row.seq),
    replay: replay ?? false,
    media,
    detached: detached ?? false,
  };
  if (waits) return { ...state, queue: [...state.queue, { ...waiting, start }] };
  const next = opened(state, { ...waiting, start: "queued" }, row, repeats !== undefined);
  return changed(next, tool_change, toolset);
}

/** What waits counts in the context's media as well, but is appended only when it is taken. */
export function withMedia(state: State, bytes: number, appended: number): State {
  if (bytes === 0 && appended === 0) return state;
  const { media, media_appended } = state.context;
  const context = {
    ...state.context,
    media: media + bytes,
    media_appended: media_appended + appended,
  };
  return { ...state, context };
}

export function onCancelled(state: State, input: number): State {
  const bytes = state.queue.find((one) => one.seq === input)?.media ?? 0;
  const queue = state.queue.filter((one) => one.seq !== input);
  return withMedia({ ...state, queue }, -bytes, 0);
}

export function onTaken(state: State, row: RowOf<"input.taken">): State {
  const { input, as, limits, tool_change } = row.body;
  const queued = state.queue.find((one) => one.seq === input);
  if (!queued) return state;
  const queue = state.queue.filter((one) => one.seq !== input);
  const next = withMedia({ ...state, queue }, 0, queued.media);
  if (as === "start") {
    const turn = opened(next, { ...queued, limits }, row, false);
    return changed(turn, tool_change, queued.options.toolset);
  }
  const context = { ...next.context, inputs: [...next.context.inputs, input] };
  return withTurn({ ...next, context }, (turn) => ({
    ...turn,
    inputs: [...turn.inputs, input],
    calls: 0,
  }));
}

export function onResumed(state: State, row: RowOf<"turn.resumed">): State {
  const { options, limits, tool_change } = row.body;
  const toolset = placed(options.toolset, row.seq);
  const next = withTurn(state, (turn) => ({
    ...turn,
    status: "running",
    options: { ...options, toolset },
    limits,
    calls: 0,
    cuts: 0,
    pauses: 0,
    asked_again: false,
  }));
  return changed(next, tool_change, toolset);
}
