/** What may happen in random lives of a session: generators of programs. */
import fc from "fast-check";
import {
  compaction,
  type ReplyBlock,
  redactedThinking,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import type { Act, Answer, Kind, Program } from "./program.ts";

const MODELS = ["claude-sonnet-5-5", "claude-sonnet-5", "claude-fable-5-2"];

const COMPACT_MODELS = [...MODELS, "claude-opus-5", "claude-haiku-5-5", "claude-opus-4-5"];

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
      model: fc.nat({ max: 7 }).map((n) => MODELS[n] ?? null),
      own: fc.nat({ max: 3 }).map((n) => n === 0),
      prompt: fc.nat({ max: 9 }).map((n) => ["A prompt.", "Another prompt."][n] ?? null),
      job: fc.nat({ max: 5 }).map((n) => n === 0),
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
  { weight: 1, arbitrary: fc.constant({ act: "cancel_job" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ act: fc.constant("model" as const), model: fc.constantFrom(...MODELS) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant("prompt" as const),
      text: fc.constantFrom(null, null, "Another prompt."),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ act: "release" as const }) },
  { weight: 5, arbitrary: fc.constant({ act: "rest" as const }) },
);

/** What goes wrong with a summary as with any answer, and what goes wrong with it alone. */
const summary: fc.Arbitrary<Answer> = fc
  .record({
    blocks: fc.constantFrom<ReplyBlock[]>(
      [compaction("What was said.")],
      [text("What was said.")],
      [thinking("hm"), text("What was said.")],
      [compaction(null)],
      [toolUse("a", {})],
      [],
    ),
    kind: fc.oneof(
      { weight: 10, arbitrary: fc.constant("plain" as const) },
      {
        weight: 4,
        arbitrary: fc.constantFrom<Kind>(
          "unavailable",
          "refusal",
          400,
          401,
          529,
          "fail",
          "cut",
          "overflow",
        ),
      },
    ),
    hold: fc.option(fc.nat({ max: 2 }), { freq: 3 }),
  })
  // Nothing breaks off in an answer of nothing.
  .map((one) => (one.blocks.length === 0 ? { ...one, kind: "plain" as const } : one));

const largeAnswer: fc.Arbitrary<Answer> = fc.oneof(
  { weight: 3, arbitrary: answer },
  {
    weight: 5,
    arbitrary: fc.record({
      blocks,
      kind: fc.constant("plain" as const),
      hold: fc.option(fc.nat({ max: 4 }), { freq: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      blocks,
      kind: fc.constantFrom<Kind>("overflow", "full"),
      hold: fc.option(fc.nat({ max: 4 }), { freq: 4 }),
    }),
  },
  { weight: 1, arbitrary: answer.map((one) => ({ ...one, large: true })) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom<ReplyBlock>(
        toolUse("Write", { file_path: "CLAUDE.md", content: "Be kind." }),
        toolUse("Read", { file_path: "CLAUDE.md" }),
      )
      .map((one) => ({ blocks: [thinking("I use it"), one], kind: "plain" as const, hold: null })),
  },
);

const compactAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: act },
  { weight: 1, arbitrary: fc.constant({ act: "results" as const, some: false, tools: null }) },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant("compact" as const),
      keep: fc.option(fc.integer({ min: 1, max: 6 })),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constant({
      act: "send" as const,
      on_busy: "queue" as const,
      tools: null,
      none: false,
      replay: false,
      image: true,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ act: "model" as const, model: "claude-opus-5" }) },
  // One with a small window, for one message.
  {
    weight: 1,
    arbitrary: fc.constant({
      act: "send" as const,
      on_busy: "queue" as const,
      tools: null,
      none: false,
      replay: false,
      model: "claude-opus-4-5",
      own: true,
    }),
  },
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

const SEND = { act: "send", on_busy: "queue", tools: null, none: false, replay: false } as const;

/** A conversation of three turns, the first of which is covered. */
const CALM: Pick<Program, "acts" | "answers"> = {
  acts: [
    ...["one", "two", "three"].flatMap((): Act[] => [SEND, { act: "rest" }]),
    { act: "compact", keep: 3 },
    { act: "rest" },
  ],
  answers: ["one", "two", "three"].map((word) => ({
    blocks: [thinking(`hm ${word}`), text(word)],
    kind: "plain",
    hold: null,
  })),
};

/** Programs about compaction, in which objects die as well. */
export const compactProgram: fc.Arbitrary<Program> = fc
  .record({
    model: fc.constantFrom(...COMPACT_MODELS),
    acts: fc.array(
      fc.oneof(
        { weight: 24, arbitrary: compactAct },
        { weight: 1, arbitrary: fc.constant({ act: "crash" as const }) },
      ),
      { minLength: 6, maxLength: 30 },
    ),
    answers: fc.array(largeAnswer, { minLength: 6, maxLength: 30 }),
    summaries: fc.array(summary, { maxLength: 12 }),
    builtin: fc.boolean(),
    calm: fc.nat({ max: 2 }).map((n) => n === 0),
  })
  .map(({ calm, acts, answers, ...rest }) => ({
    ...rest,
    acts: calm ? [...CALM.acts, ...acts] : acts,
    answers: calm ? [...CALM.answers, ...answers] : answers,
  }));

/** Programs about reading: cuts in the stream, second clients, and an object that dies. */
export const readingProgram: fc.Arbitrary<Program> = fc.record({
  model: fc.constantFrom(...MODELS),
  acts: fc.array(fc.oneof({ weight: 5, arbitrary: act }, { weight: 3, arbitrary: reading }), {
    minLength: 4,
    maxLength: 14,
  }),
  answers: fc.array(answer, { minLength: 4, maxLength: 14 }),
});
