/**
 * Images and documents of a request: checked, fetched where they are given by URL, decoded and
 * hashed. What is large leaves the content and is stored beside it, by hash.
 */

import { type GuardedFetchOptions, guardedFetch } from "../net/guard.ts";
import { type Clock, clock as systemClock } from "../shared/clock.ts";
import type {
  Base64Source,
  ContentBlock,
  DocumentBlock,
  FileSource,
  ImageBlock,
  MediaSource,
  TextBlock,
  TextSource,
} from "../shared/content.ts";
import { drained } from "../shared/long-text.ts";
import { sha256Hex } from "./canonical.ts";
import { invalidField, ProblemError } from "./problems.ts";

interface UrlSource {
  type: "url";
  url: string;
}

export interface WireImage {
  type: "image";
  source: Base64Source | FileSource | UrlSource;
}

export interface WireDocument extends Omit<DocumentBlock, "source"> {
  source: Base64Source | TextSource | FileSource | UrlSource;
}

/** A content block as a client sends it, after validation of its form. */
export type WireBlock = TextBlock | WireImage | WireDocument;

/** Bytes that content refers to by a `MediaSource`. */
export interface Media {
  sha256: string;
  media_type: string;
  bytes: Uint8Array;
}

export interface TakenMedia {
  content: ContentBlock[];
  /** Each hash once. */
  media: Media[];
}

export interface MediaOptions {
  /** The name of the field that holds the blocks, such as `body -> input`. */
  field: string;
  /** `FETCH_ALLOW_HOSTS`. */
  allow: readonly string[];
  fetch?: NonNullable<GuardedFetchOptions["fetch"]>;
  clock?: Clock;
}

const IMAGE_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"] as const;
export const DOCUMENT_TYPE = "application/pdf";
const TEXT_TYPE = "text/plain";

/** Base64 up to this many characters stays in its row; what is longer becomes media. */
export const MAX_INLINE_BASE64 = 8192;

/** The Messages API's limit for one image, which it counts in base64 characters. */
const MAX_IMAGE_BASE64 = 10 * 1024 * 1024;
/** Those of a whole context (design of the session); so one request can hold no more either. */
const MAX_TOTAL_BYTES = 20_000_000;
/** For all URLs of a request together. */
const FETCH_TIMEOUT_MS = 30_000;

/**
 * Turns a client's blocks into content for a row and the media to store with it. It consumes
 * `blocks`: each base64 text is dropped as soon as it is decoded, so that a large body is not held
 * in both forms. What is to be hashed of the body must be hashed before.
 *
 * @throws ProblemError 422 that names the field
 */
export async function takeMedia(
  blocks: readonly WireBlock[],
  options: MediaOptions,
): Promise<TakenMedia> {
  const taker = new Taker(options);
  const content: ContentBlock[] = [];
  for (const [i, block] of blocks.entries()) {
    content.push(await taker.take(block, `${options.field} -> ${i}`));
  }
  return { content, media: [...taker.media.values()] };
}

/** What the Messages API takes as base64, and how much of it. */
interface Limits {
  types: readonly string[];
  maxBase64: number;
}

const IMAGES: Limits = { types: IMAGE_TYPES, maxBase64: MAX_IMAGE_BASE64 };
const DOCUMENTS: Limits = { types: [DOCUMENT_TYPE], maxBase64: Number.POSITIVE_INFINITY };

type BytesSource = Base64Source | MediaSource;

const refuse = (field: string, type: string, message: string): ProblemError =>
  new ProblemError(invalidField(field, type, message));

class Taker {
  readonly media = new Map<string, Media>();
  readonly #options: MediaOptions;
  readonly #deadline: number;
  #total = 0;

  constructor(options: MediaOptions) {
    this.#options = options;
    this.#deadline = (options.clock ?? systemClock).now() + FETCH_TIMEOUT_MS;
  }

  async take(block: WireBlock, field: string): Promise<ContentBlock> {
    const place = `${field} -> source`;
    switch (block.type) {
      case "text":
        return block;
      case "image":
        return { ...block, source: await this.#image(block.source, place) };
      case "document":
        return { ...block, source: await this.#document(block.source, place) };
    }
  }

  async #image(source: WireImage["source"], place: string): Promise<ImageBlock["source"]> {
    if (source.type === "file") return source;
    if (source.type === "base64") return this.#inBody(source, IMAGES, place);
    const { bytes, mediaType } = await this.#fetch(source, IMAGES, place);
    return this.#keep(bytes, mediaType, `${place} -> url`);
  }

  async #document(source: WireDocument["source"], place: string): Promise<DocumentBlock["source"]> {
    if (source.type === "file" || source.type === "text") return source;
    if (source.type === "base64") return this.#inBody(source, DOCUMENTS, place);
    const limits = { ...DOCUMENTS, types: [DOCUMENT_TYPE, TEXT_TYPE] };
    const { bytes, mediaType } = await this.#fetch(source, limits, place);
    if (mediaType === TEXT_TYPE) return textSource(bytes, `${place} -> url`);
    return this.#keep(bytes, mediaType, `${place} -> url`);
  }

  #inBody(source: Base64Source, limits: Limits, place: string): Promise<BytesSource> {
    const bytes = decode(source, limits, place);
    source.data = "";
    return this.#keep(bytes, source.media_type, `${place} -> data`);
  }

  async #fetch({ url }: UrlSource, { types, maxBase64 }: Limits, place: string) {
    const { allow, fetch, clock = systemClock } = this.#options;
    const result = await guardedFetch(String(url), {
      accept: types,
      maxBytes: Math.min(MAX_TOTAL_BYTES - this.#total, (maxBase64 / 4) * 3),
      timeoutMs: Math.max(this.#deadline - clock.now(), 0),
      allow,
      clock,
      ...(fetch ? { fetch } : {}),
    });
    if (!result.ok) throw refuse(`${place} -> url`, result.code, result.message);
    return result;
  }

  async #keep(bytes: Uint8Array, media_type: string, field: string): Promise<BytesSource> {
    if (bytes.byteLength === 0) throw refuse(field, "media_empty", "The data must not be empty");
    this.#total += bytes.byteLength;
    if (this.#total > MAX_TOTAL_BYTES) {
      const rule = `The images and documents of a request may hold ${MAX_TOTAL_BYTES} bytes together`;
      throw refuse(field, "media_limit", rule);
    }
    if (Math.ceil(bytes.byteLength / 3) * 4 <= MAX_INLINE_BASE64) {
      return { type: "base64", media_type, data: bytes.toBase64() };
    }
    const sha256 = await sha256Hex(bytes);
    this.media.set(sha256, { sha256, media_type, bytes });
    return { type: "media", media_type, bytes: bytes.byteLength, sha256 };
  }
}

function decode({ media_type, data }: Base64Source, limits: Limits, place: string): Uint8Array {
  if (!limits.types.includes(media_type)) {
    const rule = `The media type must be ${limits.types.join(", ")}`;
    throw refuse(`${place} -> media_type`, "media_type", rule);
  }
  if (data.length > limits.maxBase64) {
    const rule = `The data may have at most ${limits.maxBase64} base64 characters`;
    throw refuse(`${place} -> data`, "media_too_large", rule);
  }
  const bytes = fromBase64(data);
  if (bytes) return bytes;
  const rule = "The data must be base64 with padding, and without a data: prefix";
  throw refuse(`${place} -> data`, "base64_invalid", rule);
}

/** The bytes of a base64 text, which is dropped piece by piece; null when it is none. */
function fromBase64(text: string): Uint8Array | null {
  const bytes = new Uint8Array(Math.floor(text.length / 4) * 3);
  let at = 0;
  let rest = "";
  let padded = false;
  for (const piece of drained(text)) {
    const characters = rest + piece.replace(/[ \t\n\f\r]+/g, "");
    const whole = characters.length - (characters.length % 4);
    rest = characters.slice(whole);
    // Padding ends it, so nothing may come behind.
    if (padded && characters !== "") return null;
    padded = characters.endsWith("=", whole);
    const part = decoded(characters.slice(0, whole), bytes.subarray(at));
    if (part === null) return null;
    at += part;
  }
  return rest === "" ? bytes.subarray(0, at) : null;
}

/** Decodes whole groups of four into `room`, and gives how many bytes they are; null for no base64. */
function decoded(groups: string, room: Uint8Array): number | null {
  try {
    return room.setFromBase64(groups, { lastChunkHandling: "strict" }).written;
  } catch {
    return null;
  }
}

function textSource(bytes: Uint8Array, field: string): TextSource {
  try {
    const data = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
    return { type: "text", media_type: TEXT_TYPE, data };
  } catch {
    throw refuse(field, "string_unicode", "The URL's text must be UTF-8");
  }
}
