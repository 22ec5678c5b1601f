/**
 * Secrets that are planted everywhere, a run over every route with an API that repeats what it was
 * sent in all places that it has, and then one look at all that came out and all that was kept.
 */
import { afterAll, beforeAll, describe, expect, type MockInstance, test, vi } from "vitest";
import { VARIABLES, type VariableName } from "../../src/shared/config.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { newAccount } from "../api/cc/keys-support.ts";
import { configure, ENCRYPTION } from "../api/cc/own-key-support.ts";
import { type Headers, post, serverWith, standin, withStandin } from "../api/cc/server.ts";
import { type Echo, ERRORS, echoing, SOME, STREAMS } from "./echoes.ts";
import { bodyOf, hasBody, KEYED, nameOf, newWorld, pathOf, typeOf, type World } from "./surface.ts";
import { tablesOfAccount, tablesOfSession } from "./tables.ts";

withStandin();

/** Without the form of Anthropic's keys, by which they might be known. */
const KEYS = {
  client: "PLANTED-client-key-0123456789",
  server: "PLANTED.server.key.0123456789",
  account: "PLANTED.account.key.0123456789",
  session: "PLANTED.session.key.0123456789",
};
const server = serverWith({
  API_KEYS: `planted:${KEYS.client}`,
  ALLOW_ANONYMOUS: "false",
  ENCRYPTION_KEY: ENCRYPTION.first,
  ANTHROPIC_API_KEY: KEYS.server,
});

/** What may be nowhere: each secret, and the same as it looks in base64 and hex. */
const forbidden = new Map<string, string>();
function forbid(name: string, secret: string): void {
  expect(secret.length).toBeGreaterThanOrEqual(20);
  const bytes = new TextEncoder().encode(secret);
  forbidden.set(name, secret);
  // Without the end, whose characters depend on what follows.
  forbidden.set(`${name} in base64`, bytes.toBase64().slice(0, -4));
  forbidden.set(`${name} in hex`, bytes.toHex());
  forbidden.set(`${name} in small letters`, secret.toLowerCase());
  forbidden.set(`${name}, its first part`, secret.slice(0, -4));
}

/** All that came out, and where. */
const outputs: { where: string; text: string }[] = [];
/** Outputs before this one were looked at. */
let looked = 0;
let characters = 0;

function keep(where: string, text: string): void {
  characters += text.length;
  outputs.push({ where, text });
}

/** What of these holds which secret. */
const leaksIn = (texts: typeof outputs): string[] =>
  texts.flatMap(({ where, text }) =>
    [...forbidden].flatMap(([name, secret]) =>
      text.includes(secret) ? [`${where}: ${name}`] : [],
    ),
  );

/** What of the outputs since the last look holds which secret. */
function leaks(): string[] {
  const found = leaksIn(outputs.slice(looked));
  looked = outputs.length;
  return found;
}

/** Answers the next calls of the API in place of the stand-in. */
let echo: Echo | null = null;
/** Who paid for the calls so far. */
const paid = new Set<string>();
/** What the API was sent apart from the key: it is an output, too. */
function received(key: string, init: RequestInit): void {
  paid.add(key);
  const body =
    init.body instanceof Uint8Array
      ? new TextDecoder("latin1").decode(init.body)
      : String(init.body ?? "");
  const headers = [...new Headers(init.headers)].filter(
    ([name]) => name !== "authorization" && name !== "x-api-key",
  );
  keep("a request to the API", JSON.stringify(headers) + body);
}

async function api(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
  const sent = new Headers(init.headers);
  const key = sent.get("authorization")?.replace("Bearer ", "") ?? sent.get("x-api-key") ?? "";
  received(key, init);
  const own = echo?.(key);
  if (own) return own;
  const response = await standin.fetch(input, init);
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(echoing(key)))
    if (name !== "location") headers.set(name, value);
  return new Response(response.body, { status: response.status, headers });
}

let world: World;
let log: MockInstance[] = [];
const realFetch = globalThis.fetch;

beforeAll(async () => {
  configure({
    ENCRYPTION_KEY: ENCRYPTION.first,
    ANTHROPIC_API_KEY: KEYS.server,
    CLAUDE_RETRY_MAX_ATTEMPTS: "1",
  });
  log = (["log", "info", "warn", "error", "debug"] as const).map((level) =>
    vi.spyOn(console, level).mockImplementation(() => {}),
  );
  globalThis.fetch = api;
  for (const [name, key] of Object.entries(KEYS)) forbid(`the ${name}'s key`, key);
  for (const [name, key] of Object.entries(ENCRYPTION)) {
    forbid(`the ${name} ENCRYPTION_KEY`, key);
    forbidden.set(
      `the bytes of the ${name} ENCRYPTION_KEY`,
      Buffer.from(key, "base64").toString("latin1"),
    );
  }
  world = await newWorld(server, newAccount());
  forbid("a managed key", world.key.text.slice(-40));
}, 30_000);

afterAll(() => {
  globalThis.fetch = realFetch;
  vi.restoreAllMocks();
  configure({ ENCRYPTION_KEY: null, ANTHROPIC_API_KEY: null, CLAUDE_RETRY_MAX_ATTEMPTS: null });
});

/** One request, whose whole answer is kept. */
async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Headers = {},
  asked = server,
): Promise<{ status: number; text: string }> {
  const response = await asked(method, path, body, { ...world.key.headers, ...headers });
  const at = `${method} ${path.slice(0, 100)} ${response.status}`;
  keep(`${at}, its headers`, JSON.stringify([...response.headers]));
  const live = method !== "HEAD" && path.includes("/events/stream");
  const text = live
    ? await firstOf(response)
    : new TextDecoder("latin1").decode(await response.arrayBuffer());
  keep(at, text);
  return { status: response.status, text };
}

/** The first piece of a stream that does not end. */
async function firstOf(response: Response): Promise<string> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = (await reader?.read()) ?? {};
  await reader?.cancel();
  return value ?? "";
}

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
    echo = answer;
    const turn = await ask("POST", `${session}/turns`, { input: crypto.randomUUID() });
    const streamed = await ask("POST", `${session}/turns`, {
      input: crypto.randomUUID(),
      stream: true,
    });
    await ask("GET", `${session}/context?exact=true`);
    await ask("POST", `${session}/compact`, { keep_recent_messages: 1 });
    echo = null;
    expect(turn.status).toBeGreaterThanOrEqual(500);
    expect(streamed.text).toContain("event: error");
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
  // It is what this answer is for.
  outputs.splice(
    outputs.findIndex(({ text }) => text === made.text),
    1,
  );
  forbid("a stream ticket", ticket);
  const secret = Object.entries(await tablesOfSession(world.account, world.ids.id));
  const signing =
    /"secret":"([0-9a-f]{32,})"/.exec(JSON.stringify(secret).replaceAll("\\", ""))?.[1] ?? "";
  forbid("the secret that signs tickets", signing);
  let shown = 0;
  let tables: typeof outputs = [];
  // Side by side, because each is tried several times.
  const reads = KEYED.filter(({ method, path }) => method === "GET" && !path.includes("/events"));
  await Promise.all(
    reads.map(async (route) => {
      const client = { authorization: `Bearer ${KEYS.client}` };
      const path = pathOf(route, world.ids);
      const { status } = await ask("GET", path, undefined, client, withoutObjects());
      expect([nameOf(route), status]).not.toEqual([nameOf(route), 401]);
    }),
  );
  for (const route of KEYED) {
    const path = pathOf(route, world.ids);
    if (nameOf(route) === "DELETE /api/sessions/:id") tables = await tablesOfWorld();
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
    // What a managed key and a ticket are asked for is to be shown once.
    if (SHOWN_ONCE.has(nameOf(route)) && status < 300) {
      outputs.splice(
        outputs.findIndex((one) => one.text === text),
        1,
      );
    }
  }
  expect(leaks()).toEqual([]);
  const kept = leaksIn(tables);
  expect(kept.filter((one) => !one.includes("that signs tickets"))).toEqual([]);
  const lines = JSON.stringify(log.flatMap(({ mock }) => mock.calls));
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
  ].map(([name, text]) => ({ where: `the table ${name}`, text }));

const withoutObjects = () =>
  serverWith({
    API_KEYS: `${world.account}:${KEYS.client}`,
    ACCOUNT: BROKEN,
    SESSION: BROKEN,
  });

const SHOWN_ONCE = new Set(["POST /api/keys", "POST /api/sessions/:id/stream-ticket"]);

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
