/** Answers to tool calls: the results of the client's own, and confirmations of the session's. */

import {
  type Admission,
  type CommandOf,
  limitsOf,
  mediaRefusal,
  missingTool,
  optionsOf,
  refused,
  type SettledCall,
  type Surroundings,
  submitted,
} from "./admission.ts";
import type { Confirmation, Submission } from "./commands.ts";
import { addCutOf } from "./compact-switch.ts";
import type { Draft } from "./draft.ts";
import { planEpoch, planResumed } from "./epoch.ts";
import { endTurn, ledgeResult } from "./settle.ts";
import { type OpenTool, type OpenTurn, type State, stopsShort } from "./state.ts";

export function admitResults(
  draft: Draft,
  submission: Submission,
  command: CommandOf<"results">,
  around: Surroundings,
): Admission {
  const { state } = draft;
  const turn = state.turn?.status === "awaiting" ? state.turn : null;
  const open = new Set(turn?.tools.map((tool) => tool.id));
  const seen = new Set<string>();
  const answered: { tool: string; settled: SettledCall }[] = [];
  for (const { tool } of command.results) {
    if (seen.has(tool)) {
      return refused("duplicate_tool_call", `The tool call ${tool} is answered twice.`, tool);
    }
    seen.add(tool);
    if (open.has(tool)) continue;
    const settled = around.settled(tool);
    if (!settled)
      return refused("unknown_tool_call", `The session made no tool call ${tool}.`, tool);
    answered.push({ tool, settled });
  }
  const taken = command.results.filter((result) => open.has(result.tool));
  if (!turn || taken.length === 0) {
    const again = failedAfter(state, submission, answered);
    return again
      ? continueFailed(draft, submission, command, around)
      : answeredBefore(state, answered, command.hash);
  }
  const full = mediaRefusal(
    state,
    taken.flatMap((result) => result.content),
    false,
  );
  if (full) return full;

  const missing = missingTool(optionsOf(state, command.options, turn.options));
  if (missing) return missing;

  const input = draft.next;
  for (const { tool, content, is_error } of taken) {
    draft.add({
      type: "tool.ended",
      body: {
        ...submitted(submission),
        tool,
        turn: turn.turn,
        by: "client",
        status: is_error ? "error" : "ok",
        content,
        is_error,
        hash: command.hash,
      },
    });
  }
  if (draft.state.turn && draft.state.turn.tools.length > 0) {
    endTurn(draft, { outcome: "requires_action" });
  } else {
    resume(draft, turn.turn, command);
  }
  return { kind: "accepted", input, turn: turn.turn };
}

function resume(draft: Draft, turn: number, command: CommandOf<"results">): void {
  const { state } = draft;
  const options = optionsOf(state, command.options, state.turn?.options ?? null);
  const { change } = planResumed(state, options);
  draft.add({
    type: "turn.resumed",
    body: {
      turn,
      by: "results",
      options,
      limits: limitsOf(state, options, command.limits, state.turn?.limits ?? null),
      ...(change ? { tool_change: change } : {}),
    },
  });
}

/** Results that are there, in a turn that then failed: sent again, they ask for another try. */
function failedAfter(
  { turn, last }: State,
  { key }: Submission,
  answered: { settled: SettledCall }[],
): boolean {
  if (key || turn || !last || !stopsShort(last) || !last.kept) return false;
  return answered.every(({ settled }) => settled.by === "client" && settled.turn === last.turn);
}

/** Opens a turn that adds nothing to the context and goes on where the failed one ended. */
function continueFailed(
  draft: Draft,
  submission: Submission,
  command: CommandOf<"results">,
  around: Surroundings,
): Admission {
  const { last } = draft.state;
  const options = optionsOf(draft.state, command.options, last?.options ?? null);
  const plan = planEpoch(draft.state, options, false);
  const input = draft.add({
    type: "input",
    body: {
      ...submitted(submission),
      turn: draft.next,
      source: "client",
      kind: "user",
      content: [],
      start: "now",
      options,
      limits: limitsOf(draft.state, options, command.limits),
      hash: command.hash,
      repeats: last?.input ?? 0,
      resumes: true,
      ...(plan.change ? { tool_change: plan.change } : {}),
    },
  });
  addCutOf(draft, plan, { turn: input, start: null }, around.compactAt);
  return { kind: "accepted", input, turn: input };
}

/** Results for calls that all have one: the submission that brought them is answered again. */
function answeredBefore(
  state: State,
  answered: { tool: string; settled: SettledCall }[],
  hash: string,
): Admission {
  // They have asked for another try before, which is their answer now.
  const { turn, last } = state;
  if (turn?.input.hash === hash) return { kind: "same", input: turn.input.seq };
  if (last?.hash === hash) return { kind: "same", input: last.input };
  for (const { tool, settled } of answered) {
    const place = state.submissions.find(([id]) => id === settled.submission);
    if (settled.by === "client" && place) return { kind: "same", input: place[1] };
    if (settled.by === "client") {
      return refused("call_settled", `The tool call ${tool} was answered long ago.`, tool);
    }
  }
  const tool = answered[0]?.tool ?? "";
  return refused(
    "call_settled",
    `The tool call ${tool} was settled without a result, because the turn was interrupted or a new message came.`,
    tool,
  );
}

/** What the model is told of a call that the user denied without a reason. */
const DENIED = "The user does not want this tool call. It was not run.";

/** Answers questions of built-in tools: what is allowed runs once no question is open any more. */
export function admitConfirmations(
  draft: Draft,
  submission: Submission,
  command: CommandOf<"confirmations">,
  around: Surroundings,
): Admission {
  const { state } = draft;
  const turn = state.turn?.status === "awaiting" ? state.turn : null;
  const asked = new Map(
    turn?.tools.filter(({ gate }) => gate === "ask").map((tool) => [tool.id, tool]),
  );
  const seen = new Set<string>();
  for (const { tool } of command.confirmations) {
    if (seen.has(tool)) {
      return refused("duplicate_tool_call", `The tool call ${tool} is answered twice.`, tool);
    }
    seen.add(tool);
    if (!asked.has(tool)) return unasked(tool, state.turn, around);
  }
  if (!turn) return refused("unknown_tool_call", "No tool call waits for a confirmation.");

  const input = draft.next;
  for (const confirmation of command.confirmations) {
    const open = asked.get(confirmation.tool);
    if (open) addConfirmation(draft, submission, turn, open, confirmation);
  }
  if (draft.state.turn?.tools.some(({ gate }) => gate === "ask")) {
    endTurn(draft, { outcome: "requires_action" });
  } else {
    // The turn has gone to its folder.
    const { cwd: _, ...options } = turn.options;
    const limits = limitsOf(draft.state, options, command.limits, turn.limits);
    draft.add({
      type: "turn.resumed",
      body: { turn: turn.turn, by: "confirmations", options, limits },
    });
  }
  return { kind: "accepted", input, turn: turn.turn };
}

/** A call that does not wait for an answer: it has one, or there is no such call. */
function unasked(tool: string, turn: OpenTurn | null, around: Surroundings): Admission {
  const allowed = turn?.tools.some(({ id, confirmed }) => id === tool && confirmed !== null);
  if (!allowed && !around.settled(tool)) {
    return refused("unknown_tool_call", `No tool call ${tool} waits for a confirmation.`, tool);
  }
  return refused("call_settled", `The tool call ${tool} does not wait any more.`, tool);
}

function addConfirmation(
  draft: Draft,
  submission: Submission,
  { turn }: OpenTurn,
  open: OpenTool,
  { tool, allow, message, input, always }: Confirmation,
): void {
  const remember = allow && always && open.rule !== null ? { remember: open.rule } : {};
  draft.add({
    type: "tool.confirmed",
    body: {
      ...submitted(submission),
      tool,
      turn,
      allow,
      ...(message === undefined ? {} : { message }),
      ...(allow && input ? { input } : {}),
      ...remember,
    },
  });
  if (!allow) draft.add(ledgeResult(turn, tool, "denied", message ?? DENIED));
}
