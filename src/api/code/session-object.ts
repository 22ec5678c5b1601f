/** A session as claude-code-api's clients see it. All fields are there, and it has no id among them. */
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { resolveModel } from "../../model/catalogue.ts";
import type { SessionDescription } from "../../session/calls.ts";
import type { SessionInfo } from "../../session/commands.ts";
import type { CodeSettings } from "../../shared/code-settings.ts";
import { offsetTime } from "../../shared/offset-time.ts";
import { type Addressed, found } from "../common/address.ts";
import { ownLabel } from "./label.ts";

export interface CodeSession {
  name: string;
  user_id: string;
  working_dir: string;
  system_prompt: string | null;
  model: string | null;
  max_turns: number | null;
  permission_mode: string | null;
  effort: string | null;
  allowed_tools: string | null;
  disallowed_tools: string | null;
  /** `pending` until its first turn has begun. */
  status: "pending" | "active";
  /** US dollars of the calls that have a price. */
  total_cost: number;
  total_turns: number;
  created_at: string;
  updated_at: string;
}

export const isPending = ({ turn_count }: Pick<SessionInfo, "turn_count">): boolean =>
  turn_count === 0;

export type Described = Pick<
  SessionDescription,
  "session" | "system_prompt" | "permissions" | "settings" | "max_turns" | "cwd" | "code"
>;

/** @param id its public id, by which one without a name is addressed */
export function codeSession(id: string, label: string, described: Described): CodeSession {
  const { session, cwd } = described;
  const { name, turn_count, spent_usd, created_at, updated_at } = session;
  const { user_id, ...settings } = settingsOf(label, described);
  return {
    name: name ?? id,
    user_id,
    working_dir: cwd,
    ...settings,
    status: isPending(session) ? "pending" : "active",
    total_cost: spent_usd,
    total_turns: turn_count,
    created_at: offsetTime(created_at),
    updated_at: offsetTime(updated_at),
  };
}

/** What was given; of these the model and the prompt as another API has changed them since. */
function settingsOf(label: string, described: Described): Omit<CodeSettings, "template"> {
  const { session, system_prompt, permissions, settings, max_turns, code } = described;
  if (code) {
    const { template: _, ...given } = code;
    const isModel = given.model !== null && resolveModel(given.model) === session.model;
    const model = given.model === null || isModel ? given.model : session.model;
    return { ...given, model, system_prompt: given.system_prompt && system_prompt };
  }
  const listed = (rules: readonly string[] | undefined) => rules?.join(",") || null;
  return {
    user_id: label,
    system_prompt,
    model: session.model,
    max_turns,
    permission_mode: permissions?.mode ?? null,
    effort: settings.effort ?? null,
    allowed_tools: listed(permissions?.allow),
    disallowed_tools: listed(permissions?.deny),
  };
}

/** @throws ProblemError 404 */
export async function describedSession(
  c: HttpContext,
  { id, session }: Addressed,
): Promise<CodeSession> {
  return codeSession(id, ownLabel(c), found(await repeatedly(() => session.describe())));
}
