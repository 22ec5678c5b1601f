import * as v from "valibot";
import { readJson } from "../../http/body.ts";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { addressed, found } from "./address.ts";
import { keyId } from "./key.ts";

const MAX_INSTRUCTIONS = 16_384;

const CompactRequest = v.object({
  keep_recent_messages: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1))),
  instructions: v.nullish(v.pipe(v.string(), v.maxLength(MAX_INSTRUCTIONS))),
});

/** `POST /api/sessions/{id}/compact`: nothing is compacted, and the conversation stays whole. */
export async function postCompact(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  keyId(c, "compact");
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes, {});
  parse(CompactRequest, body);
  found(await repeatedly(() => session.describe()));
  return c.json({
    id,
    compacted: false,
    reason: "This server compacts no conversation on demand; nothing was changed.",
  });
}
