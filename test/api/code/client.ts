/** A client of `/api/v1` as it is deployed, with the model behind it scripted. */
import { expect } from "vitest";
import type { JsonObject } from "../../../src/shared/content.ts";
import { frames, get, type Headers, post, send } from "../cc/server.ts";

export const BASE = "/api/v1";

let count = 0;

/** A name that no other session of this run has. */
export function newName(): string {
  count += 1;
  return `project-${count}-${crypto.randomUUID().slice(0, 8)}`;
}

const ids = new Map<string, string>();

/** The path of a new session. */
export async function newSession(body: object = {}, headers?: Headers): Promise<string> {
  const response = await post(`${BASE}/sessions`, { name: newName(), ...body }, headers);
  expect(response.status).toBe(201);
  const { name } = await dataOf<{ name: string }>(response.clone());
  const path = `${BASE}/sessions/${name}`;
  ids.set(path, response.headers.get("location")?.split("/").at(-1) ?? "");
  return path;
}

/** The public id of a session that was made here. */
export const idOf = (session: string): string => ids.get(session) ?? "";

/** The path of the same session under the native API. */
export const nativeOf = (session: string): string => `/api/sessions/${idOf(session)}`;

/** Resolves once so many turns of the session have ended. */
export async function turnsEnded(session: string, turns: number): Promise<void> {
  let ended = 0;
  const events = frames(await get(`${nativeOf(session)}/events/stream`));
  for await (const { event } of events) {
    if (/^turn\.(?:completed|interrupted|failed)$/.test(event ?? "")) ended += 1;
    if (ended === turns) return;
  }
}

/** What a route answers once that fits: the account hears of what happens in sessions a moment later. */
export async function once<T>(read: () => Promise<T>, fits: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await read();
    if (fits(value)) return value;
    // The calls of this loop alone would leave no room for what it waits for.
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** What stands in the envelope. */
export async function dataOf<T = JsonObject>(response: Response | Promise<Response>): Promise<T> {
  const answered = await response;
  expect(answered.ok, await answered.clone().text()).toBe(true);
  return (await answered.json<{ data: T }>()).data;
}

export interface ChatData {
  session_id: string;
  content: string;
  cost: number;
  duration_ms: number;
  num_turns: number;
  tools_used: { name: string; input: JsonObject }[];
  outcome?: string;
}

/** Sends a message and gives the data of its answer. */
export const chat = (session: string, message: string, more: object = {}): Promise<ChatData> =>
  dataOf<ChatData>(post(`${session}/chat`, { message, ...more }));

export interface Message {
  role: string;
  content: string;
  tools_used: { name: string; input: JsonObject }[] | null;
  cost: number;
  duration_ms: number;
  created_at: string;
}

export const historyOf = (session: string): Promise<Message[]> =>
  dataOf<Message[]>(get(`${session}/history`));

/** The problem that a request is answered with. */
export async function problemOf(response: Response | Promise<Response>): Promise<{
  status: number;
  detail: string;
  type: string;
  errors?: { field: string; type: string; message: string }[];
  error: { code: string };
}> {
  const answered = await response;
  expect(answered.headers.get("content-type")).toBe("application/problem+json");
  return answered.json();
}

export { get, type Headers, post, send };
