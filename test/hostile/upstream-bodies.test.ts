/** Answers that are no answer of the Messages API: pages, redirects, bodies without an end. */
import { expect, test, vi } from "vitest";
import { text } from "../../src/standin/replies.ts";
import { advanceToRetry } from "../support/sessions.ts";
import {
  API_KEY,
  failing,
  failures,
  goesOn,
  tried,
  useHostile,
  withUpstream,
} from "./upstream-support.ts";

const hostile = useHostile();

/** Some read 32 MB. */
const LONG = { timeout: 60_000 };

const PAGE = `<!doctype html><title>Sorry</title><p>${API_KEY} was not let in.</p>`;
const HTML = { "content-type": "text/html; charset=utf-8", "request-id": `<b>${API_KEY}</b>` };
const SSE = { "content-type": "text/event-stream" };
const JSON_TYPE = { "content-type": "application/json" };

const MESSAGE = JSON.stringify({ id: "msg_1", type: "message", role: "assistant", content: [] });
const ERROR = JSON.stringify({ type: "error", error: { type: "api_error", message: API_KEY } });

/** A body of pieces of 1 MB, more of them than are read; `left` tells when its reader hung up. */
function endless(
  piece: string,
  pieces = 40,
): { body: ReadableStream<Uint8Array>; left: Promise<void> } {
  const bytes = new TextEncoder().encode(piece.repeat(Math.ceil(1e6 / piece.length)));
  const left = Promise.withResolvers<void>();
  left.promise.catch(() => {});
  let rest = pieces;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      rest -= 1;
      if (rest > 0) return controller.enqueue(bytes);
      left.reject(new Error("all of it was read"));
      controller.close();
    },
    cancel: () => left.resolve(),
  });
  return { body, left: left.promise };
}

const broken = (piece: string): ReadableStream<Uint8Array> => {
  let sent = false;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent) controller.error(new TypeError(`connection lost ${API_KEY}`));
      else controller.enqueue(new TextEncoder().encode(piece));
      sent = true;
    },
  });
};

const RETRIED: [string, () => Response | Promise<Response>, string][] = [
  ["a 503 with a page", () => new Response(PAGE, { status: 503, headers: HTML }), "upstream_error"],
  ["a 502 with a page", () => new Response(PAGE, { status: 502, headers: HTML }), "upstream_error"],
  ["a 520 with nothing", () => new Response(null, { status: 520 }), "upstream_error"],
  ["a 529 with a page", () => new Response(PAGE, { status: 529, headers: HTML }), "overloaded"],
  ["a 429 with a page", () => new Response(PAGE, { status: 429, headers: HTML }), "rate_limited"],
  ["a 500 whose body breaks", () => new Response(broken("{"), { status: 500 }), "upstream_error"],
  [
    "a 500 without an end",
    () => new Response(endless("x").body, { status: 500 }),
    "upstream_error",
  ],
  ["a 200 with a page", () => new Response(PAGE, { headers: HTML }), "malformed_stream"],
  [
    "a 200 with a page without an end",
    () => new Response(endless("x").body, { headers: HTML }),
    "malformed_stream",
  ],
  ["a 200 with a message", () => new Response(MESSAGE, { headers: JSON_TYPE }), "malformed_stream"],
  ["a 200 with an error", () => new Response(ERROR, { headers: JSON_TYPE }), "malformed_stream"],
  ["a 200 with plain text", () => new Response(API_KEY), "malformed_stream"],
  [
    "a 200 of a secret type",
    () => new Response("x", { headers: { "content-type": API_KEY } }),
    "malformed_stream",
  ],
  ["a 200 with nothing", () => new Response(null), "malformed_stream"],
  ["a 204", () => new Response(null, { status: 204 }), "malformed_stream"],
  ["an empty stream", () => new Response("", { headers: SSE }), "stream_cut"],
  ["a stream without a body", () => new Response(null, { headers: SSE }), "stream_cut"],
  ["a stream that breaks at once", () => new Response(broken(""), { headers: SSE }), "stream_cut"],
  ["a stream of a page", () => new Response(PAGE, { headers: SSE }), "stream_cut"],
  [
    "a stream without an end",
    () => new Response(endless(": hi\n\n").body, { headers: SSE }),
    "malformed_stream",
  ],
  ["no connection", () => Promise.reject(new TypeError(`refused ${API_KEY}`)), "connection_failed"],
];

test.each(RETRIED)("%s is tried again", LONG, async (_, answer, code) => {
  const session = await hostile.create();
  hostile.instead(answer);
  hostile.script(text("Hello"));
  expect(await tried(hostile, session, 2)).toMatchObject({ outcome: "completed" });
  expect(failures(session)).toEqual([{ code, again: true }]);
  await goesOn(hostile, session);
});

test("what sends without an end is hung up on", LONG, async () => {
  const session = await hostile.create();
  const streams = [endless(": hi\n\n"), endless("x"), endless("x", 5)] as const;
  hostile.instead(() => new Response(streams[0].body, { headers: SSE }));
  hostile.instead(() => new Response(streams[1].body, { status: 500 }));
  hostile.instead(() => new Response(streams[2].body, { headers: HTML }));
  hostile.script(text("Hello"));
  expect(await tried(hostile, session, 4)).toMatchObject({ outcome: "completed" });
  await Promise.all(streams.map(({ left }) => left));
  const [first] = session.reader.rows.filter(({ type }) => type === "failure");
  expect(first?.body).toMatchObject({
    message: "The model API's answer could not be read: its answer does not end.",
  });
});

const FINAL: [number, string, RegExp][] = [
  [300, "upstream_refused", /Set ANTHROPIC_BASE_URL to the address to which it leads/],
  [301, "upstream_refused", /Set ANTHROPIC_BASE_URL to the address to which it leads/],
  [302, "upstream_refused", /Set ANTHROPIC_BASE_URL to the address to which it leads/],
  [307, "upstream_refused", /Set ANTHROPIC_BASE_URL to the address to which it leads/],
  [308, "upstream_refused", /Set ANTHROPIC_BASE_URL to the address to which it leads/],
  [400, "invalid_request", /left out of the conversation\. Change it/],
  [401, "authentication", /Check ANTHROPIC_API_KEY/],
  [403, "permission", /Use a key that may/],
  [404, "upstream_refused", /Check ANTHROPIC_BASE_URL/],
  [405, "upstream_refused", /Check ANTHROPIC_BASE_URL/],
  [407, "upstream_refused", /Check ANTHROPIC_BASE_URL/],
  [413, "too_large", /Send fewer or smaller/],
  [421, "upstream_refused", /Check ANTHROPIC_BASE_URL/],
];

test.each(FINAL)("a %i with a page is final and says what to check", async (status, code, says) => {
  const session = await hostile.create();
  const headers = { ...HTML, location: "https://example.com/v1/messages" };
  hostile.instead(() => new Response(PAGE, { status, headers }));
  const failed = await failing(session);
  expect(failed.code).toBe(code);
  expect(failed.message).toMatch(says);
  // A redirect was not followed: the key would have gone with it.
  expect(vi.mocked(fetch)).toHaveBeenCalledTimes(1);
  expect(vi.mocked(fetch).mock.calls[0]?.[1]).toMatchObject({ redirect: "manual" });
  await goesOn(hostile, session);
});

test("an event stream is one whatever its type's case and parameters", async () => {
  const session = await hostile.create();
  hostile.script(text("Hello"));
  const { fetch: standin } = hostile.standin;
  hostile.instead(async (init) => {
    const response = await standin("https://api.anthropic.com/v1/messages", init);
    const headers = { "content-type": "Text/Event-Stream ; Charset=UTF-8" };
    return new Response(response.body, { headers });
  });
  expect(await session.turn("hi")).toMatchObject({ outcome: "completed" });
  await goesOn(hostile, session);
});

test("an address where nobody listens is tried again", async () => {
  const session = await hostile.create();
  await withUpstream(session, { ANTHROPIC_BASE_URL: "http://127.0.0.1:1" });
  const planted = vi.mocked(fetch).getMockImplementation();
  vi.mocked(fetch).mockRestore();
  const sent = await session.send("hi");
  await session.reader.row("failure");
  vi.spyOn(globalThis, "fetch").mockImplementation(planted ?? expect.fail);
  hostile.script(text("Hello"));
  await advanceToRetry(session, hostile.clock);
  expect(await session.outcome(sent)).toMatchObject({ outcome: "completed" });
  expect(failures(session)).toEqual([{ code: "connection_failed", again: true }]);
  await goesOn(hostile, session);
});

test("no connection eight times: the message says what to check", async () => {
  const session = await hostile.create();
  for (let i = 0; i < 8; i++) hostile.instead(() => Promise.reject(new TypeError(API_KEY)));
  expect(await tried(hostile, session, 8)).toMatchObject({
    outcome: "failed",
    code: "connection_failed",
    message:
      "The connection to the model API failed. It was tried 8 times. " +
      "Check the network and ANTHROPIC_BASE_URL, then send the message again.",
  });
  await goesOn(hostile, session);
});

test.each([
  ["a key that no header can carry", { ANTHROPIC_API_KEY: "PLANTED\u0000key" }],
  ["no key", { ANTHROPIC_API_KEY: "", STANDIN: "false" }],
  ["a wrong address", { ANTHROPIC_BASE_URL: "PLANTED" }],
])("with %s nothing is sent, and the message says what to check", async (_, variables) => {
  const session = await hostile.create();
  await withUpstream(session, variables);
  expect(await failing(session)).toMatchObject({
    code: "request_not_sent",
    message: expect.stringMatching(/Check that ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL are set/),
  });
  expect(vi.mocked(fetch)).not.toHaveBeenCalled();
  await withUpstream(session, { ANTHROPIC_API_KEY: API_KEY, ANTHROPIC_BASE_URL: "" });
  await goesOn(hostile, session);
});

test("an id of the call that is none is not shown", async () => {
  const session = await hostile.create();
  hostile.instead(() => new Response(PAGE, { status: 401, headers: HTML }));
  await failing(session);
  const ended = await session.reader.row("call.ended");
  expect(ended.body.request_id).toBeNull();
});

test("many broken pages in a row end the turn, and later all is well", async () => {
  const session = await hostile.create();
  for (let i = 0; i < 8; i++) {
    hostile.instead(() => new Response(PAGE, { status: 500 + i, headers: HTML }));
  }
  const failed = await tried(hostile, session, 8);
  expect(failed).toMatchObject({ outcome: "failed", code: "upstream_error" });
  expect(failed.message).toMatch(
    /status 507\)\. It was tried 8 times\. Send the message again later/,
  );
  await goesOn(hostile, session);
});
