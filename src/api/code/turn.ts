/** A message as claude-code-api's clients send it, made into what a session takes. */
import * as v from "valibot";
import type { HttpContext } from "../../http/context.ts";
import { moderate } from "../../http/moderation.ts";
import { repeatedly } from "../../http/submit.ts";
import { jsonObject } from "../../http/validate.ts";
import { resolveModel } from "../../model/catalogue.ts";
import type { AskedOptions, Command } from "../../session/commands.ts";
import type { TurnModel } from "../../shared/rows.ts";
import type { ModelSettings } from "../../shared/settings.ts";
import type { Permissions } from "../../shared/tools.ts";
import { type Addressed, found } from "../common/address.ts";
import { limitsOf } from "../common/limits.ts";
import { factsOf } from "../common/models.ts";
import { Text } from "./fields.ts";
import { formOf } from "./output-format.ts";
import { permissionsIn } from "./permissions.ts";
import { effortIn, ModelText, SystemText, Unchecked } from "./texts.ts";

const MAX_MESSAGE = 1_000_000;

export const ChatRequest = v.strictObject({
  message: Text(MAX_MESSAGE, 1),
  model: ModelText,
  system: SystemText,
  effort: Unchecked,
  permission_mode: Unchecked,
  output_format: v.nullish(jsonObject),
});

type Asked = v.InferOutput<typeof ChatRequest>;

type Input = Extract<Command, { kind: "input" }>;

/**
 * What is asked of the session.
 *
 * @param hash of the request's body
 * @throws ProblemError
 */
export async function inputOf(
  c: HttpContext,
  { session }: Addressed,
  asked: Asked,
  hash: string,
): Promise<Input> {
  const config = c.get("config");
  moderate(config, "api-v1", [asked.message, asked.system ?? ""]);
  const { format, instruction } = formOf(asked.output_format);
  const effort = asked.effort ? effortIn(asked.effort) : null;
  const settings: ModelSettings = {
    ...(effort ? { effort } : {}),
    ...(format ? { output_format: format } : {}),
  };
  const system = [asked.system, instruction].filter((text) => text?.trim()).join("\n\n");
  const permissions = asked.permission_mode
    ? await permissionsOf(session, asked.permission_mode)
    : null;
  const options: AskedOptions = {
    toolset: null,
    tool_choice: null,
    parallel_tool_calls: null,
    ...(permissions ? { permissions } : {}),
    ...(Object.keys(settings).length > 0 ? { settings } : {}),
    ...(asked.model ? { model: await modelOf(c, asked.model) } : {}),
    ...(system === "" ? {} : { system }),
  };
  return {
    kind: "input",
    content: [{ type: "text", text: asked.message }],
    on_busy: "queue",
    options,
    limits: { ...limitsOf(config, config.turnBudget), plain: config.codeMaxTurns },
    replay: false,
    hash,
  };
}

/** Null in a session without tools of its own. */
async function permissionsOf(
  session: Addressed["session"],
  mode: string,
): Promise<Permissions | null> {
  const { permissions } = found(await repeatedly(() => session.describe()));
  return permissions && permissionsIn(permissions, mode);
}

async function modelOf(c: HttpContext, name: string): Promise<TurnModel> {
  const id = resolveModel(name);
  const { model_facts } = await factsOf(c, id);
  return { id, ...(model_facts ? { facts: model_facts } : {}) };
}
