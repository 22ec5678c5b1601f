/**
 * What a turn's model and tools mean for the context: nothing, a change that is appended, or a
 * new epoch. An epoch has one system text, one tool array and one model, so that its requests only
 * grow and the prompt cache and the model's own thinking stay valid.
 */
import { rulesOf } from "../model/catalogue.ts";
import type { CutReason, Fact, TurnOptions } from "../shared/rows.ts";
import type { ToolChange, Toolset } from "../shared/tools.ts";
import type { Epoch, State } from "./state.ts";

export interface EpochPlan {
  change?: ToolChange;
  cut?: { reason: CutReason; message: string };
}

/** What all requests of an epoch share besides their tools. */
type EpochFrame = Pick<Epoch, "model" | "facts" | "prompt" | "cwd">;

type Asked = Pick<TurnOptions, "model" | "cwd">;

/** The model of a turn with these options: its own, or else the session's. */
export const modelFor = (
  { config, facts }: State,
  { model }: Asked,
): Pick<Epoch, "model" | "facts"> =>
  model ? { model: model.id, facts: model.facts ?? null } : { model: config.model, facts };

/** What an epoch that such a turn opens has. */
export const frameFor = (state: State, options: Asked): EpochFrame => ({
  ...modelFor(state, options),
  prompt: state.prompt,
  cwd: options.cwd ?? state.cwd,
});

/** What clients are told of a new model. */
export const modelMessage = (model: string | undefined): string =>
  `The model is now ${model}; earlier thinking was left out.`;

/** The epoch that the row `seq` opens, with `offered` as the tools of its requests. */
export const epochAt = (
  seq: number,
  { model, facts, prompt, cwd }: EpochFrame,
  offered: Toolset,
): Epoch => ({
  seq,
  model,
  facts,
  prompt,
  cwd,
  base: offered,
  active: offered.tools,
  defined: offered.tools,
  offered,
  accepted: false,
  unaccepted_change: false,
});

/** What has to happen before a turn with these options can call the model. */
export function planEpoch(state: State, options: TurnOptions, replay: boolean): EpochPlan {
  if (replay) {
    return {
      cut: {
        reason: "replay",
        message: "The client sent its whole transcript, so the context begins anew with it.",
      },
    };
  }
  const epoch = state.epoch;
  if (!epoch) return {};
  const wanted = frameFor(state, options);
  if (epoch.model !== wanted.model) {
    return { cut: { reason: "model", message: modelMessage(wanted.model) } };
  }
  if (epoch.prompt.sha !== wanted.prompt.sha) return { cut: PROMPT_CHANGED };
  // Nobody else is told of a folder.
  if (epoch.base.builtin && epoch.cwd !== wanted.cwd) return { cut: FOLDER_CHANGED };
  // With no tool to be called the array is kept as it is: changing it would only cost the cache.
  if (options.tool_choice.type === "none" && epoch.accepted) return {};
  return planTools(epoch, options.toolset.tools, state.appends);
}

/** What a set of results may change: tools that can be appended. Nothing else before an input. */
export function planResumed(state: State, options: TurnOptions): EpochPlan {
  const plan = planEpoch(state, options, false);
  return plan.change ? { change: plan.change } : {};
}

function planTools(epoch: Epoch, wanted: Record<string, string>, appends: boolean): EpochPlan {
  const removed = Object.keys(epoch.active).filter((name) => !Object.hasOwn(wanted, name));
  const added = Object.keys(wanted).filter((name) => !Object.hasOwn(epoch.active, name));
  const redefined = Object.keys(wanted).some(
    (name) => Object.hasOwn(epoch.defined, name) && epoch.defined[name] !== wanted[name],
  );
  if (removed.length === 0 && added.length === 0 && !redefined) return {};
  // Nothing of this epoch is worth keeping yet, and its tools may be why.
  if (!epoch.accepted || redefined) return { cut: TOOLS_CHANGED };
  if (appends && rulesOf(epoch.model, epoch.facts).tool_changes)
    return { change: { added, removed } };
  // Tools that are not offered stay in the array; a call to one is answered with an error.
  return added.length === 0 ? {} : { cut: TOOLS_CHANGED };
}

const PROMPT_CHANGED = {
  reason: "system",
  message: "The session's system prompt was changed; earlier thinking was left out.",
} as const;

const FOLDER_CHANGED = {
  reason: "system",
  message: "The session's folder is another one now; earlier thinking was left out.",
} as const;

const TOOLS_CHANGED = {
  reason: "tools",
  message: "The turn's tools differ and cannot be appended; earlier thinking was left out.",
} as const;

/** The row that opens the epoch that `plan` asks for. */
export function cutFact(
  turn: number,
  cut: NonNullable<EpochPlan["cut"]>,
  start: number | null,
): Fact {
  return {
    type: "context.cut",
    body: {
      turn,
      reason: cut.reason,
      message: cut.message,
      ...(start === null ? {} : { start }),
      drop: [],
      drop_calls: [],
      replace: [],
      strip_thinking: true,
    },
  };
}
