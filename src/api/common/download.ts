/** Files of a session on their way to a client, a piece at a time, also when its object restarts. */
import type { Credential } from "../../http/caller.ts";
import type { HttpContext } from "../../http/context.ts";
import { notFound, ProblemError, respond } from "../../http/problems.ts";
import type { SessionStub } from "../../session/calls.ts";
import { FILE_PIECE_BYTES, type FileInfo } from "../../session/file-calls.ts";
import { errorOf, writeLine } from "../../shared/log-line.ts";
import { contentTypeOf } from "../../workspace/content-type.ts";
import { byteRange, hasTag } from "./byte-range.ts";
import { ask } from "./files.ts";

/** Answers with a file, or with the part of it that the request's headers ask for. */
export async function download(
  c: HttpContext,
  session: SessionStub,
  path: string,
  field: string,
): Promise<Response> {
  const file = await ask(session, "stat", { path }, field);
  if (file.type !== "file") {
    const detail = `${file.path} is a folder: list it with ?path=, or get it as files.zip.`;
    return respond(c, { status: 409, code: "not_a_file", detail });
  }
  const etag = `"${file.sha256 ?? ""}"`;
  const shared = { etag, "cache-control": "private, no-cache, no-transform" };
  const wanted = c.req.header("if-match");
  if (wanted !== undefined && !hasTag(wanted, etag, false)) {
    const detail = `${file.path} is another.`;
    return respond(c, { status: 412, code: "precondition_failed", detail });
  }
  const known = c.req.header("if-none-match");
  if (known !== undefined && hasTag(known, etag, true)) return c.body(null, 304, shared);
  const headers = {
    ...shared,
    ...attachment(file.name),
    "content-type": contentTypeOf(file.name),
    "last-modified": new Date(file.mtime).toUTCString(),
    "accept-ranges": "bytes",
  };
  const length = (bytes: number) => ({ "content-length": String(bytes) });
  if (c.req.method === "HEAD") return c.body(null, 200, { ...headers, ...length(file.size) });
  const range = rangeOf(c, etag, file.size);
  if (range === "unsatisfiable") {
    const detail = `${file.path} has ${file.size} bytes.`;
    const headers = { "content-range": `bytes */${file.size}` };
    return respond(c, { status: 416, code: "range_not_satisfiable", detail, headers });
  }
  const { from, to } = range ?? { from: 0, to: file.size - 1 };
  const { readable, writable } = new FixedLengthStream(to - from + 1);
  c.executionCtx.waitUntil(send(pieces(session, file, from, to), writable, c.get("credential")));
  const sized = { ...headers, ...length(to - from + 1) };
  if (!range) return c.body(readable, 200, sized);
  return c.body(readable, 206, { ...sized, "content-range": `bytes ${from}-${to}/${file.size}` });
}

function rangeOf(c: HttpContext, etag: string, size: number) {
  const header = c.req.header("range");
  const unless = c.req.header("if-range");
  if (header === undefined || (unless !== undefined && unless.trim() !== etag)) return null;
  return byteRange(header, size);
}

/**
 * Headers of a file that is to be kept and not shown: whatever a name or a model has put there, it
 * runs in nobody's browser.
 */
export function attachment(name: string): Record<string, string> {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  const encoded = encodeURIComponent(name).replace(
    /['()*!]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return {
    "content-disposition": `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`,
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
  };
}

/**
 * The bytes `from` to `to` of one version of a file.
 *
 * @throws ProblemError when there is another version by now, or the session cannot be reached
 */
export async function* pieces(
  session: SessionStub,
  { path, version }: Pick<FileInfo, "path" | "version">,
  from: number,
  to: number,
): AsyncGenerator<Uint8Array> {
  for (let at = from; at <= to; ) {
    const length = Math.min(FILE_PIECE_BYTES, to + 1 - at);
    const piece = await ask(session, "read", { path, version, from: at, length }, "path");
    if (piece.byteLength === 0) throw new ProblemError(notFound("File"));
    yield piece;
    at += piece.byteLength;
  }
}

/**
 * Writes at the client's pace. What cannot be finished is broken off, which the client sees by the
 * length, and so is what its key may not read any more; when the client leaves, it ends quietly.
 */
export async function send(
  chunks: AsyncGenerator<Uint8Array>,
  out: WritableStream<Uint8Array>,
  { ended }: Pick<Credential, "ended">,
): Promise<void> {
  const writer = out.getWriter();
  try {
    for (;;) {
      const next = await chunks.next().catch(failed);
      if (next === null) return await writer.abort("the file cannot be read to its end");
      if (next.done) return await writer.close();
      if (await ended?.()) return await writer.abort("the key has ended");
      await writer.write(next.value);
    }
  } catch {
    // Nobody is there to be told.
  } finally {
    await chunks.return(null);
  }
}

function failed(error: unknown): null {
  if (!(error instanceof ProblemError)) {
    writeLine({ event: "error", what: "a download", error: errorOf(error) });
  }
  return null;
}
