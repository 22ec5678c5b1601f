/** The images and documents of a session, by hash. */
import type { HttpContext } from "../../http/context.ts";
import { DOCUMENT_TYPE } from "../../http/media.ts";
import { notFound, respond } from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import { addressed } from "./address.ts";

/** The longest signature is WebP's: `RIFF`, four bytes of length, `WEBP`. */
const SIGNATURE_BYTES = 12;

/** What the first bytes are, in hex. */
const SIGNATURES: readonly [type: string, pattern: RegExp][] = [
  ["image/png", /^89504e470d0a1a0a/],
  ["image/jpeg", /^ffd8ff/],
  ["image/gif", /^47494638(37|39)61/],
  ["image/webp", /^52494646.{8}57454250/],
  [DOCUMENT_TYPE, /^255044462d/],
];

/** The media type that the first bytes show. What a client said of them is not trusted. */
function sniffMediaType(start: Uint8Array): string {
  const hex = start.subarray(0, SIGNATURE_BYTES).toHex();
  const known = SIGNATURES.find(([, pattern]) => pattern.test(hex));
  return known?.[0] ?? "application/octet-stream";
}

/** `GET /api/sessions/{id}/media/{sha256}` */
export async function getMedia(c: HttpContext): Promise<Response> {
  const { session } = addressed(c);
  const sha = c.req.param("sha256") ?? "";
  if (!/^[0-9a-f]{64}$/.test(sha)) return respond(c, notFound("Media"));
  const url = new URL(`https://session/media/${sha}`);
  const { body, ok } = await repeatedly(() => session.fetch(url));
  if (!ok || !body) return respond(c, notFound("Media"));
  const reader = body.getReader({ mode: "byob" });
  const { value: start = new Uint8Array() } = await reader.readAtLeast(
    SIGNATURE_BYTES,
    new Uint8Array(4096),
  );
  reader.releaseLock();
  const { readable, writable } = new IdentityTransformStream();
  c.executionCtx.waitUntil(send(start, body, writable));
  return c.body(readable, 200, {
    "content-type": sniffMediaType(start),
    // The address holds the hash of the bytes: what is behind it never changes.
    "cache-control": "private, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
  });
}

/** The bytes that were read to know the type, and the rest. Ends quietly when the client leaves. */
async function send(
  start: Uint8Array,
  rest: ReadableStream<Uint8Array>,
  out: WritableStream<Uint8Array>,
): Promise<void> {
  try {
    const writer = out.getWriter();
    await writer.write(start);
    writer.releaseLock();
    await rest.pipeTo(out);
  } catch {
    // Nobody is there to be told.
  }
}
