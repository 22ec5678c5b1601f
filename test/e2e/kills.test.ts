import { expect, test } from "vitest";
import { runKills } from "../../scripts/kills.ts";

const KILLS = 20;
/** What has to happen in a run, or it proves little. */
const SEEN = [
  "call.ended interrupted",
  "call.ended lost",
  "call.ended ok",
  "input.taken start",
  "outcome completed",
  "outcome failed",
  "outcome interrupted",
  "outcome requires_action",
  "tool.ended ok",
];

test("the server is killed again and again under many clients, and nothing is lost or doubled", async () => {
  const report = await runKills({ seed: 1, kills: KILLS });
  console.log(report.text);
  expect(report.problems).toEqual([]);
  expect(report.seen).toEqual(expect.arrayContaining(SEEN));
  for (const figure of ["inputs", "sessions", "deleted", "lost", "resumed"] as const) {
    expect(report[figure], figure).toBeGreaterThan(KILLS / 2);
  }
}, 480_000);
