/** Bodies on their way into a session's files. */
import type { HttpContext } from "../../http/context.ts";
import { type Problem, ProblemError, tooLarge, unavailable } from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import type { SessionStub } from "../../session/calls.ts";
import {
  type FileAnswer,
  FORM_FILE_TOO_LARGE,
  UPLOAD_LIMITS,
  type Upload,
  type Uploaded,
  uploadUrl,
} from "../../session/file-calls.ts";
import { found } from "./address.ts";
import { CUT, granted, noteReplay } from "./files.ts";

/** A body up to this size is held, so that it can be sent to the session again. */
const HELD_BYTES = 1_000_000;

/** So much of a body that is too large is read and thrown away, or the client would see no answer. */
const MAX_DRAINED_BYTES = 100 * 1024 * 1024;

type Unsent<T> = T extends unknown ? Omit<T, "length" | "again" | "end"> : never;

/**
 * Hands the request's body to the session as it comes. A short one is sent again when the session
 * died over it; of a long one nothing is kept here, and the client is told to send it again.
 */
export async function sendUpload(
  c: HttpContext,
  session: SessionStub,
  upload: Unsent<Upload>,
  field: string,
): Promise<Uploaded> {
  const max = UPLOAD_LIMITS[upload.kind];
  const declared = c.req.header("content-length");
  const length = declared !== undefined && /^\d{1,15}$/.test(declared) ? Number(declared) : null;
  const end = crypto.randomUUID();
  const url = (again: boolean) => uploadUrl({ ...upload, length, again, end });
  const body = new Body(c.req.raw.body, max, length);
  const head = await body.head();
  const mark = encoder.encode(end);
  if (body.ended && body.cut) throw new ProblemError(CUT);
  const answer = body.ended
    ? await repeatedly(sender(session, url, joined([head, mark])))
    : await streamed(session, url(false), head, body, mark);
  if (body.tooLarge) throw new ProblemError(tooLargeProblem(upload.kind));
  if (body.cut) throw new ProblemError(CUT);
  const known = found(answer);
  noteReplay(c, known);
  return granted<"upload">(known, field);
}

type Answer = FileAnswer<"upload"> | null;

/** The answer is read to its end: the session may die between its head and its body. */
async function answerOf(response: Response): Promise<Answer> {
  // Written by `SessionFiles.upload`.
  return response.status === 404 ? null : ((await response.json()) as FileAnswer<"upload">);
}

function tooLargeProblem(kind: Upload["kind"]): Problem {
  const max = UPLOAD_LIMITS[kind];
  if (kind === "form") {
    return { status: 413, code: "file_too_large", detail: FORM_FILE_TOO_LARGE };
  }
  if (kind !== "file") return tooLarge(max);
  return { status: 413, code: "file_too_large", detail: `A file may hold ${max} bytes.` };
}

function sender(session: SessionStub, url: (again: boolean) => URL, bytes: Uint8Array) {
  let again = false;
  return () => {
    const address = url(again);
    again = true;
    return session.fetch(address, { method: "POST", body: bytes }).then(answerOf);
  };
}

async function streamed(
  session: SessionStub,
  url: URL,
  head: Uint8Array,
  body: Body,
  mark: Uint8Array,
): Promise<Answer> {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  let over = false;
  const answer = session
    .fetch(url, { method: "POST", body: readable })
    .then(answerOf)
    .catch(() => "lost" as const);
  // An answer that comes before the body's end refuses it: the rest goes nowhere.
  const answered = answer.then(() => {
    over = true;
  });
  const write = (chunk: Uint8Array) =>
    Promise.race([writer.write(chunk).catch(() => undefined), answered]);
  try {
    await write(head);
    for await (const chunk of body.rest()) if (!over) await write(chunk);
    if (!body.tooLarge && !body.cut) await write(mark);
  } finally {
    // Without its mark it is refused as cut.
    await Promise.race([writer.close().catch(() => undefined), answered]);
  }
  const told = await answer;
  if (told !== "lost") return told;
  throw new ProblemError(
    unavailable("unavailable", "The session could not be reached. Send the request again.", 1),
  );
}

/** A request's body that is counted while it is read. */
class Body {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | null;
  readonly #max: number;
  readonly #length: number | null;
  #bytes = 0;
  #ended = false;
  #broken = false;
  tooLarge: boolean;

  constructor(body: ReadableStream<Uint8Array> | null, max: number, length: number | null) {
    this.#reader = body?.getReader() ?? null;
    this.#max = max;
    this.#length = length;
    this.tooLarge = length !== null && length > max;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** It has ended before the length that was declared: its sender has left. */
  get cut(): boolean {
    return this.#broken || (this.#ended && ![null, this.#bytes].includes(this.#length));
  }

  /** The beginning, or all of a short body. */
  async head(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    while (this.#bytes < HELD_BYTES && !this.tooLarge) {
      const chunk = await this.#read();
      if (!chunk) break;
      chunks.push(chunk);
    }
    return joined(chunks);
  }

  /** What comes behind the head; what is too much is not given out. */
  async *rest(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = await this.#read();
      if (!chunk) return;
      if (this.tooLarge && this.#bytes > MAX_DRAINED_BYTES) return;
      if (!this.tooLarge) yield chunk;
    }
  }

  async #read(): Promise<Uint8Array | null> {
    const { done, value } = (await this.#reader?.read().catch(() => this.#left())) ?? ENDED;
    this.#ended ||= done;
    if (done || !value) return null;
    this.#bytes += value.byteLength;
    this.tooLarge ||= this.#bytes > this.#max;
    return value;
  }

  #left(): typeof ENDED {
    this.#broken = true;
    return ENDED;
  }
}

const ENDED = { done: true, value: undefined } as const;

const encoder = new TextEncoder();

function joined(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
