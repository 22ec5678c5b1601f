/** Templates: settings under a name, from which sessions are made. */
import type { Effort } from "./settings.ts";
import type { PermissionMode } from "./tools.ts";

/** What a session takes from its template where its creation says nothing. Null: nothing. */
export interface TemplateFields {
  /** For people; no session takes it. */
  description: string | null;
  system_prompt: string | null;
  model: string | null;
  max_turns: number | null;
  /** `auto` as Claude Code has it. */
  permission_mode: PermissionMode | "auto" | null;
  effort: Effort | null;
  /** Rules separated by commas or white space, such as `Read,Bash(git *)`. */
  allowed_tools: string | null;
  disallowed_tools: string | null;
}

export interface Template extends TemplateFields {
  name: string;
  /** One of Ledge's own, which an account's own of the same name hides. */
  builtin: boolean;
}
