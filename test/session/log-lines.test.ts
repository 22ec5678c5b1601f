/** The operator's log: a line for each turn, failure and unexpected error, without any content. */
import { afterEach, beforeEach, expect, type MockInstance, onTestFinished, test, vi } from "vitest";
import { httpError, reply, text, thinking } from "../../src/standin/replies.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { advanceToRetry, held, reached, useSessions } from "../support/sessions.ts";

const sessions = useSessions();
const SECRET = "the-content-of-a-conversation";

let spies: MockInstance[] = [];
beforeEach(() => {
  spies = (["log", "warn", "error"] as const).map((level) =>
    vi.spyOn(console, level).mockImplementation(() => {}),
  );
});
afterEach(() => vi.restoreAllMocks());

/** The lines so far, in the order of their levels: turns, failures, errors. */
const lines = (): { event: string }[] =>
  spies.flatMap(({ mock }) => mock.calls.map(([line]) => JSON.parse(String(line))));

test("a turn is one line, with its figures", async () => {
  const clock = new FakeClock(FAR_FUTURE);
  onTestFinished(() => clock.restore());
  const session = await sessions.create({ system: `You know ${SECRET}.` });
  const { reply: answer, gate } = held({ block: 1, delta: 1 }, [thinking("hm"), text(SECRET)]);
  sessions.script(answer);
  const sent = await session.send(SECRET);
  await reached(gate);
  clock.advance(1_500);
  await session.open(gate);
  const { totals } = await session.outcome(sent);
  expect(lines()).toEqual([
    {
      event: "turn",
      account: session.account,
      session: `sess_${session.id}`,
      turn: "turn_2",
      outcome: "completed",
      code: null,
      model: "claude-sonnet-5-5",
      calls: 1,
      ms: 1_500,
      first_output_ms: 0,
      usage: totals.billed,
      cost_usd: totals.cost_usd,
      estimated: false,
    },
  ]);
  expect(JSON.stringify(lines())).not.toContain(SECRET);
});

test("a failed attempt is a line with the API's id of it and the time of the next one", async () => {
  const clock = new FakeClock(FAR_FUTURE);
  onTestFinished(() => clock.restore());
  const session = await sessions.create();
  sessions.script(httpError(529, { retryAfter: 7, message: SECRET }), text("ok"));
  const sent = await session.send("hi");
  await advanceToRetry(session, clock);
  await session.outcome(sent);
  const [, failure] = lines();
  expect(failure).toEqual({
    event: "failure",
    account: session.account,
    session: `sess_${session.id}`,
    turn: "turn_2",
    code: "overloaded",
    request_id: expect.stringMatching(/^req_/),
    ms: 0,
    retry: { attempt: 2, in_ms: 7_000 },
  });
  expect(lines()).toMatchObject([{ event: "turn", calls: 2, ms: 7_000 }, {}]);
  expect(JSON.stringify(lines())).not.toContain(SECRET);
});

test("a call that was lost with the object is a failure, and the turn's first output is not known", async () => {
  const session = await sessions.create();
  const { reply: first, gate } = held({ block: 0, delta: 1 }, [text("Hello there")]);
  sessions.script(first, reply({ blocks: [text("Good day")] }));
  const sent = await session.send("hi");
  await reached(gate);
  await session.crash();
  await session.outcome(sent);
  expect(lines()).toMatchObject([
    { event: "turn", outcome: "completed", calls: 2, estimated: true },
    { event: "failure", turn: "turn_2", code: "lost", retry: null },
  ]);
});

test("a fault of our own is a line with its place and not its message", async () => {
  const session = await sessions.create();
  await session.inside(({ storage }) => {
    const commit = storage.transactionSync.bind(storage);
    let commits = 0;
    // The first is the message's, the second the loop's first step.
    const faulty = <T>(act: () => T): T => {
      commits += 1;
      if (commits === 2) throw new TypeError(`the key is ${SECRET}`);
      return commit(act);
    };
    Object.defineProperty(storage, "transactionSync", { value: faulty });
  });
  expect(await session.turn("hi")).toMatchObject({ outcome: "failed", code: "internal_error" });
  const error = lines().find(({ event }) => event === "error");
  expect(error).toMatchObject({
    session: `sess_${session.id}`,
    what: "a step of the loop",
    error: { name: "TypeError", frames: expect.arrayContaining([expect.stringContaining("at ")]) },
  });
  expect(JSON.stringify(lines())).not.toContain(SECRET);
});
