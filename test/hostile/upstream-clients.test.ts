/** What a client is told over HTTP while the model API fails, and when it has failed. */
import { beforeEach, expect, test, vi } from "vitest";
import type { Event } from "../../src/shared/events.ts";
import { EMPTY_VIEW, reduce } from "../../src/shared/view.ts";
import {
  cutAt,
  failAt,
  httpError,
  reply,
  type Scripted,
  spendCap,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { allFrames, type Frame, functionTool, get, names, post } from "../api/cc/server.ts";
import { advanceToRetry, type TestSession } from "../support/sessions.ts";
import { API_KEY, goesOn, pathOf, times, useHostile } from "./upstream-support.ts";

const hostile = useHostile();
// Short waits: a response that is being read sends pings, which the test may not do in its place.
beforeEach(() => void vi.spyOn(Math, "random").mockReturnValue(0.01));

/** Posts a message and lets the time of each further attempt come. */
async function posted(session: TestSession, body: object, attempts: number): Promise<Response> {
  const answer = post(`${pathOf(session)}/turns`, { input: "hi", ...body });
  for (let attempt = 2; attempt <= attempts; attempt++) {
    await advanceToRetry(session, hostile.clock, attempt);
  }
  const response = await answer;
  expect(JSON.stringify([...response.headers])).not.toContain("PLANTED");
  return response;
}

const SAID = `${API_KEY} may not`;

const FAILING: [string, Scripted[], status: number, code: string, retryable: boolean, RegExp][] = [
  ["a refused key", [httpError(401)], 502, "authentication", false, /Check ANTHROPIC_API_KEY/],
  [
    "a missing permission",
    [httpError(403, { message: SAID })],
    502,
    "permission",
    false,
    /\[key\] may not/,
  ],
  ["a spend cap", [spendCap()], 502, "spend_cap", false, /Raise it in the Claude Console/],
  [
    "an error in the stream",
    [reply({ blocks: [text("Hello")], acts: [failAt(3, "permission_error", SAID)] })],
    502,
    "permission",
    false,
    /\[key\] may not/,
  ],
  [
    "a 429 for a day",
    [httpError(429, { retryAfter: 86_400 })],
    503,
    "rate_limited",
    true,
    /asks to wait 1440 minutes/,
  ],
  [
    "a 529 for long",
    times(8, httpError(529)),
    503,
    "overloaded",
    true,
    /tried 8 times\. Send the message again/,
  ],
  [
    "four cuts in the text",
    times(4, reply({ blocks: [text("Hello")], acts: [cutAt(3, "error")] })),
    502,
    "stream_cut",
    true,
    /tried 4 times\. Send the message again/,
  ],
];

test.each(FAILING)("%s: a problem as JSON", async (_, replies, status, code, __, says) => {
  const session = await hostile.create();
  hostile.script(...replies);
  const response = await posted(session, {}, replies.length);
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.headers.has("retry-after")).toBe(status === 503);
  const problem = await response.json();
  expect(problem).toMatchObject({
    status,
    code,
    turn: "turn_2",
    detail: expect.stringMatching(says),
    error: { code, message: expect.stringMatching(says) },
  });
  expect(JSON.stringify(problem)).not.toContain("PLANTED");
  await goesOn(hostile, session);
});

test.each(FAILING)(
  "%s: an error frame in a stream",
  async (_, replies, __, code, retryable, says) => {
    const session = await hostile.create();
    hostile.script(...replies);
    const response = posted(session, { stream: true }, replies.length);
    const frames = await allFrames(await response);
    expect(names(frames).slice(-2)).toEqual(["turn.failed", "error"]);
    expect(frames.at(-1)?.data).toMatchObject({ code, retryable, turn: "turn_2" });
    expect(String(frames.at(-1)?.data.message)).toMatch(says);
    expect(names(frames).filter((name) => name === "turn.retrying")).toHaveLength(
      replies.length - 1,
    );
    expect(JSON.stringify(frames)).not.toContain("PLANTED");
    const turn = await (await get(`${pathOf(session)}/turns/turn_2`)).json();
    expect(turn).toMatchObject({ outcome: "failed", code, message: expect.stringMatching(says) });
    await goesOn(hostile, session);
  },
);

/** The view of a client that has these frames. */
const viewOf = (frames: readonly Frame[]) =>
  frames.reduce((view, { event, data }) => {
    // Events of the log carry their turn; what is left are the flat frames of the end.
    if (!("turn_id" in data)) return view;
    return reduce(view, { type: event, turn: data.turn_id, data: data.data } as Event);
  }, EMPTY_VIEW);

test("a client that watches a cut sees the lost text go and the new text come", async () => {
  const session = await hostile.create();
  const first = [thinking("Hm."), text("Hello th"), toolUse("a", { city: "Paris" })];
  const second = [
    thinking("So."),
    text("Good day"),
    toolUse("a", { city: "Oslo" }, { id: "toolu_2" }),
  ];
  hostile.script(reply({ blocks: first, acts: [cutAt({ block: 2, delta: 1 }, "error")] }), second);
  const response = await posted(session, { stream: true, tools: [functionTool("a")] }, 2);
  const frames = await allFrames(response);
  const dropped = names(frames).indexOf("call.completed");
  const before = viewOf(frames.slice(0, dropped));
  expect(JSON.stringify(before)).toMatch(/Hm\..*Hello th.*Paris/);
  const after = viewOf(frames.slice(0, dropped + 1));
  expect(JSON.stringify(after)).not.toMatch(/Hm\.|Hello th|Paris/);
  const end = frames.find(({ event }) => event === "turn.response");
  expect(end?.data).toMatchObject({
    outcome: "requires_action",
    output_text: "Good day",
    tool_calls: [{ function: { name: "a", arguments: '{"city":"Oslo"}' } }],
  });
  // A client that comes later, and saw no previews, knows the same.
  const page = await (await get(`${pathOf(session)}/events?limit=1000`)).json<{
    data: Frame["data"][];
  }>();
  const later = page.data
    .filter(({ turn_id }) => turn_id !== null)
    .map((data): Frame => ({ id: undefined, event: String(data.type), data }));
  expect(viewOf(later)).toEqual(viewOf(frames));
  await goesOn(hostile, session);
});
