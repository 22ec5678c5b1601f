/** History, templates, token counts, usage and audit of `/api/v1`. */
import { expect, test } from "vitest";
import { countOf } from "../../src/api/code/tokens.ts";
import { createGate } from "../../src/standin/gate.ts";
import { holdAt, reply, text, toolUse } from "../../src/standin/replies.ts";
import {
  type Headers,
  inside,
  modelCall,
  serverWith,
  standin,
  withStandin,
} from "../api/cc/server.ts";
import {
  BASE,
  chat,
  dataOf,
  get,
  historyOf,
  idOf,
  type Message,
  nativeOf,
  newName,
  newSession,
  once,
  post,
  problemOf,
  send,
  turnsEnded,
} from "../api/code/client.ts";
import { reached } from "../support/sessions.ts";

withStandin();

interface Page<T> {
  data: T[];
  session_id: string;
  count: number;
  user_id: string;
  pagination: object | null;
}

const page = async <T>(path: string): Promise<Page<T>> => (await get(path)).json();

test("a history that is empty has no pages, and its session's id", async () => {
  const session = await newSession();
  expect(await page(`${session}/history`)).toEqual({
    data: [],
    session_id: idOf(session),
    count: 0,
    pagination: null,
    meta: expect.objectContaining({ version: "v1" }),
  });
});

test("two messages for each turn, the oldest first", async () => {
  const session = await newSession();
  const input = { path: "." };
  standin.script([text("I look."), toolUse("LS", input)], text("Nothing."), text("Bye."));
  const first = await chat(session, "Look");
  await chat(session, "Thanks");
  const { data, ...rest } = await page<Message>(`${session}/history`);
  expect(data).toEqual([
    {
      role: "user",
      content: "Look",
      tools_used: null,
      cost: 0,
      duration_ms: 0,
      created_at: expect.stringMatching(/\.\d{6}\+00:00$/),
    },
    {
      role: "assistant",
      content: "Nothing.",
      tools_used: [{ name: "LS", input }],
      cost: first.cost,
      duration_ms: first.duration_ms,
      created_at: expect.stringMatching(/\.\d{6}\+00:00$/),
    },
    expect.objectContaining({ role: "user", content: "Thanks" }),
    expect.objectContaining({ role: "assistant", content: "Bye.", tools_used: null }),
  ]);
  expect(rest).toMatchObject({
    session_id: idOf(session),
    count: 4,
    pagination: { total: 4, page: 1, limit: 50, pages: 1 },
  });
});

test("pages of a history are counted in messages, also odd ones", async () => {
  const session = await newSession();
  for (const n of [1, 2, 3]) {
    standin.script(text(`A${n}`));
    await chat(session, `Q${n}`);
  }
  const texts = async (query: string) => {
    const { data, count, pagination } = await page<Message>(`${session}/history?${query}`);
    return [data.map(({ content }) => content), count, pagination];
  };
  expect(await texts("limit=3")).toEqual([
    ["Q1", "A1", "Q2"],
    3,
    { total: 6, page: 1, limit: 3, pages: 2 },
  ]);
  expect((await texts("limit=3&page=2"))[0]).toEqual(["A2", "Q3", "A3"]);
  expect((await texts("limit=1&page=4"))[0]).toEqual(["A2"]);
  expect((await texts("limit=4&page=2"))[0]).toEqual(["Q3", "A3"]);
  expect(await texts("page=9")).toEqual([[], 0, { total: 6, page: 9, limit: 50, pages: 1 }]);
  expect((await texts("limit=5000"))[2]).toMatchObject({ limit: 200 });
});

test("a turn that goes on has its question in the history, and no answer yet", async () => {
  const session = await newSession();
  standin.script(text("A1"));
  await chat(session, "Q1");
  const gate = createGate();
  const acts = [holdAt({ block: 0, delta: 1 }, gate)];
  standin.script(reply({ blocks: [text("A2 at last")], acts }));
  const answer = chat(session, "Q2");
  await reached(gate);
  expect(await page(`${session}/history`)).toMatchObject({
    data: [{ content: "Q1" }, { content: "A1" }, { role: "user", content: "Q2" }],
    count: 3,
    pagination: { total: 3 },
  });
  expect(await page(`${session}/history?limit=2`)).toMatchObject({ pagination: { total: 3 } });
  await inside(nativeOf(session), () => gate.open());
  await answer;
  expect(await historyOf(session)).toHaveLength(4);
});

test("there are twelve templates, in a map, each with a prompt", async () => {
  const templates = await dataOf<Record<string, { name: string; system_prompt: string }>>(
    get(`${BASE}/templates`),
  );
  const names =
    "code-reviewer devops refactor test-writer docs debug architect security performance " +
    "api-designer data-engineer frontend";
  expect(Object.keys(templates).toSorted()).toEqual(names.split(" ").toSorted());
  for (const [name, template] of Object.entries(templates)) {
    expect(template.name).toBe(name);
    expect(template.system_prompt.length).toBeGreaterThan(200);
    expect(await dataOf(get(`${BASE}/templates/${name}`))).toEqual(template);
  }
  expect(templates["code-reviewer"]).toMatchObject({ effort: "high" });
  expect(templates.frontend).toMatchObject({ effort: "medium" });
  expect(await dataOf(post(`${BASE}/templates/reload`))).toEqual({
    count: 12,
    names: Object.keys(templates),
  });
});

test("a template that is not there", async () => {
  expect(await problemOf(get(`${BASE}/templates/poet`))).toMatchObject({
    status: 404,
    detail: "Template 'poet' not found",
  });
  const name = newName();
  expect(await problemOf(post(`${BASE}/sessions`, { name, template: "poet" }))).toMatchObject({
    status: 400,
    detail: "Template 'poet' not found",
  });
  expect((await get(`${BASE}/sessions/${name}`)).status).toBe(404);
});

test("a session takes from its template what it does not say itself", async () => {
  const { system_prompt } = await dataOf(get(`${BASE}/templates/debug`));
  const session = await newSession({ template: "debug", system_prompt: "", max_turns: 5 });
  expect(await dataOf(get(session))).toMatchObject({ system_prompt, effort: "high", max_turns: 5 });
  const other = await newSession({ template: "debug", system_prompt: "Mine.", effort: "low" });
  expect(await dataOf(get(other))).toMatchObject({ system_prompt: "Mine.", effort: "low" });
  standin.script(text("Hello."));
  await chat(session, "Hi");
  expect(modelCall(0).system?.[0]?.text.startsWith(String(system_prompt))).toBe(true);
});

test("an account's own templates are its own, and hide those of the same name", async () => {
  const server = serverWith({ API_KEYS: "tia:key-of-tia,uwe:key-of-uwe" });
  const [tia, uwe]: Headers[] = [{ "x-api-key": "key-of-tia" }, { "x-api-key": "key-of-uwe" }];
  const fields = { system_prompt: "You are Tia's.", max_turns: 4, permission_mode: "plan" };
  for (const name of ["poet", "debug"]) {
    expect((await server("PUT", `/api/templates/${name}`, fields, tia)).ok).toBe(true);
  }
  const shown = (headers?: Headers) =>
    dataOf<Record<string, unknown>>(server("GET", `${BASE}/templates`, undefined, headers));
  expect(await shown(tia)).toMatchObject({ poet: fields, debug: fields });
  for (const others of [await shown(uwe), await shown()]) {
    expect(Object.keys(others)).toHaveLength(12);
    expect(JSON.stringify(others)).not.toContain("Tia");
  }
  const body = { name: newName(), template: "poet" };
  expect(await dataOf(server("POST", `${BASE}/sessions`, body, tia))).toMatchObject(fields);
  expect((await server("POST", `${BASE}/sessions`, body, uwe)).status).toBe(400);
  await server("DELETE", "/api/templates/debug", undefined, tia);
  expect((await shown(tia)).debug).toEqual((await shown()).debug);
});

test.each([
  ["a", 1, 1, 1],
  ["a😀b", 3, 1, 1],
  ["hello world", 11, 2, 2],
  ["a b c d e f", 11, 6, 6],
  ["x".repeat(400), 400, 1, 100],
  ["one\u0085two\u001cthree\u3000four", 18, 4, 4],
  // No white space in Python.
  ["one\ufefftwo", 7, 1, 1],
  ["  \n\t ", 5, 0, 1],
  ["e\u0301", 2, 1, 1],
])(
  "the text %j has %i characters and %i words, about %i tokens",
  (given, characters, words, tokens) => {
    expect(countOf(given)).toEqual({ characters, words, estimated_tokens: tokens });
  },
);

test("tokens are counted for a text of 1 to 1,000,000 characters", async () => {
  const count = (body: object) => post(`${BASE}/tokens/count`, body);
  expect(await dataOf(count({ text: "hello world" }))).toEqual({
    characters: 11,
    words: 2,
    estimated_tokens: 2,
  });
  const most = await dataOf(count({ text: "😀".repeat(1_000_000) }));
  expect(most).toEqual({ characters: 1_000_000, words: 1, estimated_tokens: 250_000 });
  for (const [body, type] of [
    [{ text: "" }, "string_too_short"],
    [{ text: "x".repeat(1_000_001) }, "string_too_long"],
    [{ text: "x", model: "y" }, "extra_forbidden"],
    [{}, "missing"],
  ] as const) {
    expect((await problemOf(count(body))).errors).toMatchObject([{ type }]);
  }
});

interface Usage {
  sessions: number;
  cost: number;
  turns: number;
  messages: number;
  jobs: { total: number; completed: number; running: number; failed: number };
}

test("usage sums the sessions with a label, also those that are gone", async () => {
  const user_id = newName();
  const [one, other] = [await newSession({ user_id }), await newSession({ user_id })];
  const usage = () => dataOf<Usage>(get(`${BASE}/usage?user_id=${user_id}`));
  const none = { total: 0, completed: 0, running: 0, failed: 0 };
  expect(await usage()).toEqual({ sessions: 2, cost: 0, turns: 0, messages: 0, jobs: none });
  standin.script(text("One."), text("Two."), text("Three."));
  const costs = [(await chat(one, "1")).cost, (await chat(other, "2")).cost];
  const job = await dataOf<{ id: string }>(post(`${other}/jobs`, { message: "3" }));
  await turnsEnded(other, 2);
  costs.push((await dataOf<{ cost: number }>(get(`${other}/jobs/${job.id}`))).cost);
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const now = await once(usage, ({ turns }) => turns === 3);
  const jobs = { ...none, total: 1, completed: 1 };
  expect(now).toEqual({
    sessions: 2,
    cost: expect.closeTo(total, 9),
    turns: 3,
    messages: 6,
    jobs,
  });
  await send("DELETE", other);
  expect(await usage()).toEqual({ ...now, sessions: 1 });
});

test("usage of the account is what is answered without a label, under its name", async () => {
  const answer = await page(`${BASE}/usage`);
  expect(answer).toMatchObject({ data: { sessions: expect.any(Number) }, user_id: "default" });
});

interface Entry {
  id: string;
  session_rowid: string;
  role: string;
  content: string;
  tools_used: string | null;
  session_name: string;
  user_id: string;
}

test("the audit has the messages of all sessions, the newest first, cut and with their tools", async () => {
  const user_id = newName();
  const [one, other] = [await newSession({ user_id }), await newSession({ user_id })];
  standin.script(text("One."), toolUse("LS", { path: "." }), text("😀".repeat(600)));
  await chat(one, "First");
  await chat(other, "Second");
  const read = (query = "") => page<Entry>(`${BASE}/audit?user_id=${user_id}${query}`);
  const { data, count, pagination, ...rest } = await once(read, ({ count }) => count === 4);
  expect(rest.user_id).toBe(user_id);
  expect(pagination).toEqual({ total: 4, page: 1, limit: 50, pages: 1 });
  expect(data.map(({ role }) => role)).toEqual(["assistant", "user", "assistant", "user"]);
  expect(data[0]).toEqual({
    id: expect.any(String),
    session_rowid: idOf(other),
    role: "assistant",
    content: `${"😀".repeat(500)}...`,
    tools_used: JSON.stringify([{ name: "LS", input: { path: "." } }]),
    cost: expect.any(Number),
    duration_ms: expect.any(Number),
    created_at: expect.stringMatching(/\+00:00$/),
    session_name: other.replace(`${BASE}/sessions/`, ""),
    user_id,
  });
  expect(data[3]).toMatchObject({ content: "First", tools_used: null, session_rowid: idOf(one) });
  expect(new Set(data.map(({ id }) => id)).size).toBe(4);
  // In pages of every size they are the same.
  for (const limit of [1, 2, 3]) {
    const paged: Entry[] = [];
    for (let n = 1; paged.length < 4; n++) {
      paged.push(...(await read(`&limit=${limit}&page=${n}`)).data);
    }
    expect(paged).toEqual(data);
  }
  expect(count).toBe(4);
});
