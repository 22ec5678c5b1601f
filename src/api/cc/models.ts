import type { HttpContext } from "../../http/context.ts";
import { listModels } from "../../model/catalogue.ts";
import { clock } from "../../shared/clock.ts";

/** `GET /api/models`: each model under its API id and under its dotted alias. */
export const getModels = (c: HttpContext): Response =>
  c.json({ data: listModels(c.get("config").models, clock.now()) });
