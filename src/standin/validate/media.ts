import type { JsonObject, Problem } from "../wire.ts";
import { invalid, isObject, objectsAt } from "../wire.ts";
import type { Shape } from "./shape.ts";
import { among, anything, checkFields, matching, required, sized, text } from "./shape.ts";

const MAX_IMAGE_BYTES = 5 * 1024 * 1024;
const MAX_IMAGE_SIDE = 8_000;

const type = required(text);
const http = required(matching(/^https?:\/\/\S+$/));

const IMAGE_SOURCES: Readonly<Record<string, Shape>> = {
  base64: {
    type,
    media_type: required(among("image/jpeg", "image/png", "image/gif", "image/webp")),
    data: required(text),
  },
  url: { type, url: http },
  file: { type, file_id: required(sized(1, 200)) },
};

const DOCUMENT_SOURCES: Readonly<Record<string, Shape>> = {
  base64: { type, media_type: required(among("application/pdf")), data: required(text) },
  text: { type, media_type: required(among("text/plain")), data: required(sized(1, 1e9)) },
  content: { type, content: required(anything) },
  url: { type, url: http },
  file: { type, file_id: required(sized(1, 200)) },
};

/** The source of an image or document block: its shape and, for base64, its bytes. */
export function checkMedia(block: JsonObject, path: string): Problem | undefined {
  if (block.type !== "image" && block.type !== "document") return undefined;
  const source = block.source;
  if (!isObject(source)) return undefined;
  const sources = block.type === "image" ? IMAGE_SOURCES : DOCUMENT_SOURCES;
  const tag = typeof source.type === "string" ? source.type : "";
  const shape = Object.hasOwn(sources, tag) ? sources[tag] : undefined;
  if (!shape) {
    return invalid(
      `${path}.source: Input tag '${tag}' found using 'type' does not match any of the expected tags: ${Object.keys(
        sources,
      )
        .map((name) => `'${name}'`)
        .join(", ")}`,
    );
  }
  const at = `${path}.source.${tag}`;
  const problem = checkFields(source, at, shape);
  if (problem) return problem;
  if (tag === "content") {
    const nested = objectsAt(source, "content");
    return nested.map((item, i) => checkMedia(item, `${at}.content.${i}`)).find((found) => found);
  }
  if (tag !== "base64" || typeof source.data !== "string") return undefined;
  return block.type === "image"
    ? checkImage(source.data, String(source.media_type), at)
    : checkPdf(source.data, at);
}

function checkImage(data: string, mediaType: string, path: string): Problem | undefined {
  if (!isBase64(data)) return invalid(`${path}.data: invalid base64 data`);
  // The limit counts the characters of the base64 text.
  if (data.length > MAX_IMAGE_BYTES) {
    return invalid(
      `${path}: image exceeds 5 MB maximum: ${data.length} bytes > ${MAX_IMAGE_BYTES} bytes`,
    );
  }
  const head = decode(data.slice(0, 64 * 1024));
  const found = sniff(head);
  if (found === undefined) return invalid("Could not process image");
  if (found !== mediaType) {
    return invalid(
      `${path}: The image was specified using the ${mediaType} media type, but the image appears to be a ${found} image`,
    );
  }
  // The frame header of a JPEG lies behind metadata of any length.
  const size = dimensions(found === "image/jpeg" ? decode(data) : head, found);
  const isWhole = endsWell(head, decode(data.slice(-1_024)), found, data.length);
  if (!size || size.width === 0 || size.height === 0 || !isWhole) {
    return invalid("Could not process image");
  }
  return Math.max(size.width, size.height) > MAX_IMAGE_SIDE
    ? invalid(
        `${path}.data: At least one of the image dimensions exceed max allowed size: ${MAX_IMAGE_SIDE} pixels`,
      )
    : undefined;
}

function checkPdf(data: string, path: string): Problem | undefined {
  if (!isBase64(data)) return invalid(`${path}.data: invalid base64 data`);
  return decode(data.slice(0, 1_368)).includes("%PDF-")
    ? undefined
    : invalid(`${path}.data: The PDF specified was not valid.`);
}

/** Padded standard base64 without line breaks. */
function isBase64(data: string): boolean {
  return data !== "" && data.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(data);
}

/** Bytes as a string of one character per byte. */
function decode(data: string): string {
  return atob(data);
}

function sniff(head: string): string | undefined {
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (head.startsWith("GIF87a") || head.startsWith("GIF89a")) return "image/gif";
  if (head.startsWith("RIFF") && head.slice(8, 12) === "WEBP") return "image/webp";
  return undefined;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

function dimensions(head: string, mediaType: string): Size | undefined {
  switch (mediaType) {
    case "image/png":
      if (head.slice(12, 16) !== "IHDR" || head.length < 33) return undefined;
      return { width: number(head, 16, 4), height: number(head, 20, 4) };
    case "image/gif":
      if (head.length < 13) return undefined;
      return { width: little(head, 6, 2), height: little(head, 8, 2) };
    case "image/webp":
      return webpSize(head);
    default:
      return jpegSize(head);
  }
}

/** Walks the segments of a JPEG to its frame header. */
function jpegSize(head: string): Size | undefined {
  let at = 2;
  while (at + 9 < head.length) {
    if (head.charCodeAt(at) !== 0xff) return undefined;
    const marker = head.charCodeAt(at + 1);
    const isFrame =
      marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return { height: number(head, at + 5, 2), width: number(head, at + 7, 2) };
    at += 2 + number(head, at + 2, 2);
  }
  return undefined;
}

function webpSize(head: string): Size | undefined {
  if (head.length < 30) return undefined;
  switch (head.slice(12, 16)) {
    case "VP8 ":
      return { width: little(head, 26, 2) & 0x3fff, height: little(head, 28, 2) & 0x3fff };
    case "VP8L": {
      const bits = little(head, 21, 4);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case "VP8X":
      return { width: little(head, 24, 3) + 1, height: little(head, 27, 3) + 1 };
    default:
      return undefined;
  }
}

/** A cut file is no image: each format says where it ends. */
function endsWell(head: string, tail: string, mediaType: string, base64Length: number): boolean {
  switch (mediaType) {
    case "image/png":
      return tail.includes("IEND");
    case "image/jpeg":
      return tail.includes("\xff\xd9");
    case "image/gif":
      return tail.includes(";");
    default:
      return little(head, 4, 4) + 8 <= (base64Length / 4) * 3;
  }
}

function number(bytes: string, at: number, length: number): number {
  let value = 0;
  for (let i = 0; i < length; i++) value = value * 256 + bytes.charCodeAt(at + i);
  return value;
}

function little(bytes: string, at: number, length: number): number {
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = value * 256 + bytes.charCodeAt(at + i);
  return value;
}
