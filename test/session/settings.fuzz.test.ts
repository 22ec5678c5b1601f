/** Random settings, models and changes of both in one session: no request is ever refused. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { MODELS } from "../../src/model/catalogue.ts";
import type { JsonObject } from "../../src/shared/content.ts";
import type { CacheTtl, ModelSettings, SettingsChange } from "../../src/shared/settings.ts";
import type { ToolChoice } from "../../src/shared/tools.ts";
import type { RecordedRequest } from "../../src/standin/journal.ts";
import {
  type ReplyBlock,
  refusal,
  type Scripted,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { toolset, useSessions } from "../support/sessions.ts";

const sessions = useSessions();

const SCHEMA = { type: "object", properties: {}, additionalProperties: false };

/** What travels to an object is plain data. */
const PLAIN: { requiredKeys: []; noNullPrototype: true } = {
  requiredKeys: [],
  noNullPrototype: true,
};

const values = {
  thinking: fc.constantFrom<NonNullable<ModelSettings["thinking"]>[]>(
    { type: "adaptive" },
    { type: "adaptive", display: "omitted" },
    { type: "between_tools" },
    { type: "disabled" },
    { type: "enabled", budget_tokens: 2_048 },
    { type: "enabled", budget_tokens: 500_000, display: "summarized" },
  ),
  effort: fc.constantFrom<NonNullable<ModelSettings["effort"]>[]>(
    "low",
    "medium",
    "high",
    "xhigh",
    "max",
  ),
  output_format: fc.constantFrom<NonNullable<ModelSettings["output_format"]>[]>(
    { type: "json_schema", schema: SCHEMA },
    { type: "text" },
  ),
  stop_sequences: fc.constantFrom<string[][]>([], ["END"], ["A", "B"]),
  service_tier: fc.constantFrom("auto" as const, "standard_only" as const),
  speed: fc.constantFrom("standard" as const, "fast" as const),
  user_id: fc.constantFrom("u-1", "u-2"),
};

const settings: fc.Arbitrary<ModelSettings> = fc.record(values, PLAIN);

const nullable = <T>(one: fc.Arbitrary<T>) => fc.option(one, { freq: 4 });

const change: fc.Arbitrary<SettingsChange> = fc.record(
  {
    thinking: nullable(values.thinking),
    effort: nullable(values.effort),
    output_format: nullable(values.output_format),
    stop_sequences: nullable(values.stop_sequences),
    service_tier: nullable(values.service_tier),
    speed: nullable(values.speed),
    user_id: nullable(values.user_id),
  },
  PLAIN,
);

type Answer = "json" | "words" | "call" | "cut" | "refusal";

type Step =
  | { do: "switch"; model: string }
  | { do: "change"; change: SettingsChange; cache_ttl: CacheTtl }
  | { do: "turn"; settings: ModelSettings; choice: ToolChoice; answers: Answer[] };

const turn = fc.record({
  do: fc.constant("turn" as const),
  settings,
  choice: fc.constantFrom<ToolChoice[]>(
    { type: "auto" },
    { type: "any" },
    { type: "none" },
    { type: "tool", name: "look" },
  ),
  answers: fc.array(fc.constantFrom<Answer[]>("json", "words", "call", "call", "cut", "refusal"), {
    minLength: 1,
    maxLength: 4,
  }),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("switch" as const),
      model: fc.constantFrom(...MODELS.map(({ id }) => id)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("change" as const),
      change,
      cache_ttl: fc.constantFrom("5m" as const, "1h" as const),
    }),
  },
  { weight: 5, arbitrary: turn },
);

/** What a model answers: it thinks where it was asked to. */
function reply({ body }: RecordedRequest, answer: Answer): Scripted {
  // The stand-in has checked its form.
  const {
    thinking: asked,
    tools,
    tool_choice: choice,
  } = body as JsonObject & {
    thinking?: JsonObject;
    tool_choice?: JsonObject;
  };
  const thinks = asked?.type === "adaptive" || asked?.type === "enabled";
  const blocks: ReplyBlock[] = thinks ? [thinking("Hm.")] : [];
  switch (answer) {
    case "json":
      return [...blocks, text('{"a": 1}')];
    case "words":
      return [...blocks, text("In words.")];
    case "call":
      if (!tools || choice?.type === "none") return [...blocks, text("No tool.")];
      return [...blocks, text("Looking."), toolUse("look", {})];
    case "cut":
      return { kind: "message", blocks: [...blocks, text('{"a": ')], stop_reason: "max_tokens" };
    case "refusal":
      return refusal(null);
  }
}

test("whatever is set and switched, the API refuses nothing and the transcript only grows", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      settings,
      fc.array(step, { minLength: 3, maxLength: 12 }),
      async (own, steps) => {
        const session = await sessions.create({ model: "claude-opus-5", settings: own });
        let answers: Answer[] = [];
        sessions.answer((request) => reply(request, answers.shift() ?? "json"));
        for (const one of steps) {
          if (one.do === "switch") await session.switchModel(one.model);
          else if (one.do === "change") {
            await session.update({ settings: one.change, cache_ttl: one.cache_ttl });
          } else {
            answers = [...one.answers];
            const sent = {
              tools: toolset("look"),
              tool_choice: one.choice,
              settings: one.settings,
            };
            let outcome = await session.turn("go", sent);
            while (outcome.outcome === "requires_action") {
              const [call = ""] = await session.pending();
              outcome = await session.outcome(await session.results({ [call]: "seen" }));
            }
            seen.add(`${outcome.outcome} ${outcome.code ?? ""} ${outcome.parsed ?? ""}`);
            expect(outcome.code).not.toBe("invalid_request");
          }
        }
        for (const row of session.reader.rows) {
          if (row.type === "notice") seen.add(row.body.code);
          if (row.type === "context.cut") seen.add(`cut: ${row.body.reason}`);
        }
        await sessions.check();
      },
    ),
    { seed: 11, numRuns: 100 },
  );
  expect([...seen]).toEqual(
    expect.arrayContaining([
      "completed  ",
      "completed  true",
      "failed output_invalid false",
      "refused refusal ",
      "refused refusal false",
      "thinking_not_applied",
      "effort_not_applied",
      "speed_not_applied",
      "tool_choice_not_forced",
      "cut: model",
      "cut: refusal",
    ]),
  );
}, 300_000);
