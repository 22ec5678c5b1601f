/** `GET /api/v1/usage`: what the account, or the sessions with a label, have used. */
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { answer } from "./envelope.ts";
import { labelOf, ownLabel } from "./label.ts";

export const UsageQuery = v.object({ user_id: v.optional(v.string()) });

export async function getUsage(c: HttpContext): Promise<Response> {
  const { user_id: given } = parse(UsageQuery, c.req.query(), "query");
  const user_id = given === undefined ? undefined : await labelOf(c, given);
  const account = accountOf(c.env, c.get("account"));
  const usage = await repeatedly(() => account.codeUsage({ user_id }));
  return answer(c, usage, { beside: { user_id: user_id ?? ownLabel(c) } });
}
