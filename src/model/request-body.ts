/**
 * The bytes of a request. They are made once, in pieces, so that what they were made from can be
 * forgotten; stored bytes are read only when their turn to be sent has come.
 */
import { escaped, pieces } from "../shared/json-text.ts";
import type { LongText } from "../shared/long-text.ts";
import type { ModelRequest } from "./request.ts";

/** A request that can be sent, once. */
export interface EncodedRequest {
  body: RequestBody;
  betas: readonly string[];
}

export const encodeRequest = ({ params, betas }: ModelRequest): EncodedRequest => ({
  body: new RequestBody(params),
  betas,
});

/** UTF-16 units that are encoded at once. */
const CHUNK_UNITS = 65_536;

const encoder = new TextEncoder();

type Chunk = string | Uint8Array | LongText;

export class RequestBody {
  /** In order; each is dropped as it is sent. */
  #chunks: Chunk[] = [];
  #length = 0;

  constructor(params: object) {
    let text = "";
    for (const piece of pieces(params, "given")) {
      if (typeof piece !== "string") {
        this.#addText(text);
        text = "";
        this.#chunks.push(piece);
        this.#length += piece.plain ? piece.length : byteLength(piece);
      } else {
        text += piece;
        if (text.length < CHUNK_UNITS) continue;
        this.#addText(text);
        text = "";
      }
    }
    // A short body stays a text, which needs no stream.
    if (this.#chunks.length === 0) this.#chunks.push(text);
    else this.#addText(text);
  }

  #addText(text: string): void {
    const bytes = encoder.encode(text);
    this.#chunks.push(bytes);
    this.#length += bytes.byteLength;
  }

  /** What `fetch` takes, with a known length. It is given once. */
  take(): string | ReadableStream<Uint8Array> {
    const chunks = this.#chunks;
    this.#chunks = [];
    const [first] = chunks;
    if (typeof first === "string") return first;
    const { readable, writable } = new FixedLengthStream(this.#length);
    void send(chunks, writable.getWriter());
    return readable;
  }
}

/** Sends at the pace of the connection. Whoever reads the stream learns when that fails. */
async function send(
  chunks: Chunk[],
  writer: WritableStreamDefaultWriter<Uint8Array>,
): Promise<void> {
  try {
    for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
      for (const bytes of bytesOf(chunk)) await writer.write(bytes);
    }
    await writer.close();
  } catch (error) {
    await writer.abort(error).catch(() => {});
  }
}

function* bytesOf(chunk: Chunk): Generator<Uint8Array> {
  if (chunk instanceof Uint8Array) yield chunk;
  else if (typeof chunk === "string") yield encoder.encode(chunk);
  else for (const piece of chunk.drain()) yield encoder.encode(escaped(piece));
}

/** Bytes of a text as it is sent. */
function byteLength(text: LongText): number {
  let bytes = 0;
  for (const piece of text.pieces()) bytes += encoder.encode(escaped(piece)).byteLength;
  return bytes;
}
