/**
 * Requests that nobody should send, on every route: each is answered with what it deserves, never with
 * a 5xx; a refusal is a problem that says what is wrong; and the session still works.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { accountId } from "../../src/http/auth.ts";
import type { Route } from "../../src/http/routes.ts";
import { sessionStub } from "../../src/session/calls.ts";
import type { JsonObject } from "../../src/shared/content.ts";
import { newAccount } from "../api/cc/keys-support.ts";
import { get, type Headers, send, serverWith, standin } from "../api/cc/server.ts";
import { takeComplaints } from "../support/documented.ts";
import { checkLog } from "../support/laws.ts";
import { Reader } from "../support/reader.ts";
import { FIELDS } from "./fields.ts";
import { isFailure, refusalOf } from "./forms.ts";
import { headerText, type Strange, strangeQuery, strangeRequest } from "./requests.ts";
import {
  bodyOf,
  HALF_OPEN,
  hasBody,
  KEYED,
  nameOf,
  newWorld,
  pathOf,
  typeOf,
  type World,
  withoutWorld,
} from "./surface.ts";
import { KINDS, STRANGE_SEGMENTS, strangeSegment } from "./values.ts";

withoutWorld();

/** As everywhere, but a client may name a model that there is not: of some fields the text is not checked. */
beforeEach(() => standin.reset());
afterEach(() => {
  expect(takeComplaints()).toEqual([]);
  const refused = standin.unexpectedRefusals().map(({ outcome }) => outcome);
  const others = refused.filter((one) => one.state !== "refused" || !/^model: /.test(one.message));
  expect(others).toEqual([]);
});

const ROUTES = [...KEYED, ...HALF_OPEN];

/** Of each route; the same ones each time. */
const RUNS = 24;
const SEED = 6;

const server = serverWith({ ALLOW_ANONYMOUS: "false", API_KEYS: "the-owner-of-this-server" });

let world: World;
/** What is changed and deleted here; the world is kept for what follows. */
let scratch: World;
let sent = 0;
const answers = new Map<number, number>();

beforeAll(async () => {
  world = await newWorld(server, newAccount());
  scratch = await newWorld(server, newAccount());
}, 30_000);

afterAll(() => {
  const counts = [...answers].toSorted(([a], [b]) => a - b).map(([status, n]) => `${status}: ${n}`);
  console.log(`fuzz: ${ROUTES.length} routes, ${sent} requests (${counts.join(", ")})`);
});

/** What only reads, and messages, go where something is. */
const placeOf = ({ method, path }: Route): World =>
  method === "GET" || /\/(turns|chat)$/.test(path) ? world : scratch;

function addressOf(route: Route, { segment, query }: Strange): string {
  const { ids } = placeOf(route);
  const strange = segment ? route.path.replace(segment.name, segment.value) : route.path;
  const path = pathOf({ ...route, path: strange }, ids);
  return query === "" ? path : `${path}?${query}`;
}

async function ask(route: Route, strange: Strange): Promise<void> {
  const { headers, body, method } = strange;
  const { key } = placeOf(route);
  const used = method ?? route.method;
  const sentBody = body instanceof Uint8Array ? new Blob([Uint8Array.from(body)]).stream() : body;
  const path = addressOf(route, strange);
  const type: Headers = hasBody(route) ? { "content-type": typeOf(route) } : {};
  const response = await server(used, path, sentBody, { ...type, ...headers, ...key.headers });
  await expectProper(response, used, path);
}

/** No 5xx; and what is refused is said in the form of its surface, with all that this has. */
async function expectProper(response: Response, method: string, path: string): Promise<void> {
  const what = `${method} ${path}`;
  sent += 1;
  const { status, headers } = response;
  answers.set(status, (answers.get(status) ?? 0) + 1);
  if (headers.get("content-type")?.startsWith("text/event-stream")) {
    await response.body?.cancel();
    expect([what, status]).toEqual([what, 200]);
    return;
  }
  const text = new TextDecoder().decode(await response.arrayBuffer());
  const failed = isFailure(path, response, text);
  expect([what, failed ? text : "", failed]).toEqual([what, "", false]);
  if (status < 400) return;
  refusalOf(path, response, text);
  expect(text).not.toMatch(/\bat \S+ \(|\.ts:\d|node_modules|SQLITE|valibot/i);
  if (status === 405) expect(headers.get("allow")).toMatch(/[A-Z]/);
  expect(text.length).toBeLessThan(120_000);
}

describe.each(ROUTES.map((route) => [nameOf(route), route] as const))("%s", (_, route) => {
  test("is never broken by a request", async () => {
    const law = fc.asyncProperty(strangeRequest(route), (strange) => ask(route, strange));
    await fc.assert(law, { seed: SEED, numRuns: RUNS, endOnFailure: true });
  }, 60_000);
});

test("every part of every path is checked, whatever stands there", async () => {
  for (const route of ROUTES) {
    for (const name of route.path.match(/:\w+|\*/g) ?? []) {
      for (const value of STRANGE_SEGMENTS) {
        await ask(route, {
          segment: { name, value },
          query: "",
          headers: {},
          body: bodyOf(route, scratch),
          method: null,
        });
      }
    }
  }
}, 60_000);

test("every field of every body is checked for its kind, and an error names it", async () => {
  let wrong = 0;
  for (const route of KEYED) {
    for (const name of Object.keys(FIELDS[nameOf(route)] ?? {})) {
      for (const value of KINDS) {
        const base = bodyOf(route, scratch) as JsonObject;
        const { key, ids } = scratch;
        const body = JSON.stringify({ ...base, [name]: value });
        const path = pathOf(route, ids);
        const response = await server(route.method, path, body, key.headers);
        const what = `${nameOf(route)} with ${name}: ${JSON.stringify(value).slice(0, 40)}`;
        const refused = response.clone();
        await expectProper(response, route.method, path);
        const text = refused.ok ? "" : await refused.text();
        if (!text.includes('"validation_error"')) continue;
        expect([what, text]).toEqual([what, expect.stringContaining(`body -> ${name}`)]);
        wrong += 1;
      }
    }
  }
  expect(wrong).toBeGreaterThan(300);
}, 60_000);

test("any address is answered", async () => {
  const segments = fc.array(
    fc.oneof(
      strangeSegment,
      fc.constantFrom("api", "v1", "chat", "sessions", "jobs", "keys", "files", "healthz", ""),
    ),
    { maxLength: 6 },
  );
  const law = fc.asyncProperty(
    segments,
    strangeQuery,
    fc.constantFrom("GET", "POST", "DELETE", "OPTIONS", "PUT"),
    async (parts, query, method) => {
      const path = `/${parts.join("/")}?${query}`;
      const response = await server(method, path, undefined, scratch.key.headers);
      await expectProper(response, method, path);
    },
  );
  await fc.assert(law, { seed: SEED, numRuns: 200, endOnFailure: true });
  for (const path of [
    `/api/${"a/".repeat(5_000)}`,
    `/api/sessions?${"a=b&".repeat(5_000)}`,
    `/api/sessions?q=${"x".repeat(100_000)}`,
    `/api/v1/sessions/${"a/".repeat(5_000)}`,
    `/api/v1/sessions/${"x".repeat(100_000)}/history`,
    `/api/v1/audit?user_id=${"x".repeat(100_000)}`,
  ]) {
    const response = await server("GET", path, undefined, scratch.key.headers);
    await expectProper(response, "GET", path);
  }
}, 60_000);

test("any key is answered, and none of these opens anything", async () => {
  const forms = fc.constantFrom(
    "",
    "Bearer ",
    "bearer  ",
    "Basic ",
    "Bearer\t",
    "lk_",
    "Bearer lk_0123456789abcdef_",
  );
  const law = fc.asyncProperty(forms, headerText, fc.boolean(), async (prefix, text, own) => {
    const headers: Headers = own
      ? { authorization: prefix + text }
      : { "x-api-key": prefix + text };
    const response = await server("GET", "/api/sessions", undefined, headers);
    expect(response.status).toBe(401);
    await expectProper(response, "GET", "/api/sessions");
  });
  await fc.assert(law, { seed: SEED, numRuns: 100, endOnFailure: true });
});

/** The session's log, which obeys the laws. */
async function rowsOf(account: string, session: string): Promise<number> {
  const id = await accountId(account);
  const ulid = session.replace("sess_", "");
  const stub = sessionStub(env, id, ulid);
  const object = env.SESSION.getByName(`${id}/${ulid}`);
  const rows = await checkLog({
    stub,
    reader: new Reader(stub),
    inside: (act) => runInDurableObject(object, (instance, state) => act(state, instance)),
  });
  return rows?.length ?? 0;
}

/** Last: what is left after all of that. */
test.each(["world", "scratch"] as const)(
  "the %s's sessions answer, and their logs obey the laws",
  async (which) => {
    const { account, ids, session, code, codeId, key } = which === "world" ? world : scratch;
    const turn = await server("POST", `${session}/turns`, { input: "Are you there?" }, key.headers);
    expect(turn.status).toBe(200);
    expect(await turn.json()).toMatchObject({ outcome: "completed" });
    expect(await rowsOf(account, ids.id)).toBeGreaterThan(5);
    const chat = await server("POST", `${code}/chat`, { message: "Are you there?" }, key.headers);
    expect(chat.status).toBe(200);
    expect((await chat.json<{ data: JsonObject }>()).data).not.toHaveProperty("outcome");
    expect(await rowsOf(account, codeId)).toBeGreaterThan(5);
  },
);

test("the open routes answer as ever", async () => {
  expect((await get("/healthz")).status).toBe(200);
  expect((await get("/api/v1/health")).status).toBe(200);
  expect((await get("/v1/health")).status).toBe(200);
  expect((await send("GET", "/")).status).toBe(200);
});
