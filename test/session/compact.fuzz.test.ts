/**
 * Random lives of sessions that are compacted: with thinking, tools of the client and of the session,
 * images, interrupts, refusals, steers, other models, failures and crashes. The strict stand-in
 * refuses every transcript that the API would.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { kindsIn, Run } from "../support/program.ts";
import { compactProgram } from "../support/programs.ts";
import { useSessions } from "../support/sessions.ts";

const sessions = useSessions();

/** What has to happen in some of the lives, or they prove little. */
const KINDS = [
  "call failed",
  "call interrupted",
  "call ok",
  "compacted by api, keeping nothing, between turns",
  "compacted by api, keeping some, between turns",
  "compacted by api, keeping some, in a turn",
  "compacted by summary, keeping nothing, between turns",
  "compacted by summary, keeping some, between turns",
  "compacted by summary, keeping some, in a turn",
  "compaction call failed",
  "compaction call interrupted",
  "compaction call lost",
  "compaction call ok",
  "compaction deferred",
  "compaction for client",
  "compaction for model",
  "compaction for overflow",
  "compaction for threshold",
  "cut: model",
  "cut: refusal",
  "cut: rejected",
  "cut: replay",
  "cut: tools",
  "instruction carried",
  "max_tokens",
  "model_context_window_exceeded",
  "no compaction: interrupted",
  "no compaction: no_summary",
  "no compaction: nothing",
  "no compaction: refusal",
  "outcome completed",
  "outcome interrupted",
  "outcome refused",
  "outcome requires_action",
  "result by client ok",
  "result by ledge skipped",
  "result by server ok",
  "taken as start",
  "taken as steer",
  "text partial",
  "tool change",
];

test("whatever is compacted when, the API refuses no request, and each submission has one end", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(compactProgram, async (program) => {
      const { watcher } = await Run.of(sessions, program);
      for (const kind of kindsIn(watcher.rows)) seen.add(kind);
      await sessions.check();
    }),
    { seed: 17, numRuns: 200 },
  );
  expect([...seen]).toEqual(expect.arrayContaining(KINDS));
}, 300_000);
