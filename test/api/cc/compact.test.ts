/** `POST …/compact` and `GET …/search` as clients use them. */
import { beforeEach, expect, test } from "vitest";
import type { JsonObject } from "../../../src/shared/content.ts";
import { createGate } from "../../../src/standin/gate.ts";
import {
  compaction,
  holdAt,
  httpError,
  reply,
  text,
  thinking,
  toolUse,
} from "../../../src/standin/replies.ts";
import { beHome, home } from "../../support/home.ts";
import {
  functionTool,
  get,
  idOf,
  inside,
  modelCall,
  newSession,
  post,
  rowsOf,
  send,
  standin,
  withStandin,
} from "./server.ts";

withStandin();
beforeEach(() => beHome());

async function say(session: string, input: string, more: JsonObject = {}): Promise<JsonObject> {
  const response = await post(`${session}/turns`, { input, ...more });
  expect(response.status).toBe(200);
  return response.json();
}

const json = async (response: Promise<Response>): Promise<JsonObject> => (await response).json();

const plain = { tools: [] };

test("the answer says what was covered, how large it is now, and what it cost", async () => {
  const session = await newSession(plain);
  standin.script(text("Hello."), text("Fine."), compaction("They greeted each other."));
  await say(session, "Hi");
  await say(session, "How are you?");
  const answer = await json(post(`${session}/compact`, {}));
  expect(answer).toEqual({
    id: idOf(session),
    compacted: true,
    messages_before: 4,
    messages_after: 1,
    summary_chars: "They greeted each other.".length,
    tokens_before: expect.any(Number),
    tokens_after: expect.any(Number),
    cost_usd: expect.any(Number),
    method: "api",
  });
  expect(Number(answer.tokens_after)).toBeLessThan(Number(answer.tokens_before));
  const page = await json(get(`${session}/events?type=session.compacted,assistant.completed`));
  const events = page.data as JsonObject[];
  expect(events.map(({ type }) => type)).toEqual([
    "assistant.completed",
    "assistant.completed",
    "session.compacted",
  ]);
  const { id, compacted, summary_chars, ...figures } = answer;
  expect(events.at(-1)?.data).toEqual(figures);
});

test("under a key it is done once, and under the same key with another body refused", async () => {
  const session = await newSession(plain);
  standin.script(text("Hello."), compaction("They met."));
  await say(session, "Hi");
  const key = { "idempotency-key": "k1" };
  const first = await post(`${session}/compact`, { instructions: "Short." }, key);
  const again = await post(`${session}/compact`, { instructions: "Short." }, key);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await again.json()).toEqual(await first.json());
  expect((await post(`${session}/compact`, {}, key)).status).toBe(409);
  expect(await rowsOf(session, "compaction.requested")).toHaveLength(1);
});

test("what failed is said, and the session goes on", async () => {
  const session = await newSession(plain);
  standin.script(text("Hello."), httpError(401), text("Fine."));
  await say(session, "Hi");
  expect(await json(post(`${session}/compact`, {}))).toMatchObject({
    compacted: false,
    reason: expect.stringContaining("refused the key"),
    messages_before: null,
  });
  await say(session, "Go on");
  expect(modelCall(-1).messages).toHaveLength(3);
});

test("a client that compacts while its calls are open is answered at once", async () => {
  const session = await newSession();
  const tools = [functionTool("look")];
  standin.script(text("Hello."), toolUse("look", {}), compaction("They met."), text("Blue."));
  await say(session, "Hi", { tools });
  const { tool_calls } = await say(session, "What colour?", { tools });
  expect(await json(post(`${session}/compact`, { keep_recent_messages: 1 }))).toMatchObject({
    compacted: true,
    messages_before: 4,
    messages_after: 3,
  });
  const [call] = tool_calls as JsonObject[];
  const results = [{ tool_call_id: call?.id, content: "blue" }];
  expect(await json(post(`${session}/tool-results`, { results }))).toMatchObject({
    output_text: "Blue.",
  });
});

test("while a turn runs the answer is that it is scheduled", async () => {
  const session = await newSession(plain);
  const gate = createGate();
  const answer = reply({ blocks: [text("Hello.")], acts: [holdAt(3, gate)] });
  standin.script(answer, compaction("They met."));
  const running = say(session, "Hi");
  await gate.waitUntilReached();
  await home();
  expect(await json(post(`${session}/compact`, {}))).toMatchObject({
    compacted: false,
    scheduled: true,
    reason: expect.any(String),
  });
  await inside(session, () => gate.open());
  await running;
  const later = await json(get(`${session}/events?after=8&type=session.compacted&wait=25`));
  expect(later.data).toHaveLength(1);
});

test("the owner's instructions are given again behind each summary", async () => {
  const session = await newSession();
  await send("PUT", `${session}/files/CLAUDE.md`, "Be brief.");
  const sent = () => JSON.stringify(modelCall(-1).messages);
  const thought = (word: string) => [thinking(`Hm, ${word}.`), text(word)];
  standin.script(thought("one"), thought("two"));
  for (const input of ["1", "2"]) await say(session, input);
  expect(sent()).toContain("Be brief.");
  for (const [i, word] of ["First.", "Second."].entries()) {
    standin.script(compaction(word), thought(`more ${i}`));
    const answer = await json(post(`${session}/compact`, { keep_recent_messages: 2 }));
    expect(answer).toMatchObject({ compacted: true });
    await say(session, "Go on");
    expect(sent()).toContain("Be brief.");
    expect(sent()).toContain(word);
    expect(sent()).not.toContain("Hm, one.");
  }
});

test("the covered history is still there, to be read and to be searched", async () => {
  const session = await newSession({ tools: [functionTool("look", { at: { type: "string" } })] });
  standin.script(
    [text("I look at the SKY."), toolUse("look", { at: "the night sky" })],
    text("Dark."),
    compaction("They looked up."),
    text("No."),
  );
  const { tool_calls } = await say(session, "What is in the sky?");
  const [call] = tool_calls as JsonObject[];
  const results = [{ tool_call_id: call?.id, content: "A moon in the sky, 🌕 full." }];
  await post(`${session}/tool-results`, { results });
  await post(`${session}/compact`, {});
  await say(session, "Is there anything else?");
  expect(JSON.stringify(modelCall(-1).messages)).not.toContain("moon");

  const found = await json(get(`${session}/search?q=sky`));
  const hits = found.data as JsonObject[];
  expect(hits.map(({ type, role }) => [type, role])).toEqual([
    ["tool_result.accepted", "tool"],
    ["tool_call.requested", "assistant"],
    ["assistant.completed", "assistant"],
    ["turn.started", "user"],
  ]);
  expect(found).toMatchObject({ has_more: false, next_cursor: null });
  for (const { id, snippet, match, turn_id, session_id } of hits) {
    const { start, length } = match as { start: number; length: number };
    expect(
      String(snippet)
        .slice(start, start + length)
        .toLowerCase(),
    ).toBe("sky");
    expect([turn_id, session_id]).toEqual(["turn_2", idOf(session)]);
    const page = await json(get(`${session}/events?after=${Number(id) - 1}&limit=1`));
    expect(page.data).toMatchObject([{ id }]);
  }
  const events = (await json(get(`${session}/events?type=tool_result.accepted`))).data;
  expect(events).toHaveLength(1);
});

test("a search is paged, newest first, and takes its text as it is", async () => {
  const session = await newSession(plain);
  standin.script(text("a.b"), text("aXb"), text("A.B again"));
  for (const word of ["one", "two", "three"]) await say(session, word);
  const first = await json(get(`${session}/search?q=a.b&limit=1`));
  expect(first).toMatchObject({ data: [{ snippet: "A.B again" }], has_more: true });
  const second = await json(get(`${session}/search?q=a.b&cursor=${first.next_cursor}`));
  expect(second).toMatchObject({ data: [{ snippet: "a.b" }], has_more: false, next_cursor: null });
  expect(await json(get(`${session}/search?q=nothing`))).toMatchObject({ data: [] });
  expect((await get(`${session}/search`)).status).toBe(422);
  expect((await get(`${session}/search?q=`)).status).toBe(422);
  expect((await get(`${session}/search?q=a&cursor=x`)).status).toBe(422);
  expect((await get(`/api/sessions/sess_01M7VP07DK0H9GZ13Y9D4BKNQZ/search?q=a`)).status).toBe(404);
});

test("one request reads a bounded part of a long session, and the next one goes on", async () => {
  const session = await newSession(plain);
  const long = "x".repeat(900_000);
  standin.script(text("The needle."), text("a"), text("b"), text("c"));
  await say(session, "Hay");
  for (let i = 0; i < 3; i++) await say(session, long);
  let cursor = "";
  let pages = 0;
  let hits: JsonObject[] = [];
  while (hits.length === 0 && pages < 10) {
    const page = await json(get(`${session}/search?q=needle${cursor}`));
    hits = page.data as JsonObject[];
    cursor = `&cursor=${page.next_cursor}`;
    pages += 1;
  }
  expect(hits).toMatchObject([{ snippet: "The needle." }]);
  expect(pages).toBeGreaterThan(1);
});

test("a hit in a long text is shown with what stands around it, whole characters only", async () => {
  const session = await newSession(plain);
  standin.script(text(`${"🌕".repeat(100)} here ${"🌕".repeat(100)}`));
  await say(session, "Where?");
  const { data } = await json(get(`${session}/search?q=HERE`));
  const [hit] = data as { snippet: string; match: { start: number; length: number } }[];
  expect(hit?.snippet.isWellFormed()).toBe(true);
  expect(hit?.snippet.length).toBeLessThan(180);
  expect(hit?.snippet.slice(hit.match.start, hit.match.start + hit.match.length)).toBe("here");
});
