import { describe, expect, it } from "vitest";
import { cost, priceOf, withPrices } from "../../src/model/prices.ts";
import { readPrices } from "../../src/shared/price.ts";
import { promptTokens, type Usage } from "../../src/shared/usage.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");
const MILLION = 1_000_000;

const usage = (counts: Partial<Usage>): Usage => ({
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  ...counts,
});

describe("cost", () => {
  it("charges each kind of token at its own price", () => {
    const per = (counts: Partial<Usage>) => cost("claude-opus-5-5", usage(counts), NOW);
    expect(per({ input_tokens: MILLION })).toBeCloseTo(4);
    expect(per({ output_tokens: MILLION })).toBeCloseTo(20);
    expect(per({ cache_read_input_tokens: MILLION })).toBeCloseTo(0.2);
    expect(per({ cache_creation_input_tokens: MILLION })).toBeCloseTo(5);
    const hour = { cache_creation_input_tokens: MILLION, cache_creation_1h_input_tokens: MILLION };
    expect(per(hour)).toBeCloseTo(8);
  });

  it("splits cache writes between five minutes and an hour", () => {
    const written = usage({
      cache_creation_input_tokens: 3 * MILLION,
      cache_creation_1h_input_tokens: MILLION,
    });
    expect(cost("claude-sonnet-5", written, NOW)).toBeCloseTo(2 * 2.5 + 4);
  });

  it("adds them up", () => {
    const all = usage({
      input_tokens: 1_000,
      cache_creation_input_tokens: 2_000,
      cache_read_input_tokens: 30_000,
      output_tokens: 400,
    });
    const expected = (1_000 * 5 + 2_000 * 6.25 + 30_000 * 0.5 + 400 * 25) / MILLION;
    expect(cost("claude-opus-4-6", all, NOW)).toBeCloseTo(expected, 12);
  });

  it("takes the price of the day", () => {
    const read = usage({ cache_read_input_tokens: MILLION });
    const day = (date: string) => cost("claude-sonnet-5-5", read, Date.parse(date));
    expect(day("2026-10-06T23:59:59Z")).toBeCloseTo(0.2);
    expect(day("2026-10-07T00:00:00Z")).toBeCloseTo(0.1);
  });

  it("takes the tier of the whole prompt, cached tokens included", () => {
    const prompt = (input_tokens: number) =>
      cost(
        "claude-haiku-5-5",
        usage({ input_tokens, cache_read_input_tokens: 60_000, output_tokens: 1_000 }),
        NOW,
      );
    expect(prompt(40_000)).toBeCloseTo((40_000 * 0.1 + 60_000 * 0.01 + 1_000 * 0.5) / MILLION, 12);
    expect(prompt(40_001)).toBeCloseTo((40_001 * 0.5 + 60_000 * 0.05 + 1_000 * 2.5) / MILLION, 12);
  });

  it("charges a tenth more for inference in the US, on tokens only", () => {
    const spent = usage({ input_tokens: MILLION, web_search_requests: 100 });
    const at = (inference_geo: string) => cost("claude-sonnet-5", { ...spent, inference_geo }, NOW);
    expect(at("us")).toBeCloseTo(2.2 + 1);
    expect(at("global")).toBeCloseTo(2 + 1);
  });

  it("charges ten dollars for a thousand web searches", () => {
    const searched = usage({ web_search_requests: 1_000 });
    expect(cost("claude-sonnet-5-5", searched, NOW)).toBeCloseTo(10);
  });

  it("knows a snapshot by its model", () => {
    const out = usage({ output_tokens: MILLION });
    expect(cost("claude-haiku-4-5-20251001", out, NOW)).toBeCloseTo(5);
  });

  it("is null, not 0, for a model without a price", () => {
    expect(cost("claude-opus-9", usage({ input_tokens: 1 }), NOW)).toBeNull();
    expect(priceOf("claude-opus-9", NOW, 0)).toBeNull();
  });

  it("takes another table", () => {
    const flat = { input: 1, cache_write_5m: 1, cache_write_1h: 1, cache_read: 1, output: 1 };
    const table = { "my-model": [flat] };
    expect(cost("my-model", usage({ output_tokens: MILLION }), NOW, table)).toBe(1);
  });
});

it("the prompt is fresh, written and read tokens", () => {
  const counts = { input_tokens: 1, cache_creation_input_tokens: 20, cache_read_input_tokens: 300 };
  expect(promptTokens(usage({ ...counts, output_tokens: 4_000 }))).toBe(321);
});

const million = usage({ output_tokens: MILLION });

it("the fast mode has a price of its own, and is unpriced where that is not known", () => {
  const fast = { ...million, speed: "fast" };
  expect(cost("claude-opus-5", million, NOW)).toBe(25);
  expect(cost("claude-opus-5", fast, NOW)).toBe(50);
  expect(cost("claude-opus-4-8", fast, NOW)).toBe(50);
  expect(cost("claude-opus-5-5", fast, NOW)).toBe(40);
  expect(cost("claude-sonnet-5-5", fast, NOW)).toBeNull();
});

it("a batch costs half, a search its fee", () => {
  expect(cost("claude-opus-5", { ...million, service_tier: "batch" }, NOW)).toBe(12.5);
  expect(cost("claude-opus-5", { ...million, service_tier: "priority" }, NOW)).toBe(25);
  expect(cost("claude-opus-5", usage({ web_search_requests: 3 }), NOW)).toBeCloseTo(0.03, 12);
});

it("configured prices stand in for the table's, from their first day on", () => {
  const own = readPrices(
    JSON.stringify({
      "claude-opus-5": [
        { input: 1, cache_write_5m: 1, cache_write_1h: 1, cache_read: 1, output: 2 },
        {
          input: 1,
          cache_write_5m: 1,
          cache_write_1h: 1,
          cache_read: 1,
          output: 3,
          since: "2027-01-01",
        },
      ],
      mine: { input: 0, cache_write_5m: 0, cache_write_1h: 0, cache_read: 0, output: 7 },
    }),
  );
  const table = withPrices(own ?? {});
  expect(cost("claude-opus-5", million, NOW, table)).toBe(2);
  expect(cost("claude-opus-5-20260101", million, Date.parse("2027-01-01"), table)).toBe(3);
  expect(cost("claude-opus-5", { ...million, speed: "fast" }, NOW, table)).toBe(50);
  expect(cost("mine", million, NOW, table)).toBe(7);
  expect(cost("claude-sonnet-5-5", million, NOW, table)).toBe(10);
});

const PRICE = { input: 1, cache_write_5m: 1, cache_write_1h: 1, cache_read: 1, output: 1 };

it.each([
  ["no JSON", "{"],
  ["no object", "[]"],
  ["no prices", '{"a": 5}'],
  ["an empty list", '{"a": []}'],
  ["a price that lacks a part", JSON.stringify({ a: { ...PRICE, output: undefined } })],
  ["a price below nothing", JSON.stringify({ a: { ...PRICE, input: -1 } })],
  ["a price with a part too many", JSON.stringify({ a: { ...PRICE, per: 1 } })],
  ["a day that is none", JSON.stringify({ a: { ...PRICE, since: "2026-02-30" } })],
  ["an unknown speed", JSON.stringify({ a: { ...PRICE, speed: "slow" } })],
])("prices are refused: %s", (_, text) => {
  expect(readPrices(text)).toBeNull();
});
