/**
 * Every route of the table × everything that is no key for it: refused in words that say nothing, and
 * nothing is written. The same requests with the right key are let through.
 */

import { ulid } from "ulid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Route } from "../../src/http/routes.ts";
import { SCOPES } from "../../src/shared/keys.ts";
import { type MadeKey, newAccount, newKey } from "../api/cc/keys-support.ts";
import { type Headers, send, serverWith, withStandin } from "../api/cc/server.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { bodyOf, hasBody, KEYED, nameOf, newWorld, pathOf, typeOf, type World } from "./surface.ts";
import { type Tables, tablesOfAccount, tablesOfSession } from "./tables.ts";

withStandin();

const OWNER = "the-owner-of-this-server";
const server = serverWith({ API_KEYS: OWNER, ALLOW_ANONYMOUS: "false" });

let clock: FakeClock;
let ann: World;
let ben: World;
let keys: Record<"revoked" | "expired", MadeKey> & { without: Map<string, MadeKey> };
let ticket: string;
let before: Tables[];

/** Refusals are written into the audit: nothing else may be. */
const UNCOMPARED = ["audit"];

async function stored(): Promise<Tables[]> {
  const tables = [
    await tablesOfAccount(ann.account),
    await tablesOfSession(ann.account, ann.ids.id),
  ];
  for (const one of tables) for (const name of UNCOMPARED) delete one[name];
  return tables;
}

beforeAll(async () => {
  clock = new FakeClock(FAR_FUTURE);
  ann = await newWorld(server, newAccount());
  ben = await newWorld(server, newAccount());
  const { account } = ann;
  const made = SCOPES.map(async (scope) => {
    const others = SCOPES.filter((other) => other !== scope);
    return [scope, await newKey({ account, scopes: others })] as const;
  });
  keys = {
    revoked: await newKey({ account, scopes: [...SCOPES] }),
    expired: await newKey({ account, scopes: [...SCOPES], expires_in_seconds: 1 }),
    without: new Map(await Promise.all(made)),
  };
  await send("DELETE", `/api/keys/${keys.revoked.id}?account=${account}`);
  const made_ticket = await server(
    "POST",
    `${ann.session}/stream-ticket`,
    undefined,
    ann.key.headers,
  );
  ticket = (await made_ticket.json<{ ticket: string }>()).ticket;
  clock.advance(1_000);
  before = await stored();
}, 30_000);

let asked = 0;
afterAll(() => {
  clock.restore();
  console.log(`access: ${KEYED.length} routes, ${asked} requests without the right key`);
});

/** A key as a header; the two forms in which one may be sent. */
const FORMS: readonly (readonly [string, (text: string) => Headers])[] = [
  ["Authorization", (text) => ({ authorization: `Bearer ${text}` })],
  ["X-API-Key", (text) => ({ "x-api-key": text })],
];

/** What says that the request is another one than it is. */
const DISGUISES: readonly Headers[] = [
  {},
  {
    origin: "http://localhost",
    "x-http-method-override": "GET",
    "x-http-method": "GET",
    "x-method-override": "OPTIONS",
    "x-original-url": "/healthz",
    "x-rewrite-url": "/healthz",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-host": "localhost",
    forwarded: "for=127.0.0.1;host=localhost",
    "x-account": "default",
    "idempotency-key": "disguised",
    "last-event-id": "0",
  },
];

/** What a route answers, under the methods by which it is reached. */
const METHODS = (route: Route): string[] =>
  route.method === "GET" ? ["GET", "HEAD"] : [route.method];

interface Answer {
  status: number;
  code: string | undefined;
  headers: globalThis.Headers;
  body: string;
}

async function ask(
  route: Route,
  method: string,
  path: string,
  headers: Headers,
  world = ann,
): Promise<Answer> {
  asked += 1;
  const type: Headers = hasBody(route) ? { "content-type": typeOf(route) } : {};
  const response = await server(method, path, bodyOf(route, world), { ...type, ...headers });
  const streamed =
    response.ok && response.headers.get("content-type")?.startsWith("text/event-stream");
  if (streamed) await response.body?.cancel();
  const body = streamed ? "" : new TextDecoder().decode(await response.arrayBuffer());
  const problem =
    response.headers.get("content-type") === "application/problem+json" && body !== "";
  const code = problem ? (JSON.parse(body) as { error: { code: string } }).error.code : undefined;
  return { status: response.status, code, headers: response.headers, body };
}

/** What is sent in place of a key, by the route; null: nothing. */
const CREDENTIALS: Readonly<
  Record<string, { text: (route: Route) => string | null; status: number; code: string }>
> = {
  "no key": { text: () => null, status: 401, code: "unauthorized" },
  "a word": { text: () => "letmein", status: 401, code: "unauthorized" },
  "a key with another secret": {
    text: () => ann.key.text.replace(/.{4}$/, (end) => (end === "0000" ? "1111" : "0000")),
    status: 401,
    code: "unauthorized",
  },
  "a key's public id": { text: () => ann.key.id, status: 401, code: "unauthorized" },
  "a stream ticket": { text: () => ticket, status: 401, code: "unauthorized" },
  "a revoked key": { text: () => keys.revoked.text, status: 401, code: "key_revoked" },
  "an expired key": { text: () => keys.expired.text, status: 401, code: "key_expired" },
  "a key with all scopes but the route's": {
    text: ({ scope }) => keys.without.get(scope ?? "")?.text ?? "none",
    status: 403,
    code: "missing_scope",
  },
};

describe.each(Object.entries(CREDENTIALS))("%s", (_, { text, status, code }) => {
  test("opens no route, in whatever form and disguise, and writes nothing", async () => {
    for (const route of KEYED) {
      const path = pathOf(route, ann.ids);
      const sent = text(route);
      for (const [form, header] of FORMS) {
        for (const disguise of DISGUISES) {
          for (const method of METHODS(route)) {
            const headers = { ...disguise, ...(sent === null ? {} : header(sent)) };
            const answer = await ask(route, method, path, headers);
            const what = [nameOf(route), method, form];
            expect([...what, answer.status]).toEqual([...what, status]);
            expect(answer.headers.get("www-authenticate")).toBe(status === 401 ? "Bearer" : null);
            expect(answer.body).not.toContain(ann.mark);
            if (method !== "HEAD") expect([...what, answer.code]).toEqual([...what, code]);
          }
        }
      }
    }
    expect(await stored()).toEqual(before);
  }, 60_000);
});

test("a right key in an address opens no route", async () => {
  for (const route of KEYED) {
    for (const name of [
      "key",
      "api_key",
      "apiKey",
      "x-api-key",
      "access_token",
      "token",
      "authorization",
    ]) {
      const path = pathOf(route, ann.ids);
      const query = `${path.includes("?") ? "&" : "?"}${name}=${ann.key.text}`;
      expect([
        nameOf(route),
        name,
        (await ask(route, route.method, path + query, {})).status,
      ]).toEqual([nameOf(route), name, 401]);
    }
  }
  expect(await stored()).toEqual(before);
});

test("a ticket in an address opens the stream of its session, for reading, and no other route", async () => {
  for (const route of KEYED) {
    const path = pathOf(route, ann.ids);
    const query = `${path.includes("?") ? "&" : "?"}ticket=${ticket}`;
    const opened = path.endsWith("/events/stream");
    const answer = await ask(route, route.method, path + query, {});
    expect([nameOf(route), answer.status]).toEqual([nameOf(route), opened ? 200 : 401]);
    const foreign = await ask(route, route.method, pathOf(route, ben.ids) + query, {});
    expect([nameOf(route), foreign.status]).toEqual([nameOf(route), 401]);
  }
  expect(await stored()).toEqual(before);
});

/** Without what differs between any two answers. */
const comparable = ({ status, headers, body }: Answer, id: string) => ({
  status,
  headers: Object.fromEntries([...headers].filter(([name]) => name !== "x-request-id")),
  body: body.replaceAll(id, "<id>").replace(/"request_id":"[^"]*"/, ""),
});

/** The part of a path that another account's key must not be able to tell from nothing. */
const FOREIGN = KEYED.flatMap((route): (readonly [Route, "id" | "key"])[] => {
  if (route.path.includes(":id")) return [[route, "id"]];
  return route.path.includes(":key") ? [[route, "key"]] : [];
});

test("what another account has looks to every route like what never was, and stays as it is", async () => {
  const never = { id: `sess_${ulid()}`, key: `key_${ulid()}` };
  for (const [route, name] of FOREIGN) {
    for (const [form, header] of FORMS) {
      for (const disguise of DISGUISES) {
        for (const method of METHODS(route)) {
          const headers = { ...disguise, ...header(ben.key.text) };
          const there = await ask(route, method, pathOf(route, ann.ids), headers);
          const nowhere = await ask(
            route,
            method,
            pathOf(route, { ...ann.ids, [name]: never[name] }),
            headers,
          );
          const what = [nameOf(route), method, form];
          expect([...what, there.status]).toEqual([...what, 404]);
          expect(comparable(there, ann.ids[name])).toEqual(comparable(nowhere, never[name]));
        }
      }
    }
  }
  expect(await stored()).toEqual(before);
  // The objects to which Ben's key leads with these ids.
  expect(await tablesOfSession(ben.account, ann.ids.id)).toEqual({});
  expect(await tablesOfSession(ben.account, never.id)).toEqual({});
}, 60_000);

test("an account's name in an address or body opens nothing of it, whether it exists or not", async () => {
  const owner = { "x-api-key": OWNER };
  const nobody = newAccount();
  for (const route of KEYED.filter(({ path }) => path.startsWith("/api/keys"))) {
    const answers = [];
    for (const account of [ann.account, nobody]) {
      const path = `${pathOf(route, ann.ids)}?account=${account}`;
      const answer = await ask(route, route.method, path, ben.key.headers);
      const expected = nameOf(route) === "POST /api/keys" ? [201] : [403];
      expect([nameOf(route), answer.status]).toEqual([nameOf(route), ...expected]);
      if (answer.status === 201)
        expect(JSON.parse(answer.body)).toMatchObject({ account: ben.account });
      else answers.push(comparable(answer, account));
    }
    expect(answers[0]).toEqual(answers[1]);
  }
  for (const account of [ann.account, nobody, "default"]) {
    const made = await server("POST", "/api/keys", { name: "x", account }, ben.key.headers);
    expect([account, made.status]).toEqual([account, 403]);
  }
  expect(await tablesOfAccount(nobody)).toEqual({});
  expect(await stored()).toEqual(before);
  const mine = await server("GET", `/api/keys?account=${ann.account}`, undefined, owner);
  expect(await mine.text()).toContain(ann.mark);
});

test("ids of another account's things name nothing in a session of one's own", async () => {
  const { headers } = ben.key;
  const at = async (method: string, path: string, body?: unknown, more: Headers = {}) => {
    asked += 1;
    const response = await server(method, path, body, { ...headers, ...more });
    const answer = await response.text();
    expect(answer).not.toContain(ann.mark);
    return response.status;
  };
  const mine = ben.session;
  const empty = `/api/sessions/${JSON.parse(await (await server("POST", "/api/sessions", {}, headers)).text()).id}`;
  expect(ann.ids.sha256).not.toBe(ben.ids.sha256);
  expect(await at("GET", `${mine}/media/${ann.ids.sha256}`)).toBe(404);
  expect(await at("GET", `${empty}/turns/${ann.ids.turn}`)).toBe(404);
  expect(await at("DELETE", `${empty}/queue/${ann.ids.input}`)).toBe(404);
  const results = { results: [{ tool_call_id: ann.call, content: "Stolen." }] };
  expect(await at("POST", `${empty}/tool-results`, results)).toBe(422);
  const confirmations = { confirmations: [{ tool_call_id: ann.call, decision: "allow" }] };
  expect(await at("POST", `${empty}/confirmations`, confirmations)).toBe(422);
  expect(await at("GET", `${empty}/files/a.txt`)).toBe(404);
  for (const path of ["../", "%2e%2e/", `../${ann.ids.id}/`, "/workspace/../"]) {
    expect([path, await at("GET", `${mine}/files/${path}a.txt`)]).not.toEqual([path, 200]);
  }
  const stolen = [
    {
      type: "image",
      source: { type: "url", url: `http://localhost${ann.session}/media/${ann.ids.sha256}` },
    },
  ];
  expect(await at("POST", `${mine}/turns`, { input: stolen })).toBe(422);
  expect(await stored()).toEqual(before);
});

test("cursors, names and idempotency keys of one account mean nothing in another", async () => {
  const mine = { authorization: `Bearer ${ben.key.text}` };
  for (const route of KEYED.filter(({ method, path }) => method === "GET" && !path.includes(":"))) {
    for (const cursor of [ann.ids.id, ann.ids.key, ann.ids.id.replace("sess_", ""), "0", "1"]) {
      const answer = await ask(route, "GET", `${route.path}?cursor=${cursor}`, mine);
      expect(answer.status).toBeLessThan(500);
      expect(answer.body).not.toContain(ann.mark);
      expect(answer.body).not.toContain(`"${ann.ids.id}"`);
    }
  }
  const named = await server("GET", `/api/sessions?name=${ann.name}`, undefined, mine);
  expect(await named.json()).toMatchObject({ data: [], has_more: false });
  const key = { "idempotency-key": "the-same" };
  const first = await server(
    "POST",
    "/api/sessions",
    { name: ann.mark },
    { ...ann.key.headers, ...key },
  );
  const second = await server("POST", "/api/sessions", { name: ann.mark }, { ...mine, ...key });
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(second.headers.get("idempotency-replayed")).toBeNull();
  expect(second.headers.get("location")).not.toBe(first.headers.get("location"));
});

/** Last: these requests do what they say. */
test("every one of these requests passes with the right key", async () => {
  for (const route of KEYED) {
    const { status } = await ask(route, route.method, pathOf(route, ann.ids), ann.key.headers);
    asked -= 1;
    expect([nameOf(route), status]).not.toEqual([nameOf(route), expect.toBeOneOf([401, 403, 404])]);
    expect([nameOf(route), status < 500]).toEqual([nameOf(route), true]);
  }
}, 20_000);
