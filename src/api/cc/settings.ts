/** How the model is to answer, as clients ask for it. Null is as if it were left out. */
import * as v from "valibot";
import { jsonObject } from "../../http/validate.ts";
import {
  EFFORTS,
  type ModelSettings,
  type SettingsChange,
  type ThinkingSetting,
} from "../../shared/settings.ts";
import { checkSchema } from "../common/output-schema.ts";

/** The API's own least. */
const LEAST_BUDGET = 1_024;
const MOST_BUDGET = 1_000_000;
const MAX_STOP_SEQUENCES = 16;
const MAX_STOP_SEQUENCE = 256;
const MAX_USER_ID = 256;

const Display = v.nullish(v.picklist(["summarized", "omitted"]));

const Thinking = v.variant("type", [
  v.object({ type: v.literal("adaptive"), display: Display }),
  v.object({ type: v.literal("between_tools"), display: Display }),
  v.object({ type: v.literal("disabled"), display: Display }),
  v.object({
    type: v.literal("enabled"),
    budget_tokens: v.pipe(
      v.number(),
      v.integer(),
      v.minValue(LEAST_BUDGET),
      v.maxValue(MOST_BUDGET),
    ),
    display: Display,
  }),
]);

const Format = v.variant("type", [
  v.object({ type: v.literal("json_schema"), schema: jsonObject }),
  v.object({ type: v.literal("text") }),
]);

const StopSequence = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(MAX_STOP_SEQUENCE),
  v.check((text) => text.trim() !== "", "The API takes no stop sequence of white space only"),
);

export const CacheTtlField = v.picklist(["5m", "1h"]);

/** Fields of a session and of a turn. */
export const SETTINGS = {
  thinking: v.nullish(Thinking),
  effort: v.nullish(v.picklist(EFFORTS)),
  output_format: v.nullish(Format),
  stop_sequences: v.nullish(v.pipe(v.array(StopSequence), v.maxLength(MAX_STOP_SEQUENCES))),
  service_tier: v.nullish(v.picklist(["auto", "standard_only"])),
  speed: v.nullish(v.picklist(["standard", "fast"])),
  user_id: v.nullish(v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_USER_ID))),
};

const Settings = v.object(SETTINGS);
type Asked = v.InferOutput<typeof Settings>;

/**
 * The settings that were given; null for none.
 *
 * @throws ProblemError 422
 */
export function decodeSettings(asked: Asked): ModelSettings | null {
  const entries = Object.entries(changeOf(asked) ?? {}).filter(([, value]) => value !== null);
  // Without its nulls a change is settings.
  return entries.length > 0 ? (Object.fromEntries(entries) as ModelSettings) : null;
}

/**
 * The same for a change, in which null takes a setting back to its default.
 *
 * @throws ProblemError 422
 */
export function changeOf(asked: Asked): SettingsChange | null {
  const { thinking, effort, output_format, stop_sequences, service_tier, speed, user_id } = asked;
  if (output_format?.type === "json_schema") {
    checkSchema(output_format.schema, "body -> output_format -> schema");
  }
  const change: SettingsChange = {
    ...(thinking === undefined ? {} : { thinking: thinking && thinkingOf(thinking) }),
    ...(effort === undefined ? {} : { effort }),
    ...(output_format === undefined ? {} : { output_format }),
    ...(stop_sequences === undefined ? {} : { stop_sequences }),
    ...(service_tier === undefined ? {} : { service_tier }),
    ...(speed === undefined ? {} : { speed }),
    ...(user_id === undefined ? {} : { user_id }),
  };
  return Object.keys(change).length > 0 ? change : null;
}

/** Without the fields that were given as null. */
function thinkingOf(asked: NonNullable<Asked["thinking"]>): ThinkingSetting {
  const { type, display } = asked;
  return {
    type,
    ...("budget_tokens" in asked ? { budget_tokens: asked.budget_tokens } : {}),
    ...(display ? { display } : {}),
  };
}
