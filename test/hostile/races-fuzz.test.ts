/**
 * Random lives in which everything comes beside everything else: several commands at once, each of
 * them repeated, then or much later, alarms, and an object that dies over them. A repetition is
 * answered like the first, and every law of `test/support/laws.ts` holds.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Command, OnBusy, Submission, SubmitAnswer } from "../../src/session/commands.ts";
import { clock } from "../../src/shared/clock.ts";
import { createGate, type Gate } from "../../src/standin/gate.ts";
import { holdAt, type ReplyBlock, reply, text, toolUse } from "../../src/standin/replies.ts";
import { foldAll } from "../support/laws.ts";
import { kindsIn } from "../support/program.ts";
import { reached, type TestSession, useSessions } from "../support/sessions.ts";
import { cancel, interrupt, message, results, submissionOf } from "./commands.ts";

const sessions = useSessions();

type Ask =
  | { ask: "message"; on_busy: OnBusy }
  | { ask: "results"; part: boolean }
  | { ask: "interrupt"; cancel_queued: boolean }
  | { ask: "cancel" }
  | { ask: "update" };

type Act =
  /** Commands at once, each delivered so often; `dies`: the object dies over them. */
  | { act: "deliver"; asks: { ask: Ask; times: number }[]; dies: boolean }
  /** One of the submissions so far, again. */
  | { act: "again"; which: number }
  | { act: "alarm" }
  | { act: "crash" }
  /** Lets the answer that is held go on. */
  | { act: "release" }
  | { act: "rest" };

interface Answer {
  blocks: ReplyBlock[];
  hold: "request" | 3 | null;
}

const ask: fc.Arbitrary<Ask> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      ask: fc.constant("message" as const),
      on_busy: fc.constantFrom<OnBusy>("queue", "steer", "interrupt", "reject"),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ ask: fc.constant("results" as const), part: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ ask: fc.constant("interrupt" as const), cancel_queued: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.constant({ ask: "cancel" as const }) },
  { weight: 1, arbitrary: fc.constant({ ask: "update" as const }) },
);

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      act: fc.constant("deliver" as const),
      asks: fc.array(fc.record({ ask, times: fc.integer({ min: 1, max: 2 }) }), {
        minLength: 1,
        maxLength: 3,
      }),
      dies: fc.nat({ max: 5 }).map((n) => n === 0),
    }),
  },
  { weight: 4, arbitrary: fc.record({ act: fc.constant("again" as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.constant({ act: "alarm" as const }) },
  { weight: 1, arbitrary: fc.constant({ act: "crash" as const }) },
  { weight: 3, arbitrary: fc.constant({ act: "release" as const }) },
  { weight: 4, arbitrary: fc.constant({ act: "rest" as const }) },
);

const answer: fc.Arbitrary<Answer> = fc.record({
  blocks: fc.constantFrom<ReplyBlock[]>(
    [text("one two three")],
    [toolUse("a", { x: 1 })],
    [toolUse("a", { x: 1 }), toolUse("a", { y: 2 })],
    [text("so"), toolUse("none", {})],
  ),
  hold: fc.constantFrom("request" as const, 3 as const, null),
});

const program = fc.record({
  acts: fc.array(act, { minLength: 4, maxLength: 16 }),
  answers: fc.array(answer, { minLength: 4, maxLength: 16 }),
});

/** Where in the session a submission is, as its sender is told. */
function place(answer: SubmitAnswer) {
  if (!answer.ok) return answer.refusal;
  const { input, turn, result } = answer.accepted;
  return { input, turn, result };
}

class Life {
  readonly session: TestSession;
  readonly sent: Submission[] = [];
  readonly seen: Set<string>;
  readonly #first = new Map<string, SubmitAnswer>();
  readonly #answers: Answer[];
  readonly #alarms: Promise<unknown>[] = [];
  readonly #before = sessions.requests.length;
  #held: Gate | null = null;

  constructor(session: TestSession, answers: Answer[], seen: Set<string>) {
    this.session = session;
    this.#answers = [...answers];
    this.seen = seen;
    sessions.answer(() => {
      this.#held = null;
      const { blocks, hold } = this.#answers.shift() ?? { blocks: [text("no more")], hold: null };
      if (hold === null) return reply({ blocks });
      const gate = createGate();
      this.#held = gate;
      void reached(gate).then(() => session.reader.notify());
      return reply({ blocks, acts: [holdAt(hold, gate)] });
    });
  }

  async do(one: Act): Promise<void> {
    switch (one.act) {
      case "deliver": {
        const commands = await Promise.all(one.asks.map(({ ask }) => this.#command(ask)));
        const all = commands.flatMap((command, i) => {
          const submission = submissionOf(command);
          this.sent.push(submission);
          return Array.from({ length: one.asks[i]?.times ?? 1 }, () => submission);
        });
        await Promise.all([
          ...all.map((submission) => this.deliver(submission)),
          ...(one.dies ? [this.#crash()] : []),
        ]);
        return;
      }
      case "again": {
        const submission = this.sent[one.which % Math.max(1, this.sent.length)];
        if (submission) await this.deliver(submission);
        return;
      }
      case "alarm":
        // It may be held as long as a turn runs, or end with its object.
        this.#alarms.push(
          this.session.inside((_, object) => object.alarm()).catch(() => undefined),
        );
        return;
      case "crash":
        return this.#crash();
      case "release":
        return this.#release();
      case "rest":
        return this.#rest();
    }
  }

  /** Delivers until there is an answer, which is that of the first delivery. */
  async deliver(submission: Submission): Promise<void> {
    for (;;) {
      const answer = await this.session.stub.submit(submission).catch(() => null);
      if (!answer) continue;
      const first = this.#first.get(submission.submission);
      if (first?.ok) {
        this.seen.add(`${submission.command.kind} again`);
        expect(place(answer), `${submission.command.kind} again`).toEqual(place(first));
      } else {
        if (!answer.ok) this.seen.add(answer.refusal.code);
        this.#first.set(submission.submission, answer);
      }
      return;
    }
  }

  /** Ends everything, and delivers all of it once more. */
  async end(): Promise<void> {
    for (;;) {
      await this.#rest();
      const { call, turn } = foldAll(this.session.reader.rows);
      if (call) await this.#release();
      else if (turn) await this.session.interrupt();
      else break;
    }
    await Promise.all(this.#alarms);
    const rows = await this.session.rows();
    for (const submission of this.sent) {
      if (this.#first.get(submission.submission)?.ok) await this.deliver(submission);
    }
    expect(await this.session.rows(), "a repetition writes nothing").toEqual(rows);
    const calls = rows.filter(({ type }) => type === "call.started").length;
    const made = sessions.requests.length - this.#before;
    expect(made, "each call is made once").toBeLessThanOrEqual(calls);
  }

  async #command(ask: Ask): Promise<Command> {
    switch (ask.ask) {
      case "message":
        return message(`message ${this.sent.length} ${crypto.randomUUID()}`, ask.on_busy);
      case "results": {
        const pending = await this.session.pending();
        const taken = ask.part ? pending.slice(0, 1) : pending;
        // Where none waits, those of the first call that there ever was.
        const ids = taken.length > 0 ? taken : ["call_3_0"];
        return results(Object.fromEntries(ids.map((id) => [id, crypto.randomUUID()])));
      }
      case "interrupt":
        // Before anything that begins in this very millisecond.
        return interrupt(ask.cancel_queued, clock.now() - 1);
      case "cancel": {
        const [first] = (await this.session.stub.waiting()) ?? [];
        return cancel(first?.input ?? 2);
      }
      case "update":
        return { kind: "update", config: { title: crypto.randomUUID() } };
    }
  }

  async #crash(): Promise<void> {
    await this.session.crash(() => {
      // What the dead object had asked for is never read.
      this.#held = null;
    });
  }

  async #release(): Promise<void> {
    const gate = this.#held;
    if (!gate?.reached) return;
    this.#held = null;
    await this.session.open(gate);
  }

  /** Waits until an answer is held, or nothing happens before somebody calls. */
  async #rest(): Promise<void> {
    const { reader, stub } = this.session;
    const head = (await stub.describe())?.session.seq ?? 0;
    await reader.until(() => {
      if (reader.rows.length < head) return false;
      const { turn, queue, call } = foldAll(reader.rows);
      if (call) return this.#held?.reached ?? false;
      return turn ? turn.status === "awaiting" : queue.length === 0;
    });
  }
}

/** What has to happen in some of the lives, or they prove little. */
const KINDS = [
  "busy",
  "call interrupted",
  "call lost",
  "call ok",
  "call_settled",
  "cancel again",
  "cancelled",
  "input again",
  "interrupt again",
  "not_queued",
  "outcome completed",
  "outcome interrupted",
  "outcome requires_action",
  "result by client ok",
  "result by ledge interrupted",
  "result by ledge skipped",
  "results again",
  "taken as start",
  "taken as steer",
  "unknown_tool_call",
  "update again",
];

test("whatever comes beside whatever, and again: one effect, one answer, one end", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(program, async ({ acts, answers }) => {
      const life = new Life(await sessions.create(), answers, seen);
      for (const one of acts) await life.do(one);
      await life.end();
      for (const kind of kindsIn(life.session.reader.rows)) seen.add(kind);
      await sessions.check();
    }),
    { seed: 11, numRuns: 60 },
  );
  expect([...seen]).toEqual(expect.arrayContaining(KINDS));
}, 300_000);
