/** The models that a session can be made with, and what the API says of those not in the table. */
import type { HttpContext } from "../../http/context.ts";
import { rulesOf } from "../../model/catalogue.ts";
import { factsOfModel, listModels, type UpstreamModel } from "../../model/catalogue-list.ts";
import { upstreamModels } from "../../model/catalogue-upstream.ts";
import { upstreamOf } from "../../session/upstream.ts";
import { clock } from "../../shared/clock.ts";
import type { ModelFacts } from "../../shared/settings.ts";

/** `GET /api/models`: each model under its API id and under its dotted alias. */
export async function getModels(c: HttpContext): Promise<Response> {
  return c.json({ data: listModels(c.get("config").models, await known(c), clock.now()) });
}

/**
 * What the API says of a model that a session is about to take, for its row. Asked for here, so that
 * no turn waits for it; of a model in the table nothing has to be asked.
 */
export async function factsOf(c: HttpContext, id: string): Promise<{ model_facts?: ModelFacts }> {
  if (rulesOf(id).known) return {};
  const facts = factsOfModel(id, await known(c));
  return facts ? { model_facts: facts } : {};
}

async function known(c: HttpContext): Promise<readonly UpstreamModel[]> {
  if (c.get("config").upstream.kind === "none") return [];
  return upstreamModels(await upstreamOf(c.env), (refresh) => c.executionCtx.waitUntil(refresh));
}
