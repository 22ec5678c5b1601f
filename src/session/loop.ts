/**
 * The session's loop: does what `next` says until there is nothing to do. There is one per object,
 * whoever wakes it. It holds nothing that matters: at every `await` the object may die, and the
 * next one finds in the rows where it was.
 */
import type { Upstream } from "../model/api-client.ts";
import { openStream } from "../model/client.ts";
import { MessageAccumulator, type StreamEvent } from "../model/message.ts";
import type { EncodedRequest } from "../model/request-body.ts";
import { CallFailed } from "../model/retry.ts";
import { clock } from "../shared/clock.ts";
import type { CompactionTrigger } from "../shared/compaction.ts";
import type { RetryPolicy } from "../shared/config.ts";
import { errorOf, type LoggedPlace, writeLine } from "../shared/log-line.ts";
import type { Fact } from "../shared/rows.ts";
import { addAnswer, addFailure, interruptedFacts } from "./answer.ts";
import {
  ANSWER_TOKENS,
  accountEnd,
  type BudgetRules,
  decider,
  SUMMARY_TOKENS,
  type Verdict,
} from "./budget.ts";
import { type Leases, UNREACHABLE, unreachable } from "./budget-lease.ts";
import { addReturn } from "./budget-state.ts";
import { addCallFailure } from "./call-failure.ts";
import { dueCompaction, endCompaction, outgrown } from "./compact.ts";
import { addCompaction, addCompactionFailure } from "./compact-answer.ts";
import { isCompactable, isDivisible, prepareCompaction } from "./compact-call.ts";
import { addStop, addSwitch } from "./compact-switch.ts";
import type { Draft } from "./draft.ts";
import type { FaultPoint } from "./fault-points.ts";
import type { Followers } from "./followers.ts";
import type { FirstOutput } from "./log-lines.ts";
import type { MediaStore } from "./media.ts";
import { type Action, next } from "./next.ts";
import { leaseKeyOf } from "./payer.ts";
import { prepareCall } from "./prepare.ts";
import { PreviewBuffer } from "./preview.ts";
import type { ToolRunner } from "./run-tools.ts";
import { hidesThinking } from "./settings.ts";
import { endTurn } from "./settle.ts";
import type { OpenCompaction } from "./state.ts";
import type { Store } from "./store.ts";
import { takeInput } from "./take.ts";

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
  /** Percent of the window above which a context is compacted: `COMPACT_AT_PERCENT`. */
  compactAt: () => number;
  /** When a call that failed is made again. */
  retry: () => RetryPolicy;
  /** After so many minutes an idle session is compacted: `COMPACT_IDLE_MINUTES`. */
  idleMinutes: () => number;
  /** Keeps the object in memory while the promise is open. */
  hold: (step: Promise<void>) => void;
  reach: (point: FaultPoint) => void;
  place: LoggedPlace;
  budget: {
    rules: () => BudgetRules;
    ask: Leases["ask"];
  };
}

/** The model call whose stream is being read. */
interface Attempt {
  call: number;
  message: MessageAccumulator;
  /** Null where nobody is shown what the model writes. */
  preview: PreviewBuffer | null;
  connection: AbortController;
  request_id: string | null;
}

/** What a call is made for. */
interface CallKind extends Pick<Attempt, "preview"> {
  answered: (draft: Draft, attempt: Attempt) => void;
  failed: (draft: Draft, attempt: Attempt, error: CallFailed) => void;
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
        const { store, idleMinutes } = this.#edges;
        const action = next(store.state, clock.now(), idleMinutes());
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
        takeInput(draft, action.input, action.as, this.#edges.compactAt());
        return this.#edges.commit(draft);
      case "end":
        endTurn(draft, action.end);
        return this.#edges.commit(draft);
      case "call":
        if (draft.state.turn && outgrown(draft.state, draft.state.turn, this.#edges.compactAt())) {
          return this.#request(draft, "threshold");
        }
        return this.#call(draft);
      case "overflow":
      case "idle":
        return this.#request(draft, action.do);
      case "switch":
        if (draft.state.turn) addSwitch(draft, draft.state.turn);
        return this.#edges.commit(draft);
      case "compact":
        return this.#compact(draft, action.compaction);
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
      const { turn } = draft.state;
      const attempt = { message: new MessageAccumulator(), request_id: null };
      const compaction = dueCompaction(draft.state);
      if (compaction) {
        if (draft.state.call) addFailure(draft, attempt);
        const message = "The server failed in this step.";
        endCompaction(draft, compaction, { code: "internal_error", message });
        this.#edges.commit(settled(draft));
        return true;
      }
      if (turn?.status !== "running" || turn.fatal) return false;
      if (draft.state.call) addFailure(draft, attempt);
      const message = "The server failed in this step. Send the message again.";
      draft.add({ type: "failure", body: { turn: turn.turn, code: "internal_error", message } });
      this.#edges.commit(settled(draft));
      return true;
    } catch {
      return false;
    }
  }

  async #call(draft: Draft, asked = false): Promise<void> {
    const { store, media, budget, retry } = this.#edges;
    const { state } = draft;
    const { turn, epoch } = state;
    if (!turn || !epoch) return;
    const purpose = { least: ANSWER_TOKENS, payer: turn.payer };
    const decide = decider(draft, budget.rules(), purpose, asked);
    const prepared = prepareCall(state, turn, epoch, store.log, media, decide);
    if (prepared.kind === "ask") return this.#askAccount(prepared, asked);
    if (prepared.kind === "stop") {
      endTurn(draft, prepared.end);
      return this.#edges.commit(draft);
    }
    const { request, notices, started } = prepared;
    for (const notice of notices) {
      if (turn.noticed.includes(notice.code)) continue;
      draft.add({ type: "notice", body: { turn: turn.turn, ...notice } });
    }
    const call = draft.add({ type: "call.started", body: started });
    this.#edges.commit(draft);
    const viewBefore = () => store.views.at(store.state.seq);
    return this.#ask(request, call, {
      preview: new PreviewBuffer(call, turn.turn),
      answered: (end, attempt) => addAnswer(end, attempt, viewBefore),
      failed: (end, attempt, error) =>
        addCallFailure(end, attempt, error, () => isCompactable(store), retry()),
    });
  }

  #request(draft: Draft, trigger: CompactionTrigger): void {
    const turn = draft.state.turn?.turn ?? null;
    const after = trigger === "idle" ? { idle_minutes: this.#edges.idleMinutes() } : {};
    draft.add({ type: "compaction.requested", body: { turn, trigger, ...after } });
    this.#edges.commit(draft);
  }

  async #compact(draft: Draft, compaction: OpenCompaction, asked = false): Promise<void> {
    const { store, media, commit, budget, retry } = this.#edges;
    const purpose = { least: SUMMARY_TOKENS, payer: compaction.payer };
    const decide = decider(draft, budget.rules(), purpose, asked);
    const prepared = prepareCompaction(store, compaction, media, decide);
    if (prepared.kind === "ask") return this.#askAccount(prepared, asked);
    if (prepared.kind === "stop") {
      addStop(draft, compaction, prepared.end);
      return commit(settled(draft));
    }
    if (prepared.kind !== "call") {
      const { turn } = draft.state;
      if (prepared.kind === "end") endCompaction(draft, compaction, prepared);
      else {
        const body = { request: compaction.seq, turn: turn?.turn ?? 0 };
        draft.add({ type: "compaction.deferred", body });
      }
      return commit(settled(draft));
    }
    const { request, started, made } = prepared;
    const call = draft.add({ type: "call.started", body: started });
    commit(draft);
    return this.#ask(request, call, {
      preview: null,
      answered: (end, attempt) => addCompaction(end, attempt, made, store.log),
      failed: (end, attempt, error) =>
        addCompactionFailure(end, attempt, error, made, retry(), () => isDivisible(store, made)),
    });
  }

  /** Makes the request of the call that was started, and writes what comes of it. */
  async #ask(request: EncodedRequest, call: number, how: CallKind): Promise<void> {
    const attempt: Attempt = {
      call,
      message: new MessageAccumulator(),
      preview: how.preview,
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
      this.#finish(attempt, (end) => how.answered(end, attempt));
    } catch (error) {
      if (!(error instanceof CallFailed)) {
        // An interrupt has written the end of this call and closed its connection.
        if (attempt.connection.signal.aborted) return;
        throw error;
      }
      this.#finish(attempt, (end) => how.failed(end, attempt, error));
    }
  }

  /**
   * Asks for what the next call may cost, and makes it. Where there is no money a turn ends, and goes
   * on without a compaction; where nobody answers it waits.
   */
  async #askAccount(asked: Extract<Verdict, { kind: "ask" }>, again: boolean): Promise<void> {
    const { store, budget, commit } = this.#edges;
    const answer = again ? ({ kind: "unknown" } as const) : await budget.ask(asked);
    // Something else may have come meanwhile.
    const draft = store.draft();
    const action = next(draft.state, draft.now);
    const { turn } = draft.state;
    const payer = action.do === "compact" ? action.compaction.payer : (turn?.payer ?? null);
    // What was said of one key's money says nothing of another's.
    if (leaseKeyOf(payer) !== asked.key) return;
    const refusal = answer.kind === "refused" ? accountEnd(answer.budget) : null;
    if (action.do === "compact") {
      const { compaction } = action;
      if (answer.kind === "leased") return this.#compact(draft, compaction, true);
      if (refusal) addStop(draft, compaction, refusal);
      else endCompaction(draft, compaction, UNREACHABLE);
    } else if (action.do === "call" && turn) {
      if (answer.kind === "leased") return this.#call(draft, true);
      if (refusal) endTurn(draft, refusal);
      else draft.add(unreachable(turn, draft.now, Math.random()));
    } else return;
    commit(settled(draft));
  }

  #receive(attempt: Attempt, event: StreamEvent): void {
    const delta = attempt.message.apply(event);
    if (!delta || this.#attempt !== attempt || !attempt.preview) return;
    const { turn } = this.#edges.store.state;
    if (delta.kind === "thinking" && turn && hidesThinking(turn)) return;
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
    if (this.#attempt !== attempt || !attempt.preview) return;
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
}

/** Adds the end of the turn where the rows so far leave nothing else to do. */
function settled(draft: Draft): Draft {
  const action = next(draft.state, draft.at);
  if (action.do === "end") endTurn(draft, action.end);
  const { turn, call, money } = draft.state;
  // One that a compaction between two turns was made with has no turn to end with.
  if (!turn && !call && action.do === "nothing" && money.lease?.keep === false) addReturn(draft);
  return draft;
}
