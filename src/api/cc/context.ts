/** `GET /api/sessions/{id}/context`: how large the conversation is, and what takes the room. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { found } from "../common/address.ts";
import { addressed } from "./address.ts";

export const ContextQuery = v.object({ exact: v.optional(v.picklist(["true", "false"])) });

export async function getContext(c: HttpContext): Promise<Response> {
  const { session } = addressed(c);
  const exact = parse(ContextQuery, c.req.query(), "query").exact === "true";
  const size = found(await repeatedly(() => session.context(exact)));
  return c.json(size);
}
