/** Every setting on every model: the strict stand-in takes the request, and what changed is said. */
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { MODELS, rulesOf } from "../../src/model/catalogue.ts";
import { upstreamModels } from "../../src/model/catalogue-upstream.ts";
import {
  buildRequest,
  type ModelRequest,
  type RequestBlock,
  type RequestInput,
} from "../../src/model/request.ts";
import { settingsFor } from "../../src/model/settings.ts";
import type { JsonObject } from "../../src/shared/content.ts";
import type { ModelFacts, ModelSettings } from "../../src/shared/settings.ts";
import { text } from "../../src/standin/replies.ts";
import { createStandin } from "../../src/standin/standin.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");
const CLOCK = { now: () => NOW, after: () => () => {} };
const TOOL = { name: "Read", input_schema: { type: "object" } };
const SCHEMA = {
  type: "object",
  properties: { n: { type: "integer" } },
  additionalProperties: false,
};
const CITED = {
  type: "document",
  source: { type: "text", media_type: "text/plain", data: "A fact." },
  citations: { enabled: true },
};

/** The answer of a stand-in: null where it takes the request, else its complaint. */
async function refusal(body: object, betas: readonly string[]): Promise<string | null> {
  const standin = createStandin({ clock: CLOCK });
  standin.script(text("ok"));
  const response = await standin.fetch("https://standin/v1/messages", {
    method: "POST",
    headers: {
      authorization: "Bearer key",
      "anthropic-version": "2026-10-21",
      ...(betas.length > 0 ? { "anthropic-beta": betas.join(",") } : {}),
    },
    body: JSON.stringify({ ...body, stream: false }),
  });
  const answer = await response.json<{ error?: { message: string } }>();
  return response.ok ? null : (answer.error?.message ?? "");
}

interface Asked {
  model: string;
  settings: ModelSettings;
  toolChoice?: RequestInput["toolChoice"];
  maxTokens?: number;
  cited?: boolean;
}

const HI: RequestBlock & { text: string } = { type: "text", text: "hi" };

const requestOf = ({ model, settings, toolChoice, maxTokens, cited }: Asked): ModelRequest =>
  buildRequest({
    model,
    system: "Be brief.",
    tools: [TOOL],
    toolChoice: toolChoice ?? { type: "auto" },
    parallelToolCalls: true,
    messages: [{ role: "user", content: cited ? [HI, CITED] : [HI] }],
    maxTokens: maxTokens ?? 16_000,
    marks: [0],
    ttl: "1h",
    settings,
  });

/** The same request with every setting exactly as it was asked for. */
function verbatim(asked: Asked): object {
  const { settings, toolChoice } = asked;
  const { thinking, output_config, tool_choice, speed, ...rest } = requestOf({
    ...asked,
    settings: {},
  }).params;
  const { effort, output_format: format, stop_sequences, service_tier, user_id } = settings;
  const config = {
    ...(effort ? { effort } : {}),
    ...(format?.type === "json_schema" ? { format } : {}),
  };
  const asIs = settings.thinking ?? thinking;
  return {
    ...rest,
    ...(asIs ? { thinking: asIs } : {}),
    ...(Object.keys(config).length > 0 ? { output_config: config } : {}),
    ...(toolChoice ? { tool_choice: toolChoice } : {}),
    ...(settings.speed === "fast" ? { speed: "fast" } : {}),
    ...(stop_sequences ? { stop_sequences } : {}),
    ...(service_tier ? { service_tier } : {}),
    ...(user_id ? { metadata: { user_id } } : {}),
  };
}

/** Which notice each setting gives where the model refuses it as it was asked for. */
const TABLE: [name: string, code: string | null, asked: Omit<Asked, "model">][] = [
  ["nothing", null, { settings: {} }],
  ["adaptive", "thinking_not_applied", { settings: { thinking: { type: "adaptive" } } }],
  [
    "adaptive, hidden",
    "thinking_not_applied",
    { settings: { thinking: { type: "adaptive", display: "omitted" } } },
  ],
  ["between_tools", "thinking_not_applied", { settings: { thinking: { type: "between_tools" } } }],
  ["disabled", "thinking_not_applied", { settings: { thinking: { type: "disabled" } } }],
  [
    "a budget",
    "thinking_not_applied",
    { settings: { thinking: { type: "enabled", budget_tokens: 4_096 } } },
  ],
  ...(["low", "medium", "high", "xhigh", "max"] as const).map(
    (effort): [string, string, Omit<Asked, "model">] => [
      `effort ${effort}`,
      "effort_not_applied",
      { settings: { effort } },
    ],
  ),
  [
    "an output format",
    "output_format_not_applied",
    { settings: { output_format: { type: "json_schema", schema: SCHEMA } } },
  ],
  ["text", null, { settings: { output_format: { type: "text" } } }],
  ["stop sequences", null, { settings: { stop_sequences: ["END", "Stop."] } }],
  ["a service tier", null, { settings: { service_tier: "standard_only" } }],
  ["standard speed", null, { settings: { speed: "standard" } }],
  ["fast mode", "speed_not_applied", { settings: { speed: "fast" } }],
  ["a user", null, { settings: { user_id: "u".repeat(256) } }],
  ["a forced tool", "tool_choice_not_forced", { settings: {}, toolChoice: { type: "any" } }],
];

const FAST = ["fast-mode-2026-02-01"];

describe.each(MODELS.map(({ id }) => id))("%s", (model) => {
  it.each(TABLE)("takes %s", async (_, code, asked) => {
    const { params, betas, notices } = requestOf({ model, ...asked });
    expect(await refusal(params, betas)).toBeNull();
    const refused = (await refusal(verbatim({ model, ...asked }), FAST)) !== null;
    expect(notices.map((notice) => notice.code)).toEqual(refused ? [code] : []);
  });
});

const settings: fc.Arbitrary<ModelSettings> = fc.record(
  {
    thinking: fc.constantFrom(
      { type: "adaptive" },
      { type: "adaptive", display: "omitted" },
      { type: "between_tools" },
      { type: "disabled" },
      { type: "enabled", budget_tokens: 1_024 },
      { type: "enabled", budget_tokens: 30_000, display: "omitted" },
    ),
    effort: fc.constantFrom("low", "medium", "high", "xhigh", "max"),
    output_format: fc.constantFrom({ type: "text" }, { type: "json_schema", schema: SCHEMA }),
    stop_sequences: fc.constantFrom([], ["END"]),
    service_tier: fc.constantFrom("auto", "standard_only"),
    speed: fc.constantFrom("standard", "fast"),
    user_id: fc.constant("u-1"),
  },
  { requiredKeys: [] },
);

const asked: fc.Arbitrary<Asked> = fc.record({
  model: fc.constantFrom(...MODELS.map(({ id }) => id)),
  settings,
  toolChoice: fc.constantFrom<NonNullable<Asked["toolChoice"]>>(
    { type: "auto" },
    { type: "any" },
    { type: "tool", name: "Read" },
  ),
  maxTokens: fc.constantFrom(256, 1_024, 1_025, 4_000, 64_000),
  cited: fc.boolean(),
});

test("any settings together are taken, and a notice is given where they would not have been", async () => {
  let mapped = 0;
  await fc.assert(
    fc.asyncProperty(asked, async (one) => {
      const { params, betas, notices } = requestOf(one);
      expect(await refusal(params, betas)).toBeNull();
      const refused = (await refusal(verbatim(one), FAST)) !== null;
      expect(notices.length > 0, JSON.stringify(notices)).toBe(refused);
      const codes = notices.map(({ code }) => code);
      expect(new Set(codes).size, "each code once").toBe(codes.length);
      if (refused) mapped += 1;
    }),
    { seed: 3, numRuns: 1_000 },
  );
  expect(mapped).toBeGreaterThan(200);
});

const applied = (model: string, settings: ModelSettings, maxTokens = 64_000, forced = false) =>
  settingsFor(rulesOf(model), settings, { maxTokens, forced, citations: false });

describe("what is sent instead", () => {
  it.each<[string, ModelSettings, object]>([
    ["claude-opus-5-5", { thinking: { type: "disabled" } }, { type: "adaptive" }],
    ["claude-sonnet-5-5", { thinking: { type: "disabled" } }, { type: "between_tools" }],
    ["claude-sonnet-5-5", { thinking: { type: "between_tools" } }, { type: "between_tools" }],
    ["claude-haiku-5-5", { thinking: { type: "between_tools" } }, { type: "adaptive" }],
    [
      "claude-opus-4-8",
      { thinking: { type: "enabled", budget_tokens: 2_000 } },
      { type: "adaptive" },
    ],
    [
      "claude-opus-4-6",
      { thinking: { type: "enabled", budget_tokens: 2_000 } },
      { type: "enabled", budget_tokens: 2_000 },
    ],
    [
      "claude-haiku-4-5",
      { thinking: { type: "adaptive" } },
      { type: "enabled", budget_tokens: 8_192 },
    ],
    [
      "claude-haiku-4-5",
      { thinking: { type: "enabled", budget_tokens: 90_000 } },
      { type: "enabled", budget_tokens: 62_976 },
    ],
  ])("%s: %j", (model, settings, thinking) => {
    expect(applied(model, settings).fields.thinking).toMatchObject(thinking);
  });

  it.each([
    ["claude-opus-4-6", "xhigh", "high"],
    ["claude-opus-4-6", "max", "max"],
    ["claude-opus-4-5", "max", "high"],
    ["claude-haiku-4-5", "low", undefined],
  ] as const)("%s: effort %s is %s", (model, effort, sent) => {
    expect(applied(model, { effort }).fields.output_config?.effort).toBe(sent);
  });

  it("keeps thinking off and lowers the effort on Opus 5", () => {
    const both = applied("claude-opus-5", { thinking: { type: "disabled" }, effort: "max" });
    expect(both.fields).toEqual({
      thinking: { type: "disabled" },
      output_config: { effort: "high" },
    });
    expect(both.notices).toEqual([
      {
        code: "effort_not_applied",
        message: 'Claude Opus 5 does not take effort "max" without thinking; "high" was sent.',
      },
    ]);
  });

  it("sends fast mode with its header only where that is needed", () => {
    const fast = (model: string) => {
      const { fields, betas } = applied(model, { speed: "fast" });
      return [fields.speed, ...betas];
    };
    expect(fast("claude-opus-5-5")).toEqual(["fast"]);
    expect(fast("claude-opus-5")).toEqual(["fast", ...FAST]);
    expect(fast("claude-opus-4-8")).toEqual(["fast", ...FAST]);
    expect(fast("claude-sonnet-5-5")).toEqual([undefined]);
  });

  it.each(["glm-4.6", "us.anthropic.claude-opus-4-6-v1:0", "claude-opus-9"])(
    "leaves %s, of which nothing is known, to whoever asks",
    (model) => {
      expect(applied(model, {})).toEqual({ fields: {}, betas: [], notices: [] });
      const thinking = { type: "enabled", budget_tokens: 2_000 } as const;
      const output_format = { type: "json_schema", schema: SCHEMA } as const;
      const { fields, notices } = applied(model, { thinking, effort: "xhigh", output_format });
      expect(fields).toEqual({
        thinking,
        output_config: { effort: "xhigh", format: output_format },
      });
      expect(notices).toEqual([]);
      expect(applied(model, { speed: "fast" }).fields.speed).toBeUndefined();
    },
  );
});

test("rules made of the API's own words give requests that it takes", async () => {
  const standin = createStandin({ clock: CLOCK });
  const upstream = { apiKey: "rules of the API", fetch: standin.fetch };
  const models = (await upstreamModels(upstream, () => {})).filter(({ retired }) => !retired);
  expect(models.length).toBeGreaterThanOrEqual(MODELS.length);
  for (const { id, facts } of models) {
    const derived = rulesOf("claude-new-9", facts);
    expect(derived).toMatchObject({ known: false, name: facts.name, server_tools: true });
    const known = rulesOf(id);
    const { kind } = derived.thinking;
    expect(kind, id).toBe(known.thinking.kind);
    for (const [name, , { settings }] of TABLE) {
      const { fields, betas } = settingsFor(derived, settings, {
        maxTokens: derived.max_output,
        forced: false,
        citations: false,
      });
      const body: JsonObject = {
        model: id,
        max_tokens: derived.max_output,
        messages: [{ role: "user", content: "hi" }],
        ...JSON.parse(JSON.stringify(fields)),
      };
      expect(await refusal(body, betas), `${id}: ${name}`).toBeNull();
    }
    const off: ModelSettings = { thinking: { type: "disabled" }, effort: "max" };
    const place = { maxTokens: 4_000, forced: false, citations: false };
    const { fields } = settingsFor(derived, off, place);
    const messages = [{ role: "user", content: "hi" }];
    expect(await refusal({ model: id, max_tokens: 4_000, messages, ...fields }, []), id).toBeNull();
  }
});

test("a model that does not think is not asked to", () => {
  const facts: ModelFacts = {
    name: "Plain",
    max_input_tokens: 100_000,
    max_tokens: 8_000,
    thinking: [],
    effort: [],
    server_tools: false,
    structured_outputs: false,
  };
  const rules = rulesOf("plain-1", facts);
  expect(rules).toMatchObject({ context_window: 100_000, max_output: 8_000, server_tools: false });
  const { fields, notices } = settingsFor(
    rules,
    { thinking: { type: "adaptive" }, output_format: { type: "json_schema", schema: SCHEMA } },
    { maxTokens: 8_000, forced: false, citations: false },
  );
  expect(fields).toEqual({});
  expect(notices.map(({ code }) => code)).toEqual([
    "thinking_not_applied",
    "output_format_not_applied",
  ]);
});
