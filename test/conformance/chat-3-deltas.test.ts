/**
 * Deltas of the Claude CLI server's streams when the model's API breaks off in the middle of a message:
 * what was sent cannot be taken back, so another attempt sends only what goes on from there, and
 * `done.result` is what counts.
 */
import { beforeEach, expect, test, vi } from "vitest";
import { cutAt, failAt, httpError, reply, text, toolUse } from "../../src/standin/replies.ts";
import { framesIn, stream, textOf } from "../api/chat/client.ts";
import { pathOf, times, useHostile } from "../hostile/upstream-support.ts";
import { advanceToRetry, type TestSession } from "../support/sessions.ts";

const hostile = useHostile();
// Short waits: a response that is being read sends pings, which the test may not do in its place.
beforeEach(() => void vi.spyOn(Math, "random").mockReturnValue(0.01));

async function told(session: TestSession, attempts: number, body: object = {}) {
  const session_id = pathOf(session).replace("/api/sessions/", "");
  const answer = stream({ prompt: "Hi", session_id, ...body });
  for (let attempt = 2; attempt <= attempts; attempt++) {
    await advanceToRetry(session, hostile.clock, attempt);
  }
  return framesIn(await (await answer).text());
}

/** A message whose connection breaks after its first deltas. */
const lost = (...deltas: string[]) =>
  reply({
    blocks: [text(`${deltas.join("")}…`, { deltas: [...deltas, "…"] })],
    acts: [cutAt({ block: 0, delta: deltas.length }, "error")],
  });

test("an attempt that begins with what was sent goes on from there", async () => {
  const session = await hostile.create();
  hostile.script(lost("Hello ", "wor"), text("Hello world, and more."));
  const list = await told(session, 2);
  expect(textOf(list)).toBe("Hello world, and more.");
  expect(list.at(-1)).toMatchObject({ type: "done", result: "Hello world, and more." });
});

test("an attempt that says something else sends nothing; done has its text", async () => {
  const session = await hostile.create();
  hostile.script(lost("Hello ", "wor"), text("Good day."));
  const list = await told(session, 2);
  expect(textOf(list)).toBe("Hello wor");
  expect(list.at(-1)).toMatchObject({ type: "done", result: "Good day." });
});

test("the next message is sent again", async () => {
  const session = await hostile.create();
  hostile.script(lost("Hel"), [text("I look."), toolUse("LS", { path: "." })], text("Nothing."));
  const list = await told(session, 2);
  expect(textOf(list)).toBe("Hel\n\nNothing.");
  expect(list.at(-1)).toMatchObject({ type: "done", result: "Nothing." });
});

test("a third attempt may go on where the first one ended", async () => {
  const session = await hostile.create();
  hostile.script(lost("Hello "), lost("Good "), text("Hello again."));
  const list = await told(session, 3);
  expect(textOf(list)).toBe("Hello again.");
  expect(list.at(-1)?.result).toBe("Hello again.");
});

test("an attempt that failed before its text leaves no trace", async () => {
  const session = await hostile.create();
  hostile.script(httpError(529), text("Hello."));
  const list = await told(session, 2);
  expect(list.map(({ type }) => type)).toEqual(["start", "delta", "done"]);
});

test("when no attempt succeeds there is an error, and no done", async () => {
  const session = await hostile.create();
  hostile.script(
    ...times(4, reply({ blocks: [text("Hello")], acts: [failAt(3, "api_error", "broken")] })),
  );
  const list = await told(session, 4);
  expect(textOf(list)).toBe("Hello");
  expect(list.map(({ type }) => type)).not.toContain("done");
  expect(list.at(-1)).toMatchObject({
    type: "error",
    error: expect.stringMatching(/tried 4 times/),
  });
});
