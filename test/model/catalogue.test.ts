import { describe, expect, it } from "vitest";
import {
  DEFAULT_MODEL,
  MODELS,
  resolveModel,
  retiredAt,
  rulesOf,
} from "../../src/model/catalogue.ts";
import { listModels } from "../../src/model/catalogue-list.ts";
import { PRICES } from "../../src/model/prices.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");

describe("resolveModel", () => {
  it.each([
    ["anthropic/claude-opus-4.6", "claude-opus-4-6"],
    ["claude-opus-4.6", "claude-opus-4-6"],
    ["claude-sonnet-5-5", "claude-sonnet-5-5"],
    ["anthropic/claude-opus-4.5-20251101", "claude-opus-4-5-20251101"],
    ["claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001"],
    [" Claude-Opus-5 ", "claude-opus-5"],
    ["sonnet", "claude-sonnet-5-5"],
    ["opus", "claude-opus-5-5"],
    ["Haiku", "claude-haiku-5-5"],
    ["anthropic/fable", "claude-fable-5-2"],
    ["claude-opus-9.1", "claude-opus-9-1"],
    ["glm-4.6", "glm-4.6"],
    ["Qwen/Qwen3.5", "Qwen/Qwen3.5"],
  ])("%s is %s", (name, id) => {
    expect(resolveModel(name)).toBe(id);
  });

  it("is stable: an id resolves to itself", () => {
    for (const { id } of MODELS) expect(resolveModel(id)).toBe(id);
  });
});

describe("rulesOf", () => {
  it("knows the default model, and every model of the price table", () => {
    expect(rulesOf(DEFAULT_MODEL).known).toBe(true);
    expect(MODELS.map(({ id }) => id).sort()).toEqual(Object.keys(PRICES).sort());
  });

  it("gives a snapshot the rules of its model under its own id", () => {
    expect(rulesOf("claude-haiku-4-5-20251001")).toEqual({
      ...rulesOf("claude-haiku-4-5"),
      id: "claude-haiku-4-5-20251001",
    });
  });

  it("is careful with a model it does not know", () => {
    expect(rulesOf("claude-opus-9")).toMatchObject({
      id: "claude-opus-9",
      name: "claude-opus-9",
      known: false,
      thinking: { kind: "unknown" },
      effort: [],
      forced_tool_choice: false,
      system_messages: false,
      tool_changes: false,
      preserved_thinking: true,
      prefill: false,
      cache_minimum: null,
      retirement: null,
    });
  });

  const where = (test: (rules: ReturnType<typeof rulesOf>) => boolean) =>
    MODELS.filter(test).map(({ id }) => id);

  it("says which models think how", () => {
    expect(where(({ thinking }) => thinking.kind === "always")).toEqual([
      "claude-fable-5-2",
      "claude-mythos-5-2",
      "claude-fable-5-1",
      "claude-mythos-5-1",
      "claude-fable-5",
      "claude-mythos-5",
      "claude-opus-5-5",
    ]);
    expect(where(({ thinking }) => thinking.kind === "budget")).toEqual([
      "claude-opus-4-5",
      "claude-sonnet-4-5",
      "claude-haiku-4-5",
    ]);
    expect(where(({ thinking }) => thinking.kind === "adaptive" && thinking.on)).toEqual([
      "claude-opus-5",
      "claude-sonnet-5-5",
      "claude-sonnet-5",
      "claude-haiku-5-5",
    ]);
    expect(where(({ thinking }) => thinking.kind === "adaptive" && thinking.budget)).toEqual([
      "claude-opus-4-6",
      "claude-sonnet-4-6",
    ]);
    expect(rulesOf("claude-sonnet-5-5").thinking).toMatchObject({ off: "between_tools" });
  });

  it("says which models refuse a forced tool choice", () => {
    expect(where((rules) => !rules.forced_tool_choice)).toEqual([
      "claude-fable-5-2",
      "claude-mythos-5-2",
      "claude-fable-5-1",
      "claude-mythos-5-1",
      "claude-opus-5-5",
      "claude-sonnet-5-5",
    ]);
  });

  it("says which models take system messages and tool changes", () => {
    expect(where((rules) => rules.system_messages)).toEqual([
      "claude-fable-5-1",
      "claude-mythos-5-1",
      "claude-fable-5",
      "claude-mythos-5",
      "claude-opus-5-5",
      "claude-opus-5",
      "claude-opus-4-8",
      "claude-sonnet-5-5",
      "claude-sonnet-5",
      "claude-haiku-5-5",
    ]);
    expect(where((rules) => rules.system_messages && !rules.tool_changes)).toEqual([
      "claude-sonnet-5",
    ]);
  });

  it("says which models bind thinking to its prefix", () => {
    expect(where((rules) => rules.preserved_thinking)).toEqual([
      "claude-fable-5-2",
      "claude-mythos-5-2",
      "claude-fable-5-1",
      "claude-mythos-5-1",
      "claude-mythos-5",
      "claude-opus-5-5",
      "claude-sonnet-5-5",
      "claude-haiku-5-5",
    ]);
  });

  it("has no cache minimum where none was published", () => {
    expect(rulesOf("claude-sonnet-5-5").cache_minimum).toBeNull();
    expect(rulesOf("claude-fable-5-2").cache_minimum).toBeNull();
    expect(rulesOf("claude-opus-4-6").cache_minimum).toBe(4_096);
    expect(rulesOf("claude-haiku-5-5").cache_minimum).toBe(512);
  });
});

describe("retiredAt", () => {
  it("is a matter of the date", () => {
    const lastDay = Date.parse("2026-11-29T23:59:59.999Z");
    expect(retiredAt("claude-sonnet-4-5", lastDay)).toBeNull();
    expect(retiredAt("claude-sonnet-4-5", lastDay + 1)).toEqual({
      date: "2026-11-30",
      successor: "claude-sonnet-5-5",
    });
    expect(retiredAt("claude-sonnet-4-5-20250929", lastDay + 1)).not.toBeNull();
  });

  it("names a successor that is served for models that are gone", () => {
    const retirement = retiredAt("claude-opus-4-1-20250805", NOW);
    expect(rulesOf(retirement?.successor ?? "").known).toBe(true);
  });

  it("is null for models that are served or unknown", () => {
    expect(retiredAt(DEFAULT_MODEL, NOW)).toBeNull();
    expect(retiredAt("claude-opus-9", NOW)).toBeNull();
  });
});

describe("listModels", () => {
  it("lists each model under its id and under the dotted alias", () => {
    const opus = {
      name: "Claude Opus 4.6",
      context_length: 1_000_000,
      max_completion_tokens: 128_000,
      pricing: {
        prompt: "0.000005",
        completion: "0.000025",
        cache_read: "0.0000005",
        cache_write: "0.00000625",
      },
    };
    expect(listModels(["claude-opus-4.6"], [], NOW)).toEqual([
      { id: "claude-opus-4-6", ...opus },
      { id: "anthropic/claude-opus-4.6", ...opus },
    ]);
  });

  it.each([
    ["claude-opus-5", "anthropic/claude-opus-5"],
    ["claude-opus-4-5-20251101", "anthropic/claude-opus-4.5-20251101"],
    ["claude-opus-5-20260601", "anthropic/claude-opus-5-20260601"],
  ])("%s has the alias %s, which resolves to it", (id, alias) => {
    expect(listModels([id], [], NOW).map((model) => model.id)).toEqual([id, alias]);
    expect(resolveModel(alias)).toBe(id);
  });

  it("keeps the configured order, and names a model once", () => {
    const ids = listModels(["opus", "claude-haiku-4.5", "claude-opus-5-5"], [], NOW).map(
      ({ id }) => id,
    );
    expect(ids).toEqual([
      "claude-opus-5-5",
      "anthropic/claude-opus-5.5",
      "claude-haiku-4-5",
      "anthropic/claude-haiku-4.5",
    ]);
  });

  it("lists an unknown model once, unpriced", () => {
    const listed = listModels(["glm-4.6"], [], NOW);
    expect(listed.map(({ id }) => id)).toEqual(["glm-4.6"]);
    expect(listed[0]).not.toHaveProperty("pricing");
  });

  it("lists by default what is served on that day", () => {
    const ids = (at: number) => listModels(null, [], at).map(({ id }) => id);
    expect(ids(NOW)).toContain("claude-sonnet-4-5");
    expect(ids(Date.parse("2026-12-01"))).not.toContain("claude-sonnet-4-5");
    expect(ids(NOW)).toHaveLength(MODELS.length * 2);
  });

  it("gives window and output as numbers that clients accept", () => {
    for (const model of listModels(null, [], NOW)) {
      for (const tokens of [model.context_length, model.max_completion_tokens]) {
        expect(Number.isInteger(tokens) && tokens >= 1_024 && tokens <= 10_000_000).toBe(true);
      }
    }
  });
});
