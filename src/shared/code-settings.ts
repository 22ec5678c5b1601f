/**
 * What claude-code-api's own clients are told again of a session and what cannot be computed from the
 * rest of its configuration: the values as they were given, by the client or by a template.
 */
export interface CodeSettings {
  /** A label that clients filter by; never a key. */
  user_id: string;
  template: string | null;
  permission_mode: string | null;
  effort: string | null;
  allowed_tools: string | null;
  disallowed_tools: string | null;
  model: string | null;
  system_prompt: string | null;
  max_turns: number | null;
}
