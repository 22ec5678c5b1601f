/**
 * A session's log as it is stored, as JSON Lines: a backup, or the food of another program. Pages are
 * read from the object as the client takes them, so neither side ever holds more than one.
 */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { ProblemError } from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import type { SessionStub } from "../../session/calls.ts";
import { MEDIA_PIECE_BYTES, mediaIn } from "../../session/media.ts";
import { FORMAT_VERSION } from "../../session/schema.ts";
import type { Rows } from "../../session/wire.ts";
import { clock } from "../../shared/clock.ts";
import { jsonTexts } from "../../shared/json-text.ts";
import { errorOf, writeLine } from "../../shared/log-line.ts";
import { addressed, found } from "./address.ts";

const PAGE_ROWS = 1_000;
/** Short lines are sent together, long ones in pieces of so many UTF-16 units. */
const CHUNK_UNITS = 65_536;
const encoder = new TextEncoder();

const ExportQuery = v.object({ media: v.optional(v.picklist(["include"])) });

/** The last line of an export that could not be finished. */
interface Cut {
  code: "session_deleted" | "unavailable" | "internal_error";
  message: string;
  retryable: boolean;
}

interface Export {
  /** Public id. */
  id: string;
  session: SessionStub;
  /** The first page; its head is where the export ends. */
  first: Rows;
  /** With the bytes of images and documents. */
  media: boolean;
}

/** `GET /api/sessions/{id}/export` */
export async function getExport(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  const media = parse(ExportQuery, c.req.query(), "query").media === "include";
  // Read before the headers leave, so that a session that is not there is 404.
  const first = found(await pageBehind(session, 0));
  const headers = {
    "content-type": "application/jsonl; charset=utf-8",
    "content-disposition": `attachment; filename="${id}.jsonl"`,
    "x-accel-buffering": "no",
  };
  if (c.req.method === "HEAD") return c.body(null, 200, headers);
  // Its writes wait for the client and reject when it leaves.
  const { readable, writable } = new IdentityTransformStream();
  c.executionCtx.waitUntil(send(exported({ id, session, first, media }), writable));
  return c.body(readable, 200, headers);
}

/** The object may die over the call as at any other time. */
const pageBehind = (session: SessionStub, after: number, to?: number): Promise<Rows | null> =>
  repeatedly(() => session.rows(after, PAGE_ROWS, to));

/** The text of the file in pieces; the result is null when all of it was there. */
async function* exported(what: Export): AsyncGenerator<string, Cut | null> {
  try {
    return yield* lines(what);
  } catch (error) {
    if (error instanceof ProblemError) {
      return { code: "unavailable", message: error.message, retryable: true };
    }
    writeLine({ event: "error", what: "an export", session: what.id, error: errorOf(error) });
    return { code: "internal_error", message: "The export failed. Ask again.", retryable: true };
  }
}

const DELETED: Cut = {
  code: "session_deleted",
  message: "The session was deleted.",
  retryable: false,
};

/** One line in pieces: a row may have 16 MB, of which no second text is made. */
function* line(value: object): Generator<string> {
  yield* jsonTexts(value, CHUNK_UNITS);
  yield "\n";
}

async function* lines({ id, session, first, media }: Export): AsyncGenerator<string, Cut | null> {
  const { head } = first;
  const exported_at = new Date(clock.now()).toISOString();
  const format = FORMAT_VERSION;
  yield* line({ type: "export", v: 1, session: id, head, format, exported_at, media });
  const hashes = new Set<string>();
  let rows = 0;
  for (let page = first; ; ) {
    for (const row of page.rows) {
      const { seq, at, type, body } = row;
      yield* line({ seq, at, type, body });
      rows += 1;
      if (media) for (const { sha256 } of mediaIn(row)) hashes.add(sha256);
    }
    const last = page.rows.at(-1);
    if (!page.more || !last) break;
    const next = await pageBehind(session, last.seq, head);
    if (!next) return DELETED;
    page = next;
  }
  for (const sha256 of hashes) {
    const cut = yield* mediaLines(session, sha256);
    if (cut) return cut;
  }
  yield* line({ type: "end", rows, media: hashes.size });
  return null;
}

/** The bytes in base64, in pieces as they are stored, whose texts can be joined. */
async function* mediaLines(
  session: SessionStub,
  sha256: string,
): AsyncGenerator<string, Cut | null> {
  const source: { pieces: MediaPieces | null } = { pieces: null };
  try {
    for (let n = 0; ; n++) {
      const { value, done } = await repeatedly(async () => {
        source.pieces ??= openMedia(session, sha256, n);
        try {
          return await source.pieces.next();
        } catch (error) {
          // The object died, and its successor is asked from this piece on.
          source.pieces = null;
          throw error;
        }
      });
      if (done) return value;
      yield* line({ type: "media", sha256, n, data: value.toBase64() });
    }
  } finally {
    await source.pieces?.return(null);
  }
}

type MediaPieces = AsyncGenerator<Uint8Array, Cut | null>;

/** Reads the media from the piece `from` on. */
async function* openMedia(session: SessionStub, sha256: string, from: number): MediaPieces {
  const { ok, body } = await session.fetch(new URL(`https://session/media/${sha256}`));
  // The media of a row are stored before it, and go only with the session.
  if (!ok || !body) return DELETED;
  const reader = body.getReader({ mode: "byob" });
  try {
    for (let n = 0; ; n++) {
      const room = new Uint8Array(MEDIA_PIECE_BYTES);
      const { value } = await reader.readAtLeast(MEDIA_PIECE_BYTES, room);
      if (!value || value.byteLength === 0) return null;
      if (n >= from) yield value;
    }
  } finally {
    await reader.cancel();
  }
}

/** Writes the file at the client's pace. Ends quietly when the client leaves. */
async function send(
  texts: AsyncGenerator<string, Cut | null>,
  out: WritableStream<Uint8Array>,
): Promise<void> {
  const writer = out.getWriter();
  try {
    let waiting = "";
    for (;;) {
      const { value, done } = await texts.next();
      if (done) {
        if (value) waiting += `${JSON.stringify({ type: "error", ...value })}\n`;
        await writer.write(encoder.encode(waiting));
        // A transfer that breaks off is noticed by programs that do not look at the last line.
        return value ? await writer.abort(value.message) : await writer.close();
      }
      waiting += value;
      if (waiting.length < CHUNK_UNITS) continue;
      await writer.write(encoder.encode(waiting));
      waiting = "";
    }
  } catch {
    // Nobody is there to be told.
  } finally {
    await texts.return(null);
  }
}
