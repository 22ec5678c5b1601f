import type { Effort, Model } from "../models.ts";
import { effortRank } from "../models.ts";
import type { ApiVersion, Json, JsonObject, Problem } from "../wire.ts";
import { invalid, isObject, stringAt } from "../wire.ts";
import { cacheControl, systemBlock } from "./blocks.ts";
import { checkOutputSchema } from "./json-schema.ts";
import type { Field, Shape } from "./shape.ts";
import {
  among,
  anything,
  between,
  checkFields,
  dictionary,
  either,
  flag,
  listOf,
  matching,
  nullable,
  optional,
  required,
  shaped,
  sized,
  text,
  whole,
} from "./shape.ts";

const EFFORTS = among("low", "medium", "high", "xhigh", "max");
const BINDING_BETA = "thinking-binding-controls-2026-08-01";
const UPDATES_BETA = "thinking-display-updates-2026-08-18";

/** Top-level fields by the beta header that opens them. */
const BETA_FIELDS: readonly { readonly field: string; readonly betas: readonly string[] }[] = [
  { field: "compaction", betas: ["compact-2026-09-04"] },
  {
    field: "context_management",
    betas: ["context-management-2025-06-27", "compact-2026-01-12"],
  },
  { field: "mcp_servers", betas: ["mcp-client-2025-11-20", "mcp-client-2026-09-15"] },
];

const TOOL_CHOICE = shaped({
  type: required(among("auto", "any", "tool", "none")),
  name: optional(text),
  disable_parallel_tool_use: optional(flag),
});

function bodyShape(betas: ReadonlySet<string>, isCount: boolean): Shape {
  const opened = BETA_FIELDS.filter(({ betas: needed }) => needed.some((beta) => betas.has(beta)));
  const betaFields = Object.fromEntries(
    opened.map(({ field }): [string, Field] => [field, optional(nullable(anything))]),
  );
  return {
    model: required(sized(1, 256)),
    messages: required(listOf(anything)),
    ...(isCount ? {} : { max_tokens: required(whole(0)) }),
    system: optional(either(text, listOf(systemBlock))),
    tools: optional(listOf(dictionary)),
    tool_choice: optional(TOOL_CHOICE),
    thinking: optional(thinkingShape(betas)),
    output_config: optional(
      shaped({
        effort: optional(nullable(EFFORTS)),
        format: optional(
          nullable(shaped({ type: required(among("json_schema")), schema: required(dictionary) })),
        ),
      }),
    ),
    cache_control: cacheControl,
    speed: optional(nullable(among("standard", "fast"))),
    ...betaFields,
    ...(isCount ? {} : CREATE_ONLY),
  };
}

const CREATE_ONLY: Shape = {
  stream: optional(flag),
  stop_sequences: optional(listOf(text)),
  metadata: optional(shaped({ user_id: optional(nullable(sized(0, 256))) })),
  service_tier: optional(among("auto", "standard_only")),
  inference_geo: optional(nullable(text)),
  container: optional(nullable(either(text, dictionary))),
  diagnostics: optional(
    nullable(shaped({ previous_message_id: optional(nullable(matching(/^msg_\w+$/))) })),
  ),
  temperature: optional(between(0, 1)),
  top_p: optional(between(0, 1)),
  top_k: optional(whole(0)),
};

function thinkingShape(betas: ReadonlySet<string>): Field["check"] {
  const displays = betas.has(UPDATES_BETA)
    ? among("summarized", "omitted", "updates")
    : among("summarized", "omitted");
  const binding: Shape = betas.has(BINDING_BETA)
    ? {
        block_binding: optional(
          nullable(
            shaped({ prefix_mismatch_behavior: optional(nullable(among("error", "drop_block"))) }),
          ),
        ),
      }
    : {};
  const byType: Readonly<Record<string, Shape>> = {
    adaptive: { type: required(text), display: optional(nullable(displays)), ...binding },
    enabled: {
      type: required(text),
      budget_tokens: required(whole(1_024)),
      display: optional(nullable(displays)),
      ...binding,
    },
    between_tools: { type: required(text) },
    disabled: { type: required(text) },
  };
  return (value, path) => {
    if (!isObject(value)) return invalid(`${path}: Input should be a valid dictionary`);
    const shape = byType[stringAt(value, "type")];
    if (!shape) {
      return invalid(
        `${path}: Input tag '${String(value.type)}' found using 'type' does not match any of the expected tags: 'adaptive', 'between_tools', 'disabled', 'enabled'`,
      );
    }
    return checkFields(value, `${path}.${stringAt(value, "type")}`, shape);
  };
}

/** The body's top-level fields, before the model is known. */
export function checkBodyShape(
  body: Json,
  betas: ReadonlySet<string>,
  isCount: boolean,
): Problem | undefined {
  if (!isObject(body)) return invalid("Input should be a valid dictionary");
  const problem = checkFields(body, "", bodyShape(betas, isCount));
  if (problem) return problem;
  if (body.system === "") return invalid("system: text content blocks must be non-empty");
  const sequences = Array.isArray(body.stop_sequences) ? body.stop_sequences : [];
  return sequences.some((sequence) => typeof sequence === "string" && sequence.trim() === "")
    ? invalid("stop_sequences: each stop sequence must contain non-whitespace")
    : undefined;
}

/** What a model refuses among the parameters. */
export function checkParameters(
  body: JsonObject,
  model: Model,
  version: ApiVersion,
  betas: ReadonlySet<string>,
): Problem | undefined {
  return (
    checkMaxTokens(body, model) ??
    checkSampling(body, model, version) ??
    checkEffort(body, model) ??
    checkThinking(body, model) ??
    checkToolChoice(body, model) ??
    checkFormat(body) ??
    checkSpeed(body, model, betas)
  );
}

function checkMaxTokens(body: JsonObject, model: Model): Problem | undefined {
  const asked = body.max_tokens;
  return typeof asked === "number" && asked > model.maxOutput
    ? invalid(
        `max_tokens: ${asked} > ${model.maxOutput}, which is the maximum allowed number of output tokens for ${model.id}`,
      )
    : undefined;
}

function checkSampling(body: JsonObject, model: Model, version: ApiVersion): Problem | undefined {
  for (const name of ["temperature", "top_p", "top_k"]) {
    if (body[name] === undefined) continue;
    if (version === "2026-10-21") return invalid(`${name}: Extra inputs are not permitted`);
    if (!model.sampling) return invalid(`\`${name}\` is deprecated for this model.`);
  }
  return undefined;
}

/** The effort that a request runs at. */
export function effortOf(body: JsonObject, model: Model): Effort {
  const asked = isObject(body.output_config) ? body.output_config.effort : undefined;
  return model.efforts.find((effort) => effort === asked) ?? model.defaultEffort;
}

/** Whether the model thinks on this request. */
export function thinks(body: JsonObject, model: Model): boolean {
  const type = isObject(body.thinking) ? body.thinking.type : undefined;
  if (type === undefined) return model.thinksUnasked;
  return type === "adaptive" || type === "enabled";
}

/** The thinking setting as the prompt sees it: naming the default is the same as leaving it out. */
export function thinkingKey(body: JsonObject, model: Model): string {
  const thinking = isObject(body.thinking) ? body.thinking : {};
  const type = stringAt(thinking, "type") || (model.thinksUnasked ? "adaptive" : "disabled");
  return `${type} ${String(thinking.budget_tokens ?? "")}`;
}

function checkEffort(body: JsonObject, model: Model): Problem | undefined {
  const asked = isObject(body.output_config) ? body.output_config.effort : undefined;
  if (typeof asked !== "string") return undefined;
  if (model.efforts.length === 0) {
    return invalid("output_config.effort: This model does not support the effort parameter.");
  }
  return model.efforts.some((effort) => effort === asked)
    ? undefined
    : invalid(
        `output_config.effort: '${asked}' is not supported on this model. Supported levels: ${model.efforts.join(", ")}.`,
      );
}

function checkThinking(body: JsonObject, model: Model): Problem | undefined {
  const thinking = body.thinking;
  if (!isObject(thinking)) return undefined;
  const type = stringAt(thinking, "type");
  if (!model.thinking.some((allowed) => allowed === type)) {
    return invalid(`thinking.type: "${type}" is not supported on this model.`);
  }
  const effort = effortOf(body, model);
  if (
    type === "disabled" &&
    model.disabledUpTo !== null &&
    effortRank(effort) > effortRank(model.disabledUpTo)
  ) {
    return invalid(
      `thinking.type: "disabled" is not supported at effort "${effort}" on this model. Use effort "${model.disabledUpTo}" or lower.`,
    );
  }
  if (type !== "enabled") return undefined;
  const budget = thinking.budget_tokens;
  if (typeof budget === "number" && typeof body.max_tokens === "number") {
    if (budget >= body.max_tokens) {
      return invalid("`max_tokens` must be greater than `thinking.budget_tokens`.");
    }
  }
  const temperature = body.temperature;
  return temperature !== undefined && temperature !== 1
    ? invalid("`temperature` may only be set to 1 when thinking is enabled.")
    : undefined;
}

function checkToolChoice(body: JsonObject, model: Model): Problem | undefined {
  const choice = body.tool_choice;
  if (!isObject(choice)) return undefined;
  const hasTools = Array.isArray(body.tools) && body.tools.length > 0;
  if (!hasTools) return invalid("tool_choice: may only be specified while providing `tools`.");
  const type = stringAt(choice, "type");
  if (type === "tool" && typeof choice.name !== "string") {
    return invalid("tool_choice.tool.name: Field required");
  }
  if (type !== "tool" && choice.name !== undefined) {
    return invalid(`tool_choice.${type}.name: Extra inputs are not permitted`);
  }
  if (type === "none" && choice.disable_parallel_tool_use !== undefined) {
    return invalid("tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted");
  }
  if (type !== "any" && type !== "tool") return undefined;
  if (!model.forcedToolChoice) {
    return invalid(`tool_choice.type: "${type}" is not supported on this model.`);
  }
  return isObject(body.thinking) && body.thinking.type === "enabled"
    ? invalid("Thinking may not be enabled when tool_choice forces tool use.")
    : undefined;
}

function checkFormat(body: JsonObject): Problem | undefined {
  const format = isObject(body.output_config) ? body.output_config.format : undefined;
  if (!isObject(format)) return undefined;
  return checkOutputSchema(format.schema ?? null, "output_config.format.schema");
}

function checkSpeed(
  body: JsonObject,
  model: Model,
  betas: ReadonlySet<string>,
): Problem | undefined {
  if (body.speed === undefined || body.speed === null) return undefined;
  if (model.fast === "beta" && !betas.has("fast-mode-2026-02-01")) {
    return invalid("speed: Extra inputs are not permitted");
  }
  return body.speed === "fast" && model.fast === "no"
    ? invalid(`speed: "fast" is not supported on ${model.id}.`)
    : undefined;
}
