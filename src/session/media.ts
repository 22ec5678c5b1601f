/**
 * Images and documents: their bytes are stored once, by hash, in pieces that fit a row; content
 * holds a reference, and the request gets them back as base64.
 */
import type { RequestBlock, RequestMessage } from "../model/request.ts";
import type { ContentBlock, MediaSource } from "../shared/content.ts";
import { LongText } from "../shared/long-text.ts";
import type { Row } from "../shared/rows.ts";
import type { Refusal } from "./commands.ts";

/** A piece's bytes: below the limit of a row, and a multiple of three so that base64 pieces join. */
export const MEDIA_PIECE_BYTES = 1_800_000;
/** Bytes of a piece of base64, which is no longer than any piece of a text; a multiple of three. */
const BASE64_BYTES = 48_000;

/** Decoded bytes of the images and documents in `content`. */
export function mediaBytes(content: readonly ContentBlock[]): number {
  let bytes = 0;
  for (const block of content) {
    if (block.type === "text") continue;
    const { source } = block;
    if (source.type === "media") bytes += source.bytes;
    else if (source.type === "base64") bytes += Math.floor((source.data.length * 3) / 4);
  }
  return bytes;
}

const mediaSources = (content: readonly ContentBlock[]): MediaSource[] =>
  content.flatMap((block) =>
    block.type !== "text" && block.source.type === "media" ? [block.source] : [],
  );

/** The media to which a row refers. */
export const mediaIn = (row: Row): MediaSource[] =>
  row.type === "input" || row.type === "tool.ended" ? mediaSources(row.body.content) : [];

export const MEDIA_MISSING: Refusal = {
  code: "media_missing",
  message: "Store the media first, then submit again.",
};

export class MediaStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Stores piece `n` of the media with this hash; storing it again changes nothing. */
  put(sha: string, n: number, data: ArrayBuffer): void {
    this.#sql.exec("INSERT OR IGNORE INTO media (sha, n, data) VALUES (?, ?, ?)", sha, n, data);
  }

  /** Hashes of the media to which `rows` refer and which are not stored whole. */
  missing(rows: readonly Row[]): string[] {
    const sources = rows.flatMap(mediaIn);
    return sources.filter(({ sha256, bytes }) => !this.#has(sha256, bytes)).map((s) => s.sha256);
  }

  #has(sha: string, bytes: number): boolean {
    const query = "SELECT count(*) AS n FROM media WHERE sha = ?";
    const pieces = Math.max(1, Math.ceil(bytes / MEDIA_PIECE_BYTES));
    return this.#sql.exec<{ n: number }>(query, sha).one().n >= pieces;
  }

  /** The pieces in order; none when the hash is not known. */
  *pieces(sha: string): Generator<Uint8Array<ArrayBuffer>> {
    const query = "SELECT data FROM media WHERE sha = ? ORDER BY n";
    for (const { data } of this.#sql.exec<{ data: ArrayBuffer }>(query, sha)) {
      yield new Uint8Array(data);
    }
  }

  /** The first and the last bytes, at most so many of each; none when the hash is not known. */
  ends(sha: string, bytes: number): Uint8Array[] {
    const query = (order: string, from: string) =>
      `SELECT substr(data, ${from}) AS data FROM media WHERE sha = ? ORDER BY n ${order} LIMIT 1`;
    const first = this.#sql.exec<{ data: ArrayBuffer }>(query("ASC", "1, ?1"), bytes, sha);
    const last = this.#sql.exec<{ data: ArrayBuffer }>(query("DESC", "-?1"), bytes, sha);
    return [...first, ...last].map(({ data }) => new Uint8Array(data));
  }

  /** The bytes as they are asked for; 404 when the hash is not known. */
  response(sha: string): Response {
    const pieces = this.pieces(sha);
    const first = pieces.next();
    if (first.done) return new Response(null, { status: 404 });
    let next: IteratorResult<Uint8Array<ArrayBuffer>> = first;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (next.done) return controller.close();
        controller.enqueue(next.value);
        next = pieces.next();
      },
    });
    return new Response(body);
  }

  /** The bytes as base64, read when they are written. */
  base64(sha: string): LongText {
    const query = "SELECT n, length(data) AS bytes FROM media WHERE sha = ? ORDER BY n";
    const pieces = this.#sql.exec<{ n: number; bytes: number }>(query, sha).toArray();
    const length = pieces.reduce((sum, { bytes }) => sum + Math.ceil(bytes / 3) * 4, 0);
    return new LongText(length, () => this.#base64(sha, pieces.length), { plain: true });
  }

  /** Piece by piece, so that no cursor is open while a slow connection takes them. */
  *#base64(sha: string, pieces: number): Generator<string> {
    const query = "SELECT data FROM media WHERE sha = ? AND n = ?";
    for (let n = 0; n < pieces; n++) {
      const { data } = this.#sql.exec<{ data: ArrayBuffer }>(query, sha, n).one();
      for (let at = 0; at < data.byteLength; at += BASE64_BYTES) {
        const length = Math.min(BASE64_BYTES, data.byteLength - at);
        yield new Uint8Array(data, at, length).toBase64();
      }
    }
  }
}

/** The messages with every reference to media replaced by its bytes in base64, yet to be read. */
export function loadMedia(
  messages: readonly RequestMessage[],
  media: MediaStore,
): RequestMessage[] {
  return messages.map((message) =>
    message.role === "user"
      ? { role: message.role, content: message.content.map((block) => loaded(block, media)) }
      : message,
  );
}

function loaded(block: RequestBlock, media: MediaStore): RequestBlock {
  if (block.type === "tool_result" && "content" in block && Array.isArray(block.content)) {
    const content = block.content.map((one: RequestBlock) => loaded(one, media));
    return { ...block, content } as RequestBlock;
  }
  if (!("source" in block) || !isMediaSource(block.source)) return block;
  const { sha256, media_type } = block.source;
  const source = { type: "base64", media_type, data: media.base64(sha256) };
  return { ...block, source } as RequestBlock;
}

function isMediaSource(source: unknown): source is MediaSource {
  return (
    typeof source === "object" && source !== null && "type" in source && source.type === "media"
  );
}
