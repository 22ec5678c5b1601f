/** Sessions of `/api/v1`: made, listed, read, moved to another folder and deleted. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { accountId } from "../../src/http/auth.ts";
import { text } from "../../src/standin/replies.ts";
import { type Headers, modelCall, serverWith, standin, withStandin } from "../api/cc/server.ts";
import {
  BASE,
  chat,
  dataOf,
  get,
  newName,
  newSession,
  once,
  post,
  problemOf,
  send,
} from "../api/code/client.ts";

withStandin();

interface Session {
  name: string;
  user_id: string;
  working_dir: string;
  status: string;
  total_turns: number;
  total_cost: number;
  system_prompt: string | null;
  created_at: string;
  updated_at: string;
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/;

test("a session has fifteen fields, null where nothing was given, and no id", async () => {
  const name = newName();
  const response = await post(`${BASE}/sessions`, { name });
  expect(response.status).toBe(201);
  expect(response.headers.get("location")).toMatch(/^\/api\/v1\/sessions\/sess_[0-9A-Z]{26}$/);
  expect(await response.json()).toEqual({
    data: {
      name,
      user_id: "default",
      working_dir: "/workspace",
      system_prompt: null,
      model: null,
      max_turns: null,
      permission_mode: null,
      effort: null,
      allowed_tools: null,
      disallowed_tools: null,
      status: "pending",
      total_cost: 0,
      total_turns: 0,
      created_at: expect.stringMatching(TIME),
      updated_at: expect.stringMatching(TIME),
    },
    meta: expect.objectContaining({ version: "v1" }),
  });
});

test("what was given is shown again as it was, known or not", async () => {
  const given = {
    user_id: "team-7",
    system_prompt: "Be brief.",
    model: "sonnet",
    max_turns: 3,
    permission_mode: "auto",
    effort: "enormous",
    allowed_tools: "Read, Bash(git *)",
    disallowed_tools: "WebFetch",
  };
  const session = await newSession(given);
  expect(await dataOf(get(session))).toMatchObject(given);
  expect(await dataOf(get(session))).toEqual((await listed("team-7"))[0]);
});

const listed = (user_id: string) => dataOf<Session[]>(get(`${BASE}/sessions?user_id=${user_id}`));

test("a number as a text is one for max_turns", async () => {
  expect(await dataOf(get(await newSession({ max_turns: "7" })))).toMatchObject({ max_turns: 7 });
});

test.each([
  ["  spaces  ", "spaces"],
  ["../../etc/passwd", "etcpasswd"],
  ["a\\b/c", "abc"],
  ["line\nbreak", "line break"],
])("the name %j is kept as %j", async (given, kept) => {
  const mark = newName();
  const response = await post(`${BASE}/sessions`, { name: `${given}${mark}` });
  const { name } = await dataOf<Session>(response);
  expect(name).toBe(`${kept}${given.endsWith(" ") ? "  " : ""}${mark}`);
  expect((await get(`${BASE}/sessions/${encodeURIComponent(name)}`)).status).toBe(200);
});

test.each(["..", ".", "/", " ", "//\\..", "..."])("the name %j is none", async (name) => {
  const problem = await problemOf(post(`${BASE}/sessions`, { name }));
  expect(problem).toMatchObject({ status: 400, detail: "Invalid project name" });
});

test("a second session of one name takes it, and gives it back when it goes", async () => {
  const name = newName();
  const prompts = async () => {
    const { system_prompt } = await dataOf<Session>(get(`${BASE}/sessions/${name}`));
    return system_prompt;
  };
  const make = (system_prompt: string) => post(`${BASE}/sessions`, { name, system_prompt });
  const first = await make("first");
  const second = await make("second");
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(await prompts()).toBe("second");
  // The first one is still there under its id.
  const id = first.headers.get("location") ?? "";
  expect(await dataOf<Session>(get(id))).toMatchObject({ name, system_prompt: "first" });
  expect((await send("DELETE", `${BASE}/sessions/${name}`)).status).toBe(204);
  expect(await prompts()).toBe("first");
  expect((await send("DELETE", `${BASE}/sessions/${name}`)).status).toBe(204);
  expect((await get(`${BASE}/sessions/${name}`)).status).toBe(404);
});

test("two sessions of one name share neither files nor what was said", async () => {
  const name = newName();
  const path = `${BASE}/sessions/${name}`;
  const first = await post(`${BASE}/sessions`, { name });
  standin.script(text("One."));
  await chat(path, "Hello, first.");
  await post(`${BASE}/sessions`, { name });
  standin.script(text("Two."));
  await chat(path, "Hello, second.");
  expect(modelCall(1).messages).toHaveLength(1);
  const messages = await dataOf<unknown[]>(get(`${first.headers.get("location")}/history`));
  expect(messages).toHaveLength(2);
});

test("the label is the account's name where none is given, and never a key", async () => {
  const server = serverWith({ API_KEYS: "eve:key-of-eve" });
  const key: Headers = { "x-api-key": "key-of-eve" };
  for (const user_id of [undefined, "default", "key-of-eve", ""]) {
    const body = { name: newName(), ...(user_id === undefined ? {} : { user_id }) };
    const { user_id: shown } = await dataOf<Session>(server("POST", `${BASE}/sessions`, body, key));
    expect(shown).toBe("eve");
  }
});

test("a session with a label of its own is its maker's all the same", async () => {
  const session = await newSession({ user_id: "somebody-else" });
  standin.script(text("Hello."));
  expect((await chat(session, "Hi")).content).toBe("Hello.");
});

test("a list is paged by numbers, the newest change first, with the label as a filter", async () => {
  const user_id = newName();
  const sessions: string[] = [];
  for (let n = 0; n < 3; n++) sessions.push(await newSession({ user_id }));
  const [oldest = ""] = sessions;
  standin.script(text("Hello."));
  await chat(oldest, "Hi");
  const names = async (query: string) => {
    const response = await get(`${BASE}/sessions?user_id=${user_id}&${query}`);
    const { data, pagination } = await response.json<{ data: Session[]; pagination: object }>();
    return [data.map(({ name }) => `${BASE}/sessions/${name}`), pagination];
  };
  const newest = async () => String((await names("limit=1"))[0]);
  await once(newest, (name) => name === oldest);
  expect(await names("limit=2")).toEqual([
    [oldest, sessions[2]],
    { total: 3, page: 1, limit: 2, pages: 2 },
  ]);
  expect(await names("limit=2&page=2")).toEqual([
    [sessions[1]],
    { total: 3, page: 2, limit: 2, pages: 2 },
  ]);
  expect(await names("page=9")).toEqual([[], { total: 3, page: 9, limit: 20, pages: 1 }]);
});

test("an empty list has no pages", async () => {
  const response = await get(`${BASE}/sessions?user_id=nobody-at-all`);
  expect(await response.json()).toMatchObject({
    data: [],
    pagination: { total: 0, page: 1, limit: 20, pages: 0 },
  });
});

test("sessions of the native API are in the list, and can be used", async () => {
  const created = await post("/api/sessions", { title: "Native", effort: "low" });
  const { id } = await created.json<{ id: string }>();
  const session = `${BASE}/sessions/${id}`;
  expect(await dataOf(get(session))).toMatchObject({
    name: id,
    user_id: "default",
    model: "claude-sonnet-5-5",
    permission_mode: "bypassPermissions",
    effort: "low",
  });
  standin.script(text("Hello."));
  expect((await chat(session, "Hi")).session_id).toBe(id);
});

test("a session is active, with its turns and its cost, once a turn has begun", async () => {
  const session = await newSession();
  standin.script(text("Hello."), text("Again."));
  const one = await chat(session, "Hi");
  const two = await chat(session, "And again");
  const shown = await dataOf<Session>(get(session));
  expect(shown).toMatchObject({ status: "active", total_turns: 2 });
  expect(shown.total_cost).toBeCloseTo(one.cost + two.cost, 9);
  expect(Date.parse(shown.updated_at)).toBeGreaterThanOrEqual(Date.parse(shown.created_at));
});

test("DELETE is 204 without a body, and takes all of it", async () => {
  const session = await newSession();
  const response = await send("DELETE", session);
  expect(response.status).toBe(204);
  expect(await response.text()).toBe("");
  for (const path of ["", "/history", "/jobs", "/files"]) {
    expect((await get(session + path)).status).toBe(404);
  }
  expect(await problemOf(send("DELETE", session))).toMatchObject({
    status: 404,
    detail: "Session not found",
  });
});

test("a turn that goes on is stopped with its session, and its cost is not given back", async () => {
  const user_id = newName();
  const session = await newSession({ user_id });
  standin.script(text("Hello."));
  const { cost } = await chat(session, "Hi");
  expect((await send("DELETE", session)).status).toBe(204);
  const usage = await dataOf<{ cost: number; sessions: number }>(
    get(`${BASE}/usage?user_id=${user_id}`),
  );
  expect(usage).toMatchObject({ sessions: 0, turns: 1 });
  expect(usage.cost).toBeCloseTo(cost, 9);
});

test("each of several sessions that are made at once finds a place in a full account", async () => {
  const server = serverWith({ API_KEYS: "crowd:key-of-crowd" });
  const key: Headers = { "x-api-key": "key-of-crowd" };
  await limitTo("crowd", "6");
  const make = () => server("POST", `${BASE}/sessions`, { name: newName() }, key);
  const statuses = async (count: number) =>
    (await Promise.all(Array.from({ length: count }, make))).map(({ status }) => status);
  expect(await statuses(6)).toEqual(Array(6).fill(201));
  expect(await statuses(6)).toEqual(Array(6).fill(201));
  const listed = await server("GET", `${BASE}/sessions`, undefined, key);
  expect(await listed.json()).toMatchObject({ pagination: { total: 6 } });
});

/** The account of this name may have so many sessions. */
async function limitTo(name: string, most: string): Promise<void> {
  await runInDurableObject(env.ACCOUNT.getByName(await accountId(name)), (account) => {
    const value = { ...env, MAX_SESSIONS_PER_USER: most };
    Object.defineProperty(account, "env", { value });
  });
}

test("where the account is full, the session goes in which nothing happened for longest", async () => {
  const server = serverWith({ API_KEYS: "full:key-of-full" });
  const key: Headers = { "x-api-key": "key-of-full" };
  await limitTo("full", "2");
  const make = async (more: Headers = {}) => {
    const headers = { ...key, ...more };
    const response = await server("POST", `${BASE}/sessions`, { name: newName() }, headers);
    expect(response.status).toBe(201);
    expect(response.headers.has("idempotency-replayed")).toBe(false);
    return response.headers.get("location") ?? "";
  };
  const sessions = [await make(), await make(), await make({ "idempotency-key": "k-1" })];
  const statuses = await Promise.all(
    sessions.map(async (path) => (await server("GET", path, undefined, key)).status),
  );
  expect(statuses).toEqual([404, 200, 200]);
});
