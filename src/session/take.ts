/** What happens to an input that has waited when its time has come. */
import type { RowBodies } from "../shared/rows.ts";
import { addCutOf } from "./compact-switch.ts";
import type { Draft } from "./draft.ts";
import { planEpoch } from "./epoch.ts";
import { withPrompt } from "./prompt.ts";

/**
 * Takes a queued input: as a turn of its own, or into the turn that runs.
 *
 * @param percent of its window that a context may fill before it is compacted
 */
export function takeInput(
  draft: Draft,
  input: number,
  as: "start" | "steer",
  percent: number,
): void {
  const queued = draft.state.queue.find((one) => one.seq === input);
  if (!queued) return;
  const running = draft.state.turn;
  if (as === "steer" && running) {
    const { turn, limits } = running;
    draft.add({ type: "input.taken", body: { input, turn, as, limits } });
    return;
  }
  const state = withPrompt(draft.state, queued.prompt);
  const plan = planEpoch(state, queued.options, queued.replay);
  const change = plan.change ? { tool_change: plan.change } : {};
  const { limits } = queued;
  const body: RowBodies["input.taken"] = { input, turn: input, as: "start", limits, ...change };
  const seq = draft.add({ type: "input.taken", body });
  addCutOf(draft, plan, { turn: input, start: queued.replay ? seq : null }, percent);
}
