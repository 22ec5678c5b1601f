/** Bodies of JSON, as the original reads them. */
import type * as v from "valibot";
import { readJson } from "../../http/body.ts";
import { hashJson } from "../../http/canonical.ts";
import type { HttpContext } from "../../http/context.ts";
import { invalidField, ProblemError } from "../../http/problems.ts";
import { OBJECT_ERROR, parse } from "../../http/validate.ts";

const JSON_TYPE = /^\s*application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/**
 * The body of a request as `schema` gives it, and its hash.
 *
 * @throws ProblemError 413 or 422
 */
export async function readBody<S extends v.GenericSchema>(
  c: HttpContext,
  schema: S,
): Promise<{ request: v.InferOutput<S>; hash: string }> {
  const type = c.req.header("content-type");
  if (type !== undefined && !JSON_TYPE.test(type)) {
    // The original then sees a text where it wants an object.
    throw new ProblemError(invalidField("body", OBJECT_ERROR.type, OBJECT_ERROR.message));
  }
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes);
  return { request: parse(schema, body), hash: await hashJson(body) };
}
