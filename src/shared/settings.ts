/** How a session or a turn wants the model to answer, and what is known of a model. */
import type { JsonObject } from "./content.ts";

/** In rising order. */
export const EFFORTS = ["low", "medium", "high", "xhigh", "max"] as const;

export type Effort = (typeof EFFORTS)[number];

/** How the model thinks, as a client asks for it: the Messages API's own shape. */
export interface ThinkingSetting {
  type: "adaptive" | "between_tools" | "disabled" | "enabled";
  /** With `enabled`. */
  budget_tokens?: number;
  /** `omitted`: clients are not shown what the model thinks. */
  display?: "summarized" | "omitted";
}

/** `text` is an answer without a form, for a turn in a session that has one. */
export type OutputFormat = { type: "json_schema"; schema: JsonObject } | { type: "text" };

/**
 * How the model is to answer. What is absent is the session's setting on a turn, and the model's
 * own default on a session. What a model does not take is left out of its requests, with a notice.
 */
export interface ModelSettings {
  thinking?: ThinkingSetting;
  effort?: Effort;
  output_format?: OutputFormat;
  stop_sequences?: string[];
  service_tier?: "auto" | "standard_only";
  speed?: "standard" | "fast";
  /** Sent as `metadata.user_id`. */
  user_id?: string;
}

/** A change of settings; null takes one back to its default. */
export type SettingsChange = { [S in keyof ModelSettings]?: ModelSettings[S] | null };

/** How long the API keeps what it caches. */
export type CacheTtl = "5m" | "1h";

/**
 * What the API said of a model that the catalogue does not have, when a session took that model.
 * Requests follow it, so it stands in a row.
 */
export interface ModelFacts {
  name: string;
  max_input_tokens: number | null;
  max_tokens: number | null;
  /** The types of `thinking` that it takes; null where that was not said. */
  thinking: ThinkingSetting["type"][] | null;
  effort: Effort[];
  server_tools: boolean;
  structured_outputs: boolean;
}
