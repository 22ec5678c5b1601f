/** Random lives of a session: every law of `test/support/laws.ts` holds after each of them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { kindsIn, type Program, Run } from "../support/program.ts";
import { contextProgram, readingProgram } from "../support/programs.ts";
import { useSessions } from "../support/sessions.ts";

const sessions = useSessions();

/** What has to happen in some of the lives, or they prove little. */
const KINDS = [
  "call failed",
  "call interrupted",
  "call ok",
  "cancelled",
  "cut: model",
  "cut: refusal",
  "cut: rejected",
  "cut: replay",
  "cut: system",
  "cut: tools",
  "final failure",
  "job needs an answer",
  "job now",
  "job queued",
  "max_tokens",
  "outcome completed",
  "outcome failed",
  "outcome interrupted",
  "outcome refused",
  "outcome requires_action",
  "own instruction",
  "own model",
  "prompt brought now",
  "prompt brought queued",
  "prompt brought steer",
  "result by client ok",
  "result by ledge error",
  "result by ledge interrupted",
  "result by ledge skipped",
  "retry",
  "taken as start",
  "taken as steer",
  "text partial",
  "tool allow",
  "tool change",
  "tool deny",
  "tool partial",
];

async function live(program: Program, seen: Set<string>): Promise<Run> {
  const run = await Run.of(sessions, program);
  for (const kind of kindsIn(run.watcher.rows)) seen.add(kind);
  return run;
}

test("requests only grow, the API refuses none, and each submission has one end", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(contextProgram, async (program) => {
      await live(program, seen);
      await sessions.check();
    }),
    { seed: 5, numRuns: 200 },
  );
  expect([...seen]).toEqual(expect.arrayContaining(KINDS));
}, 300_000);

test("view(client) = reduce(frames(log)), wherever its stream is cut and whoever dies", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(readingProgram, async (program) => {
      const { session, seconds, watcher } = await live(program, seen);
      const { reader } = session;
      for (const { id } of reader.frames) seen.add(`id ${id.replace(/\d+/g, "n")}`);
      for (const second of seconds) {
        seen.add("second client");
        expect(second.view, "a second client").toEqual(watcher.view);
      }
      await sessions.check();
      expect(reader.view).toEqual(watcher.view);
    }),
    { seed: 11, numRuns: 200 },
  );
  const read = ["call lost", "id n", "id n+n", "id n:n", "second client"];
  expect([...seen]).toEqual(expect.arrayContaining([...KINDS, ...read]));
}, 300_000);
