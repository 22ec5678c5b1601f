/** A client of the whole Worker, with the model behind it scripted. */
import { createExecutionContext, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { afterEach, beforeEach, expect } from "vitest";
import { accountId } from "../../../src/http/auth.ts";
import { sessionStub } from "../../../src/session/calls.ts";
import { DEFAULT_ACCOUNT } from "../../../src/shared/config-readers.ts";
import type { JsonObject } from "../../../src/shared/content.ts";
import type { Row, RowType } from "../../../src/shared/rows.ts";
import { localStandin } from "../../../src/standin/local.ts";
import worker from "../../../src/worker.ts";
import { documented, takeComplaints } from "../../support/documented.ts";

export const standin = localStandin(0);

/**
 * Every test scripts the model calls it makes; a refused or a forgotten one fails it, and so does an
 * answer that is not as the description of the API says.
 */
export function withStandin(): void {
  beforeEach(() => standin.reset());
  afterEach(() => {
    expect(takeComplaints()).toEqual([]);
    expect(standin.unexpectedRefusals()).toEqual([]);
    expect(standin.unusedReplies).toBe(0);
  });
}

export type Headers = Record<string, string>;

const BASE = "http://localhost";

/** The Worker as deployed; the types of its exports are not generated. */
const entry = (exports as unknown as { default: Fetcher }).default;

function request(method: string, path: string, body?: unknown, headers: Headers = {}): Request {
  const asIs = typeof body === "string" || body === undefined || body instanceof ReadableStream;
  const text = asIs ? body : JSON.stringify(body);
  return new Request(BASE + path, {
    method,
    headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    ...(text === undefined ? {} : { body: text }),
  });
}

/** Suites that look at what is answered, and not at how bytes come and clients leave. */
const LOOKED_AT = /\/test\/(?:conformance|api|security)\//;

/** The response, held against the description of the API. */
async function looked(
  method: string,
  path: string,
  response: Response | Promise<Response>,
): Promise<Response> {
  if (!LOOKED_AT.test(expect.getState().testPath ?? "")) return response;
  return documented(method, new URL(BASE + path).pathname, await response);
}

/** A request to the deployed Worker, without a key. A string or a stream is sent as it is. */
export const send = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Headers,
): Promise<Response> => looked(method, path, entry.fetch(request(method, path, body, headers)));

export const get = (path: string, headers?: Headers): Promise<Response> =>
  send("GET", path, undefined, headers);

export const post = (path: string, body?: unknown, headers?: Headers): Promise<Response> =>
  send("POST", path, body, headers);

/** A server with other variables, in front of the same objects. */
export function serverWith(variables: Record<string, unknown>) {
  const changed = { ...env, ...variables };
  return (method: string, path: string, body?: unknown, headers?: Headers) =>
    looked(
      method,
      path,
      worker.fetch(request(method, path, body, headers), changed, createExecutionContext()),
    );
}

/** The path of a new session. */
export async function newSession(body: unknown = {}): Promise<string> {
  const response = await post("/api/sessions", body);
  expect(response.status).toBe(201);
  return `/api/sessions/${(await response.json<{ id: string }>()).id}`;
}

export const idOf = (path: string): string => path.replace("/api/sessions/", "");

/** The object behind a session. */
export async function objectOf(path: string) {
  const account = await accountId(DEFAULT_ACCOUNT);
  return env.SESSION.getByName(`${account}/${idOf(path).replace("sess_", "")}`);
}

/** The rows of one type in a session's log. */
export async function rowsOf(path: string, type: RowType): Promise<Row[]> {
  const account = await accountId(DEFAULT_ACCOUNT);
  const session = sessionStub(env, account, idOf(path).replace("sess_", ""));
  const { rows = [] } = (await session.rows(0, 1000)) ?? {};
  return rows.filter((row) => row.type === type);
}

/** Runs `act` inside the session's object: only there may what the object waits for be settled. */
export async function inside(path: string, act: () => void): Promise<void> {
  await runInDurableObject(await objectOf(path), act);
}

/** Resolves when the session knows that every reader has left. */
export async function unread(path: string): Promise<void> {
  const object = await objectOf(path);
  const readers = (_: unknown, state: DurableObjectState) => state.getWebSockets().length;
  while ((await runInDurableObject(object, readers)) > 0);
}

export interface Frame {
  id: string | undefined;
  event: string | undefined;
  data: JsonObject;
}

/** The frames of an event stream, as they come. */
export async function* frames(response: Response): AsyncGenerator<Frame> {
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
  const events = response.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream());
  for await (const { id, event, data } of events ?? []) yield { id, event, data: JSON.parse(data) };
}

export async function allFrames(response: Response): Promise<Frame[]> {
  const all: Frame[] = [];
  for await (const frame of frames(response)) all.push(frame);
  return all;
}

/** Frames up to and including the first with this name; the stream is then left. */
export async function framesUntil(response: Response, event: string): Promise<Frame[]> {
  const seen: Frame[] = [];
  for await (const frame of frames(response)) {
    seen.push(frame);
    if (frame.event === event) break;
  }
  return seen;
}

export const names = (list: readonly Frame[]): (string | undefined)[] =>
  list.map((frame) => frame.event);

/** A tool as the Hermes client sends it. */
export const functionTool = (name: string, properties: JsonObject = {}) => ({
  type: "function",
  function: { name, description: `Does ${name}.`, parameters: { type: "object", properties } },
});

/** A PNG of `length` bytes, at least 45, whose content is noise, so that none is like another. */
export function pngBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  bytes.set(
    Uint8Array.fromHex("89504e470d0a1a0a0000000d49484452000000100000001008060000001ff3ff61"),
  );
  bytes.set(Uint8Array.fromHex("0000000049454e44ae426082"), length - 12);
  return bytes;
}

/** An image block as clients send it. */
export const imageBlock = (bytes: Uint8Array, media_type = "image/png") => ({
  type: "image",
  source: { type: "base64", media_type, data: bytes.toBase64() },
});

/** The body of the model call at `index`. */
export interface ModelCall {
  model: string;
  system?: { text: string }[];
  messages: { role: string; content: JsonObject[] }[];
  tools?: { name: string; input_schema: JsonObject }[];
  tool_choice?: JsonObject;
}

export function modelCall(index: number): ModelCall {
  const call = standin.requests.at(index);
  if (!call) throw new Error(`there was no model call ${index}`);
  // The stand-in has checked it against the Messages API.
  return call.body as unknown as ModelCall;
}
