/** Shorthands for the tests of a session's files. */
import { expect } from "vitest";
import { get, type Headers, send } from "./server.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

export const bytesOf = (text: string): Bytes => new Uint8Array(new TextEncoder().encode(text));

/** As a stream, so that nobody knows its length beforehand. */
export const streamOf = (bytes: Bytes): ReadableStream => new Blob([bytes]).stream();

export const put = (
  session: string,
  path: string,
  content: string | Bytes,
  headers: Headers = {},
): Promise<Response> =>
  send(
    "PUT",
    `${session}/files/${path}`,
    typeof content === "string" ? content : streamOf(content),
    { "content-type": "application/octet-stream", ...headers },
  );

/** Uploads files that must be taken. */
export async function putAll(session: string, files: Record<string, string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    expect((await put(session, path, content)).ok).toBe(true);
  }
}

/** The text of a file; null when there is none. */
export async function textOf(session: string, path: string): Promise<string | null> {
  const response = await get(`${session}/files/${path}`);
  const text = await response.text();
  return response.status === 200 ? text : null;
}

export interface Listed {
  data: { path: string; name: string; type: string; size: number; modified_at: string }[];
  has_more: boolean;
  next_cursor: string | null;
}

export async function list(session: string, query = ""): Promise<Listed> {
  const response = await get(`${session}/files${query}`);
  expect(response.status).toBe(200);
  return response.json<Listed>();
}

export const paths = async (session: string): Promise<string[]> =>
  (await list(session, "?recursive=true&limit=1000")).data.map(({ path }) => path);

export interface Problem {
  status: number;
  detail: string;
  error: { code: string };
  errors?: { field: string; type: string }[];
}

/** Status, code and fields of a problem. */
export async function refused(response: Response): Promise<(string | number)[]> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const { status, error, errors = [] } = await response.json<Problem>();
  expect(status).toBe(response.status);
  return [status, error.code, ...errors.map(({ field }) => field)];
}

/** Sends a form; a file's name is its key. */
export async function postForm(
  session: string,
  files: Record<string, string | Bytes>,
  { query = "", fields = {} }: { query?: string; fields?: Record<string, string> } = {},
): Promise<Response> {
  const form = new FormData();
  for (const [name, content] of Object.entries(files))
    form.append("file", new File([content], name));
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  const { body, headers } = new Response(form);
  const type = headers.get("content-type") ?? "";
  return send("POST", `${session}/files${query}`, body, { "content-type": type });
}

/** Bytes that do not compress and are never the same. */
export function noise(length: number): Bytes {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}
