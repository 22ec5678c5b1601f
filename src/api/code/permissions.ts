/** What the built-in tools may do, as claude-code-api's clients write it. */
import { invalidField, ProblemError } from "../../http/problems.ts";
import { isRule, type Permissions } from "../../shared/tools.ts";
import { permissionModeOf, unattended } from "../common/permissions.ts";

const MAX_RULES = 200;

/** The texts of a session, or of its template; null where there is none. */
export interface PermissionTexts {
  permission_mode: string | null;
  allowed_tools: string | null;
  disallowed_tools: string | null;
}

/**
 * The permissions of a session, over those of the configuration.
 *
 * @throws ProblemError 422
 */
export const permissionsOf = (base: Permissions, texts: PermissionTexts): Permissions =>
  unattended(base, {
    mode: modeOf(texts.permission_mode),
    allow: rulesOf(texts.allowed_tools, "allowed_tools"),
    deny: rulesOf(texts.disallowed_tools, "disallowed_tools"),
  });

/** Those of one turn, which has a mode of its own. */
export const permissionsIn = (session: Permissions, mode: string): Permissions =>
  unattended(session, { mode: modeOf(mode), allow: null, deny: null });

/** The original hands any text on. One that names no mode is the one that allows least by itself. */
const modeOf = (text: string | null) =>
  text === null || text === "" ? null : (permissionModeOf(text) ?? "default");

/** Commas separate rules, but not inside of their parentheses. */
function rulesOf(text: string | null, field: string): string[] | null {
  if (text === null) return null;
  const rules = text
    .split(/,(?![^()]*\))/)
    .map((rule) => rule.trim())
    .filter((rule) => rule !== "");
  if (rules.length <= MAX_RULES && rules.every(isRule)) return rules;
  const rule = `At most ${MAX_RULES} rules, separated by commas: Tool or Tool(pattern), such as Bash(git *)`;
  throw new ProblemError(invalidField(`body -> ${field}`, "value_error", rule));
}
