/** What decides whether the API's cache is read, and why it was not. */

/**
 * Settings of a request whose change makes the API's cache of the messages unusable. A field is
 * absent where the request said nothing of it.
 */
export interface PromptSettings {
  tool_choice?: string;
  thinking?: string;
  effort?: string;
  /** The beginning of a hash. */
  output_format?: string;
  speed?: string;
  /** The messages hold an image, or a document with citations. */
  images?: true;
  citations?: true;
}

/** What has changed the beginning of the prompt between two calls. */
export type CacheChange =
  | "changed_tools"
  | "changed_system"
  | "model_switched"
  | "compacted"
  | "replayed"
  | "thinking_removed"
  | "left_out";

/** Why a call read less from the API's cache than was put there. */
export interface CacheMiss {
  reason: CacheChange | "first_call" | "below_minimum" | "expired" | "settings_changed" | "unknown";
  /** Tokens of the prompt that were expected from the cache and not read from it. */
  tokens: number;
  /** With `settings_changed`: which. */
  settings?: (keyof PromptSettings)[];
}
