/** The request of a compaction's model call, which reads the cache of the conversation. */
import { rulesOf } from "../model/catalogue.ts";
import { buildRequest, markable, type RequestMessage } from "../model/request.ts";
import { type EncodedRequest, encodeRequest } from "../model/request-body.ts";
import type { CompactionMethod } from "../shared/compaction.ts";
import type { CallStartedBody, Row } from "../shared/rows.ts";
import type { ModelSettings } from "../shared/settings.ts";
import type { ToolChoice } from "../shared/tools.ts";
import type { SizedCall, Verdict } from "./budget.ts";
import { sizeOf } from "./budget-size.ts";
import {
  type CompactionPlan,
  type PlannedCompaction,
  type PlannedTurn,
  planCompaction,
  textSize,
} from "./compact-plan.ts";
import { withQuestion } from "./context-blocks.ts";
import { loadMedia, type MediaStore } from "./media.ts";
import { contextOf, frameOf } from "./prepare.ts";
import type { PlacedSettings } from "./settings.ts";
import {
  type Context,
  type Epoch,
  MAX_LOSSES,
  type OpenCompaction,
  type OpenTurn,
  type State,
} from "./state.ts";
import type { Store } from "./store.ts";

const QUESTION = `The conversation is about to be shortened: your answer to this message takes the place of everything before it, and nothing else of it will be there. Write that summary now.

Keep what is needed to go on without the rest: what the user wants and has said of how it is to be done; what was done and decided, and why; names, paths, numbers, commands and code that are still needed, exactly as they are; errors and how they were solved; what is open, and the next step. Leave out what no longer matters, and what was said to hold for one message only. Call no tools, and write nothing but the summary.`;

/** What is known of a compaction while its call runs, beyond the rows. */
export interface MadeCompaction {
  request: number;
  method: CompactionMethod;
  no_tools: boolean;
  epoch: number;
  plan: CompactionPlan;
  /** What that was made of. */
  asked: PlannedCompaction;
  /** The context that it was made of: where that begins, and the summary before it. */
  context: Pick<Context, "start" | "summary">;
  /** Characters of all that its request holds besides what is covered. */
  frame: number;
}

export type PreparedCompaction =
  | Exclude<Verdict, { kind: "go" }>
  | { kind: "call"; request: EncodedRequest; started: CallStartedBody; made: MadeCompaction }
  /** It can be made once the turn has ended. */
  | { kind: "later" }
  | { kind: "end"; code: string; message: string; messages?: number };

/** The request of a compaction's next call; or why there is none. */
export function prepareCompaction(
  store: Store,
  compaction: OpenCompaction,
  media: MediaStore,
  decide: ((call: SizedCall) => Verdict) | null,
): PreparedCompaction {
  const { state, log } = store;
  const { turn, epoch } = state;
  if (!epoch) return NOTHING;
  if (compaction.step.losses >= MAX_LOSSES) {
    const message = `The server stopped ${MAX_LOSSES} times while it ran, so it is not tried again.`;
    return { kind: "end", code: "crash_loop", message };
  }
  const rules = rulesOf(epoch.model, epoch.facts);
  const method = rules.compaction ? compaction.method : "summary";
  // Without its thinking an open round of tools could not go on, so its end is waited for.
  if (method === "summary" && isOpen(state, compaction)) return { kind: "later" };
  const { source, rowAt } = contextOf(state, epoch, log);
  const asked = {
    keep: compaction.keep,
    turn: turn && plannedTurn(store, turn),
    next: state.seq + 1,
    halved: compaction.halved,
  };
  const planned = planCompaction(source, asked);
  if ("nothing" in planned) {
    if (isOpen(state, compaction)) return { kind: "later" };
    return { ...NOTHING, messages: planned.messages };
  }
  const frame = frameOf(state, epoch, rowAt);
  const row = log.rowOf("compaction.requested", compaction.seq);
  const instructions = row?.body.instructions ?? null;
  const messages =
    method === "api" ? planned.covered : withQuestion(planned.covered, question(instructions));
  const { options, settings, cache_ttl } = manner(state, compaction);
  const { no_tools } = compaction;
  const sized = decide && {
    ttl: cache_ttl,
    max_tokens: rules.max_output,
    size: sizeOf([frame.system, frame.tools, messages]),
    fast: settings.speed === "fast" && rules.fast !== "no",
  };
  const verdict = sized && decide(sized);
  if (verdict && verdict.kind !== "go") return verdict;
  const max_tokens = verdict?.max_tokens ?? rules.max_output;
  const marks = knownMark(planned.covered, source.rows, state.context.summary?.seq ?? 0, epoch);
  const request = buildRequest({
    ...frame,
    toolChoice: no_tools ? { type: "none" } : unforced(options.tool_choice),
    parallelToolCalls: options.parallel_tool_calls,
    messages: loadMedia(messages, media),
    maxTokens: max_tokens,
    marks,
    ttl: cache_ttl,
    settings: plain(settings),
    ...(method === "api" ? { compaction: { instructions } } : {}),
  });
  const started: CallStartedBody = {
    turn: turn?.turn ?? 0,
    n: turn?.n ?? 0,
    attempt: compaction.step.attempt,
    purpose: "compact",
    model: epoch.model,
    epoch: epoch.seq,
    max_tokens,
    marks,
    ttl: cache_ttl,
    ...(verdict?.by_budget ? { by_budget: true as const } : {}),
    ...(sized?.fast ? { speed: "fast" as const } : {}),
    ...(frame.container === null ? {} : { container: frame.container }),
    compaction: { request: compaction.seq, method, ...(no_tools ? { no_tools } : {}) },
  };
  const made: MadeCompaction = {
    request: compaction.seq,
    method,
    no_tools,
    epoch: epoch.seq,
    plan: planned,
    asked,
    context: state.context,
    frame: textSize(frame.system) + textSize(frame.tools),
  };
  return { kind: "call", request: encodeRequest(request), started, made };
}

/** Something before the open turn could be covered. */
export function isCompactable(store: Store): boolean {
  const { state, log } = store;
  const { turn, epoch } = state;
  if (!epoch) return false;
  const { source } = contextOf(state, epoch, log);
  const open = turn && plannedTurn(store, turn);
  const asked = { keep: 0, turn: open, next: state.seq + 1, halved: 0 };
  return !("nothing" in planCompaction(source, asked));
}

/** Less of the same could be covered, up to an earlier turn. */
export function isDivisible({ state, log }: Store, { plan, asked }: MadeCompaction): boolean {
  if (!state.epoch) return false;
  const { source } = contextOf(state, state.epoch, log);
  const less = planCompaction(source, { ...asked, halved: asked.halved + 1 });
  return !("nothing" in less) && less.start < plan.start;
}

const NOTHING = {
  kind: "end",
  code: "nothing",
  message: "There is nothing in the conversation that could be summarised.",
} as const;

/** A client's compaction would have to be made in the middle of a turn. */
const isOpen = ({ turn }: State, { trigger }: OpenCompaction): boolean =>
  turn !== null && turn.n > 0 && trigger === "client";

function plannedTurn(store: Store, { turn, last, status }: OpenTurn): PlannedTurn {
  const waits = status === "awaiting";
  const repeats = store.log.rowOf("input", turn)?.body.repeats;
  // One that repeats a message goes on from what stands in the context already.
  const answered = last !== null || repeats !== undefined;
  return { start: store.turnStart(turn) ?? turn, answered, waits };
}

/** How the conversation is carried on: as in the turn that is open or was last, so that its cache is read. */
function manner({ turn, last, toolset, settings, cache_ttl }: State, { trigger }: OpenCompaction) {
  const usual = { toolset, tool_choice: { type: "auto" as const }, parallel_tool_calls: true };
  // One that is made before a switch of models belongs to what was.
  if (turn && trigger !== "model")
    return { options: turn.options, settings: turn.settings, cache_ttl: turn.cache_ttl };
  return {
    options: last?.options ?? usual,
    settings: last?.settings ?? settings,
    cache_ttl,
  };
}

/** The API compacts nothing under a forced choice, and a forced call is no summary. */
const unforced = (choice: ToolChoice): ToolChoice =>
  choice.type === "none" ? choice : { type: "auto" };

/** A summary has no form, and nothing stops it. */
function plain({ format: _, stop_sequences: __, ...settings }: PlacedSettings): ModelSettings {
  return settings;
}

const question = (instructions: string | null): string =>
  instructions ? `${QUESTION}\n\nThe user asks for this as well: ${instructions}` : QUESTION;

/**
 * The last block of what is covered that carried a breakpoint: what is cached up to there is read, and
 * nothing is written that nobody would read.
 */
function knownMark(
  covered: readonly RequestMessage[],
  rows: readonly Row[],
  after: number,
  epoch: Epoch,
): number[] {
  const newest = covered.flatMap(({ content }) => content).findLastIndex(markable);
  const known = rows.flatMap((row) =>
    row.type === "call.started" &&
    row.body.purpose === "turn" &&
    row.seq > after &&
    row.body.epoch === epoch.seq
      ? row.body.marks
      : [],
  );
  const best = Math.max(-1, ...known.filter((mark) => mark <= newest));
  return best < 0 ? [] : [best];
}
