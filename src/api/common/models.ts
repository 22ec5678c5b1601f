/** What the API says of models that are not in the table. */
import type { HttpContext } from "../../http/context.ts";
import { resolveModel, rulesOf } from "../../model/catalogue.ts";
import { factsOfModel, type UpstreamModel } from "../../model/catalogue-list.ts";
import { upstreamModels } from "../../model/catalogue-upstream.ts";
import { upstreamOf } from "../../session/upstream.ts";
import type { TurnModel } from "../../shared/rows.ts";
import type { ModelFacts } from "../../shared/settings.ts";

/**
 * What the API says of a model that a session is about to take, for its row. Asked for here, so that
 * no turn waits for it; of a model in the table nothing has to be asked.
 */
export async function factsOf(c: HttpContext, id: string): Promise<{ model_facts?: ModelFacts }> {
  if (rulesOf(id).known) return {};
  const facts = factsOfModel(id, await knownModels(c));
  return facts ? { model_facts: facts } : {};
}

/** The model that a turn asks for, by its id or an alias. */
export async function turnModel(c: HttpContext, asked: string): Promise<TurnModel> {
  const id = resolveModel(asked);
  const { model_facts: facts } = await factsOf(c, id);
  return { id, ...(facts ? { facts } : {}) };
}

/** The models that the API lists; none where there is no API. */
export async function knownModels(c: HttpContext): Promise<readonly UpstreamModel[]> {
  if (c.get("config").upstream.kind === "none") return [];
  return upstreamModels(await upstreamOf(c.env), (refresh) => c.executionCtx.waitUntil(refresh));
}
