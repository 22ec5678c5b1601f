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

/** The epoch that the row `seq` opens, with `offered` as the tools of its requests. */
export const epochAt = (
  seq: number,
  { model, facts }: Pick<Epoch, "model" | "facts">,
  offered: Toolset,
): Epoch => ({
  seq,
  model,
  facts,
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
  if (epoch.model !== state.config.model) {
    return {
      cut: {
        reason: "model",
        message: `The session's model is now ${state.config.model}; earlier thinking was left out.`,
      },
    };
  }
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
