/**
 * `admit`: what a command does to the log. It adds rows to a draft, or refuses and adds none; it
 * does no I/O, so everything it needs to know comes as an argument.
 */
import type { ContentBlock, Fact, Limits, TurnOptions } from "../shared/rows.ts";
import type { AskedLimits, AskedOptions, Command, Refusal, Submission } from "./commands.ts";
import type { Draft } from "./draft.ts";
import { cutFact, planEpoch, planResumed } from "./epoch.ts";
import { mediaBytes } from "./media.ts";
import { endTurn, settleTools, stopTurn } from "./settle.ts";
import type { State } from "./state.ts";

/** Decoded bytes of images and documents that one context may hold. */
const CONTEXT_MEDIA_BYTES = 20_000_000;

/** What the session knows besides its state. */
export interface Surroundings {
  /** The kept blocks of the open model call and its end, as an interrupt leaves them. */
  cut: (draft: Draft) => Fact[];
  /** What became of a tool call that is not open. */
  settled: (tool: string) => SettledCall | null;
  /** Somebody is still reading the response of the submission with this first row. */
  read: (submission: number) => boolean;
  /** The row is an input. */
  isInput: (seq: number) => boolean;
}

/** A tool call that has its result: by whom, and in which submission. */
export interface SettledCall {
  by: "client" | "ledge" | "server";
  turn: number;
  submission: string | null;
}

export type Admission =
  /** `input` is the row by which an outcome names the submission. */
  | { kind: "accepted"; input: number | null; turn: number | null; stops?: true }
  /** The submission is known: it goes on, or is answered again, from the row `input`. */
  | { kind: "same"; input: number }
  | { kind: "refused"; refusal: Refusal };

/** Adds to `draft` what `submission` writes. A refusal leaves the draft empty. */
export function admit(draft: Draft, submission: Submission, around: Surroundings): Admission {
  const { command } = submission;
  switch (command.kind) {
    case "input":
      return admitInput(draft, submission, command, around);
    case "results":
      return admitResults(draft, submission, command, around);
    case "interrupt":
      return admitInterrupt(draft, submission, command, around);
    case "update":
      draft.add({
        type: "session.updated",
        body: { ...submitted(submission), config: command.config },
      });
      return { kind: "accepted", input: null, turn: null };
    case "cancel":
      return admitCancel(draft, command.input, around);
  }
}

type CommandOf<K extends Command["kind"]> = Extract<Command, { kind: K }>;

const submitted = ({ submission, key }: Submission) => ({ submission, ...(key ? { key } : {}) });

const refused = (code: Refusal["code"], message: string, about?: string): Admission => ({
  kind: "refused",
  refusal: { code, message, ...(about === undefined ? {} : { about }) },
});

function admitInput(
  draft: Draft,
  submission: Submission,
  command: CommandOf<"input">,
  around: Surroundings,
): Admission {
  const { state } = draft;
  const running = state.turn?.status === "running" ? state.turn : null;
  const twin = submission.key ? null : twinOf(state, command.hash, around);
  if (twin !== null) return { kind: "same", input: twin };
  const full = mediaRefusal(state, command.content, command.replay);
  if (full) return full;
  const missing = missingTool(optionsOf(state, command.options, null));
  if (missing) return missing;

  if (running && command.on_busy === "reject") {
    return refused(
      "busy",
      "A turn is running. Wait for it, or send on_busy: queue, steer or interrupt.",
    );
  }
  const waits = command.on_busy === "queue" || command.on_busy === "steer";
  if (waits && (running || (!state.turn && state.queue.length > 0))) {
    const start = command.on_busy === "steer" ? ("steer" as const) : ("queued" as const);
    const turn = start === "steer" && running ? running.turn : draft.next;
    const input = draft.add(inputFact(draft, submission, command, { start, turn }));
    return { kind: "accepted", input, turn };
  }

  if (running) {
    draft.add({ type: "interrupt", body: { turn: running.turn, cancel_queued: false } });
    stopTurn(draft, around.cut(draft));
  } else {
    settleTools(draft, "skipped");
  }
  const repeats = repeated(draft.state, submission, command);
  const fact = inputFact(draft, submission, command, { start: "now", turn: draft.next, repeats });
  const plan = planEpoch(draft.state, fact.body.options, command.replay);
  if (plan.change) fact.body.tool_change = plan.change;
  const input = draft.add(fact);
  if (plan.cut) draft.add(cutFact(input, plan.cut, command.replay ? input : null));
  return { kind: "accepted", input, turn: input, ...(running ? { stops: true } : {}) };
}

/** The same message, running or waiting, whose sender lost the response: it was sent again. */
function twinOf(state: State, hash: string, around: Surroundings): number | null {
  const running = state.turn?.status === "running" ? [state.turn.input] : [];
  const twin = [...running, ...state.queue].find((one) => one.hash === hash);
  return twin && !twin.detached && !around.read(twin.seq) ? twin.seq : null;
}

/** The failed message that this one repeats: its content is in the context already. */
function repeated(
  state: State,
  submission: Submission,
  command: CommandOf<"input">,
): number | undefined {
  const { last } = state;
  if (submission.key || command.replay || last?.outcome !== "failed") return undefined;
  return last.hash === command.hash && last.kept ? last.input : undefined;
}

function inputFact(
  draft: Draft,
  submission: Submission,
  command: CommandOf<"input">,
  place: { start: "now" | "queued" | "steer"; turn: number; repeats?: number | undefined },
): Extract<Fact, { type: "input" }> {
  const options = optionsOf(draft.state, command.options, null);
  return {
    type: "input",
    body: {
      ...submitted(submission),
      turn: place.turn,
      source: "client",
      kind: "user",
      content: command.content,
      start: place.start,
      options,
      limits: limitsOf(options, command.limits),
      hash: command.hash,
      ...(submission.detached ? { detached: true as const } : {}),
      ...(place.repeats === undefined ? {} : { repeats: place.repeats }),
      ...(command.replay ? { replay: true as const } : {}),
    },
  };
}

/**
 * The options of a turn: what the client gave, else those of `running` (for results), else the
 * session's. Definitions that stand in a row already are not written again.
 */
function optionsOf(state: State, asked: AskedOptions, running: TurnOptions | null): TurnOptions {
  const toolset = asked.toolset ?? running?.toolset ?? state.toolset;
  const known = [state.epoch?.base, running?.toolset, state.turn?.options.toolset, state.toolset];
  const same = known.find((one) => one && one.seq !== undefined && equal(one.tools, toolset.tools));
  return {
    toolset: same ?? toolset,
    tool_choice: asked.tool_choice ?? running?.tool_choice ?? { type: "auto" },
    parallel_tool_calls: asked.parallel_tool_calls ?? running?.parallel_tool_calls ?? true,
  };
}

/** A tool that the turn does not have cannot be called. */
function missingTool({ tool_choice, toolset }: TurnOptions): Admission | null {
  if (tool_choice.type === "any" && Object.keys(toolset.tools).length === 0) {
    return refused("unknown_tool", "The turn has no tools, so none can be required.");
  }
  if (tool_choice.type !== "tool" || Object.hasOwn(toolset.tools, tool_choice.name)) return null;
  return refused("unknown_tool", `The turn has no tool ${tool_choice.name}.`, tool_choice.name);
}

function equal(a: Record<string, string>, b: Record<string, string>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

const limitsOf = (options: TurnOptions, asked: AskedLimits): Limits => ({
  max_turns: Object.keys(options.toolset.tools).length > 0 ? asked.tools : asked.plain,
});

function mediaRefusal(state: State, content: ContentBlock[], replay: boolean): Admission | null {
  const added = mediaBytes(content);
  const held = replay ? 0 : state.context.media;
  if (added === 0 || held + added <= CONTEXT_MEDIA_BYTES) return null;
  return refused(
    "media_limit",
    `The images and documents of a conversation may hold ${CONTEXT_MEDIA_BYTES} bytes together; this one holds ${held} and the message adds ${added}. Send smaller ones, or start a new session.`,
  );
}

function admitResults(
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
    return again ? continueFailed(draft, submission, command) : answeredBefore(state, answered);
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
      limits: limitsOf(options, command.limits),
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
  if (key || turn || last?.outcome !== "failed" || !last.kept) return false;
  return answered.every(({ settled }) => settled.by === "client" && settled.turn === last.turn);
}

/** Opens a turn that adds nothing to the context and goes on where the failed one ended. */
function continueFailed(
  draft: Draft,
  submission: Submission,
  command: CommandOf<"results">,
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
      limits: limitsOf(options, command.limits),
      hash: command.hash,
      repeats: last?.input ?? 0,
      ...(plan.change ? { tool_change: plan.change } : {}),
    },
  });
  if (plan.cut) draft.add(cutFact(input, plan.cut, null));
  return { kind: "accepted", input, turn: input };
}

/** Results for calls that all have one: the submission that brought them is answered again. */
function answeredBefore(
  state: State,
  answered: { tool: string; settled: SettledCall }[],
): Admission {
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

function admitInterrupt(
  draft: Draft,
  submission: Submission,
  command: CommandOf<"interrupt">,
  around: Surroundings,
): Admission {
  const { turn, queue } = draft.state;
  const queued = command.cancel_queued ? queue : [];
  if (turn) {
    const body = {
      ...submitted(submission),
      turn: turn.turn,
      cancel_queued: command.cancel_queued,
    };
    draft.add({ type: "interrupt", body });
    stopTurn(draft, around.cut(draft));
  }
  for (const { seq } of queued) {
    draft.add({ type: "input.cancelled", body: { input: seq, reason: "client" } });
  }
  return {
    kind: "accepted",
    input: null,
    turn: turn?.turn ?? null,
    ...(turn ? { stops: true } : {}),
  };
}

function admitCancel(draft: Draft, input: number, around: Surroundings): Admission {
  if (!around.isInput(input)) return refused("unknown_input", "There is no such input.");
  if (!draft.state.queue.some((one) => one.seq === input)) {
    return refused("not_queued", "This input does not wait: it was taken or cancelled before.");
  }
  draft.add({ type: "input.cancelled", body: { input, reason: "client" } });
  return { kind: "accepted", input: null, turn: null };
}

/** Settles everything that is open and closes the log: the first step of a deletion. */
export function admitDeletion(draft: Draft, submission: string, around: Surroundings): void {
  if (draft.state.turn) stopTurn(draft, around.cut(draft));
  for (const { seq } of draft.state.queue) {
    draft.add({ type: "input.cancelled", body: { input: seq, reason: "deleted" } });
  }
  draft.add({ type: "session.deleted", body: { submission } });
}
