/** What the built-in tools may do where nobody can be asked. */
import { PERMISSION_MODES } from "../../shared/config-readers.ts";
import type { PermissionMode, Permissions } from "../../shared/tools.ts";

/** As the clients of the Claude CLI write it; what is null was not said. */
export interface AskedPermissions {
  mode: PermissionMode | null;
  allow: string[] | null;
  deny: string[] | null;
}

/** The mode of this name; `auto`, in which Claude Code decides for itself, is `default`. */
export const permissionModeOf = (name: string): PermissionMode | null =>
  name === "auto" ? "default" : (PERMISSION_MODES.find((mode) => mode === name) ?? null);

/**
 * What a request asks for, over what holds without it. Nobody answers a question: with allowed tools
 * given, only these run besides what merely reads; without any, what the mode would ask for runs, since
 * nothing outside the workspace can be hurt. Denials add up, so no request lifts the owner's.
 */
export function unattended(
  base: Permissions,
  { mode, allow, deny }: AskedPermissions,
): Permissions {
  const listed = allow !== null && allow.length > 0;
  const usual = listed && base.mode === "bypassPermissions" ? "default" : base.mode;
  return {
    mode: mode ?? usual,
    allow: listed ? allow : base.allow,
    ask: base.ask,
    deny: [...new Set([...base.deny, ...(deny ?? [])])],
    unattended: true,
  };
}

/** Rules separated by commas or white space; what stands in a rule's parentheses separates nothing. */
export const rulesIn = (text: string): string[] =>
  text.split(/[,\s]+(?![^()]*\))/).filter((rule) => rule !== "");
