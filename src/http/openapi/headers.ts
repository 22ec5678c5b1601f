/** The headers that routes have in common, as the document describes them. */
import type { JsonObject } from "../../shared/content.ts";
import type { RequestHeader, ResponseHeader } from "./operation.ts";

const text = (description: string, more: JsonObject = {}): JsonObject => ({
  description,
  schema: { type: "string", ...more },
});

const number = (description: string): JsonObject => ({ description, schema: { type: "integer" } });

export const REQUEST_HEADERS: Readonly<Record<RequestHeader, JsonObject>> = {
  "Idempotency-Key": text(
    "Makes it safe to send the request again: the same key with the same body does nothing twice and is answered as the first time; another body is 409. Kept for 24 hours.",
    { pattern: "^[\\x21-\\x7e]{1,255}$" },
  ),
  "Last-Event-ID": text("The `id` of the last frame that was received: the stream goes on there."),
  Prefer: text(
    "`wait=N` lets a JSON answer wait for at most N seconds; `wait=0` answers 202 at once.",
  ),
  "If-Match": text("Only if this is the file's `ETag`."),
  "If-None-Match": text(
    "A read: 304 if this is the file's `ETag`. A write: `*` only if there is no such file.",
  ),
  "If-Range": text("`Range` holds only if this is the file's `ETag`."),
  Range: text("One range of bytes, such as `bytes=0-99`."),
};

export const RESPONSE_HEADERS: Readonly<Record<ResponseHeader, JsonObject>> = {
  "Accept-Ranges": text("`bytes`."),
  "Content-Disposition": text("`attachment`, with the file's name."),
  "Content-Range": text("Which bytes these are, and of how many."),
  ETag: text("The SHA-256 of the bytes."),
  "Idempotency-Replayed": text("`true`: the request was there before, and nothing was done again."),
  "Last-Modified": text("When the file was changed."),
  Location: text("The address of what was made."),
  "Retry-After": number("Seconds to wait before the next try."),
  "X-RateLimit-Limit": number("Requests in a window."),
  "X-RateLimit-Remaining": number("How many are left of them."),
  "X-RateLimit-Reset": number("Seconds until the oldest one leaves the window."),
};
