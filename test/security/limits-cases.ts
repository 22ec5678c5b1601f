/** Sizes, counts and depths that the native API lets through, and what it says of one more. */
import type { Json, JsonObject } from "../../src/shared/content.ts";
import { get, type Headers, newSession, post, send, serverWith } from "../api/cc/server.ts";
import { nested } from "./values.ts";

export interface Limit {
  /** How the documentation calls it. */
  what: string;
  most: number;
  unit?: string;
  /** A request that has `n` of it. */
  send: (n: number) => Promise<Response>;
  /** What is said of one more: the field that is wrong, or the code of the refusal. */
  refused: string;
}

let session = "";

/** Makes the session in which all of it is tried. */
export async function makeSession(): Promise<void> {
  session = await newSession();
}

/** Its path for clients of claude-code-api. */
export const codePath = (): string => session.replace("/api/", "/api/v1/");

export const x = (n: number): string => "x".repeat(n);
export const times = <T>(n: number, make: (i: number) => T): T[] =>
  Array.from({ length: n }, (_, i) => make(i));

const create = (body: Json): Promise<Response> => post("/api/sessions", body);
const patch = (body: JsonObject) => send("PATCH", session, body);
const turn = (body: JsonObject) => post(`${session}/turns`, { input: "Hi", tools: [], ...body });
/** For what may not happen: it would cost too much, or wait. */
const refusedTurn = (body: JsonObject) => turn({ ...body, on_busy: "never" });
const key = (body: JsonObject) => post("/api/keys", { name: "limits", ...body });
const results = (list: JsonObject[]) => post(`${session}/tool-results`, { results: list });
const confirmations = (list: JsonObject[]) =>
  post(`${session}/confirmations`, { confirmations: list });
const file = (path: string) =>
  send("PUT", `${session}/files/${path}`, "a", { "content-type": "text/plain" });
const keyed = (headers: Headers) => post(`${session}/interrupt`, {}, headers);
const call = { tool_call_id: "call_1_0" };

export const LIMITS: readonly Limit[] = [
  {
    what: "arrays and objects of a body in one another",
    most: 100,
    send: (n) => create({ unknown: nested(n - 1) }),
    refused: "body -> *",
  },
  {
    what: "JSON values of a body, without those around them",
    most: 250_000,
    send: (n) => create({ unknown: times(n, () => 1) }),
    refused: "body -> *",
  },
  {
    what: "a number",
    most: 1_000,
    unit: "characters",
    send: (n) => post("/api/sessions", `{"unknown":${"9".repeat(n)}}`),
    refused: "body -> *",
  },
  {
    what: "the name of a member",
    most: 65_536,
    unit: "characters",
    send: (n) => post("/api/sessions", `{"${x(n)}":1}`),
    refused: "body -> *",
  },
  {
    what: "`MAX_BODY_MB=1`",
    most: 1_048_576,
    unit: "bytes",
    send: (n) =>
      serverWith({ MAX_BODY_MB: "1" })("POST", "/api/sessions", `{}${" ".repeat(n - 2)}`),
    refused: "payload_too_large",
  },
  {
    what: "`Idempotency-Key`",
    most: 255,
    unit: "characters",
    send: (n) => keyed({ "idempotency-key": x(n) }),
    refused: "invalid_idempotency_key",
  },
  {
    what: "`title` of a session",
    most: 256,
    unit: "characters",
    send: (n) => patch({ title: x(n) }),
    refused: "body -> title",
  },
  {
    what: "`name` of a session",
    most: 128,
    unit: "characters",
    send: (n) => create({ name: crypto.randomUUID() + x(n - 36) }),
    refused: "body -> name",
  },
  {
    what: "`metadata` of a session, as JSON",
    most: 16_384,
    unit: "bytes",
    send: (n) => patch({ metadata: { a: x(n - 8) } }),
    refused: "body -> metadata",
  },
  {
    what: "`tools`",
    most: 256,
    send: (n) => create({ tools: times(n, (i) => ({ name: `t${i}` })) }),
    refused: "body -> tools",
  },
  {
    what: "the name of a tool",
    most: 128,
    unit: "characters",
    send: (n) => create({ tools: [{ name: x(n) }] }),
    refused: "body -> tools -> 0 -> name",
  },
  {
    what: "`stop_sequences`",
    most: 16,
    send: (n) => patch({ stop_sequences: times(n, (i) => `s${i}`) }),
    refused: "body -> stop_sequences",
  },
  {
    what: "a stop sequence",
    most: 256,
    unit: "characters",
    send: (n) => patch({ stop_sequences: [x(n)] }),
    refused: "body -> stop_sequences -> 0",
  },
  {
    what: "`user_id`",
    most: 256,
    unit: "characters",
    send: (n) => patch({ user_id: x(n) }),
    refused: "body -> user_id",
  },
  {
    what: "rules in each list of `permissions`",
    most: 200,
    send: (n) => patch({ permissions: { deny: times(n, (i) => `Read(a${i})`) } }),
    refused: "body -> permissions -> deny",
  },
  {
    what: "the pattern of a rule",
    most: 1_000,
    unit: "characters",
    send: (n) => patch({ permissions: { deny: [`Read(${x(n)})`] } }),
    refused: "body -> permissions -> deny -> 0",
  },
  {
    what: "`max_budget_usd`",
    most: 1_000_000_000,
    unit: "dollars",
    send: (n) => patch({ max_budget_usd: n }),
    refused: "body -> max_budget_usd",
  },
  {
    what: "blocks of a message",
    most: 1_000,
    send: (n) => refusedTurn({ input: times(n, () => ({ type: "text", text: "x" })) }),
    refused: "body -> input",
  },
  {
    what: "`file_id` of a source",
    most: 256,
    unit: "characters",
    send: (n) =>
      refusedTurn({ input: [{ type: "image", source: { type: "file", file_id: x(n) } }] }),
    refused: "body -> input -> 0 -> source -> file_id",
  },
  {
    what: "`results`",
    most: 1_000,
    send: (n) => results(times(n, (i) => ({ tool_call_id: `call_1_${i}`, content: "x" }))),
    refused: "body -> results",
  },
  {
    what: "`tool_call_id`",
    most: 256,
    unit: "characters",
    send: (n) => results([{ tool_call_id: x(n), content: "x" }]),
    refused: "body -> results -> 0 -> tool_call_id string_too_long",
  },
  {
    what: "blocks of a result",
    most: 1_000,
    send: (n) => results([{ ...call, content: times(n, () => ({ type: "text", text: "x" })) }]),
    refused: "body -> results -> 0 -> content",
  },
  {
    what: "`confirmations`",
    most: 1_000,
    send: (n) =>
      confirmations(times(n, (i) => ({ tool_call_id: `call_1_${i}`, decision: "allow" }))),
    refused: "body -> confirmations",
  },
  {
    what: "`message` of a denial",
    most: 10_000,
    unit: "characters",
    send: (n) => confirmations([{ ...call, decision: "deny", message: x(n) }]),
    refused: "body -> confirmations -> 0 -> message",
  },
  {
    what: "`instructions` of a compaction",
    most: 16_384,
    unit: "characters",
    send: (n) => post(`${session}/compact`, { instructions: x(n) }),
    refused: "body -> instructions",
  },
  {
    what: "an own Anthropic key",
    most: 512,
    unit: "characters",
    send: (n) => send("PUT", "/api/account/anthropic-key", { api_key: x(n) }),
    refused: "body -> api_key",
  },
  {
    what: "`name` of a managed key",
    most: 100,
    unit: "characters",
    send: (n) => key({ name: x(n) }),
    refused: "body -> name",
  },
  {
    what: "`scopes` of a key",
    most: 3,
    send: (n) => key({ scopes: times(n, () => "read") }),
    refused: "body -> scopes",
  },
  {
    what: "`requests` of a rate limit",
    most: 10_000,
    send: (n) => key({ rate_limit: { requests: n, window_seconds: 1 } }),
    refused: "body -> rate_limit -> requests",
  },
  {
    what: "`window_seconds` of a rate limit",
    most: 86_400,
    send: (n) => key({ rate_limit: { requests: 1, window_seconds: n } }),
    refused: "body -> rate_limit -> window_seconds",
  },
  {
    what: "`expires_in_seconds` of a key",
    most: 316_224_000,
    send: (n) => key({ expires_in_seconds: n }),
    refused: "body -> expires_in_seconds",
  },
  {
    what: "a budget of a key",
    most: 1_000_000_000,
    unit: "dollars",
    send: (n) => key({ budgets: { total_usd: n } }),
    refused: "body -> budgets -> total_usd",
  },
  ...["/api/sessions", "/api/keys"].map(
    (path): Limit => ({
      what: `a page of \`${path}\``,
      most: 100,
      send: (n) => get(`${path}?limit=${n}`),
      refused: "query -> limit",
    }),
  ),
  {
    what: "a page of turns, and of a search",
    most: 100,
    send: (n) => get(`${session}/turns?limit=${n}`),
    refused: "query -> limit",
  },
  {
    what: "a page of events",
    most: 1_000,
    send: (n) => get(`${session}/events?limit=${n}`),
    refused: "query -> limit",
  },
  {
    what: "`wait` of events",
    most: 25,
    unit: "seconds",
    send: (n) => get(`${session}/events?wait=${n}`),
    refused: "query -> wait",
  },
  {
    what: "a page of files",
    most: 1_000,
    send: (n) => get(`${session}/files?limit=${n}`),
    refused: "query -> limit",
  },
  {
    what: "`q` of the list of sessions",
    most: 1_000,
    unit: "characters",
    send: (n) => get(`/api/sessions?q=${x(n)}`),
    refused: "query -> q",
  },
  {
    what: "`q` of a search in a session",
    most: 1_000,
    unit: "characters",
    send: (n) => get(`${session}/search?q=${x(n)}`),
    refused: "query -> q",
  },
  {
    what: "a name in a path",
    most: 255,
    unit: "bytes",
    send: (n) => file(`${n % 2 ? "a" : ""}${encodeURIComponent("é".repeat(Math.floor(n / 2)))}`),
    refused: "path_too_long",
  },
  {
    what: "a path of a file, with `/workspace/`",
    most: 1_024,
    unit: "bytes",
    send: (n) => file(`${`${x(127)}/`.repeat(7)}${x(n - 907)}`),
    refused: "path_too_long",
  },
  {
    what: "`ref` of a clone",
    most: 255,
    unit: "characters",
    send: (n) => post(`${session}/files/git`, { url: "https://127.0.0.1/a.git", ref: x(n) }),
    refused: "body -> ref",
  },
];
