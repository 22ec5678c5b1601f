/** `Idempotency-Key`: what is sent again with the same key and body does nothing twice. */
import type { HttpContext } from "../../http/context.ts";
import { conflict, ProblemError } from "../../http/problems.ts";

/** Visible ASCII. */
const KEY = /^[\x21-\x7e]{1,255}$/;

export const KEY_CONFLICT = conflict(
  "idempotency_key_conflict",
  "This Idempotency-Key was used with another body.",
);

/**
 * The id under which the request's key is kept: keys of one route do not meet those of another.
 * Null without a key.
 *
 * @throws ProblemError 400
 */
export function keyId(c: HttpContext, route: string): string | null {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return null;
  if (!KEY.test(key)) {
    throw new ProblemError({
      status: 400,
      code: "invalid_idempotency_key",
      detail: "Idempotency-Key must be 1 to 255 visible ASCII characters without spaces",
    });
  }
  return `${route} ${key}`;
}
