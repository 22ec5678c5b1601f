/**
 * Settings as a client asks for them, made into what a model takes. No request is refused for a rule
 * that is known: what does not apply is mapped to the nearest that does, or left out, and said.
 */
import type {
  BetaOutputConfig,
  BetaThinkingConfigParam,
} from "@anthropic-ai/sdk/resources/beta/messages/messages";
import {
  EFFORTS,
  type Effort,
  type ModelSettings,
  type ThinkingSetting,
} from "../shared/settings.ts";
import type { ModelRules } from "./catalogue.ts";

/** A setting that could not be sent as it was asked for. */
export interface SettingNotice {
  code:
    | "tool_choice_not_forced"
    | "thinking_not_applied"
    | "effort_not_applied"
    | "output_format_not_applied"
    | "speed_not_applied";
  message: string;
}

export interface AppliedSettings {
  /** Members of the request's body. */
  fields: {
    thinking?: BetaThinkingConfigParam;
    output_config?: BetaOutputConfig;
    stop_sequences?: string[];
    service_tier?: "auto" | "standard_only";
    speed?: "fast";
    metadata?: { user_id: string };
  };
  /** Values of the `anthropic-beta` header. */
  betas: string[];
  notices: SettingNotice[];
}

/** What else of the request decides which settings apply. */
export interface SettingsPlace {
  maxTokens: number;
  /** `tool_choice` is sent as `any` or `tool`. */
  forced: boolean;
  /** A document of the conversation has citations switched on. */
  citations: boolean;
}

const FAST_MODE = "fast-mode-2026-02-01";

/** The API refuses a smaller budget. */
const LEAST_BUDGET = 1_024;
/** The budget where thinking was asked for without one, on a model that wants one. */
const USUAL_BUDGET = 8_192;

type Say = (code: SettingNotice["code"], message: string) => void;

/** The members of the request, the beta headers and the notices for `settings` on a model. */
export function settingsFor(
  rules: ModelRules,
  settings: ModelSettings,
  place: SettingsPlace,
): AppliedSettings {
  const notices: SettingNotice[] = [];
  const say: Say = (code, message) => notices.push({ code, message });
  const thinking = thinkingFor(rules, settings.thinking ?? null, place, say);
  const effort = effortFor(rules, settings.effort ?? null, thinking?.type === "disabled", say);
  const format = formatFor(rules, settings.output_format, place.citations, say);
  const fast = settings.speed === "fast" && rules.fast !== "no";
  if (settings.speed === "fast" && !fast) {
    say("speed_not_applied", `${rules.name} has no fast mode; it answers at its usual speed.`);
  }
  const { stop_sequences = [], service_tier, user_id } = settings;
  return {
    fields: {
      ...(thinking ? { thinking } : {}),
      ...(effort || format
        ? { output_config: { ...(effort ? { effort } : {}), ...(format ? { format } : {}) } }
        : {}),
      ...(stop_sequences.length > 0 ? { stop_sequences } : {}),
      ...(service_tier ? { service_tier } : {}),
      ...(fast ? { speed: "fast" } : {}),
      ...(user_id === undefined ? {} : { metadata: { user_id } }),
    },
    betas: fast && rules.fast === "beta" ? [FAST_MODE] : [],
    notices,
  };
}

function thinkingFor(
  rules: ModelRules,
  asked: ThinkingSetting | null,
  place: SettingsPlace,
  say: Say,
): BetaThinkingConfigParam | null {
  const rule = rules.thinking;
  // Without a display a chat would be silent while the model thinks between tools.
  const adaptive = { type: "adaptive", display: asked?.display ?? "summarized" } as const;
  const unasked = rule.kind === "always" || (rule.kind === "adaptive" && rule.on) ? adaptive : null;
  if (!asked) return unasked;
  const instead = (sent: BetaThinkingConfigParam | null): BetaThinkingConfigParam | null => {
    say("thinking_not_applied", notThought(rules, asked, sent));
    return sent;
  };
  switch (rule.kind) {
    case "unknown":
      return asked.type === "enabled" ? withBudget(rules, asked, place, say) : asIs(asked);
    case "none":
      return asked.type === "disabled" ? null : instead(null);
    case "always":
      return asked.type === "adaptive" ? adaptive : instead(adaptive);
    case "budget":
      // Thinking is off there unless it is asked for.
      if (asked.type === "disabled") return null;
      if (asked.type === "enabled") return withBudget(rules, asked, place, say);
      if (asked.type === "between_tools" || place.forced) return instead(null);
      return instead(budget(USUAL_BUDGET, asked, place));
    case "adaptive":
      if (asked.type === "adaptive") return adaptive;
      if (asked.type === "enabled") {
        return rule.budget ? withBudget(rules, asked, place, say) : instead(adaptive);
      }
      if (asked.type === rule.off) return { type: rule.off };
      return instead(asked.type === "disabled" ? { type: rule.off } : adaptive);
  }
}

/** The API's shape; its type is a union and the setting's is not. */
const asIs = ({ type, display }: ThinkingSetting): BetaThinkingConfigParam =>
  ({ type, ...(display ? { display } : {}) }) as BetaThinkingConfigParam;

function withBudget(
  rules: ModelRules,
  asked: ThinkingSetting,
  place: SettingsPlace,
  say: Say,
): BetaThinkingConfigParam | null {
  if (place.forced) {
    say(
      "thinking_not_applied",
      `${rules.name} cannot think with a budget while tool_choice forces a call; this call went without.`,
    );
    return null;
  }
  const wanted = asked.budget_tokens ?? USUAL_BUDGET;
  const sent = budget(wanted, asked, place);
  if (sent?.budget_tokens !== wanted) {
    const left = sent ? `a budget of ${sent.budget_tokens} was sent` : "the call went without";
    say(
      "thinking_not_applied",
      `A thinking budget of ${wanted} does not fit into an answer of at most ${place.maxTokens} tokens; ${left}.`,
    );
  }
  return sent;
}

/** The budget, with room for an answer behind it; null where there is none. */
function budget(wanted: number, { display }: ThinkingSetting, { maxTokens }: SettingsPlace) {
  if (maxTokens <= LEAST_BUDGET) return null;
  const room = Math.max(LEAST_BUDGET, maxTokens - LEAST_BUDGET);
  const budget_tokens = Math.min(Math.max(wanted, LEAST_BUDGET), room);
  return { type: "enabled", budget_tokens, ...(display ? { display } : {}) } as const;
}

function notThought(
  { name }: ModelRules,
  asked: ThinkingSetting,
  sent: BetaThinkingConfigParam | null,
): string {
  const left = sent ? `"${sent.type}" was sent` : "the model does not think";
  return `${name} does not take thinking "${asked.type}"; ${left}.`;
}

function effortFor(
  rules: ModelRules,
  asked: Effort | null,
  thinkingOff: boolean,
  say: Say,
): Effort | null {
  if (!asked || rules.thinking.kind === "unknown") return asked;
  const rank = (effort: Effort) => EFFORTS.indexOf(effort);
  const limit = thinkingOff ? rules.disabled_up_to : null;
  const sent = rules.effort
    .filter((one) => rank(one) <= rank(asked) && (limit === null || rank(one) <= rank(limit)))
    .reduce<Effort | null>((best, one) => (best && rank(best) > rank(one) ? best : one), null);
  if (sent === asked) return sent;
  const level = limit ? `effort "${asked}" without thinking` : `effort "${asked}"`;
  const left = sent ? `"${sent}" was sent` : "none was sent";
  say("effort_not_applied", `${rules.name} does not take ${level}; ${left}.`);
  return sent;
}

function formatFor(
  rules: ModelRules,
  asked: ModelSettings["output_format"],
  citations: boolean,
  say: Say,
): BetaOutputConfig["format"] {
  if (asked?.type !== "json_schema") return null;
  if (rules.structured_outputs && !citations) return asked;
  say(
    "output_format_not_applied",
    citations
      ? "The API cannot cite documents in an answer of a given form, so the form was not asked for."
      : `${rules.name} does not take an output format, so the form was not asked for.`,
  );
  return null;
}
