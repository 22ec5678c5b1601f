/**
 * Secrets that are planted everywhere, a run over every route with an API that repeats what it was
 * sent in all places that it has, and then one look at all that came out and all that was kept.
 */
import { beforeAll, describe, expect, test, vi } from "vitest";
import { VARIABLES, type VariableName } from "../../src/shared/config.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { ENCRYPTION } from "../api/cc/own-key-support.ts";
import { type Headers, idOf, post, serverWith, standin, withStandin } from "../api/cc/server.ts";
import { ERRORS, SOME, STREAMS } from "./echoes.ts";
import {
  answers,
  ask,
  characters,
  forbid,
  forbidden,
  forget,
  KEYS,
  leaks,
  leaksIn,
  linesOfLog,
  outputs,
  paid,
  plant,
  world,
} from "./planted.ts";
import { bodyOf, HALF_OPEN, hasBody, KEYED, nameOf, pathOf, typeOf } from "./surface.ts";
import { tablesOfAccount, tablesOfSession } from "./tables.ts";

withStandin();
plant();

const codeOf = (session: string): string => session.replace("/api/", "/api/v1/");

const who = {
  server: "the server's key",
  account: "the account's own key",
  session: "the session's own key",
} as const;

describe.each(Object.entries(who))("an API that repeats %s", (owner) => {
  let session: string;
  const key = owner === "server" ? KEYS.server : owner === "account" ? KEYS.account : KEYS.session;

  beforeAll(async () => {
    if (owner === "account") await ask("PUT", "/api/account/anthropic-key", { api_key: key });
    const own = owner === "session" ? { anthropic_api_key: key } : {};
    const made = await ask("POST", "/api/sessions", { ...own, tools: [] });
    session = `/api/sessions/${(JSON.parse(made.text) as { id: string }).id}`;
  });

  test.each(owner === "server" ? ERRORS : SOME)("in %s", async (_, answer) => {
    paid.clear();
    answers.api = answer;
    const turn = await ask("POST", `${session}/turns`, { input: crypto.randomUUID() });
    const streamed = await ask("POST", `${session}/turns`, {
      input: crypto.randomUUID(),
      stream: true,
    });
    const input = () => ({ message: crypto.randomUUID() });
    const chat = await ask("POST", `${codeOf(session)}/chat`, input());
    const events = await ask("POST", `${codeOf(session)}/chat/stream`, input());
    const plain = () => ({ prompt: crypto.randomUUID(), session_id: idOf(session) });
    const said = await ask("POST", "/v1/chat", plain());
    const frames = await ask("POST", "/v1/chat/stream", plain());
    await ask("GET", `${session}/context?exact=true`);
    await ask("POST", `${session}/compact`, { keep_recent_messages: 1 });
    answers.api = null;
    expect(turn.status).toBeGreaterThanOrEqual(500);
    expect(streamed.text).toContain("event: error");
    expect(chat).toMatchObject({ status: 502, text: expect.stringContaining('"claude:') });
    expect(events.text).toContain("event: error");
    expect(said.status).toBe(502);
    expect(frames.text).toContain('"type":"error"');
    expect(paid).toContain(key);
    expect(leaks()).toEqual([]);
  });

  test.each(STREAMS)("in a stream, as %s", async (_, answer) => {
    for (const stream of [false, true]) {
      standin.script(answer(key));
      const tools = [{ name: "look", input_schema: { type: "object" } }];
      const turn = await ask("POST", `${session}/turns`, {
        input: crypto.randomUUID(),
        tools,
        stream,
      });
      expect(turn.text).toMatch(/"turn_\d+"/);
      standin.script(answer(key));
      const message = crypto.randomUUID();
      await ask("POST", `${codeOf(session)}/chat${stream ? "/stream" : ""}`, { message });
    }
    expect(leaks()).toEqual([]);
  });

  test("nothing of it is kept either", async () => {
    const id = session.replace("/api/sessions/", "");
    for (const path of [
      "",
      "/events?limit=1000",
      "/turns?limit=100",
      "/export?media=include",
      "/queue",
      "/pending",
      "/context",
    ]) {
      expect((await ask("GET", session + path)).status).toBe(200);
    }
    for (const path of [`${codeOf(session)}/history`, "/api/v1/audit", "/api/v1/usage"]) {
      expect((await ask("GET", path)).status).toBe(200);
    }
    const tables = await tablesOfSession(world.account, id);
    expect(Object.keys(tables)).toContain("log");
    expect(
      leaksIn([{ where: "the session's tables", text: Object.values(tables).join("\n") }]),
    ).toEqual([]);
  });
});

const errorIn = (text: string): string =>
  (JSON.parse(text) as { error: { code: string } }).error.code;

test("the shell of a session has no secret in its environment", async () => {
  const { text: made } = await ask("POST", "/api/sessions", {});
  const session = `/api/sessions/${(JSON.parse(made) as { id: string }).id}`;
  const command =
    "env; set; export -p; printenv; cat /proc/self/environ /proc/1/environ /etc/passwd; echo $ANTHROPIC_API_KEY $ENCRYPTION_KEY";
  standin.script(toolUse("Bash", { command }), text("So."));
  const turn = await ask("POST", `${session}/turns`, { input: "Look around.", stream: true });
  expect(turn.text).toContain("tool.completed");
  await ask("GET", `${session}/export`);
  expect(leaks()).toEqual([]);
}, 30_000);

test("an address with a password is refused without it", async () => {
  const password = "PLANTED-password-of-a-repository";
  forbid("the password of a repository", password);
  for (const scheme of ["https", "http", "ftp", "ssh"]) {
    const url = `${scheme}://user:${password}@git.example/a.git`;
    expect((await ask("POST", `${world.session}/files/git`, { url })).status).toBe(422);
  }
  expect((await ask("GET", `${world.session}/export`)).status).toBe(200);
  expect(leaks()).toEqual([]);
}, 30_000);

test("no route shows one, well or refused, and no row of any table holds one", async () => {
  const made = await ask("POST", `${world.session}/stream-ticket`);
  const { ticket } = JSON.parse(made.text) as { ticket: string };
  forget(made.text);
  forbid("a stream ticket", ticket);
  const secret = Object.entries(await tablesOfSession(world.account, world.ids.id));
  const signing =
    /"secret":"([0-9a-f]{32,})"/.exec(JSON.stringify(secret).replaceAll("\\", ""))?.[1] ?? "";
  forbid("the secret that signs tickets", signing);
  let shown = 0;
  const told: string[] = [];
  let tables: typeof outputs = [];
  // Side by side, because each is tried several times.
  const reads = KEYED.filter(({ method, path }) => method === "GET" && !path.includes("/events"));
  await Promise.all(
    reads.map(async (route) => {
      const client = { authorization: `Bearer ${KEYS.client}` };
      const path = pathOf(route, world.ids);
      const { status, text } = await ask("GET", path, undefined, client, withoutObjects());
      expect([nameOf(route), status]).not.toEqual([nameOf(route), 401]);
      if (SHOWING.has(nameOf(route)) && status < 300) forget(text);
    }),
  );
  for (const route of [...HALF_OPEN, ...KEYED]) {
    const path = pathOf(route, world.ids);
    const deletes = /^DELETE .*\/sessions\/:\w+$/.test(nameOf(route));
    if (deletes && tables.length === 0) tables = await tablesOfWorld();
    const type: Headers = hasBody(route) ? { "content-type": typeOf(route) } : {};
    const wrong = { authorization: `Bearer ${world.key.text}0`, "x-api-key": `${KEYS.client}0` };
    const mark = path.includes("?") ? "&" : "?";
    const bodies = [
      bodyOf(route, world),
      ...(hasBody(route) && !path.includes("/files/a.txt")
        ? ["{", { anthropic_api_key: 7, api_key: `${KEYS.session} with spaces` }]
        : []),
    ];
    await ask(route.method, `${path}${mark}ticket=${ticket}`, bodies[0], { ...type, ...wrong });
    for (const body of bodies.slice(1)) await ask(route.method, path, body, type);
    const { status, text } = await ask(route.method, path, bodies[0], type);
    expect([nameOf(route), status]).not.toEqual([nameOf(route), 401]);
    shown += 1;
    if (!SHOWING.has(nameOf(route)) || status >= 300) continue;
    forget(text);
    told.push(nameOf(route));
  }
  expect(told.toSorted()).toEqual([...SHOWING].toSorted());
  expect(leaks()).toEqual([]);
  const kept = leaksIn(tables);
  expect(kept.filter((one) => !one.includes("that signs tickets"))).toEqual([]);
  const lines = linesOfLog();
  expect(lines).toContain('"event\\":\\"error');
  expect(leaksIn([{ where: "the log", text: lines }])).toEqual([]);
  vi.restoreAllMocks();
  console.log(
    `secrets: ${forbidden.size} looked for in ${outputs.length} outputs of ${shown} routes, ${characters} characters`,
  );
}, 60_000);

const tablesOfWorld = async (): Promise<typeof outputs> =>
  [
    ...Object.entries(await tablesOfAccount(world.account)),
    ...Object.entries(await tablesOfSession(world.account, world.ids.id)),
    ...Object.entries(await tablesOfSession(world.account, world.codeId)),
  ].map(([name, text]) => ({ where: `the table ${name}`, text }));

const withoutObjects = () =>
  serverWith({
    API_KEYS: `${world.account}:${KEYS.client}`,
    ACCOUNT: BROKEN,
    SESSION: BROKEN,
  });

/** They are asked for a secret, which no other route shows. */
const SHOWING = new Set([
  "POST /api/keys",
  "POST /api/sessions/:id/stream-ticket",
  "GET /api/account/webhook-secret",
]);

/** A binding that fails as one might whose error quotes what it was called with. */
const BROKEN = {
  getByName(): never {
    throw new Error(`no object for ${Object.values(KEYS).join(" ")} ${ENCRYPTION.first}`);
  },
};

test("a wrong configuration is told without its value", async () => {
  const names = Object.keys(VARIABLES) as VariableName[];
  for (const name of names) {
    const value = `PLANTED wrong value,\u0001 ${"x".repeat(name === "CLAUDE_SYSTEM_PROMPT" ? 9_000 : 600)}`;
    const response = await serverWith({ [name]: value })("GET", "/healthz");
    const text = await response.text();
    expect([name, response.status, errorIn(text)]).toEqual([name, 503, "misconfigured"]);
    expect(text).not.toContain("PLANTED");
  }
  expect(await (await post("/api/keys", {})).text()).not.toContain("PLANTED");
});
