/** Two accounts on one server, and requests of one of them or of nobody. */
import { afterAll, beforeAll } from "vitest";
import type { Route } from "../../src/http/routes.ts";
import { newAccount } from "../api/cc/keys-support.ts";
import { type Headers, serverWith } from "../api/cc/server.ts";
import { FAR_FUTURE, FakeClock } from "../support/fake-clock.ts";
import { refusalOf } from "./forms.ts";
import { bodyOf, hasBody, KEYED, newWorld, typeOf, type World, withoutWorld } from "./surface.ts";
import { type Tables, tablesOfAccount, tablesOfSession } from "./tables.ts";

export const OWNER = "the-owner-of-this-server";
export const server = serverWith({ API_KEYS: OWNER, ALLOW_ANONYMOUS: "false" });

export let clock: FakeClock;
/** What is hers is asked for. */
export let ann: World;
/** Asks with a key of his own. */
export let ben: World;

/** Refusals are written into the audit: nothing else may be. */
const UNCOMPARED = ["audit"];

/** All that is kept of Ann. */
export async function stored(): Promise<Tables[]> {
  const tables = [
    await tablesOfAccount(ann.account),
    await tablesOfSession(ann.account, ann.ids.id),
    await tablesOfSession(ann.account, ann.codeId),
  ];
  for (const one of tables) for (const name of UNCOMPARED) delete one[name];
  return tables;
}

let asked = 0;

/** Makes both for the tests of a file. */
export function useAccounts(): void {
  withoutWorld();
  beforeAll(async () => {
    clock = new FakeClock(FAR_FUTURE);
    ann = await newWorld(server, newAccount());
    ben = await newWorld(server, newAccount());
    asked = 0;
  }, 30_000);
  afterAll(() => {
    clock.restore();
    console.log(`access: ${KEYED.length} routes, ${asked} requests without the right key`);
  });
}

/** A key as a header; the two forms in which one may be sent. */
export const FORMS: readonly (readonly [string, (text: string) => Headers])[] = [
  ["Authorization", (text) => ({ authorization: `Bearer ${text}` })],
  ["X-API-Key", (text) => ({ "x-api-key": text })],
];

/** What says that the request is another one than it is. */
export const DISGUISES: readonly Headers[] = [
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
export const METHODS = (route: Route): string[] =>
  route.method === "GET" ? ["GET", "HEAD"] : [route.method];

export interface Answer {
  status: number;
  code: string | undefined;
  headers: globalThis.Headers;
  body: string;
}

/** A request that the route would take, as far as its body goes. */
export async function ask(
  route: Route,
  method: string,
  path: string,
  headers: Headers,
  world = ann,
): Promise<Answer> {
  asked += headers === ann.key.headers ? 0 : 1;
  const type: Headers = hasBody(route) ? { "content-type": typeOf(route) } : {};
  const response = await server(method, path, bodyOf(route, world), { ...type, ...headers });
  const streamed =
    response.ok && response.headers.get("content-type")?.startsWith("text/event-stream");
  if (streamed) await response.body?.cancel();
  const body = streamed ? "" : new TextDecoder().decode(await response.arrayBuffer());
  const refused = response.status >= 400 && body !== "";
  const code = refused ? refusalOf(path, response, body) : undefined;
  return { status: response.status, code, headers: response.headers, body };
}

const VARYING = ["x-request-id", "x-response-time"];

/** Without what differs between any two answers. */
export const comparable = ({ status, headers, body }: Answer, id: string) => ({
  status,
  headers: Object.fromEntries([...headers].filter(([name]) => !VARYING.includes(name))),
  body: body.replaceAll(id, "<id>").replace(/"request_id":"[^"]*"/, ""),
});
