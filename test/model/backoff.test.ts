import { describe, expect, it } from "vitest";
import { nextAttempt } from "../../src/model/backoff.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");

describe("nextAttempt", () => {
  const attempts = (fields: Partial<Parameters<typeof nextAttempt>[0]> = {}) =>
    nextAttempt(
      { attempt: 1, weight: 1, firstAt: NOW, now: NOW, random: 0.5, ...fields },
      { attempts: 8, firstMs: 500, factor: 2, longestMs: 30_000 },
    );
  const wait = (fields: Partial<Parameters<typeof nextAttempt>[0]>) => {
    const next = attempts(fields);
    return next === null ? null : next.at - NOW;
  };

  it("backs off from half a second to thirty, with full jitter", () => {
    const ceilings = [1, 2, 3, 4, 5, 6, 7].map((attempt) => wait({ attempt, random: 1 }));
    expect(ceilings).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
    expect(wait({ attempt: 5, random: 0 })).toBe(0);
    expect(wait({ attempt: 5, random: 0.5 })).toBe(4_000);
  });

  it("never comes before retry-after", () => {
    expect(wait({ retryAfter: 20_000 })).toBe(20_000);
    expect(wait({ retryAfter: 100, random: 1 })).toBe(500);
  });

  it("ends after eight attempts, counted by weight", () => {
    expect(wait({ attempt: 7, weight: 7 })).not.toBeNull();
    expect(wait({ attempt: 8, weight: 8 })).toBeNull();
    expect(wait({ attempt: 4, weight: 8 })).toBeNull();
  });

  it("ends after fifteen minutes, and when retry-after leads beyond them", () => {
    const quarter = 15 * 60_000;
    expect(attempts({ firstAt: NOW - quarter, random: 0 })).toEqual({ at: NOW });
    expect(attempts({ firstAt: NOW - quarter, random: 1 })).toBeNull();
    expect(attempts({ retryAfter: quarter })).toEqual({ at: NOW + quarter });
    expect(attempts({ retryAfter: quarter + 1 })).toBeNull();
  });
});
