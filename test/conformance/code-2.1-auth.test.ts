/** Who may call `/api/v1`: keys, what is open without one, and what nobody else sees. */
import { expect, test } from "vitest";
import { ROUTES } from "../../src/api/code/routes.ts";
import { text } from "../../src/standin/replies.ts";
import { type Headers, serverWith, standin, withStandin } from "../api/cc/server.ts";
import { BASE, dataOf, newName, problemOf } from "../api/code/client.ts";

withStandin();

const server = serverWith({ API_KEYS: "ada:key-of-ada,ben:key-of-ben" });
const ADA: Headers = { "x-api-key": "key-of-ada" };
const BEN: Headers = { "x-api-key": "key-of-ben" };

test("a missing or wrong key is 401 with the detail that clients know", async () => {
  for (const headers of [{}, { "x-api-key": "wrong" }, { authorization: "Bearer wrong" }]) {
    const response = await server("GET", `${BASE}/sessions`, undefined, headers);
    expect(await problemOf(response)).toMatchObject({
      type: "about:blank",
      title: "Unauthorized",
      status: 401,
      detail: "Invalid or missing API key",
    });
  }
});

test("either header carries the key", async () => {
  for (const headers of [ADA, { authorization: "Bearer key-of-ada" }]) {
    expect((await server("GET", `${BASE}/sessions`, undefined, headers)).status).toBe(200);
  }
});

test("health and templates are open; reloading templates is not", async () => {
  expect((await server("GET", `${BASE}/health`)).status).toBe(200);
  expect((await server("GET", `${BASE}/templates`)).status).toBe(200);
  expect((await server("GET", `${BASE}/templates/debug`)).status).toBe(200);
  expect((await server("POST", `${BASE}/templates/reload`)).status).toBe(401);
});

test("a key that is sent to an open route must be good", async () => {
  const response = await server("GET", `${BASE}/templates`, undefined, { "x-api-key": "wrong" });
  expect(response.status).toBe(401);
});

test("every other route needs a key", async () => {
  const open = ["/health", "/templates", "/templates/:template"].map((path) => BASE + path);
  const keyed = ROUTES.filter(({ path }) => !open.includes(path));
  expect(keyed.length).toBeGreaterThan(18);
  for (const { method, path } of keyed) {
    const response = await server(method, addressOf(path, "x"), bodyFor(method, path));
    expect([`${method} ${path}`, response.status]).toEqual([`${method} ${path}`, 401]);
  }
});

test("a key without the scope is 403 on every route that needs one", async () => {
  const made = await server("POST", "/api/keys", { name: "nothing", scopes: ["admin"] }, ADA);
  const headers = { "x-api-key": (await made.json<{ key: string }>()).key };
  for (const { method, path, scope } of ROUTES) {
    if (scope === null) continue;
    const response = await server(method, addressOf(path, "x"), bodyFor(method, path), headers);
    expect([`${method} ${path}`, response.status]).toEqual([`${method} ${path}`, 403]);
  }
});

test("another account's session is 404 on every route, by its name and by its id", async () => {
  const name = newName();
  const created = await server("POST", `${BASE}/sessions`, { name }, ADA);
  const id = created.headers.get("location")?.split("/").at(-1) ?? "";
  const routes = ROUTES.filter(({ path }) => path.includes(":name"));
  expect(routes.length).toBe(14);
  for (const { method, path } of routes) {
    for (const session of [name, id]) {
      const what = `${method} ${path} ${session}`;
      const body = bodyFor(method, path);
      const type = path.endsWith("/files") && method === "POST" ? FORM_TYPE : {};
      const response = await server(method, addressOf(path, session), body, { ...BEN, ...type });
      expect([what, response.status]).toEqual([what, 404]);
      expect(await problemOf(response)).toMatchObject({ detail: "Session not found" });
    }
  }
  // Nothing of it happened.
  const sessions = await dataOf<unknown[]>(server("GET", `${BASE}/sessions`, undefined, BEN));
  expect(sessions).toEqual([]);
  expect((await server("GET", `${BASE}/sessions/${name}`, undefined, ADA)).status).toBe(200);
});

test("two accounts have sessions of one name, and each has its own", async () => {
  const name = newName();
  for (const [headers, prompt] of [[ADA, "I am Ada's."] as const, [BEN, "I am Ben's."] as const]) {
    const body = { name, system_prompt: prompt };
    expect((await server("POST", `${BASE}/sessions`, body, headers)).status).toBe(201);
  }
  const shown = await server("GET", `${BASE}/sessions/${name}`, undefined, ADA);
  expect((await dataOf(shown)).system_prompt).toBe("I am Ada's.");
});

test("lists, usage and audit tell of the caller's account only, whatever label is asked for", async () => {
  const key = { "x-api-key": "key-of-cy" };
  const own = serverWith({ API_KEYS: "cy:key-of-cy,di:key-of-di" });
  const name = newName();
  await own("POST", `${BASE}/sessions`, { name }, key);
  standin.script(text("Hello."));
  await own("POST", `${BASE}/sessions/${name}/chat`, { message: "Hi" }, key);
  const other = { "x-api-key": "key-of-di" };
  for (const user_id of ["cy", "key-of-cy", "di"]) {
    const query = `?user_id=${user_id}`;
    const read = (path: string) => own("GET", BASE + path + query, undefined, other);
    expect(await dataOf(read("/sessions"))).toEqual([]);
    expect(await dataOf(read("/usage"))).toMatchObject({ sessions: 0, cost: 0, turns: 0 });
    expect(await dataOf(read("/audit"))).toEqual([]);
  }
});

test("no answer has a key in it, also where its owner's label is that key", async () => {
  const name = newName();
  const label = "key-of-ada";
  const said: string[] = [];
  const call = async (method: string, path: string, body?: unknown, headers: Headers = ADA) => {
    const response = await server(method, BASE + path, body, headers);
    said.push(await response.text(), JSON.stringify([...response.headers]));
    return response.status;
  };
  expect(await call("POST", "/sessions", { name, user_id: label })).toBe(201);
  standin.script(text("Hello."));
  expect(await call("POST", `/sessions/${name}/chat`, { message: "Hi" })).toBe(200);
  for (const path of ["", `/${name}`, `/${name}/history`, `/${name}/jobs`, `/${name}/files`]) {
    expect(await call("GET", `/sessions${path}`)).toBe(200);
  }
  const bearer = { authorization: "Bearer key-of-ada" };
  for (const headers of [ADA, bearer]) {
    for (const path of ["/sessions", "/usage", "/audit"]) {
      expect(await call("GET", `${path}?user_id=${label}`, undefined, headers)).toBe(200);
    }
  }
  expect(await call("GET", "/sessions?user_id=ada")).toBe(200);
  expect(said.join("\n")).toContain('"user_id":"ada"');
  // What a client itself put into an address comes back in problems only.
  expect(said.join("\n")).not.toContain("key-of-ada");
});

/** The path with its parameters filled in. */
const addressOf = (path: string, session: string): string =>
  path
    .replace(":name", session)
    .replace(":job", "0000000000000002")
    .replace(":template", "debug")
    .replace("*", "notes.md");

const FORM = [
  "--b",
  'content-disposition: form-data; name="file"; filename="a.txt"',
  "",
  "x",
  "--b--",
  "",
].join("\r\n");
const FORM_TYPE = { "content-type": "multipart/form-data; boundary=b" };

/** A body that the route would take. */
function bodyFor(method: string, path: string): unknown {
  if (method !== "POST") return undefined;
  if (path.endsWith("/sessions")) return { name: "x" };
  if (path.endsWith("/repo")) return { working_dir: "." };
  if (path.endsWith("/files")) return FORM;
  if (path.endsWith("/count")) return { text: "x" };
  return /\/(?:chat|stream|jobs)$/.test(path) ? { message: "Hi" } : undefined;
}
