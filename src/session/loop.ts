/**
 * The session's loop: does what `next` says until there is nothing to do. There is one per object,
 * whoever wakes it. It holds nothing that matters: at every `await` the object may die, and the
 * next one finds in the rows where it was.
 */
import { finalMessage } from "../model/advice.ts";
import { openStream, type Upstream } from "../model/client.ts";
import { MessageAccumulator, type StreamEvent } from "../model/message.ts";
import { CallFailed, type Classified, classify, nextAttempt } from "../model/retry.ts";
import { clock } from "../shared/clock.ts";
import { errorOf, type LoggedPlace, writeLine } from "../shared/log-line.ts";
import { type Fact, type Row, SERVER_TOOLS } from "../shared/rows.ts";
import { addAnswer, addCut, addFailure, interruptedFacts } from "./answer.ts";
import type { Draft } from "./draft.ts";
import { cutFact, planEpoch } from "./epoch.ts";
import type { FaultPoint } from "./fault-points.ts";
import type { Followers } from "./followers.ts";
import type { FirstOutput } from "./log-lines.ts";
import type { MediaStore } from "./media.ts";
import { type Action, next } from "./next.ts";
import { prepareCall } from "./prepare.ts";
import { PreviewBuffer } from "./preview.ts";
import type { ToolRunner } from "./run-tools.ts";
import { endTurn } from "./settle.ts";
import type { Epoch, State } from "./state.ts";
import type { Store } from "./store.ts";

/** Previews are joined to one frame per this many milliseconds. */
const PREVIEW_MS = 30;

export interface LoopEdges {
  store: Store;
  media: MediaStore;
  followers: Followers;
  /** Writes a draft, tells the followers, keeps the alarm. */
  commit: (draft: Draft) => void;
  upstream: () => Promise<Upstream>;
  tools: ToolRunner;
  /** Keeps the object in memory while the promise is open. */
  hold: (step: Promise<void>) => void;
  reach: (point: FaultPoint) => void;
  place: LoggedPlace;
}

/** The model call whose stream is being read. */
interface Attempt {
  call: number;
  message: MessageAccumulator;
  preview: PreviewBuffer;
  connection: AbortController;
  request_id: string | null;
}

export class Loop {
  readonly #edges: LoopEdges;
  /** False from the very step that found nothing to do, so that whoever writes then can start it. */
  #runs = false;
  #done: Promise<void> = Promise.resolve();
  #attempt: Attempt | null = null;
  #cancelFlush: (() => void) | null = null;
  #firstOutput: FirstOutput | null = null;

  constructor(edges: LoopEdges) {
    this.#edges = edges;
  }

  /** The preview of the open call, for a follower that attaches now. */
  get preview(): PreviewBuffer | null {
    return this.#attempt?.preview ?? null;
  }

  /** When the model's first output came for the last submission that had one. */
  get firstOutput(): FirstOutput | null {
    return this.#firstOutput;
  }

  /** Starts the loop if it does not run; the promise ends with it and never rejects. */
  wake(): Promise<void> {
    // Begins when the step that woke it has ended, and with it what that holds of a long message.
    if (!this.#runs) {
      this.#runs = true;
      this.#done = Promise.resolve().then(() => this.#run());
    }
    return this.#done;
  }

  /** What an interrupt keeps of the open call. Synchronous, so it commits with the interrupt. */
  cut(draft: Draft): Fact[] {
    if (!draft.state.call) return [];
    const attempt = this.#attempt ?? { message: new MessageAccumulator(), request_id: null };
    return interruptedFacts(draft, attempt);
  }

  /** Closes the upstream connection at once, after the rows that end the call are written. */
  abort(): void {
    this.#attempt?.connection.abort(new Error("interrupted"));
    this.#attempt = null;
    this.#edges.tools.abort();
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const action = next(this.#edges.store.state, clock.now());
        if (action.do === "nothing" || action.do === "wait") return;
        try {
          const step = this.#act(action);
          // The platform protects each pending operation for a limited time, so every step is one.
          this.#edges.hold(step.catch(() => {}));
          await step;
        } catch (error) {
          const { place } = this.#edges;
          writeLine({
            event: "error",
            ...place,
            what: "a step of the loop",
            error: errorOf(error),
          });
          if (!this.#giveUp()) return;
        }
      }
    } finally {
      this.#runs = false;
    }
  }

  async #act(action: Exclude<Action, { do: "nothing" | "wait" }>): Promise<void> {
    const draft = this.#edges.store.draft();
    switch (action.do) {
      case "take":
        take(draft, action.input, action.as);
        return this.#edges.commit(draft);
      case "end":
        endTurn(draft, action.end);
        return this.#edges.commit(draft);
      case "call":
        return this.#call(draft);
      case "run":
        return this.#edges.tools.run(action.tools);
      case "listen":
        // Nobody reads the open call: its reader failed in a way that nothing foresaw.
        throw new Error("an open call has no reader");
    }
  }

  /**
   * A fault of our own in a step ends its turn: the same step would fail again. False when there is
   * no turn to end, or not even that can be written; the alarm then tries again later.
   */
  #giveUp(): boolean {
    this.abort();
    try {
      const draft = this.#edges.store.draft();
      const turn = draft.state.turn;
      if (turn?.status !== "running" || turn.fatal) return false;
      const attempt = { message: new MessageAccumulator(), request_id: null };
      if (draft.state.call) addFailure(draft, attempt);
      const message = "The server failed in this step. Send the message again.";
      draft.add({ type: "failure", body: { turn: turn.turn, code: "internal_error", message } });
      this.#edges.commit(settled(draft));
      return true;
    } catch {
      return false;
    }
  }

  async #call(draft: Draft): Promise<void> {
    const { store, media } = this.#edges;
    const { state } = draft;
    if (!state.turn || !state.epoch) return;
    const { request, notices, started } = prepareCall(
      state,
      state.turn,
      state.epoch,
      store.log,
      media,
    );
    if (started.n === 1 && started.attempt === 1) {
      for (const notice of notices) {
        draft.add({ type: "notice", body: { turn: state.turn.turn, ...notice } });
      }
    }
    const call = draft.add({ type: "call.started", body: started });
    this.#edges.commit(draft);
    const attempt: Attempt = {
      call,
      message: new MessageAccumulator(),
      preview: new PreviewBuffer(call, state.turn.turn),
      connection: new AbortController(),
      request_id: null,
    };
    this.#attempt = attempt;
    try {
      const upstream = await this.#edges.upstream();
      this.#edges.reach("request");
      const events = openStream(upstream, request, {
        signal: attempt.connection.signal,
        onStart: (start) => {
          this.#edges.reach("head");
          attempt.request_id = start.request_id;
        },
      });
      for await (const event of events) {
        this.#edges.reach("event");
        this.#receive(attempt, event);
      }
      this.#edges.reach("end");
      this.#finish(attempt, (end) => addAnswer(end, attempt));
    } catch (error) {
      if (!(error instanceof CallFailed)) {
        // An interrupt has written the end of this call and closed its connection.
        if (attempt.connection.signal.aborted) return;
        throw error;
      }
      this.#finish(attempt, (end) => this.#fail(end, attempt, error));
    }
  }

  #receive(attempt: Attempt, event: StreamEvent): void {
    const delta = attempt.message.apply(event);
    if (!delta || this.#attempt !== attempt) return;
    this.#noteOutput();
    const first = attempt.preview.add(delta);
    if (first) this.#flush(attempt);
    else this.#cancelFlush ??= clock.after(PREVIEW_MS, () => this.#flush(attempt));
  }

  #noteOutput(): void {
    const since = this.#edges.store.state.turn?.spent.since;
    if (since === undefined || this.#firstOutput?.since === since) return;
    this.#firstOutput = { since, at: clock.now() };
  }

  #flush(attempt: Attempt): void {
    this.#cancelFlush?.();
    this.#cancelFlush = null;
    if (this.#attempt !== attempt) return;
    this.#edges.followers.previews(this.#edges.store.state.seq, attempt.preview.take());
  }

  /** Writes how the call ended, and the turn's end if that follows, in one step. */
  #finish(attempt: Attempt, add: (draft: Draft) => void): void {
    this.#flush(attempt);
    if (this.#attempt !== attempt) return;
    const draft = this.#edges.store.draft();
    add(draft);
    this.#attempt = null;
    this.#edges.commit(settled(draft));
  }

  #fail(draft: Draft, attempt: Attempt, failed: CallFailed): void {
    const { turn, epoch } = draft.state;
    if (!turn) return;
    const model = epoch?.model ?? draft.state.config.model;
    const why = classify(failed.failure, { model, at: draft.at });
    const inContainer = draft.state.call?.container != null;
    addFailure(draft, attempt);
    const reason = refusedEpoch(why, draft.state);
    if (reason && !turn.stripped) {
      addNewEpoch(draft, attempt.call, why, reason);
      return;
    }
    if (why.code === "container_rejected" && inContainer) {
      addRetry(draft, attempt.call, why);
      return;
    }
    const step = draft.state.turn?.step ?? turn.step;
    const again =
      why.kind === "retry"
        ? nextAttempt({
            attempt: step.attempt,
            weight: step.weight,
            firstAt: step.first_at ?? draft.at,
            now: draft.at,
            ...(why.retryAfter === undefined ? {} : { retryAfter: why.retryAfter }),
            random: Math.random(),
          })
        : null;
    const { code, message } = why;
    draft.add({
      type: "failure",
      body: {
        turn: turn.turn,
        call: attempt.call,
        code,
        message: again ? message : finalMessage(why, step.attempt),
        ...(again ? { retry: { attempt: step.attempt + 1, at: again.at } } : {}),
      },
    });
    if (why.kind === "final" && why.content_rejected) addCut(draft, "rejected", message, []);
  }
}

/**
 * What the API refuses although the message is not at fault: thinking that it gave itself, as after
 * a change of the key's organization; an appended change of tools that a gateway does not know; or
 * the API's own tools, which an organization may have turned off and a gateway may not have.
 */
function refusedEpoch(
  why: Classified,
  { epoch, server_tools }: State,
): "gone" | "tools" | "server_tools" | null {
  switch (why.code) {
    case "thinking_rejected":
      return "gone";
    case "tool_change_rejected":
      return epoch?.unaccepted_change ? "tools" : null;
    case "server_tool_rejected":
      return server_tools && SERVER_TOOLS.some((name) => hasTool(epoch, name))
        ? "server_tools"
        : null;
    default:
      return null;
  }
}

const hasTool = (epoch: Epoch | null, name: string): boolean =>
  epoch !== null && (epoch.base.builtin ?? false) && Object.hasOwn(epoch.base.tools, name);

/** Tries at once again: what the API refused is left out now. */
function addRetry(draft: Draft, call: number, { code, message }: Classified): void {
  const { turn } = draft.state;
  if (!turn) return;
  const retry = { attempt: turn.step.attempt + 1, at: draft.at };
  draft.add({ type: "failure", body: { turn: turn.turn, call, code, message, retry } });
}

/** Leaves out all thinking, sends the turn's tools as the request's own, and tries once more. */
function addNewEpoch(
  draft: Draft,
  call: number,
  why: Classified,
  reason: "gone" | "tools" | "server_tools",
): void {
  const { turn } = draft.state;
  if (!turn) return;
  addRetry(draft, call, why);
  const cut = { reason, message: `${why.message} Earlier thinking was left out.` };
  draft.add(cutFact(turn.turn, cut, null));
}

/** Adds the end of the turn where the rows so far leave nothing else to do. */
function settled(draft: Draft): Draft {
  const action = next(draft.state, draft.at);
  if (action.do === "end") endTurn(draft, action.end);
  return draft;
}

/** Takes a queued input: as a turn of its own, or into the turn that runs. */
function take(draft: Draft, input: number, as: "start" | "steer"): void {
  const queued = draft.state.queue.find((one) => one.seq === input);
  if (!queued) return;
  const running = draft.state.turn;
  if (as === "steer" && running) {
    const { turn, limits } = running;
    draft.add({ type: "input.taken", body: { input, turn, as, limits } });
    return;
  }
  const plan = planEpoch(draft.state, queued.options, queued.replay);
  const change = plan.change ? { tool_change: plan.change } : {};
  const { limits } = queued;
  const body: Extract<Row, { type: "input.taken" }>["body"] = {
    input,
    turn: input,
    as: "start",
    limits,
    ...change,
  };
  const seq = draft.add({ type: "input.taken", body });
  if (plan.cut) draft.add(cutFact(input, plan.cut, queued.replay ? seq : null));
}
