import type { Json } from "../shared/content.ts";
import { type JsonFault, JsonReader, MAX_NAME, MAX_NUMBER } from "../shared/json-reader.ts";
import { wellFormed } from "../shared/well-formed.ts";
import { invalidField, ProblemError, tooLarge } from "./problems.ts";

/** Arrays and objects inside one another. No request needs more; tool schemas come nowhere near. */
const MAX_DEPTH = 100;

/**
 * Values of all kinds in one body. An empty array takes two bytes in the text and many times that in
 * memory, so the limit of bytes alone would not protect it.
 */
const MAX_VALUES = 250_000;

/**
 * So much of a body that is too large is read and thrown away: a client that is still sending does
 * not see an answer, only a broken connection. Cloudflare itself refuses what is larger.
 */
const MAX_DRAINED_BYTES = 100 * 1024 * 1024;

const CHUNK_BYTES = 65_536;

/**
 * Hands the text of a request's body to `take` as it arrives, whatever its `Content-Type`, and counts
 * its bytes.
 *
 * @throws ProblemError 413 above `maxBytes`, 422 when the bytes are not UTF-8
 */
async function readPieces(
  request: Request,
  maxBytes: number,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let tooMuch = Number(request.headers.get("content-length")) > maxBytes;
  let bytes = 0;
  for await (const chunk of chunksOf(request.body)) {
    bytes += chunk.byteLength;
    tooMuch ||= bytes > maxBytes;
    if (bytes > MAX_DRAINED_BYTES) break;
    if (!tooMuch) take(decode(decoder, chunk));
  }
  if (tooMuch) throw new ProblemError(tooLarge(maxBytes));
  take(decode(decoder));
}

/**
 * The bytes of a body, all in the same buffer: each chunk is gone with the next one. By themselves
 * they would come in thousands of small buffers, which are collected late. Leaving early cancels it.
 */
async function* chunksOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  if (!body) return;
  // A stream that was made in JavaScript cannot read into a buffer, but can be piped into one that can.
  const reader = body.pipeThrough(new IdentityTransformStream()).getReader({ mode: "byob" });
  try {
    for (let buffer = new ArrayBuffer(CHUNK_BYTES); ; ) {
      const { done, value } = await reader.readAtLeast(CHUNK_BYTES, new Uint8Array(buffer));
      if (value) yield value;
      if (done || !value) return;
      buffer = value.buffer;
    }
  } finally {
    await reader.cancel();
  }
}

function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
  } catch {
    throw new ProblemError(invalidField("body", "string_unicode", "The body is not valid UTF-8"));
  }
}

/**
 * The JSON value of a request's body, with every string well-formed: a lone surrogate survives JSON,
 * and the model's API refuses every request that carries one, so it must not get into a transcript.
 * An empty body is `empty` where the route gives one, else an error. The body is parsed as it arrives
 * and never held as text.
 *
 * @example
 * const body = parse(TurnRequest, await readJson(c.req.raw, c.get("config").maxBodyBytes));
 *
 * @throws ProblemError 413 or 422
 */
export const readJson = (request: Request, maxBytes: number, empty?: Json): Promise<Json> =>
  read(request, maxBytes, NONE, empty);

/**
 * The same for a body that may be large: long strings in members of these names are `LongText`,
 * whatever their type says.
 */
export const readLongJson = (
  request: Request,
  maxBytes: number,
  names: ReadonlySet<string>,
): Promise<Json> => read(request, maxBytes, names);

/**
 * A request's body as text.
 *
 * @throws ProblemError 413, or 422 when it is not UTF-8
 */
export async function readText(request: Request, maxBytes: number): Promise<string> {
  const pieces: string[] = [];
  await readPieces(request, maxBytes, (text) => pieces.push(text));
  return pieces.join("");
}

const NONE: ReadonlySet<string> = new Set();

async function read(
  request: Request,
  maxBytes: number,
  long: ReadonlySet<string>,
  empty?: Json,
): Promise<Json> {
  const reader = new JsonReader({ depth: MAX_DEPTH, values: MAX_VALUES, long });
  let units = 0;
  await readPieces(request, maxBytes, (text) => {
    units += text.length;
    reader.push(text);
  });
  if (units === 0) {
    if (empty !== undefined) return empty;
    throw new ProblemError(invalidField("body", "missing", "Field required"));
  }
  const result = reader.end();
  if (result.ok) return wellFormed(result.value);
  const { type, message } = RULES[result.fault.kind];
  throw new ProblemError(invalidField(`body -> ${result.fault.offset}`, type, message));
}

const RULES: Readonly<Record<JsonFault["kind"], { type: string; message: string }>> = {
  syntax: { type: "json_invalid", message: "The body is not valid JSON" },
  deep: {
    type: "json_too_deep",
    message: `The body nests deeper than ${MAX_DEPTH} arrays and objects`,
  },
  many: { type: "json_too_many", message: `The body holds more than ${MAX_VALUES} values` },
  long_number: {
    type: "json_number_too_long",
    message: `A number in the body has more than ${MAX_NUMBER} characters`,
  },
  long_name: {
    type: "json_name_too_long",
    message: `A name in the body has more than ${MAX_NAME} characters`,
  },
};
