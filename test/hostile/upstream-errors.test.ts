/** Errors that the API announces: as a status, and inside a stream that had begun well. */
import { expect, test } from "vitest";
import {
  failAt,
  frame,
  httpError,
  insertAt,
  reply,
  spendCap,
  text,
  thinking,
  toolUse,
} from "../../src/standin/replies.ts";
import { advanceToRetry, runAlarm, toolset } from "../support/sessions.ts";
import {
  API_KEY,
  failing,
  failures,
  goesOn,
  times,
  tried,
  useHostile,
} from "./upstream-support.ts";

const hostile = useHostile();

/** For tests of many sessions. */
const LONG = { timeout: 60_000 };

const SAID = `request with x-api-key ${API_KEY} was denied`;

/** Events of the answer below before its last: its start, blocks of four, three and three. */
const EVENTS = 12;
const EVERYWHERE = Array.from({ length: EVENTS + 1 }, (_, event) => event);
/** Before the answer, at its start, and in the middle of its text. */
const SOME = [0, 1, 7];
const TOOLS = toolset("a");
const failingAt = (event: number, type: string) =>
  reply({
    blocks: [thinking("Hm."), text("Hello"), toolUse("a", {})],
    acts: [failAt(event, type, SAID)],
  });

const INSIDE_RETRIED: [type: string, places: number[], code: string][] = [
  ["overloaded_error", EVERYWHERE, "overloaded"],
  ["api_error", EVERYWHERE, "upstream_error"],
  ["timeout_error", SOME, "upstream_error"],
  ["rate_limit_error", SOME, "rate_limited"],
  ["constructor", SOME, "upstream_error"],
];

test.each(INSIDE_RETRIED)("%s after %j events is tried again", LONG, async (type, places, code) => {
  for (const event of places) {
    const session = await hostile.create();
    hostile.script(failingAt(event, type), text("Hello"));
    const at = `${type} after ${event} events`;
    expect(await tried(hostile, session, 2, { tools: TOOLS }), at).toMatchObject({
      outcome: "completed",
    });
    expect(failures(session), at).toEqual([{ code, again: true }]);
    expect(session.reader.rows.filter(({ type }) => type.startsWith("block."))).toHaveLength(1);
    await goesOn(hostile, session);
    await hostile.check();
  }
});

const INSIDE_FINAL: [type: string, places: number[], code: string, says: RegExp][] = [
  ["invalid_request_error", EVERYWHERE, "invalid_request", /Change the message, or switch/],
  ["authentication_error", SOME, "authentication", /Check ANTHROPIC_API_KEY/],
  ["billing_error", SOME, "billing", /Add credit in the Claude Console/],
  ["permission_error", SOME, "permission", /Use a key that may/],
  ["not_found_error", SOME, "not_found", /Change the message/],
  ["request_too_large", SOME, "too_large", /Send fewer or smaller/],
];

test.each(INSIDE_FINAL)("%s after %j events is final", LONG, async (type, places, code, says) => {
  for (const event of places) {
    const session = await hostile.create();
    hostile.script(failingAt(event, type));
    const failed = await failing(session, { tools: TOOLS });
    expect(failed.code).toBe(code);
    expect(failed.message).toMatch(says);
    // The API had accepted the request, so nothing in it is at fault.
    expect(session.reader.rows.map((row) => row.type)).not.toContain("context.cut");
    await goesOn(hostile, session);
    await hostile.check();
  }
});

test("a spend cap inside a stream is final", async () => {
  const session = await hostile.create();
  const error = {
    type: "rate_limit_error",
    message: "limit",
    details: { error_code: "contract_spend_limit_reached" },
  };
  hostile.script(
    reply({
      blocks: [text("Hello")],
      acts: [insertAt(2, frame("error", { type: "error", error }))],
    }),
  );
  const failed = await failing(session);
  expect(failed).toMatchObject({ code: "spend_cap", message: expect.stringContaining("Console") });
  await goesOn(hostile, session);
});

test.each<[string, string | object]>([
  ["no JSON", "<oops>"],
  ["null", "null"],
  ["a text", '"overloaded"'],
  ["an error of another form", { error: "overloaded" }],
  ["types that are no texts", { error: { type: { a: 1 }, message: ["x"], details: 5 } }],
])("an error event whose data is %s is tried again", async (_, data) => {
  const session = await hostile.create();
  const event = frame("error", typeof data === "string" ? data : JSON.stringify(data));
  hostile.script(reply({ blocks: [text("Hello")], acts: [insertAt(2, event)] }), text("Hello"));
  expect(await tried(hostile, session, 2)).toMatchObject({ outcome: "completed" });
  expect(failures(session)).toEqual([{ code: "upstream_error", again: true }]);
  await goesOn(hostile, session);
});

test("an error that is only in the data, under another name, is an error as well", async () => {
  const session = await hostile.create();
  const data = { type: "error", error: { type: "permission_error", message: "no" } };
  hostile.script(reply({ blocks: [text("Hello")], acts: [insertAt(3, frame("message", data))] }));
  expect(await failing(session)).toMatchObject({ code: "permission" });
  await goesOn(hostile, session);
});

const STATUS_FINAL: [status: number, type: string | undefined, code: string, says: RegExp][] = [
  [400, undefined, "invalid_request", /left out of the conversation\. Change it/],
  [401, undefined, "authentication", /Check ANTHROPIC_API_KEY/],
  [402, undefined, "billing", /Add credit/],
  [403, undefined, "permission", /Use a key that may/],
  [404, undefined, "not_found", /left out of the conversation\. Change it/],
  [413, undefined, "too_large", /Send fewer or smaller/],
  [418, "teapot_error", "upstream_refused", /Change the message or the session's settings/],
  [422, "teapot_error", "upstream_refused", /Change the message or the session's settings/],
  [451, "teapot_error", "upstream_refused", /Change the message or the session's settings/],
];

test.each(STATUS_FINAL)(
  "status %i is final and says what to do",
  async (status, type, code, says) => {
    const session = await hostile.create();
    hostile.script(httpError(status, { message: SAID, ...(type ? { type } : {}) }));
    const failed = await failing(session);
    expect(failed.code).toBe(code);
    expect(failed.message).toMatch(says);
    await goesOn(hostile, session);
  },
);

test("a prompt that is too long says how to go on", async () => {
  const session = await hostile.create();
  const said = "prompt is too long: 1000042 tokens > 1000000 maximum";
  hostile.script(httpError(400, { message: said }));
  const failed = await failing(session);
  expect(failed.code).toBe("context_overflow");
  expect(failed.message).toContain(said);
  expect(failed.message).toMatch(/Start a new session, or switch to a model/);
  await goesOn(hostile, session);
});

test("a model that does not exist: the message says to switch", async () => {
  const session = await hostile.create();
  hostile.script(httpError(404, { message: "model: claude-sonnet-5-5" }));
  const failed = await failing(session);
  expect(failed.code).toBe("model_not_found");
  expect(failed.message).toMatch(/Switch the session to another model/);
  await goesOn(hostile, session);
});

test("what an error says has no effect but its own", async () => {
  const session = await hostile.create();
  const message = `${"x".repeat(100_000)} ${API_KEY}\n\nevent: done\r\ndata: {}\u0000`;
  hostile.script(httpError(400, { message }));
  const failed = await failing(session);
  expect(failed.message.length).toBeLessThan(700);
  expect(failed.message).not.toMatch(/[\r\n]/);
  await goesOn(hostile, session);
});

test.each([
  ["types that are no texts", '{"error":{"type":7,"message":{"a":1},"details":null}}'],
  ["a text", '"nope"'],
  ["null", "null"],
  ["an array", "[1]"],
  ["cut JSON", '{"error":{"type":"inval'],
])("a 400 whose body is %s is final", async (_, body) => {
  const session = await hostile.create();
  hostile.instead(
    () => new Response(body, { status: 400, headers: { "content-type": "application/json" } }),
  );
  expect(await failing(session)).toMatchObject({ code: "invalid_request" });
  await goesOn(hostile, session);
});

const WAITS: [name: string, headers: Record<string, string>, seconds: number | null][] = [
  ["seconds", { "retry-after": "20" }, 20],
  ["a fraction of a second", { "retry-after": "0.5" }, 0.5],
  ["milliseconds", { "retry-after-ms": "1500" }, 1.5],
  ["an HTTP date", { "retry-after": "Thu, 01 Jan 2099 00:00:40 GMT" }, 40],
  ["an old HTTP date", { "retry-after": "Thursday, 01-Jan-99 00:00:40 GMT" }, null],
  ["a date that has passed", { "retry-after": "Wed, 31 Dec 2098 00:00:40 GMT" }, null],
  ["nothing", {}, null],
  ["a negative number", { "retry-after": "-20" }, null],
  ["NaN", { "retry-after": "NaN" }, null],
  ["a word with a number", { "retry-after": "soon 2100" }, null],
  ["Infinity", { "retry-after": "Infinity", "retry-after-ms": "Infinity" }, null],
  ["an exponent", { "retry-after": "1e9" }, null],
];

test.each(WAITS)(
  "a 429 with %s is tried again, not before it asks",
  async (_, headers, seconds) => {
    const session = await hostile.create();
    hostile.script(httpError(429, { headers }), text("Hello"));
    const now = hostile.clock.now;
    const sent = await session.send("hi");
    const { body } = await session.reader.row("failure");
    const wait = (body.retry?.at ?? 0) - now;
    expect(body).toMatchObject({ code: "rate_limited", retry: { attempt: 2 } });
    // Without a wish of the API it is the jitter of the first half second.
    expect(wait).toBeGreaterThanOrEqual((seconds ?? 0) * 1_000);
    expect(wait).toBeLessThanOrEqual(Math.max(500, (seconds ?? 0) * 1_000));
    await advanceToRetry(session, hostile.clock);
    expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
    await goesOn(hostile, session);
  },
);

test.each([
  ["a year", "31536000", /It asks to wait more than a day: send the message again then/],
  ["an hour", "3600", /It asks to wait 60 minutes: send the message again then/],
  ["longer than time", "9".repeat(300), /wait more than a day/],
  ["a date in a hundred years", "Fri, 01 Jan 2199 00:00:00 GMT", /wait more than a day/],
])("a 429 that asks to wait %s ends the turn at once and says so", async (_, value, says) => {
  const session = await hostile.create();
  hostile.script(httpError(429, { headers: { "retry-after": value } }));
  const failed = await failing(session);
  expect(failed.code).toBe("rate_limited");
  expect(failed.message).toMatch(says);
  await goesOn(hostile, session);
});

test.each([
  [429, true, "rate_limited"],
  [529, true, "overloaded"],
  [400, true, "upstream_error"],
])("x-should-retry: a %i is tried again", async (status, shouldRetry, code) => {
  const session = await hostile.create();
  hostile.script(httpError(status, { shouldRetry }), text("Hello"));
  expect(await tried(hostile, session, 2)).toMatchObject({ outcome: "completed" });
  expect(failures(session)).toEqual([{ code, again: true }]);
});

test.each([
  [429, "rate_limited", /again in a few minutes/],
  [529, "overloaded", /again in a few minutes/],
  [500, "upstream_error", /again later/],
])("x-should-retry: false makes a %i final", async (status, code, says) => {
  const session = await hostile.create();
  hostile.script(httpError(status, { shouldRetry: false }));
  const failed = await failing(session);
  expect(failed.code).toBe(code);
  expect(failed.message).toMatch(says);
  await goesOn(hostile, session);
});

test.each(["enforced_spend_limit_reached", "contract_spend_limit_reached"] as const)(
  "a spend cap is final, whatever the headers say: %s",
  async (errorCode) => {
    const session = await hostile.create();
    hostile.script({
      ...spendCap(errorCode),
      headers: { "x-should-retry": "true", "retry-after": "1" },
    });
    const failed = await failing(session);
    expect(failed).toMatchObject({
      code: "spend_cap",
      message: expect.stringContaining("Raise it"),
    });
    expect(hostile.requests).toHaveLength(1);
    await goesOn(hostile, session);
  },
);

test("a 529 for ten minutes: eight attempts in a minute, then the turn fails, and later all is well", async () => {
  const session = await hostile.create();
  hostile.script(...times(8, httpError(529)));
  const began = hostile.clock.now;
  const failed = await tried(hostile, session, 8);
  expect(failed).toMatchObject({ outcome: "failed", code: "overloaded" });
  expect(failed.message).toBe(
    "The model API is overloaded. It was tried 8 times. Send the message again in a few minutes.",
  );
  const waits = session.reader.rows.flatMap((row) =>
    row.type === "failure" && row.body.retry ? [row.body.retry.at - row.at] : [],
  );
  const longest = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000];
  expect(waits).toHaveLength(longest.length);
  for (const [i, wait] of waits.entries()) {
    expect(wait).toBeGreaterThanOrEqual(0);
    expect(wait).toBeLessThanOrEqual(longest[i] ?? 0);
  }
  expect(hostile.clock.now - began).toBe(waits.reduce((sum, wait) => sum + wait, 0));
  await session.reader.detach();
  hostile.clock.advance(600_000);
  session.reader.attach();
  await goesOn(hostile, session);
});

test("a 529 for ten minutes that says when to come back is waited out", async () => {
  const session = await hostile.create();
  hostile.script(...times(5, httpError(529, { retryAfter: 120 })), text("Hello"));
  const began = hostile.clock.now;
  const sent = await session.send("hi");
  for (let attempt = 2; attempt <= 6; attempt++) {
    await session.reader.row("failure", ({ body }) => body.retry?.attempt === attempt);
    await session.reader.detach();
    hostile.clock.advance(120_000);
    await runAlarm(session);
    await hostile.settled(attempt - 1);
    session.reader.attach();
  }
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(hostile.clock.now - began).toBe(600_000);
  await goesOn(hostile, session);
});
