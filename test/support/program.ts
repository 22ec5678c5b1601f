/** Random lives of a session: what a client does, what the model answers, and who reads it where. */
import { vi } from "vitest";
import { dueCompaction } from "../../src/session/compact.ts";
import type { ContentBlock, JsonObject } from "../../src/shared/content.ts";
import type { Row } from "../../src/shared/rows.ts";
import { createGate, type Gate } from "../../src/standin/gate.ts";
import type { RecordedRequest } from "../../src/standin/journal.ts";
import {
  compaction,
  cutAt,
  failAt,
  holdAt,
  httpError,
  type Placed,
  type Reply,
  type ReplyBlock,
  refusal,
  reply,
  text,
} from "../../src/standin/replies.ts";
import { builtinToolset } from "../../src/tools/registry.ts";
import { foldAll } from "./laws.ts";
import { Reader } from "./reader.ts";
import { reached, type Sessions, type TestSession, toolset } from "./sessions.ts";

export type Act =
  | {
      act: "send";
      on_busy: "queue" | "steer" | "interrupt" | "reject";
      tools: string[] | null;
      none: boolean;
      replay: boolean;
      image?: boolean;
      /** A model and an instruction for this message only. */
      model?: string | null;
      own?: boolean;
      /** Another system prompt from this message's turn on. */
      prompt?: string | null;
      job?: boolean;
    }
  | { act: "results"; some: boolean; tools: string[] | null }
  | { act: "interrupt"; cancel_queued: boolean }
  | { act: "cancel" }
  /** Cancels the oldest job without an end. */
  | { act: "cancel_job" }
  | { act: "compact"; keep: number | null }
  | { act: "model"; model: string }
  /** Another system prompt, or the first one again. */
  | { act: "prompt"; text: string | null }
  /** Lets the answer that is held go on. */
  | { act: "release" }
  /** Waits until the session can do nothing by itself. */
  | { act: "rest" }
  | { act: "crash" }
  /** The reading client goes away, and comes back for so many frames. */
  | { act: "cut"; frames: number }
  /** A second client comes with the place and the view that the first one has. */
  | { act: "second" };

export interface Program {
  model: string;
  acts: Act[];
  answers: Answer[];
  /** What is answered to those who ask for a summary. */
  summaries?: Answer[];
  /** The session has the built-in tools. */
  builtin?: boolean;
}

export interface Answer {
  blocks: ReplyBlock[];
  kind: Kind;
  hold: number | null;
  /** The API counts so many tokens that the context is too large from now on. */
  large?: boolean;
}

export type Kind =
  | "plain"
  | "max_tokens"
  | "refusal"
  | "empty"
  | 400
  | 401
  | 413
  | 529
  | "fail"
  | "cut"
  /** The prompt is too long, and the window is full in the middle of the answer. */
  | "overflow"
  | "full"
  /** The API compacts nothing now. */
  | "unavailable";

/** One life of a session. */
export class Run {
  readonly session: TestSession;
  /** Reads everything and is never cut; it says when the session rests. */
  readonly watcher: Reader;
  readonly seconds: Reader[] = [];
  readonly #answers: Planned[];
  readonly #summaries: Planned[];
  #held: Gate | null = null;
  #heldSummary = false;
  /** The head that the last call told of. */
  #head = 1;
  #messages = 0;

  private constructor(session: TestSession, answers: Answer[], summaries: Answer[]) {
    this.session = session;
    this.watcher = new Reader(session.stub).attach();
    this.#answers = answers.map((answer) => this.#planned(answer));
    this.#summaries = summaries.map((answer) => this.#planned(answer));
  }

  #planned(answer: Answer): Planned {
    const gate = createGate();
    void reached(gate).then(() => this.watcher.notify());
    return { answer, gate };
  }

  /** Lives the program to its end, at which the session rests. */
  static async of(sessions: Sessions, program: Program): Promise<Run> {
    const { model, answers, summaries = [], builtin } = program;
    const session = await sessions.create({
      model,
      ...(builtin === undefined ? {} : { tools: builtin ? builtinToolset() : toolset("a", "b") }),
    });
    const run = new Run(session, answers, summaries);
    sessions.answer((request) => run.#answer(request));
    // Without jitter a retry is made at once.
    const random = vi.spyOn(Math, "random").mockReturnValue(0);
    try {
      for (const one of program.acts) await run.#do(one);
      await run.#end();
    } finally {
      random.mockRestore();
    }
    return run;
  }

  #answer({ body, text: sent }: RecordedRequest): Reply {
    const onDemand = (body as JsonObject).compaction !== undefined;
    const asks = onDemand || sent.includes("The conversation is about to be shortened");
    const next = (asks ? this.#summaries : this.#answers).shift();
    this.#held = null;
    if (!next)
      return reply({ blocks: [onDemand ? compaction("All of it.") : text("Nothing more.")] });
    const acts: Placed[] = [];
    const { answer, gate } = next;
    this.#heldSummary = asks;
    if (answer.hold !== null) {
      this.#held = gate;
      acts.push(holdAt(answer.hold === 0 ? "request" : answer.hold, gate));
    }
    return replyOf(answer, acts);
  }

  async #do(one: Act): Promise<void> {
    const { session } = this;
    switch (one.act) {
      case "send": {
        const { on_busy, tools, none, image, model, own, prompt } = one;
        const job = one.job ? { job: { webhook_url: null } } : {};
        const replay = one.replay && !one.job;
        this.#messages += 1;
        // A compaction goes on.
        if (on_busy === "interrupt" && !one.job && !this.#heldSummary) this.#held = null;
        const said = { type: "text" as const, text: `message ${this.#messages}` };
        const answered = await session.trySend(image ? [said, IMAGE] : [said], {
          ...job,
          on_busy: one.job ? "queue" : on_busy,
          replay,
          tools: tools && toolset(...tools),
          ...(none ? { tool_choice: { type: "none" } } : {}),
          ...(model ? { model: { id: model } } : {}),
          ...(own ? { own: `own of message ${this.#messages}.` } : {}),
          ...(prompt ? { system_prompt: prompt } : {}),
        });
        if (answered.ok) this.#head = answered.session.seq;
        return;
      }
      case "results": {
        await this.#rest();
        const pending = await session.pending();
        if (pending.length === 0) return;
        const taken = one.some ? pending.slice(0, 1) : pending.toReversed();
        const results = Object.fromEntries(taken.map((id) => [id, `result of ${id}`]));
        const tools = one.tools && toolset(...one.tools);
        const answered = await session.tryResults(results, { tools });
        if (answered.ok) this.#head = answered.session.seq;
        return;
      }
      case "interrupt":
        this.#held = null;
        this.#head = (await session.interrupt(one)).session.seq;
        return;
      case "cancel": {
        const [first] = (await session.stub.waiting()) ?? [];
        if (first) await session.submit({ kind: "cancel", input: first.input });
        return;
      }
      case "cancel_job": {
        const jobs = (await session.stub.jobs(0, 100))?.jobs ?? [];
        const oldest = jobs.findLast(({ outcome, status }) => !outcome && status !== "cancelled");
        if (!oldest) return;
        if (oldest.status === "running") this.#held = null;
        const answered = await session.submit({ kind: "cancel_job", input: oldest.job });
        if (answered.ok) this.#head = Math.max(this.#head, answered.session.seq);
        return;
      }
      case "compact": {
        const { keep } = one;
        const answered = await session.submit({ kind: "compact", keep, instructions: null });
        if (answered.ok) this.#head = Math.max(this.#head, answered.accepted.s);
        return;
      }
      case "model":
        return session.switchModel(one.model);
      case "prompt":
        return session.update({ system_prompt: one.text ?? session.system });
      case "release":
        return this.#release();
      case "rest":
        return this.#rest();
      case "crash":
        // What the dead object had asked for is never read; its successor may ask at once.
        return session.crash(() => {
          this.#held = null;
        });
      case "cut":
        await session.reader.detach();
        session.reader.attach(one.frames);
        return;
      case "second": {
        const { cursor, view } = session.reader;
        this.seconds.push(new Reader(session.stub, cursor, view).attach());
        return;
      }
    }
  }

  /** Waits until an answer is held, or nothing happens before somebody calls. */
  async #rest(): Promise<void> {
    const { watcher } = this;
    await watcher.until(() => {
      const seen = watcher.rows.at(-1)?.seq ?? 0;
      if (seen < this.#head) return false;
      const state = foldAll(watcher.rows);
      const { turn, queue, call } = state;
      if (call) return this.#held?.reached ?? false;
      if (dueCompaction(state)) return false;
      return turn ? turn.status === "awaiting" : queue.length === 0;
    });
  }

  async #release(): Promise<void> {
    const gate = this.#held;
    if (!gate?.reached) return;
    this.#held = null;
    await this.session.open(gate);
  }

  async #end(): Promise<void> {
    for (;;) {
      await this.#rest();
      const state = foldAll(this.watcher.rows);
      if (state.call) await this.#release();
      else if (state.turn) this.#head = (await this.session.interrupt()).session.seq;
      // It has come back from a crash meanwhile.
      else if (!dueCompaction(state)) break;
    }
    await this.watcher.detach();
    for (const second of this.seconds) {
      const last = this.watcher.rows.at(-1)?.seq ?? 0;
      second.attach();
      await second.until(() => (second.rows.at(-1)?.seq ?? 0) >= last || seqsOf(second) >= last);
      await second.detach();
    }
  }
}

const seqsOf = ({ cursor }: Reader): number => Number.parseInt(cursor, 10);

interface Planned {
  answer: Answer;
  gate: Gate;
}

/** The head of a PNG of 16 pixels by 16, which is all that anybody looks at. */
const IMAGE: ContentBlock = {
  type: "image",
  source: {
    type: "base64",
    media_type: "image/png",
    data: "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9hAAAAAElFTkSuQmCC",
  },
};

/** Above the threshold of every model. */
const LARGE = { input_tokens: 900_000 };

function replyOf({ kind, blocks, large }: Answer, acts: Placed[]): Reply {
  const usage = large ? { usage: LARGE } : {};
  switch (kind) {
    case "plain":
      return { ...reply({ blocks, ...usage }), acts };
    case "full":
      return { ...reply({ blocks, stop_reason: "model_context_window_exceeded" }), acts };
    case "overflow":
      return httpError(400, { message: "prompt is too long: 9 tokens > 8 maximum" });
    case "unavailable":
      return httpError(529, { errorCode: "compaction_unavailable" });
    case "max_tokens":
      return { ...reply({ blocks, stop_reason: "max_tokens" }), acts };
    case "refusal":
      return { ...refusal("cyber", blocks), acts };
    case "empty":
      return { ...reply({ blocks: [] }), acts: acts.slice(0, 0) };
    case "fail":
      return { ...reply({ blocks }), acts: [...acts, failAt(4, "overloaded_error")] };
    case "cut":
      return { ...reply({ blocks }), acts: [...acts, cutAt(3, "end")] };
    default:
      return { ...httpError(kind), acts: acts.filter(({ at }) => at === "request") };
  }
}

/** What happened in a log, for the coverage of a generator. */
export function kindsIn(rows: readonly Row[]): string[] {
  return rows.flatMap((row) => {
    switch (row.type) {
      case "input": {
        const { tool_change, options, job, start } = row.body;
        return [
          ...(job ? [`job ${start}`] : []),
          ...(tool_change ? ["tool change"] : []),
          ...(options.model ? ["own model"] : []),
          ...(options.system === undefined ? [] : ["own instruction"]),
          ...(options.system_prompt === undefined ? [] : [`prompt brought ${start}`]),
        ];
      }
      case "input.taken":
        return [`taken as ${row.body.as}`];
      case "input.cancelled":
        return ["cancelled"];
      case "context.cut":
        return [`cut: ${row.body.reason}`];
      case "compaction.requested":
        return [`compaction for ${row.body.trigger}`];
      case "compaction.deferred":
        return ["compaction deferred"];
      case "compaction.ended":
        return [`no compaction: ${row.body.code}`];
      case "context.compacted": {
        const { method, messages_after, turn, instructions } = row.body;
        const kept = messages_after > 1 ? "some" : "nothing";
        return [
          `compacted by ${method}, keeping ${kept}, ${turn === null ? "between turns" : "in a turn"}`,
          ...(instructions === undefined ? [] : ["instruction carried"]),
        ];
      }
      case "call.ended":
        if (row.body.purpose) return [`compaction call ${row.body.end}`];
        return [`call ${row.body.end}`, ...(row.body.stop_reason ? [row.body.stop_reason] : [])];
      case "block.tool":
        return [`tool ${row.body.gate}`, ...(row.body.partial ? ["tool partial"] : [])];
      case "block.text":
        return row.body.partial ? ["text partial"] : [];
      case "tool.ended":
        return [`result by ${row.body.by} ${row.body.status}`];
      case "failure":
        return [row.body.retry ? "retry" : "final failure"];
      case "outcome":
        if (row.body.code === "job_needs_answer") return ["job needs an answer"];
        return [`outcome ${row.body.outcome}`];
      default:
        return [];
    }
  });
}
