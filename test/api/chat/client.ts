/** A client of the Claude CLI server's API. */
import { expect } from "vitest";
import type { JsonObject } from "../../../src/shared/content.ts";
import { type Headers, post } from "../cc/server.ts";

export interface Answer {
  result: string;
  session_id: string;
  cost_usd: number | null;
  usage: JsonObject;
  model: string;
  outcome?: string;
}

export const chat = (body: unknown, headers?: Headers): Promise<Response> =>
  post("/v1/chat", body, headers);

export const stream = (body: unknown, headers?: Headers): Promise<Response> =>
  post("/v1/chat/stream", body, headers);

export async function answered(body: unknown, headers?: Headers): Promise<Answer> {
  const response = await chat(body, headers);
  const answer = await response.text();
  expect([response.status, answer]).toEqual([200, answer]);
  return JSON.parse(answer) as Answer;
}

/** What that server's own client does: it looks at lines that begin with `data: `. */
export function framesIn(text: string): JsonObject[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => JSON.parse(line.slice(6)) as JsonObject);
}

export async function frames(body: unknown, headers?: Headers): Promise<JsonObject[]> {
  const response = await stream(body, headers);
  expect(response.status).toBe(200);
  return framesIn(await response.text());
}

/** The `delta` frames, joined. */
export const textOf = (list: readonly JsonObject[]): string =>
  list.map(({ type, text }) => (type === "delta" ? text : "")).join("");

export const sessionPath = ({ session_id }: Pick<Answer, "session_id">): string =>
  `/api/sessions/${session_id}`;

/** An error as that server says it, with its status. */
export async function refusal(response: Response): Promise<[number, JsonObject]> {
  expect(response.headers.get("content-type")).toMatch(/^application\/json/);
  const body = await response.json<JsonObject>();
  expect(body).toMatchObject({
    error: expect.stringMatching(/\S/),
    code: expect.stringMatching(/^[a-z_]+$/),
  });
  return [response.status, body];
}
