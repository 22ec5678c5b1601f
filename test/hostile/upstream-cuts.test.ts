/** A connection that breaks anywhere in an answer: it is asked for again, and nothing is doubled. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type CutKind,
  cutAt,
  type Delivery,
  reply,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { createStandin } from "../../src/standin/standin.ts";
import { advanceToRetry, toolset } from "../support/sessions.ts";
import { failures, useHostile } from "./upstream-support.ts";

const hostile = useHostile();

const TOOLS = toolset("a");
const THOUGHT = "Hm, 東京 🌦️ it is.";
const SAID = "Grüße 😀 from a café";
const INPUT = { city: "東京", why: "👩‍👩‍👧" };

const answer = (how: Delivery = {}) =>
  reply({
    blocks: [thinking(THOUGHT), text(SAID), toolUse("a", INPUT, { id: "toolu_1" })],
    id: "msg_1",
    deltaSize: 6,
    ...how,
  });

const SYSTEM = "Be brief.";

/** One session: its first attempt breaks so, and then it comes to the end of two steps. */
async function survives(first: Delivery, at: string): Promise<void> {
  const session = await hostile.create({ system: SYSTEM });
  hostile.script(answer(first), answer());
  const sent = await session.send("go", { tools: TOOLS });
  await session.reader.row("failure");
  expect(session.reader.view.blocks, `${at}: nothing of the lost attempt is shown`).toEqual([]);
  await advanceToRetry(session, hostile.clock);
  const { outcome, pending } = await session.outcome(sent);
  expect(outcome, at).toBe("requires_action");
  expect(failures(session), at).toEqual([{ code: "stream_cut", again: true }]);
  const blocks = session.reader.rows.flatMap((row) =>
    "block" in row.body ? [row.body.block] : [],
  );
  expect(blocks, `${at}: each block once`).toMatchObject([
    { type: "thinking", thinking: THOUGHT },
    { type: "text", text: SAID },
    { type: "tool_use", id: "toolu_1", name: "a", input: INPUT },
  ]);
  hostile.script([thinking("So."), text("Done.")]);
  const results = await session.results({ [pending[0]?.id ?? ""]: "18 degrees" });
  expect(await session.outcome(results), at).toMatchObject({ outcome: "completed" });
  // The rows give the view that this client has, and the requests are valid and only grow.
  await hostile.check();
}

/** The bytes of the answer and the number of its events, as this session's request gets it. */
async function measured(): Promise<{ bytes: number; events: number }> {
  const session = await hostile.create({ system: SYSTEM });
  hostile.script(answer());
  await session.turn("go", { tools: TOOLS });
  const standin = createStandin({ clock: { now: () => hostile.clock.now, after: () => () => {} } });
  standin.script(answer());
  const headers = { "x-api-key": "key", "anthropic-version": "2026-10-21" };
  const body = hostile.requests[0]?.text ?? "";
  const response = await standin.fetch("https://api.anthropic.com/v1/messages", {
    method: "POST",
    headers,
    body,
  });
  const streamed = await response.text();
  await hostile.check();
  return {
    bytes: new TextEncoder().encode(streamed).length,
    events: streamed.split("\n\n").length - 1,
  };
}

const KINDS: CutKind[] = ["end", "error"];

test.each(KINDS)("at every frame (%s)", { timeout: 60_000 }, async (how) => {
  const { events } = await measured();
  expect(events).toBeGreaterThan(20);
  for (let n = 0; n < events; n++) await survives({ acts: [cutAt(n, how)] }, `event ${n}`);
});

test.each(KINDS)("at fifty bytes anywhere (%s)", { timeout: 60_000 }, async (how) => {
  const { bytes } = await measured();
  // Without its last line end the last event has not come.
  const places = fc.sample(fc.nat(bytes - 1), { numRuns: 50, seed: 20261120 });
  for (const at of [...places, bytes - 1]) {
    await survives({ cutAfterBytes: { bytes: at, how } }, `byte ${at}`);
  }
});
