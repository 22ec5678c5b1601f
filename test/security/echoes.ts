/** What an API answers that repeats the key that it was sent, in every place that it has. */
import {
  failAt,
  frame,
  insertAt,
  reply,
  type Scripted,
  text,
  toolUse,
} from "../../src/standin/replies.ts";

/** An answer, by the key that came. */
export type Echo = (key: string) => Response;

/** Headers of an answer. */
export const echoing = (key: string) => ({
  "request-id": key,
  "x-api-key": key,
  "set-cookie": `key=${key}`,
  "www-authenticate": `Bearer realm="${key}"`,
  location: `https://elsewhere.example/?key=${key}`,
});

const json = (status: number, type: string | null, key: string, more: object = {}): Response =>
  Response.json(
    {
      type: "error",
      error: { ...(type ? { type } : {}), message: `bad x-api-key ${key}, Bearer ${key}`, ...more },
    },
    { status, headers: echoing(key) },
  );

/** What an API, a gateway or a proxy may answer that shows what it was sent. */
export const ERRORS: readonly (readonly [string, Echo])[] = [
  ...[400, 401, 402, 403, 404, 409, 413, 418, 429, 500, 529].map(
    (status) => [`${status} of the API`, (key: string) => json(status, "some_error", key)] as const,
  ),
  ...[400, 401, 403, 404, 418, 502].map(
    (status) => [`${status} of a gateway`, (key: string) => json(status, null, key)] as const,
  ),
  ["400 with the key as its type", (key) => json(400, key, key, { details: { error_code: key } })],
  [
    "400 with a spend cap",
    (key) => json(400, "x", key, { details: { error_code: "contract_spend_limit_reached" } }),
  ],
  ["400 as a text", (key) => new Response(`no ${key}`, { status: 400, headers: echoing(key) })],
  ["400 in another case", (key) => json(400, "invalid_request_error", key.toLowerCase())],
  [
    "400 about the model",
    (key) =>
      Response.json(
        { type: "error", error: { type: "not_found_error", message: `model: ${key}` } },
        { status: 404 },
      ),
  ],
  [
    "500 as a page",
    (key) =>
      new Response(`<p>${key}</p>`, {
        status: 500,
        headers: { ...echoing(key), "content-type": "text/html" },
      }),
  ],
  ["a redirect", (key) => new Response(null, { status: 307, headers: echoing(key) })],
  [
    "200 as a page",
    (key) => new Response(key, { headers: { ...echoing(key), "content-type": "text/html" } }),
  ],
  [
    "200 of a strange type",
    (key) => new Response(key, { headers: { "content-type": `text/${key}` } }),
  ],
  [
    "no answer",
    (key) => {
      throw new TypeError(`cannot connect with ${key}`);
    },
  ],
];

/** Whose key it is makes no difference to most of them. */
export const SOME = ERRORS.filter(([name]) =>
  /^(400 of the API|401 of a gateway|500 as|no)/.test(name),
);

/** Streams in which the key stands: before, in and instead of the answer. */
export const STREAMS: readonly (readonly [string, (key: string) => Scripted])[] = [
  [
    "an error",
    (key) =>
      reply({ blocks: [text("Hello")], acts: [failAt(2, "invalid_request_error", `no ${key}`)] }),
  ],
  [
    "an error of a strange type",
    (key) => reply({ blocks: [text("Hello")], acts: [failAt(2, key, key)] }),
  ],
  ["a text", (key) => text(`I was called with ${key}.`, { deltas: [`I was called with ${key}.`] })],
  ["the message's id", (key) => reply({ blocks: [text("Hello")], id: key })],
  [
    "an event that is not known",
    (key) =>
      reply({ blocks: [text("Hello")], acts: [insertAt(2, frame(key, { type: key, key }))] }),
  ],
  [
    "an event that is no JSON",
    (key) =>
      reply({ blocks: [text("Hello")], acts: [insertAt(2, frame("content_block_delta", key))] }),
  ],
  [
    "the type of a delta",
    (key) =>
      reply({
        blocks: [text("Hello")],
        acts: [
          insertAt(
            2,
            frame("content_block_delta", {
              type: "content_block_delta",
              index: 0,
              delta: { type: key },
            }),
          ),
        ],
      }),
  ],
  [
    "a stop reason",
    (key) =>
      reply({ blocks: [text("Hello")], stop_reason: key, stop_details: { explanation: key } }),
  ],
  [
    "a container",
    (key) =>
      reply({
        blocks: [text("Hello")],
        container: { id: key, expires_at: "2099-01-01T00:00:00Z" },
      }),
  ],
  [
    "a tool call",
    (key) => reply({ blocks: [toolUse("look", { key }, { deltas: [JSON.stringify({ key })] })] }),
  ],
];
