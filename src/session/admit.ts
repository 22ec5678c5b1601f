/**
 * `admit`: what a command does to the log. It adds rows to a draft, or refuses and adds none; it
 * does no I/O, so everything it needs to know comes as an argument.
 */
import { ANTHROPIC_KEY } from "../account/secret-table.ts";
import type { Fact, InputBody, RowBodies, TurnOptions } from "../shared/rows.ts";
import {
  type Admission,
  type CommandOf,
  limitsOf,
  mediaRefusal,
  missingTool,
  optionsOf,
  refused,
  type Surroundings,
  submitted,
} from "./admission.ts";
import { admitConfirmations, admitResults } from "./admit-answers.ts";
import { admitCancelJob, admitRedelivery } from "./admit-jobs.ts";
import type { Submission } from "./commands.ts";
import { dueCompaction, stopCompactions } from "./compact.ts";
import { addCutOf } from "./compact-switch.ts";
import type { Draft } from "./draft.ts";
import { planEpoch } from "./epoch.ts";
import { broughtPrompt, withPrompt } from "./prompt.ts";
import { settleTools, stopTurn } from "./settle.ts";
import { type State, stopsShort } from "./state.ts";

/** Commands that let the model go on, and so let the log grow. */
const GOES_ON: ReadonlySet<Submission["command"]["kind"]> = new Set([
  "input",
  "results",
  "confirmations",
]);

/** Adds to `draft` what `submission` writes. A refusal leaves the draft empty. */
export function admit(draft: Draft, submission: Submission, around: Surroundings): Admission {
  const { command } = submission;
  if (around.full && GOES_ON.has(command.kind)) {
    return refused(
      "session_full",
      "The session's storage is full. Export what you need of it, and start a new session.",
    );
  }
  switch (command.kind) {
    case "input":
      return admitInput(draft, submission, command, around);
    case "results":
      return admitResults(draft, submission, command, around);
    case "confirmations":
      return admitConfirmations(draft, submission, command, around);
    case "interrupt":
      return admitInterrupt(draft, submission, command, around);
    case "update":
      return admitUpdate(draft, submission, command);
    case "cancel":
      return admitCancel(draft, submission, command.input, around);
    case "cancel_job":
      return admitCancelJob(draft, submission, command, around);
    case "redeliver":
      return admitRedelivery(draft, submission, command, around);
    case "compact":
      return admitCompaction(draft, submission, command);
  }
}

function admitInput(
  draft: Draft,
  submission: Submission,
  command: CommandOf<"input">,
  around: Surroundings,
): Admission {
  const { state } = draft;
  const running = state.turn?.status === "running" ? state.turn : null;
  const twin = submission.key || command.job ? null : twinOf(state, command.hash, around);
  if (twin !== null) return { kind: "same", input: twin };
  const full = mediaRefusal(state, command.content, command.replay);
  if (full) return full;
  const missing = missingTool(optionsOf(state, command.options, null));
  if (missing) return missing;

  const starting = !state.turn && state.queue.length > 0;
  if ((running || starting) && command.on_busy === "reject") {
    return refused(
      "busy",
      "A turn is running. Wait for it, or send on_busy: queue, steer or interrupt.",
    );
  }
  const waits = command.on_busy === "queue" || command.on_busy === "steer";
  // A job does not take the place of a turn that waits for its client.
  if (waits && (running || starting || (command.job && state.turn))) {
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
  const { options } = fact.body;
  const begun = withPrompt(draft.state, broughtPrompt(options, draft.next));
  const plan = planEpoch(begun, options, command.replay);
  if (plan.change) fact.body.tool_change = plan.change;
  const input = draft.add(fact);
  addCutOf(draft, plan, { turn: input, start: command.replay ? input : null }, around.compactAt);
  return { kind: "accepted", input, turn: input, ...(running ? { stops: true } : {}) };
}

/** The same message, running or waiting, whose sender lost the response: it was sent again. */
function twinOf(state: State, hash: string, around: Surroundings): number | null {
  const running = state.turn?.status === "running" ? [state.turn.input] : [];
  const twin = [...running, ...state.queue].find((one) => one.hash === hash);
  return twin && !twin.detached && !around.read(twin.seq) ? twin.seq : null;
}

/** The message without an answer that this one repeats: its content is in the context already. */
function repeated(
  state: State,
  submission: Submission,
  command: CommandOf<"input">,
): number | undefined {
  const { last } = state;
  if (submission.key || command.replay || !last || !stopsShort(last)) return undefined;
  // The summary that is being made covers it, so its repetition is a new message already.
  if (state.call !== null) return undefined;
  return last.hash === command.hash && last.kept ? last.input : undefined;
}

function inputFact(
  draft: Draft,
  submission: Submission,
  command: CommandOf<"input">,
  place: { start: "now" | "queued" | "steer"; turn: number; repeats?: number | undefined },
): Extract<Fact, { type: "input" }> {
  const options = optionsIn(draft.state, command, place.start);
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
      limits: limitsOf(draft.state, options, command.limits),
      hash: command.hash,
      ...(submission.detached || command.job ? { detached: true as const } : {}),
      ...(place.repeats === undefined ? {} : { repeats: place.repeats }),
      ...(command.replay ? { replay: true as const } : {}),
      ...(command.job ? { job: command.job } : {}),
    },
  };
}

/** The prompt that the session has is not written again. A message that waits may find another. */
function optionsIn(
  state: State,
  command: CommandOf<"input">,
  start: InputBody["start"],
): TurnOptions {
  const options = optionsOf(state, command.options, null);
  const prompt = start === "now" ? broughtPrompt(options, 0) : null;
  if (prompt?.sha !== state.prompt.sha) return options;
  const { system_prompt: _, ...rest } = options;
  return rest;
}

function admitInterrupt(
  draft: Draft,
  submission: Submission,
  command: CommandOf<"interrupt">,
  around: Surroundings,
): Admission {
  const { state } = draft;
  // One that arrives late, or is delivered again, does not touch what began after it was sent.
  // Where the clock has gone back, times say nothing of the order.
  const isLater = (at: number) => at > command.sent_at && at <= draft.now;
  const turn = state.turn && !isLater(state.turn.began_at) ? state.turn : null;
  const queued = command.cancel_queued ? state.queue.filter(({ at }) => !isLater(at)) : [];
  if (turn) {
    const body = {
      ...submitted(submission),
      turn: turn.turn,
      cancel_queued: command.cancel_queued,
    };
    draft.add({ type: "interrupt", body });
    stopTurn(draft, around.cut(draft));
  }
  const made = state.turn ? null : dueCompaction(state);
  const stopped = made && !isLater(made.at) ? made : null;
  if (stopped) {
    for (const fact of around.cut(draft)) draft.add(fact);
    stopCompactions(draft, "interrupted", submitted(submission));
  }
  for (const { seq } of queued) {
    const body = { ...submitted(submission), input: seq, reason: "client" as const };
    draft.add({ type: "input.cancelled", body });
  }
  return {
    kind: "accepted",
    input: null,
    turn: turn?.turn ?? null,
    ...(turn || stopped ? { stops: true } : {}),
    ...(stopped ? { stopped: "compaction" as const } : {}),
  };
}

function admitUpdate(
  draft: Draft,
  submission: Submission,
  { config, own_key }: CommandOf<"update">,
): Admission {
  const own = own_key === undefined ? {} : { own_anthropic_key: own_key !== null };
  if (own_key !== undefined) draft.secrets.set(ANTHROPIC_KEY, own_key);
  const body = { ...submitted(submission), config: { ...config, ...own } };
  draft.add({ type: "session.updated", body });
  return { kind: "accepted", input: null, turn: null };
}

function admitCompaction(
  draft: Draft,
  submission: Submission,
  { keep, instructions }: CommandOf<"compact">,
): Admission {
  const turn = draft.state.turn?.turn ?? null;
  draft.add({
    type: "compaction.requested",
    body: {
      ...submitted(submission),
      turn,
      trigger: "client",
      ...(keep === null ? {} : { keep }),
      ...(instructions === null ? {} : { instructions }),
    },
  });
  return { kind: "accepted", input: null, turn };
}

function admitCancel(
  draft: Draft,
  submission: Submission,
  input: number,
  around: Surroundings,
): Admission {
  if (!around.isInput(input)) return refused("unknown_input", "There is no such input.");
  if (!draft.state.queue.some((one) => one.seq === input)) {
    return refused("not_queued", "This input does not wait: it was taken or cancelled before.");
  }
  draft.add({
    type: "input.cancelled",
    body: { ...submitted(submission), input, reason: "client" },
  });
  return { kind: "accepted", input: null, turn: null };
}

export type Deletion = RowBodies["session.deleted"];

/** Settles everything that is open and closes the log: the first step of a deletion. */
export function admitDeletion(draft: Draft, deletion: Deletion, around: Surroundings): void {
  if (draft.state.turn) stopTurn(draft, around.cut(draft));
  else for (const fact of around.cut(draft)) draft.add(fact);
  stopCompactions(draft, "deleted");
  for (const { seq } of draft.state.queue) {
    draft.add({ type: "input.cancelled", body: { input: seq, reason: "deleted" } });
  }
  draft.add({ type: "session.deleted", body: deletion });
}
