/** The models that a session can be made with. */
import type { HttpContext } from "../../http/context.ts";
import { listModels } from "../../model/catalogue-list.ts";
import { clock } from "../../shared/clock.ts";
import { knownModels } from "../common/models.ts";

/** `GET /api/models`: each model under its API id and under its dotted alias. */
export async function getModels(c: HttpContext): Promise<Response> {
  return c.json({ data: listModels(c.get("config").models, await knownModels(c), clock.now()) });
}
