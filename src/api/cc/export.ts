/**
 * A session's log as it is stored, as JSON Lines: a backup, or the food of another program. Pages are
 * read from the object as the client takes them, so neither side ever holds more than one.
 */
import * as v from "valibot";
import type { Credential } from "../../http/caller.ts";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import type { SessionStub } from "../../session/calls.ts";
import { MEDIA_PIECE_BYTES, mediaIn } from "../../session/media.ts";
import { FORMAT_VERSION } from "../../session/schema.ts";
import type { Rows } from "../../session/wire.ts";
import { clock } from "../../shared/clock.ts";
import { found } from "../common/address.ts";
import { addressed } from "./address.ts";
import { type Cut, keyCut, line, linesOf, send } from "./json-lines.ts";

const PAGE_ROWS = 1_000;

export const ExportQuery = v.object({ media: v.optional(v.picklist(["include"])) });

interface Export {
  /** Public id. */
  id: string;
  session: SessionStub;
  /** The first page; its head is where the export ends. */
  first: Rows;
  /** With the bytes of images and documents. */
  media: boolean;
  /** Whether the key of whoever reads it has ended. */
  ended: Credential["ended"];
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
  const { ended } = c.get("credential");
  const what = { id, session, first, media, ended };
  c.executionCtx.waitUntil(send(linesOf("an export", { session: id }, lines(what)), writable));
  return c.body(readable, 200, headers);
}

/** The object may die over the call as at any other time. */
const pageBehind = (session: SessionStub, after: number, to?: number): Promise<Rows | null> =>
  repeatedly(() => session.rows(after, PAGE_ROWS, to));

const DELETED: Cut = {
  code: "session_deleted",
  message: "The session was deleted.",
  retryable: false,
};

async function* lines(what: Export): AsyncGenerator<string, Cut | null> {
  const { id, session, first, media } = what;
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
    const end = await what.ended?.();
    if (end) return keyCut(end);
    const next = await pageBehind(session, last.seq, head);
    if (!next) return DELETED;
    page = next;
  }
  for (const sha256 of hashes) {
    const end = await what.ended?.();
    const cut = end ? keyCut(end) : yield* mediaLines(session, sha256);
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
