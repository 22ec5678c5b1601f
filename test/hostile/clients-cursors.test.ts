/** Cursors that no server gave, in every place that takes one. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text, thinking, toolUse } from "../../src/standin/replies.ts";
import {
  functionTool,
  get,
  inside,
  newSession,
  post,
  send,
  standin,
  withStandin,
} from "../api/cc/server.ts";
import { crash, HostileClient, headOf, logged, type SeenFrame, wholeLog } from "./clients.ts";

withStandin();

interface Page {
  data: { id: number; type: string }[];
  last_id: number;
}

interface Problem {
  detail: string;
  error: { code: string };
  last_id?: number;
}

const MALFORMED = [
  "-1",
  "+1",
  "1.5",
  "1e3",
  "0x1",
  "00",
  "01",
  "1:",
  ":1",
  "1+",
  "1:-1",
  "1:01",
  "1:2:3",
  "1+2+3",
  "1:2+3",
  "1;2",
  "1,2",
  "1 2 3",
  "1\u00a02",
  "null",
  "NaN",
  "Infinity",
  "undefined",
  "sevt_1",
  "\u0661",
  "\uff11",
  "1\u200b",
  "\u00e9",
  "🙂",
  "%",
  "1\u0000",
  "9".repeat(16),
  "1:".padEnd(40, "9"),
  "9".repeat(60_000),
  "x".repeat(60_000),
  "'; DROP TABLE log; --",
  "../1",
];

/** A session of two turns; its second one waits for a client's tool. */
async function talked(): Promise<string> {
  const session = await newSession();
  standin.script([thinking("Hm."), text("Hello 🙂.")], [text("Looking."), toolUse("look", {})]);
  await post(`${session}/turns`, { input: "Hi" });
  await post(`${session}/turns`, { input: "Look", tools: [functionTool("look")] });
  return session;
}

/** What can be sent as a header here; other bytes need a socket of one's own. */
const isHeader = (text: string): boolean => /^[\x20-\x7e]{0,1000}$/.test(text);

test.each(MALFORMED)("%j is refused wherever it stands, and the rule is named", async (cursor) => {
  const session = await newSession();
  const query = `after=${encodeURIComponent(cursor)}`;
  const requests = [get(`${session}/events?${query}`), get(`${session}/events/stream?${query}`)];
  if (isHeader(cursor)) {
    const headers = { "last-event-id": cursor };
    requests.push(get(`${session}/events/stream`, headers));
    // The header is the newer of the two, also when it is wrong.
    requests.push(get(`${session}/events/stream?after=1`, headers));
  }
  for (const response of await Promise.all(requests)) {
    expect(response.status).toBe(400);
    expect(await response.json<Problem>()).toMatchObject({
      detail: "The cursor must be the id of an event of this session, or 0",
      error: { code: "invalid_cursor" },
    });
  }
});

test.each(["8", "8:3", "8+1", "7+1", "999999999999999", "999999999999999:999999999999999"])(
  "%s is ahead of a session of seven rows: a page and a stream say so",
  async (cursor) => {
    const session = await newSession();
    standin.script([thinking("Hm."), text("Hello.")]);
    await post(`${session}/turns`, { input: "Hi" });
    expect(await headOf(session)).toBe(7);
    const page = await get(`${session}/events?after=${encodeURIComponent(cursor)}`);
    // A page counts rows only, and row 7 is there.
    expect(page.status).toBe(cursor === "7+1" ? 200 : 409);
    if (page.status === 409) {
      expect(await page.json()).toMatchObject({ error: { code: "cursor_ahead" }, last_id: 7 });
    }
    const stream = await HostileClient.open(`${session}/events/stream`, {
      headers: { "last-event-id": cursor },
    });
    expect(stream.response.status).toBe(200);
    await stream.readToEnd();
    expect(stream.frames).toMatchObject([
      { id: cursor, event: "error", data: { code: "cursor_ahead", retryable: false, head: 7 } },
    ]);
  },
);

/** The row in front of a cursor, and how many frames of the next one it counts. */
function placeOf(cursor: string): { seq: number; frames: number } {
  const [seq = "", frames = "0"] = cursor.split("+");
  return { seq: Number.parseInt(seq, 10), frames: Number(frames) };
}

const number = fc.oneof(fc.nat({ max: 20 }), fc.nat(), fc.constantFrom(999_999, 999_999_999_999));
const wellFormed = fc
  .tuple(fc.nat({ max: 16 }), fc.constantFrom("", ":", "+"), number)
  .map(([seq, mark, rest]) => (mark === "" ? String(seq) : `${seq}${mark}${rest}`));
const anything = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.string({ unit: fc.constantFrom(..."0123456789:+- "), maxLength: 8 }),
);

test("whatever stands in header and query, a stream has rows once and in order, or says what is wrong", async () => {
  const session = await talked();
  const whole = await wholeLog(session);
  const head = await headOf(session);
  const statuses = new Set<number>();
  const cursor = fc.oneof({ weight: 3, arbitrary: wellFormed }, anything);
  const property = fc.asyncProperty(
    fc.option(cursor.filter(isHeader), { nil: undefined }),
    fc.option(cursor, { nil: undefined }),
    async (header, query) => {
      const search = query === undefined ? "" : `?after=${encodeURIComponent(query)}`;
      const headers = header === undefined ? {} : { "last-event-id": header };
      const client = await HostileClient.open(`${session}/events/stream${search}`, { headers });
      statuses.add(client.response.status);
      if (client.response.status === 400) return;
      expect(client.response.status).toBe(200);
      const from = (header?.trim() || query || "0").replace(" ", "+");
      const place = placeOf(from);
      if (place.seq > head || (place.seq === head && place.frames > 0)) {
        await client.readToEnd();
        expect(client.frames).toMatchObject([{ id: from, data: { code: "cursor_ahead" } }]);
        return;
      }
      const expected = whole.filter(({ id }) => {
        const seq = Number(id);
        // Each row of a session's stream has one frame.
        return seq > place.seq && !(place.frames > 0 && seq === place.seq + 1);
      });
      if (expected.length > 0) await client.readToRow(head);
      client.leave();
      expect(logged(client.frames)).toEqual(logged(expected));
      expect(client.frames.map(({ data }) => data)).toEqual(expected.map(({ data }) => data));
    },
  );
  await fc.assert(property, {
    numRuns: 300,
    examples: [
      ["7", "3"],
      ["0", "x"],
      ["5+99", undefined],
      ["1:999999", "12"],
      [undefined, "7+0"],
    ],
  });
  expect(statuses).toEqual(new Set([200, 400]));
});

test("a cursor of another session is a place in this one, or ahead of it", async () => {
  const [long, short] = [await talked(), await newSession()];
  for (const { id } of await wholeLog(long)) {
    const client = await HostileClient.open(`${short}/events/stream?after=${id}`);
    if (Number(id) > 1) {
      await client.readToEnd();
      expect(client.frames).toMatchObject([{ event: "error", data: { code: "cursor_ahead" } }]);
    }
    client.leave();
  }
});

const deltasOf = (frames: readonly SeenFrame[]): string =>
  frames
    .filter(({ event }) => event === "assistant.delta")
    .map(({ data }) => Object(data.data).text)
    .join("");

const follow = (session: string, cursor: string): Promise<HostileClient> =>
  HostileClient.open(`${session}/events/stream`, { headers: { "last-event-id": cursor } });

const postAgain = (session: string, cursor: string): Promise<HostileClient> =>
  HostileClient.open(`${session}/turns`, {
    method: "POST",
    headers: { "idempotency-key": "k", "last-event-id": cursor },
    body: { input: "Hi", stream: true },
  });

/** Ways to come back to a turn. */
const WAYS = { "events/stream": follow, "the POST sent again": postAgain };

test.each(Object.entries(WAYS))(
  "at %s an offset inside a surrogate pair or beyond the preview breaks no text and loses no row",
  async (_, comeBack) => {
    const session = await newSession();
    const gate = createGate();
    const deltas = ["a🙂b🙃🙃", "c", "🙂 end."];
    standin.script(
      reply({
        blocks: [text(deltas.join(""), { deltas })],
        acts: [holdAt({ block: 0, delta: 1 }, gate)],
      }),
    );
    const turn = post(
      `${session}/turns`,
      { input: "Hi", stream: true },
      { "idempotency-key": "k" },
    );
    const shown = deltas[0] ?? "";
    const watcher = await HostileClient.open(`${session}/events/stream`);
    await watcher.readUntil((one) => one.has("assistant.delta"));
    const clients = new Map<number, HostileClient>();
    for (const offset of [...Array(shown.length + 1).keys(), 20, 999_999, 999_999_999_999_999]) {
      clients.set(offset, await comeBack(session, `3:${offset}`));
    }
    await inside(session, () => gate.open());
    await (await turn).text();
    const whole = deltas.join("");
    const rows = logged(await wholeLog(session)).slice(2, -1);
    for (const [offset, client] of clients) {
      await client.readUntil((one) => one.has("turn.completed"));
      client.leave();
      // Whoever claims half of a character gets all of it.
      const from = whole.slice(0, offset).isWellFormed() ? offset : offset - 1;
      // As JSON, in which half a character can be printed.
      const seen = JSON.stringify(deltasOf(client.frames));
      expect([offset, seen]).toEqual([offset, JSON.stringify(whole.slice(from))]);
      const ids = client.frames.map(({ id }) => Number.parseInt(id, 10));
      expect(ids).toEqual(ids.toSorted((one, other) => one - other));
      expect(logged(client.frames).slice(0, rows.length)).toEqual(rows);
    }
    watcher.leave();
  },
);

const again = async (session: string, cursor: string): Promise<HostileClient> =>
  (await postAgain(session, cursor)).readToEnd();

test("a POST sent again with any cursor gives the rest of its answer, and ends", async () => {
  const session = await newSession();
  standin.script([thinking("Hm."), text("Hello.")], text("More."));
  const body = { input: "Hi", stream: true };
  const headers = { "idempotency-key": "k" };
  const first = await HostileClient.open(`${session}/turns`, { method: "POST", headers, body });
  const whole = logged((await first.readToEnd()).frames);
  await post(`${session}/turns`, { input: "More" });
  expect(await headOf(session)).toBe(12);

  for (const cursor of ["0", "1", "1:4", "1+1", "x", "-1"]) {
    expect([cursor, logged((await again(session, cursor)).frames)]).toEqual([cursor, whole]);
  }
  for (const [n, frame] of whole.entries()) {
    const [id = ""] = frame.split(" ");
    expect([id, logged((await again(session, id)).frames)]).toEqual([id, whole.slice(n + 1)]);
  }
  // Places of the next turn, and in this one that count more than there is.
  for (const cursor of ["8", "10:3", "11+1", "12", "6+9", "6+3"]) {
    expect([cursor, (await again(session, cursor)).frames]).toEqual([cursor, []]);
  }
  expect(logged((await again(session, "3:999999")).frames)).toEqual(whole.slice(1));
  for (const cursor of ["12+1", "13", "999999999999999:1"]) {
    const { response } = await HostileClient.open(`${session}/turns`, {
      method: "POST",
      headers: { ...headers, "last-event-id": cursor },
      body,
    });
    expect(response.status).toBe(409);
  }
  expect(standin.requests.length).toBe(2);
});

test("an offset in a message that was lost means nothing for the next attempt at it", async () => {
  const session = await newSession();
  const gates = [createGate(), createGate()];
  const attempts = ["First attempt", "Second attempt"].map((whole, n) => {
    const gate = gates[n] ?? createGate();
    const deltas = [whole, "."];
    const acts = [holdAt({ block: 0, delta: 1 }, gate)];
    return reply({ blocks: [text(`${whole}.`, { deltas })], acts });
  });
  standin.script(...attempts);
  const first = await postAgain(session, "0");
  await first.readUntil((one) => one.has("assistant.delta"));
  expect(first.cursor).toBe("3:13");
  await crash(session);
  await first.readUntil(
    ({ frames }) => frames.filter(({ event }) => event === "assistant.delta").length === 2,
  );
  const again = await postAgain(session, "3:13");
  await inside(session, () => gates[1]?.open());
  await again.readToEnd();
  expect(logged(again.frames)).toEqual([
    "4 call.completed",
    "6 assistant.completed",
    "7 call.completed",
    "7+1 turn.completed",
    "7+2 turn.response",
    "8 done",
  ]);
  expect(deltasOf(again.frames)).toBe("Second attempt.");
  await first.readToEnd();
  expect(deltasOf(first.frames)).toBe("First attemptSecond attempt.");
});

test("a steer that became a turn of its own is resumed where its client left it", async () => {
  const session = await newSession();
  const gate = createGate();
  standin.script(
    reply({ blocks: [text("First.")], acts: [holdAt("request", gate)] }),
    text("Second."),
  );
  const turn = post(`${session}/turns`, { input: "One" });
  const watcher = await HostileClient.open(`${session}/events/stream`);
  await watcher.readToRow(2);
  const steer = (cursor?: string) =>
    HostileClient.open(`${session}/turns`, {
      method: "POST",
      headers: { "idempotency-key": "s", ...(cursor ? { "last-event-id": cursor } : {}) },
      body: { input: "Two", on_busy: "steer", stream: true },
    });
  const client = await steer();
  await inside(session, () => gate.open());
  const whole = logged((await client.readToEnd()).frames);
  watcher.leave();
  expect((await turn).status).toBe(200);
  expect(whole.at(-1)).toMatch(/ done$/);
  for (const [n, frame] of whole.entries()) {
    const [id = ""] = frame.split(" ");
    const rest = await (await steer(id)).readToEnd();
    expect([id, logged(rest.frames)]).toEqual([id, whole.slice(n + 1)]);
  }
});

test("pages with any cursor give every event behind its row once", async () => {
  const session = await talked();
  const all = await (await get(`${session}/events`)).json<Page>();
  const head = await headOf(session);
  for (let seq = 0; seq <= head; seq++) {
    for (const rest of ["", ":0", ":5", ":999999", "+0", "+1", "+99", " 1"]) {
      const after = encodeURIComponent(`${seq}${rest}`);
      const response = await get(`${session}/events?after=${after}`);
      expect(response.status).toBe(200);
      const { data } = await response.json<Page>();
      expect(data).toEqual(all.data.filter(({ id }) => id > seq));
    }
  }
  // Of two the first one counts; a header means nothing to a page.
  const twice = await get(`${session}/events?after=${head}&after=0`, { "last-event-id": "x" });
  expect((await twice.json<Page>()).data).toEqual([]);
  await send("DELETE", session);
});
