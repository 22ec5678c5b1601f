/** Every route as a request that means something, and an account in which it does. */
import { afterAll, beforeAll, expect } from "vitest";
import { ROUTES as CC } from "../../src/api/cc/routes.ts";
import { ROUTES as CHAT } from "../../src/api/chat/routes.ts";
import { ROUTES as CODE } from "../../src/api/code/routes.ts";
import type { Route } from "../../src/http/routes.ts";
import type { JsonObject } from "../../src/shared/content.ts";
import { SCOPES } from "../../src/shared/keys.ts";
import { text, toolUse } from "../../src/standin/replies.ts";
import { type MadeKey, newKey } from "../api/cc/keys-support.ts";
import {
  functionTool,
  type Headers,
  imageBlock,
  pngBytes,
  type serverWith,
  standin,
} from "../api/cc/server.ts";
import { once } from "../api/code/client.ts";
import { HOOK } from "../support/receiver.ts";

/** What stands in the paths of routes. */
export interface Ids {
  id: string;
  turn: string;
  input: string;
  sha256: string;
  key: string;
  template: string;
  /** Of a session of claude-code-api, and a job in it. */
  name: string;
  job: string;
}

type Server = ReturnType<typeof serverWith>;

/** The routes of all surfaces. */
const ROUTES: readonly Route[] = [...CC, ...CODE, ...CHAT];

/** Routes that need a key, in an order in which each still finds what it is about. */
export const KEYED: readonly Route[] = ROUTES.filter(({ scope }) => scope !== null).toSorted(
  (a, b) => rank(a) - rank(b) || b.path.length - a.path.length,
);

/** Routes that need none, and say more to who has one. */
export const HALF_OPEN: readonly Route[] = ROUTES.filter(
  ({ scope, path }) => scope === null && path.includes("/templates"),
);

function rank({ method }: Route): number {
  return ["GET", "POST", "PUT", "PATCH", "DELETE"].indexOf(method);
}

export const nameOf = ({ method, path }: Route): string => `${method} ${path}`;

/** Bodies of routes for which `{}` says too little. */
const BODIES: Readonly<Record<string, (world: Pick<World, "call">) => unknown>> = {
  "PUT /api/account/anthropic-key": () => ({ api_key: "sk-ant-other-0123456789" }),
  "POST /api/keys": () => ({ name: "another" }),
  "PATCH /api/keys/:key": () => ({ name: "renamed" }),
  "POST /api/templates/import": () => ({ imported: { system_prompt: "Be brief." } }),
  "PUT /api/templates/:template": () => ({ system_prompt: "Be brief." }),
  "PATCH /api/sessions/:id": () => ({ title: "renamed" }),
  "POST /api/sessions/:id/turns": () => ({ input: "Hello" }),
  "POST /api/v1/sessions": () => ({ name: "another" }),
  "POST /api/v1/sessions/:name/repo": () => ({ working_dir: "." }),
  "POST /api/v1/sessions/:name/chat": () => ({ message: "Hello" }),
  "POST /api/v1/sessions/:name/chat/stream": () => ({ message: "Hello" }),
  "POST /api/v1/sessions/:name/jobs": () => ({ message: "Hello" }),
  "POST /api/v1/sessions/:name/files": () => "--x--",
  "POST /api/v1/tokens/count": () => ({ text: "Hello" }),
  "POST /v1/chat": () => ({ prompt: "Hello" }),
  "POST /v1/chat/stream": () => ({ prompt: "Hello" }),
  "POST /api/sessions/:id/tool-results": ({ call }) => ({
    results: [{ tool_call_id: call, content: "Full." }],
  }),
  "POST /api/sessions/:id/confirmations": ({ call }) => ({
    confirmations: [{ tool_call_id: call, decision: "allow" }],
  }),
  "POST /api/sessions/:id/files": () => "--x--",
  "POST /api/sessions/:id/files/zip": () => "no archive",
  "POST /api/sessions/:id/files/move": () => ({ from: "a.txt", to: "b.txt" }),
  "POST /api/sessions/:id/files/directories": () => ({ path: "d" }),
  // An address of this machine, so nothing leaves it.
  "POST /api/sessions/:id/files/git": () => ({ url: "https://127.0.0.1/a.git" }),
};

const TYPES: Readonly<Record<string, string>> = {
  "POST /api/sessions/:id/files": "multipart/form-data; boundary=x",
  "POST /api/sessions/:id/files/zip": "application/zip",
  "POST /api/v1/sessions/:name/files": "multipart/form-data; boundary=x",
};

export const hasBody = ({ method }: Route): boolean => method !== "GET" && method !== "DELETE";

export const bodyOf = (route: Route, world: Pick<World, "call">): unknown =>
  hasBody(route) ? (BODIES[nameOf(route)]?.(world) ?? {}) : undefined;

export const typeOf = (route: Route): string => TYPES[nameOf(route)] ?? "application/json";

/** The query of routes that need one. */
const QUERIES: Readonly<Record<string, string>> = { "GET /api/sessions/:id/search": "?q=moon" };

export const pathOf = (route: Route, ids: Ids, file = "a.txt"): string =>
  route.path
    .replace(/:(id|turn|input|sha256|key|template|name|job)\b/g, (_, name: keyof Ids) => ids[name])
    .replace("*", file) + (QUERIES[nameOf(route)] ?? "");

/** Webhooks are taken, and nothing else leaves this machine. */
export function withoutWorld(): void {
  const real = globalThis.fetch;
  beforeAll(() => {
    globalThis.fetch = async (input) => {
      if (String(input).startsWith(new URL(HOOK).origin)) return new Response();
      throw new TypeError("Network connection lost.");
    };
  });
  afterAll(() => {
    globalThis.fetch = real;
  });
}

/** An account with two sessions in which there is one of everything that a path or body can name. */
export interface World {
  account: string;
  /** A word in all that people wrote here. */
  mark: string;
  /** May do everything in this account. */
  key: MadeKey;
  ids: Ids;
  /** A call that waits for its result. */
  call: string;
  /** Paths of the two sessions, under the native API and under claude-code-api's. */
  session: string;
  code: string;
  /** The public id of the second. */
  codeId: string;
}

export async function newWorld(server: Server, account: string): Promise<World> {
  const mark = `mark${crypto.randomUUID().slice(0, 8)}`;
  const key = await newKey({ account, scopes: [...SCOPES] });
  const asked = async (method: string, path: string, body?: unknown, headers: Headers = {}) => {
    const response = await server(method, path, body, { ...key.headers, ...headers });
    expect([method, path, response.ok]).toEqual([method, path, true]);
    return response;
  };
  const ask = async (...request: Parameters<typeof asked>) =>
    (await asked(...request)).json<JsonObject>();
  const { id } = await ask("POST", "/api/sessions", { title: mark, name: `${mark}-name` });
  const session = `/api/sessions/${String(id)}`;
  standin.script(text(`The moon of ${mark}.`), toolUse("look", { at: mark }));
  const image = imageBlock(pngBytes(20_000));
  const first = await ask("POST", `${session}/turns`, {
    input: [{ type: "text", text: mark }, image],
  });
  await ask("POST", `${session}/turns`, { input: "Look", tools: [functionTool("look")] });
  await ask("PUT", `${session}/files/a.txt`, `a file of ${mark}`, { "content-type": "text/plain" });
  const { pending_tool_calls } = await ask("GET", session);
  const page = JSON.stringify(await ask("GET", `${session}/events?type=turn.started`));
  const sha256 = /"sha256":"([0-9a-f]{64})"/.exec(page)?.[1] ?? "";
  const call = /call_\d+_\d+/.exec(JSON.stringify(pending_tool_calls))?.[0] ?? "";
  const turn = String(first.id);
  const other = await newKey({ account, name: `${mark}-other` });
  // A refusal repeats the path, so no name in it has the word.
  const name = `n-${crypto.randomUUID()}`;
  const code = `/api/v1/sessions/${name}`;
  await ask("POST", "/api/v1/sessions", { name, system_prompt: `A prompt of ${mark}.` });
  standin.script(text(`The work of ${mark}.`));
  const posted = await asked("POST", `${code}/jobs`, { message: mark, webhook_url: HOOK });
  const [codeId = "", , job = ""] = posted.headers.get("location")?.split("/").slice(-3) ?? [];
  await posted.text();
  const told = () => ask("GET", `${code}/jobs/${job}`).then(({ data }) => JSON.stringify(data));
  await once(told, (one) => one.includes('"state":"delivered"'));
  const used = () => ask("GET", "/api/v1/usage").then(({ data }) => JSON.stringify(data));
  await once(used, (usage) => usage.includes('"completed":1'));
  await ask("PUT", `/api/sessions/${codeId}/files/a.txt`, `a file of ${mark}`, {
    "content-type": "text/plain",
  });
  const template = `t-${crypto.randomUUID()}`;
  await ask("PUT", `/api/templates/${template}`, { system_prompt: `A prompt of ${mark}.` });
  const input = turn.replace("turn", "input");
  const ids = { id: String(id), turn, input, sha256, key: other.id, template, name, job };
  expect([sha256, call, job]).not.toContain("");
  return { account, mark, key, ids, call, session, code, codeId };
}
