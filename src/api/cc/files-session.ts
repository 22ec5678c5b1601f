/** How routes reach a session's files: addresses, refusals as problems, calls and uploads. */
import type { HttpContext } from "../../http/context.ts";
import {
  conflict,
  invalidField,
  notFound,
  type Problem,
  ProblemError,
  tooLarge,
  unavailable,
} from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import type { SessionStub } from "../../session/calls.ts";
import {
  type Asked,
  type FileAnswer,
  type FileCalls,
  type FileError,
  type FileInfo,
  type ListedFile,
  UPLOAD_LIMITS,
  type Upload,
  type Uploaded,
  uploadUrl,
} from "../../session/file-calls.ts";
import { addressed, found } from "./address.ts";

/** A file or folder as the wire shows it. */
export function fileObject(file: ListedFile | FileInfo) {
  const { path, name, type, size, mtime } = file;
  const hash = "sha256" in file && file.sha256 !== null ? { sha256: file.sha256 } : {};
  return { path, name, type, size, ...hash, modified_at: new Date(mtime).toISOString() };
}

const FILES = /^\/api\/sessions\/[^/]+\/files\/(.*)$/s;

/**
 * The path behind `/files/`. It is decoded once and as a whole, so `%2F` is a slash like any other.
 *
 * @throws ProblemError 422
 */
export function filePath(c: HttpContext): string {
  const encoded = FILES.exec(new URL(c.req.url).pathname)?.[1] ?? "";
  try {
    return decodeURIComponent(encoded);
  } catch {
    const rule = "The path must be UTF-8 in percent-encoding";
    throw new ProblemError(invalidField(PATH_FIELD, "invalid_path", rule));
  }
}

export const PATH_FIELD = "path -> path";

/** Asks the session, and again when it died over the call; `again` says that it may be done. */
export async function ask<K extends keyof FileCalls>(
  session: SessionStub,
  call: K,
  asked: Asked<K> | ((again: boolean) => Asked<K>),
  field: string,
) {
  let again = false;
  const answer = await repeatedly(() => {
    const now = typeof asked === "function" ? asked(again) : asked;
    again = true;
    return session.files(call, now);
  });
  return granted(found(answer), field);
}

/**
 * Asks for what may be done only once. The call has its key with it, so it is repeated like any other,
 * and a request that comes again is told so.
 */
export async function askOnce<K extends "move" | "directory" | "clone">(
  c: HttpContext,
  call: K,
  asked: Asked<K>,
  field: string,
) {
  const { session } = addressed(c);
  const answer = found(await repeatedly(() => session.files(call, asked)));
  noteReplay(c, answer);
  return granted(answer, field);
}

function noteReplay(c: HttpContext, answer: FileAnswer<keyof FileCalls | "upload">): void {
  const keyed = c.req.header("idempotency-key") !== undefined;
  if (keyed && answer.ok && answer.replayed) c.header("idempotency-replayed", "true");
}

/** What was answered; a refusal becomes a problem that names `field` where a field is at fault. */
function granted<K extends keyof FileCalls | "upload">(
  answer: FileAnswer<K>,
  field: string,
): Extract<FileAnswer<K>, { ok: true }>["value"] {
  if (!answer.ok) throw new ProblemError(fileProblem(answer.error, field));
  return answer.value;
}

const STATUS: Readonly<Record<string, Problem["status"]>> = {
  not_a_file: 409,
  not_a_directory: 409,
  not_empty: 409,
  already_exists: 409,
  changed: 409,
  precondition_failed: 412,
  file_too_large: 413,
  archive_too_large: 413,
  archive_invalid: 422,
  archive_unsafe: 422,
  too_many_files: 507,
  workspace_full: 507,
  session_full: 507,
};

/** Also of the reasons of a failed clone, which may be any text. */
const statusOf = (code: string | null) =>
  code !== null && Object.hasOwn(STATUS, code) ? STATUS[code] : undefined;

function fileProblem({ code, message, field }: FileError, asked: string): Problem {
  const status = statusOf(code);
  if (status) return { status, code, detail: message };
  const place = field ?? asked;
  switch (code) {
    case "no_session":
      return notFound("Session");
    case "key_conflict":
      return conflict("idempotency_key_conflict", message);
    case "busy":
      return unavailable("uploads_busy", `${message} Send it again in a moment.`, 2);
    case "clone_failed":
      return { status: statusOf(field) ?? 422, code: field ?? code, detail: message };
    case "body_too_large":
      return { status: 413, code: "payload_too_large", detail: message };
    case "body_cut":
      return CUT;
    case "invalid_body":
      return invalidField(field ?? "body", code, message);
    case "invalid_cursor":
      return invalidField("query -> cursor", code, message);
    case "outside":
      return { ...invalidField(place, code, message), code: "outside_workspace", detail: message };
    case "invalid_path":
    case "path_too_long":
      return { ...invalidField(place, code, message), code, detail: message };
    default:
      return { status: 404, code: "not_found", detail: message };
  }
}

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
  upload: Unsent<Upload>,
  field: string,
): Promise<Uploaded> {
  const { session } = addressed(c);
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

const CUT = invalidField("body", "body_cut", "The body was broken off.");

function tooLargeProblem(kind: Upload["kind"]): Problem {
  const max = UPLOAD_LIMITS[kind];
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
