/** The sliding window of a key's rate limit. */
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { slide } from "../../src/account/rate-table.ts";
import { crash, inside, newAccount, rowsWritten } from "../support/accounts.ts";
import { FakeClock } from "../support/fake-clock.ts";

let clock: FakeClock | undefined;
afterEach(() => clock?.restore());

const limits = fc.record({
  requests: fc.integer({ min: 1, max: 5 }),
  window_seconds: fc.integer({ min: 1, max: 3 }),
});

/** Milliseconds between two requests; often none, and often a whole window or nearly so. */
const pauses = fc.array(
  fc.oneof(
    fc.constant(0),
    fc.integer({ min: 0, max: 1500 }),
    fc.constantFrom(999, 1000, 1001, 1999, 2000, 2001, 2999, 3000, 3001),
  ),
  // By itself it makes mostly short lists, in which too few requests are refused.
  { maxLength: 60, size: "max" },
);

test("never more than the limit in any window, and never one refused when there were fewer", () => {
  let refusals = 0;
  const law = fc.property(limits, pauses, (limit, gaps) => {
    const window = limit.window_seconds * 1000;
    const let_through: number[] = [];
    let times: number[] = [];
    let now = 1_000_000;
    for (const gap of gaps) {
      now += gap;
      const before = let_through.filter((at) => at > now - window);
      const answer = slide(times, limit, now);
      times = answer.times;
      expect(answer.admitted).toBe(before.length < limit.requests);
      if (answer.admitted) let_through.push(now);
      else refusals += 1;
      expect(answer.remaining).toBe(
        Math.max(0, limit.requests - before.length - (answer.admitted ? 1 : 0)),
      );
      // The oldest leaves when it says so, and not a millisecond before.
      const oldest = let_through.findLast((_, i) => i <= let_through.length - limit.requests);
      if (!answer.admitted) expect(now + answer.reset_ms).toBe((oldest ?? 0) + window);
    }
    for (const at of let_through) {
      const inWindow = let_through.filter((other) => other >= at && other < at + window);
      expect(inWindow.length).toBeLessThanOrEqual(limit.requests);
    }
  });
  fc.assert(law, { numRuns: 500 });
  expect(refusals).toBeGreaterThan(500);
});

test("a limit that becomes smaller or larger counts what was let through before", () => {
  const times = [0, 100, 200, 300];
  const few = slide(times, { requests: 2, window_seconds: 1 }, 500);
  // One more fits when the last but one of them has left.
  expect(few).toMatchObject({ admitted: false, remaining: 0, reset_ms: 700 });
  expect(slide(times, { requests: 6, window_seconds: 1 }, 500)).toMatchObject({
    admitted: true,
    remaining: 1,
    reset_ms: 500,
  });
});

test("after a clock that was ahead nothing waits for longer than a window", () => {
  const limit = { requests: 1, window_seconds: 60 };
  const { times } = slide([9_000_000], limit, 1_000_000);
  expect(slide(times, limit, 1_059_999).admitted).toBe(false);
  expect(slide(times, limit, 1_060_000).admitted).toBe(true);
});

const limit = { requests: 3, window_seconds: 60 };

test("the window survives the object, and a request costs one row", async () => {
  clock = new FakeClock();
  const { name, client: account } = newAccount();
  for (const remaining of [2, 1, 0]) {
    expect(await account.admit("a", limit)).toMatchObject({ admitted: true, remaining });
    clock.advance(1000);
    await crash(name);
  }
  expect(await account.admit("a", limit)).toEqual({
    admitted: false,
    remaining: 0,
    reset_ms: 57_000,
  });
  expect(await account.admit("b", limit)).toMatchObject({ admitted: true, remaining: 2 });
  const written = (bucket: string) => rowsWritten(name, (object) => object.admit(bucket, limit));
  expect([await written("a"), await written("b"), await written("c")]).toEqual([0, 1, 1]);
  const alarm = await inside(name, (_, { storage }) => storage.getAlarm());
  expect(alarm).toBeNull();
});
