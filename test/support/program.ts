/** Random lives of a session: what a client does, what the model answers, and who reads it where. */
import fc from "fast-check";
import { vi } from "vitest";
import type { Row } from "../../src/shared/rows.ts";
import { createGate, type Gate } from "../../src/standin/gate.ts";
import {
  cutAt,
  failAt,
  holdAt,
  httpError,
  type Placed,
  type Reply,
  type ReplyBlock,
  redactedThinking,
  refusal,
  reply,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
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
    }
  | { act: "results"; some: boolean; tools: string[] | null }
  | { act: "interrupt"; cancel_queued: boolean }
  | { act: "cancel" }
  | { act: "model"; model: string }
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
}

export interface Answer {
  blocks: ReplyBlock[];
  kind: "plain" | "max_tokens" | "refusal" | "empty" | 400 | 401 | 413 | 529 | "fail" | "cut";
  hold: number | null;
}

const MODELS = ["claude-sonnet-5-5", "claude-sonnet-5", "claude-fable-5-2"];

const words = fc.constantFrom("Hello there, friend.", "ä 🙂 语 done", "x", " ", "\n\n", "one\ntwo");

const block: fc.Arbitrary<ReplyBlock> = fc.oneof(
  { weight: 4, arbitrary: words.map((value) => text(value)) },
  { weight: 4, arbitrary: words.map((value) => thinking(value)) },
  { weight: 1, arbitrary: fc.constant(redactedThinking()) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom("a", "b", "c"), fc.boolean())
      .map(([name, broken]) => toolUse(name, { x: "🙂 y" }, broken ? { json: '{"x": "🙂' } : {})),
  },
);

const isThinking = ({ block }: ReplyBlock): boolean => block.endsWith("thinking");

/**
 * The API takes neither text without a word nor thinking whose prefix was changed, so such a text
 * before thinking could not be sent back at all.
 */
const blocks = fc
  .array(block, { minLength: 1, maxLength: 4 })
  .map((all) =>
    all.filter(
      (one, i) =>
        !(one.block === "text" && one.text.trim() === "" && all.slice(i).some(isThinking)),
    ),
  );

const answer: fc.Arbitrary<Answer> = fc.record({
  blocks,
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constant("plain" as const) },
    {
      weight: 6,
      arbitrary: fc.constantFrom<Answer["kind"]>(
        "max_tokens",
        "refusal",
        "empty",
        400,
        401,
        413,
        529,
        "fail",
        "cut",
      ),
    },
  ),
  hold: fc.option(fc.nat({ max: 4 }), { freq: 2 }),
});

const tools = fc.option(
  fc.constantFrom<string[]>([], ["a"], ["b"], ["a", "b"], ["a:2"], ["a", "b", "c"]),
  { freq: 3 },
);

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant("send" as const),
      on_busy: fc.constantFrom(
        "queue" as const,
        "steer" as const,
        "interrupt" as const,
        "reject" as const,
      ),
      tools,
      none: fc.nat({ max: 6 }).map((n) => n === 0),
      replay: fc.nat({ max: 15 }).map((n) => n === 0),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ act: fc.constant("results" as const), some: fc.boolean(), tools }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ act: fc.constant("interrupt" as const), cancel_queued: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.constant({ act: "cancel" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ act: fc.constant("model" as const), model: fc.constantFrom(...MODELS) }),
  },
  { weight: 3, arbitrary: fc.constant({ act: "release" as const }) },
  { weight: 5, arbitrary: fc.constant({ act: "rest" as const }) },
);

const reading: fc.Arbitrary<Act> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ act: "crash" as const }) },
  {
    weight: 4,
    arbitrary: fc.record({ act: fc.constant("cut" as const), frames: fc.nat({ max: 9 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ act: "second" as const }) },
);

/** Programs about the context: many turns, nobody dies. */
export const contextProgram: fc.Arbitrary<Program> = fc.record({
  model: fc.constantFrom(...MODELS),
  acts: fc.array(act, { minLength: 5, maxLength: 25 }),
  answers: fc.array(answer, { minLength: 5, maxLength: 25 }),
});

/** Programs about reading: cuts in the stream, second clients, and an object that dies. */
export const readingProgram: fc.Arbitrary<Program> = fc.record({
  model: fc.constantFrom(...MODELS),
  acts: fc.array(fc.oneof({ weight: 5, arbitrary: act }, { weight: 3, arbitrary: reading }), {
    minLength: 4,
    maxLength: 14,
  }),
  answers: fc.array(answer, { minLength: 4, maxLength: 14 }),
});

/** One life of a session. */
export class Run {
  readonly session: TestSession;
  /** Reads everything and is never cut; it says when the session rests. */
  readonly watcher: Reader;
  readonly seconds: Reader[] = [];
  readonly #answers: { answer: Answer; gate: Gate }[];
  #held: Gate | null = null;
  /** The head that the last call told of. */
  #head = 1;
  #messages = 0;

  private constructor(session: TestSession, answers: Answer[]) {
    this.session = session;
    this.watcher = new Reader(session.stub).attach();
    this.#answers = answers.map((answer) => {
      const gate = createGate();
      void reached(gate).then(() => this.watcher.notify());
      return { answer, gate };
    });
  }

  /** Lives the program to its end, at which the session rests. */
  static async of(sessions: Sessions, program: Program): Promise<Run> {
    const session = await sessions.create({ model: program.model });
    const run = new Run(session, program.answers);
    sessions.answer(() => run.#answer());
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

  #answer(): Reply {
    const next = this.#answers.shift();
    this.#held = null;
    if (!next) return reply({ blocks: [text("Nothing more to say.")] });
    const acts: Placed[] = [];
    const { answer, gate } = next;
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
        const { on_busy, tools, none, replay } = one;
        this.#messages += 1;
        if (on_busy === "interrupt") this.#held = null;
        const answered = await session.trySend(`message ${this.#messages}`, {
          on_busy,
          replay,
          tools: tools && toolset(...tools),
          ...(none ? { tool_choice: { type: "none" } } : {}),
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
      case "model":
        return session.switchModel(one.model);
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
      const { turn, queue, call } = foldAll(watcher.rows);
      if (call) return this.#held?.reached ?? false;
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
      const { call, turn } = foldAll(this.watcher.rows);
      if (call) await this.#release();
      else if (turn) this.#head = (await this.session.interrupt()).session.seq;
      else break;
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

function replyOf({ kind, blocks }: Answer, acts: Placed[]): Reply {
  switch (kind) {
    case "plain":
      return { ...reply({ blocks }), acts };
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
      case "input":
        return row.body.tool_change ? ["tool change"] : [];
      case "input.taken":
        return [`taken as ${row.body.as}`];
      case "input.cancelled":
        return ["cancelled"];
      case "context.cut":
        return [`cut: ${row.body.reason}`];
      case "call.ended":
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
        return [`outcome ${row.body.outcome}`];
      default:
        return [];
    }
  });
}
