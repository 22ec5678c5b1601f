/** The session's history: in pages, by long poll, and as a stream from any place. */
import { expect, test, vi } from "vitest";
import { clock } from "../../src/shared/clock.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import {
  allFrames,
  type Frame,
  framesUntil,
  functionTool,
  get,
  idOf,
  inside,
  names,
  newSession,
  post,
  send,
  standin,
  withStandin,
} from "../api/cc/server.ts";

withStandin();

interface Event {
  id: number;
  type: string;
  turn_id: string | null;
  data: Record<string, unknown>;
}

interface Page {
  data: Event[];
  has_more: boolean;
  last_id: number;
}

const page = async (session: string, query = ""): Promise<Page> =>
  (await get(`${session}/events${query}`)).json<Page>();

/** A session after one plain turn: rows 1 to 7, of which 3 (`call.started`) has no event. */
async function talked(): Promise<string> {
  const session = await newSession({ title: "Talk", metadata: { a: 1 } });
  standin.script([thinking("Hm."), text("Hello.")]);
  expect((await post(`${session}/turns`, { input: "Hi" })).status).toBe(200);
  return session;
}

const PLAIN = [
  [1, "session.created"],
  [2, "turn.started"],
  [4, "thinking.completed"],
  [5, "assistant.completed"],
  [6, "call.completed"],
  [7, "turn.completed"],
];

const outline = ({ data }: Page) => data.map(({ id, type }) => [id, type]);

test("a page has all events in order, each with its place", async () => {
  const session = await talked();
  const all = await page(session);
  expect(outline(all)).toEqual(PLAIN);
  expect(all).toMatchObject({ has_more: false, last_id: 7 });
  expect(all.data[0]).toEqual({
    id: 1,
    type: "session.created",
    session_id: idOf(session),
    turn_id: null,
    created_at: expect.stringMatching(/Z$/),
    data: { model: "claude-sonnet-5-5", title: "Talk", metadata: { a: 1 } },
  });
  expect(all.data[1]).toMatchObject({ turn_id: "turn_2", data: { input: "Hi" } });
});

test("pages of any size join to the whole", async () => {
  const session = await talked();
  for (const limit of [1, 2, 3, 5]) {
    const joined: [number, string][] = [];
    let after = 0;
    for (let more = true; more; ) {
      const one = await page(session, `?limit=${limit}&after=${after}`);
      expect(one.data.length).toBeLessThanOrEqual(limit);
      joined.push(...one.data.map(({ id, type }): [number, string] => [id, type]));
      after = one.last_id;
      more = one.has_more;
    }
    expect(joined).toEqual(PLAIN);
    expect(after).toBe(7);
  }
});

test.each([
  ["0", 6],
  ["3", 4],
  ["3:5", 4],
  ["6+1", 1],
  ["7", 0],
])("after=%s gives the events of the rows behind it", async (after, count) => {
  const session = await talked();
  const query = `?after=${encodeURIComponent(after)}`;
  expect((await page(session, query)).data.length).toBe(count);
});

test("type chooses events, and the texts of a chosen outcome are whole", async () => {
  const session = await talked();
  const some = await page(session, "?type=turn.started,turn.completed&limit=1");
  expect(outline(some)).toEqual([[2, "turn.started"]]);
  expect(some.has_more).toBe(true);
  const rest = await page(session, `?type=turn.started,turn.completed&after=${some.last_id}`);
  expect(rest).toMatchObject({
    data: [{ id: 7, data: { output_text: "Hello." } }],
    has_more: false,
    last_id: 7,
  });
  expect(await page(session, "?type=nothing")).toEqual({ data: [], has_more: false, last_id: 7 });
});

test.each(["x", "-1", "1.5", "1:", "01", ""])("after=%j is 400", async (after) => {
  const session = await newSession();
  for (const path of ["/events", "/events/stream"]) {
    if (path.endsWith("stream") && after === "") continue;
    const response = await get(`${session}${path}?after=${after}`);
    expect([path, response.status]).toEqual([path, 400]);
    expect(await response.json()).toMatchObject({ error: { code: "invalid_cursor" } });
  }
});

test("a cursor ahead of the session is 409 and says where the session is", async () => {
  const session = await newSession();
  const response = await get(`${session}/events?after=2`);
  expect(response.status).toBe(409);
  expect(await response.json()).toMatchObject({ error: { code: "cursor_ahead" }, last_id: 1 });
});

test("a long poll answers at once when there is something", async () => {
  const session = await newSession();
  expect(outline(await page(session, "?wait=25"))).toEqual([[1, "session.created"]]);
});

test("a long poll waits for the first new event", async () => {
  const session = await newSession();
  const waiting = page(session, "?after=1&wait=25");
  await send("PATCH", session, { title: "new" });
  expect(await waiting).toMatchObject({
    data: [{ id: 2, type: "session.updated", data: { title: "new" } }],
    has_more: false,
    last_id: 2,
  });
});

test("a long poll waits for an event of its types", async () => {
  const session = await newSession();
  const waiting = page(session, "?after=1&wait=25&type=turn.completed");
  await send("PATCH", session, { title: "new" });
  standin.script(text("Hello."));
  await post(`${session}/turns`, { input: "Hi" });
  const got = await waiting;
  expect(got.data.map(({ type }) => type)).toEqual(["turn.completed"]);
});

test("a long poll ends without an event after its time", async () => {
  const session = await newSession();
  const after = clock.after.bind(clock);
  vi.spyOn(clock, "after").mockImplementation((ms, run) => after(ms === 25_000 ? 0 : ms, run));
  expect(await page(session, "?after=1&wait=25")).toEqual({
    data: [],
    has_more: false,
    last_id: 1,
  });
  vi.restoreAllMocks();
});

test("a long poll on a session that is deleted is 404", async () => {
  const session = await newSession();
  const waiting = get(`${session}/events?after=1&wait=25`);
  await send("DELETE", session);
  expect((await waiting).status).toBe(404);
});

test("the stream gives what was and what comes, once and in order", async () => {
  const session = await talked();
  const stream = await get(`${session}/events/stream`);
  standin.script(text("More."));
  const until = framesUntil(stream, "never");
  await post(`${session}/turns`, { input: "Go on" });
  await send("DELETE", session);
  const got = (await until).filter(({ event }) => !event?.endsWith(".delta"));
  expect(got.map(({ id, event }) => [Number(id), event])).toEqual([
    ...PLAIN,
    [8, "turn.started"],
    [10, "assistant.completed"],
    [11, "call.completed"],
    [12, "turn.completed"],
    [13, "session.deleted"],
  ]);
  expect(got.every(({ id, data }) => data.id === Number(id))).toBe(true);
});

test("frames of the stream are the events of the pages", async () => {
  const session = await talked();
  const all = await page(session);
  const stream = await framesUntil(await get(`${session}/events/stream`), "turn.completed");
  expect(stream.map(({ data }) => data)).toEqual(all.data);
});

test("the stream goes on behind ?after= and Last-Event-ID, and the header wins", async () => {
  const session = await talked();
  const first = async (query: string, headers?: Record<string, string>): Promise<Frame[]> =>
    framesUntil(await get(`${session}/events/stream${query}`, headers), "turn.completed");
  expect(names(await first("?after=5"))).toEqual(["call.completed", "turn.completed"]);
  expect(names(await first("", { "last-event-id": "6" }))).toEqual(["turn.completed"]);
  expect(names(await first("?after=1", { "last-event-id": "6" }))).toEqual(["turn.completed"]);
});

test("a cursor ahead of the session is an error frame on a stream", async () => {
  const session = await newSession();
  const got = await allFrames(await get(`${session}/events/stream?after=9`));
  expect(got).toMatchObject([{ event: "error", data: { code: "cursor_ahead" } }]);
});

test("a reader that comes back in mid-message gets exactly the rest", async () => {
  const session = await newSession();
  const gate = createGate();
  standin.script(
    reply({
      blocks: [text("Hello there", { deltas: ["Hello", " there"] })],
      acts: [holdAt({ block: 0, delta: 1 }, gate)],
    }),
  );
  const turn = post(`${session}/turns`, { input: "Hi" });
  const first = await framesUntil(await get(`${session}/events/stream`), "assistant.delta");
  const last = first.at(-1);
  expect(last).toMatchObject({ id: "3:5", data: { data: { text: "Hello" } } });
  await inside(session, () => gate.open());
  const again = await get(`${session}/events/stream`, { "last-event-id": last?.id ?? "" });
  const rest = await framesUntil(again, "turn.completed");
  const deltas = rest.filter(({ event }) => event === "assistant.delta");
  const texts = deltas.map(({ data }) => Object(data.data).text);
  // The message may have ended before the reader was back: its block then says all.
  expect(["", " there"]).toContain(texts.join(""));
  expect(rest.find(({ event }) => event === "assistant.completed")?.data).toMatchObject({
    data: { output_text: "Hello there" },
  });
  expect((await turn).status).toBe(200);
});

test("the stream shows a tool's call and result under one id", async () => {
  const session = await newSession();
  standin.script(toolUse("look", { at: "sky" }), text("Blue."));
  await post(`${session}/turns`, { input: "Look", tools: [functionTool("look")] });
  const results = [{ tool_call_id: "call_3_0", content: "blue" }];
  await post(`${session}/tool-results`, { results });
  const events = await page(session, "?type=tool_call.requested,tool_result.accepted");
  expect(events.data).toMatchObject([
    { type: "tool_call.requested", data: { id: "call_3_0", name: "look" } },
    { type: "tool_result.accepted", data: { tool_call_id: "call_3_0", is_error: false } },
  ]);
});
