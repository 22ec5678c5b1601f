/** Anthropic keys of accounts and sessions on a real server: who pays, and that no key ever shows. */
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Variables } from "../../src/shared/config.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { startStandinServer } from "../../src/standin/server.ts";
import { createStandin, type Standin } from "../../src/standin/standin.ts";
import { dataFolder, startedServer } from "./support.ts";

const PLANTED = {
  account: "sk-ant-api03-PLANTED-account-0123456789",
  session: "sk-ant-api03-PLANTED-session-0123456789",
  refused: "sk-ant-api03-PLANTED-refused-0123456789",
  gateway: "PLANTED-gateway-key-0123456789",
} as const;

const newKey = (): string => randomBytes(32).toString("base64");

/** The API, which knows all keys but one, and repeats that in its answer. */
async function api(standin: Standin): Promise<{ url: string; keys: string[] }> {
  const keys: string[] = [];
  const fetch: Standin["fetch"] = (input, init) => {
    const key = new Headers(init?.headers).get("authorization")?.replace("Bearer ", "") ?? "none";
    keys.push(key);
    if (key !== PLANTED.refused) return standin.fetch(input, init);
    const error = { type: "authentication_error", message: `invalid key ${key} (Bearer ${key})` };
    const body = { type: "error", error };
    return Promise.resolve(Response.json(body, { status: 401 }));
  };
  const server = await startStandinServer({
    standin: Object.create(standin, { fetch: { value: fetch } }),
  });
  onTestFinished(() => server.close());
  return { url: server.url, keys };
}

/** Everything that this server has answered, with its headers. */
class Listener {
  heard = "";
  url = "";
  readonly #key: string;

  constructor(key: string) {
    this.#key = key;
  }

  async send(method: string, path: string, body?: object | string): Promise<string> {
    const response = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.#key}` },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const answer = await response.text();
    this.heard += `${method} ${path} ${response.status} ${JSON.stringify([...response.headers])} ${answer}\n`;
    return answer;
  }

  async json(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    return JSON.parse(await this.send(method, path, body));
  }
}

async function filesIn(folder: string): Promise<Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name))));
}

test("accounts with keys of their own need none of the server's, and no key is shown or stored in clear", async () => {
  const standin = createStandin();
  const upstream = await api(standin);
  const data = await dataFolder();
  const base = {
    ANTHROPIC_BASE_URL: upstream.url,
    STANDIN: "false",
    API_KEYS: "ada:key-of-ada,bob:key-of-bob",
  };
  const [first, second, third] = [newKey(), newKey(), newKey()];
  let printed = "";
  const ada = new Listener("key-of-ada");
  const bob = new Listener("key-of-bob");
  const serve = async (variables: Variables) => {
    const server = await startedServer(data, { ...base, ...variables });
    ada.url = server.url;
    bob.url = server.url;
    return async () => {
      await server.stop();
      printed += server.output();
    };
  };
  const sentBy = async (act: () => Promise<unknown>): Promise<string[]> => {
    upstream.keys.length = 0;
    await act();
    return upstream.keys.splice(0);
  };

  let stop = await serve({ ENCRYPTION_KEY: first });
  expect(await ada.json("GET", "/healthz")).toEqual({ status: "ok" });

  // Nobody pays for an account without a key.
  const { id: bobs } = await bob.json("POST", "/api/sessions", { tools: [] });
  const none = () => bob.send("POST", `/api/sessions/${bobs}/turns`, { input: "Hi" });
  expect(await sentBy(none)).toEqual([]);
  expect(await none()).toContain("request_not_sent");

  await ada.send("PUT", "/api/account/anthropic-key", { api_key: PLANTED.gateway });
  await ada.send("PUT", "/api/account/anthropic-key", { api_key: PLANTED.account });
  await ada.send("PUT", "/api/account/anthropic-key", { api_key: `${PLANTED.account} ` });
  await ada.send("GET", "/api/account");
  const { id: plain } = await ada.json("POST", "/api/sessions", {});
  const { id: own } = await ada.json("POST", "/api/sessions", {
    anthropic_api_key: PLANTED.session,
    metadata: { by: "a test" },
  });
  const turn = (id: unknown, input: string, more: object = {}) =>
    ada.send("POST", `/api/sessions/${id}/turns`, { input, ...more });

  standin.script(text("one"), toolUse("Write", { file_path: "a.txt", content: "x" }), text("two"));
  expect(await sentBy(() => turn(plain, "Hi"))).toEqual([PLANTED.account]);
  expect(await sentBy(() => turn(own, "Write a file", { stream: true }))).toEqual([
    PLANTED.session,
    PLANTED.session,
  ]);

  await ada.send("PATCH", `/api/sessions/${own}`, { anthropic_api_key: PLANTED.refused });
  expect(await sentBy(() => turn(own, "Refused"))).toEqual([PLANTED.refused]);
  expect(await sentBy(() => turn(own, "Refused again", { stream: true }))).toEqual([
    PLANTED.refused,
  ]);
  expect(ada.heard.match(/"code":"own_key_refused"/g)?.length).toBeGreaterThanOrEqual(2);
  await ada.send("PATCH", `/api/sessions/${own}`, { anthropic_api_key: PLANTED.session });

  const session = `/api/sessions/${own}`;
  for (const path of [
    "",
    "/turns",
    "/events?limit=1000",
    "/pending",
    "/queue",
    "/export?media=include",
    "/context?exact=true",
    "/search?q=PLANTED",
    "/search?q=anthropic",
    "/files",
    "/files/a.txt",
    "/files.zip",
  ]) {
    await ada.send("GET", session + path);
  }
  await ada.send("POST", `${session}/stream-ticket`);
  for (const path of ["/api/sessions", "/api/usage", "/api/models", "/api/account", "/"]) {
    await ada.send("GET", path);
  }
  await ada.send("POST", "/api/sessions", `{"anthropic_api_key": "${PLANTED.session}`);
  await ada.send("POST", "/api/sessions", { anthropic_api_key: [PLANTED.session] });
  await ada.send("POST", "/api/sessions", { anthropic_api_key: `${PLANTED.session},x` });
  await stop();

  // Rotated: the old key opens, the new one seals, and then the old one is not needed.
  stop = await serve({ ENCRYPTION_KEY: second, ENCRYPTION_KEYS_OLD: first });
  standin.script(text("three"), text("four"));
  expect(await sentBy(() => turn(plain, "a"))).toEqual([PLANTED.account]);
  expect(await sentBy(() => turn(own, "b"))).toEqual([PLANTED.session]);
  await stop();
  stop = await serve({ ENCRYPTION_KEY: second });
  standin.script(text("five"), text("six"));
  expect(await sentBy(() => turn(plain, "c"))).toEqual([PLANTED.account]);
  expect(await sentBy(() => turn(own, "d"))).toEqual([PLANTED.session]);
  await stop();

  // Lost: nobody pays in their place, and a key set anew mends it.
  stop = await serve({ ENCRYPTION_KEY: third, ANTHROPIC_API_KEY: "sk-ant-of-the-server" });
  expect(await sentBy(() => turn(plain, "e"))).toEqual([]);
  expect(await sentBy(() => turn(own, "f"))).toEqual([]);
  expect(ada.heard.match(/"code":"own_key_locked"/g)?.length).toBeGreaterThanOrEqual(2);
  standin.script(text("seven"), text("eight"));
  await ada.send("PATCH", session, { anthropic_api_key: PLANTED.session });
  expect(await sentBy(() => turn(own, "f"))).toEqual([PLANTED.session]);
  await ada.send("PATCH", session, { anthropic_api_key: null });
  await ada.send("PUT", "/api/account/anthropic-key", { api_key: PLANTED.account });
  expect(await sentBy(() => turn(own, "g"))).toEqual([PLANTED.account]);
  await ada.send("DELETE", session);
  await stop();

  for (const said of [ada.heard, bob.heard, printed]) {
    expect(said).not.toContain("PLANTED-");
    for (const key of [first, second, third]) expect(said).not.toContain(key);
  }
  expect(ada.heard.length).toBeGreaterThan(20_000);
  const files = await filesIn(data);
  expect(files.some((bytes) => bytes.includes("v1."))).toBe(true);
  expect(files.filter((bytes) => bytes.includes("PLANTED-"))).toEqual([]);
  expect(standin.unusedReplies).toBe(0);
  expect(standin.unexpectedRefusals()).toEqual([]);
}, 180_000);
