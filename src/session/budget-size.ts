/** How large a request is, as bytes of text: what budgets estimate a prompt from. */
import { Buffer } from "node:buffer";
import { bytesToTokens } from "../model/usage.ts";
import { LongText, piecesOf } from "../shared/long-text.ts";

/** An image takes no more tokens than this, whatever it shows. */
const IMAGE_TOKENS = 5_000;
/** A page of a PDF has about so many bytes, and takes so many tokens as text and image. */
const PAGE_BYTES = 30_000;
const PAGE_TOKENS = 3_000;

const BYTES_PER_TOKEN = 1 / (bytesToTokens(3_000_000) / 3_000_000);

/** Bytes of all texts in `value`; media count as the text that would take as many tokens. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (value instanceof LongText) {
    let size = 0;
    // Its type is that of a text, which it stands for.
    for (const piece of piecesOf(value as unknown as string)) size += Buffer.byteLength(piece);
    return size;
  }
  if (typeof value === "number" || typeof value === "boolean") return 4;
  if (typeof value !== "object" || value === null) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + sizeOf(one), 0);
  const media = mediaSize(value);
  if (media !== null) return media;
  return Object.entries(value).reduce((sum, [name, one]) => sum + name.length + 4 + sizeOf(one), 0);
}

function mediaSize(block: object): number | null {
  const { type, source } = block as { type?: unknown; source?: unknown };
  if (type === "image") return IMAGE_TOKENS * BYTES_PER_TOKEN;
  if (type !== "document" || typeof source !== "object" || source === null) return null;
  const { type: kind, bytes, data } = source as { type?: unknown; bytes?: unknown; data?: unknown };
  if (kind === "text") return null;
  const length = typeof bytes === "number" ? bytes : typeof data === "string" ? data.length : 0;
  return Math.ceil(length / PAGE_BYTES) * PAGE_TOKENS * BYTES_PER_TOKEN;
}
