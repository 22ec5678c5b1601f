/** Images and documents by their first bytes: a name or a header may say what is not true. */
import type { ToolContext, ToolResult } from "./tool.ts";

/** In hexadecimal digits. */
const SIGNATURES: readonly (readonly [string, RegExp])[] = [
  ["image/png", /^89504e470d0a1a0a/],
  ["image/jpeg", /^ffd8ff/],
  ["image/gif", /^47494638(37|39)61/],
  ["image/webp", /^52494646.{8}57454250/],
  ["application/pdf", /^(..){0,1000}255044462d/],
];

/** What the Messages API takes as one image, which is 5 MB of base64, and as one document. */
const MAX_IMAGE_BYTES = 3_750_000;
const MAX_DOCUMENT_BYTES = 10_000_000;

/** The type of the media that a model can be shown; null for anything else. */
export function mediaTypeOf(bytes: Uint8Array): string | null {
  const start = bytes.subarray(0, 1_024).toHex();
  return SIGNATURES.find(([, signature]) => signature.test(start))?.[0] ?? null;
}

/** Bytes of media of this type that can be shown. */
export const mostBytes = (type: string): number =>
  type === "application/pdf" ? MAX_DOCUMENT_BYTES : MAX_IMAGE_BYTES;

/** The media as a result. */
export function mediaBlock(
  context: ToolContext,
  bytes: Uint8Array<ArrayBuffer>,
  type: string,
): ToolResult {
  const source = context.media(bytes, type);
  const block = { type: type === "application/pdf" ? "document" : "image", source } as const;
  return { content: [block], is_error: false };
}
