/** Creating a session, once for each request and its repetitions. */
import { ulid } from "ulid";
import { accountOf } from "../../account/client.ts";
import type { HttpContext } from "../../http/context.ts";
import { conflict, type Problem, ProblemError } from "../../http/problems.ts";
import { create, repeatedly } from "../../http/submit.ts";
import { resolveModel } from "../../model/catalogue.ts";
import { type Creation, type CreationRefusal, sessionObjectName } from "../../session/calls.ts";
import type { SessionInfo } from "../../session/commands.ts";
import { NAME_TAKEN } from "../../session/naming.ts";
import { clock } from "../../shared/clock.ts";
import type { Config } from "../../shared/config.ts";
import { callerName } from "../../shared/keys.ts";
import type { SessionConfig } from "../../shared/rows.ts";
import type { Permissions } from "../../shared/tools.ts";
import { builtinToolset, harnessOf } from "../../tools/registry.ts";
import { offeredServerTools } from "../../tools/server-tools.ts";
import { type Addressed, sessionOf } from "./address.ts";
import { KEY_CONFLICT } from "./key.ts";
import { factsOf } from "./models.ts";

export interface NewSession extends Omit<Creation, "own_key" | "caller"> {
  config: SessionConfig;
  /** What `keyId` gives: a second request with it leads to the same session. */
  key: string | null;
  /** Of the request's body, by which a repetition is recognised. */
  hash: string;
  /** Seals the session's own Anthropic key for the object of this name. */
  sealKey?: (owner: string) => Promise<string>;
}

export interface CreatedSession extends Addressed {
  info: SessionInfo;
  /** It was there before, made by the first request with this key. */
  replayed: boolean;
}

/**
 * Creates a session of the caller's account.
 *
 * @example
 * const { id, session, replayed } = await createSession(c, { config, key, hash });
 *
 * @throws ProblemError 409 where the account does not let it in, or the key's first session is deleted
 */
export async function createSession(
  c: HttpContext,
  { config, key, hash, sealKey, ...more }: NewSession,
): Promise<CreatedSession> {
  const { session: ulid, replayed } = await reserve(c, key, hash);
  const addressed = sessionOf(c, ulid);
  const own_key = await sealKey?.(sessionObjectName(c.get("account"), ulid));
  const creation: Creation = {
    ...more,
    ...(own_key === undefined ? {} : { own_key }),
    caller: callerName(c.get("caller").key),
  };
  // The ULID belongs to this request or its repetitions, so it names the submission as well.
  const created = await create(addressed.session, ulid, config, creation);
  if (!created.ok) throw new ProblemError(refusedCreation(c, created.refused));
  return { ...addressed, info: created.session, replayed };
}

const CREATED_AND_DELETED = "The session that this Idempotency-Key created was deleted.";

/** Why a session that the account was asked for is not there. */
function refusedCreation(c: HttpContext, refused: CreationRefusal | undefined): Problem {
  switch (refused) {
    case undefined:
      return conflict("session_deleted", CREATED_AND_DELETED);
    case "name_taken":
      return conflict(refused, NAME_TAKEN);
    case "session_limit": {
      const most = c.get("config").maxSessions;
      const detail = `The account has ${most} sessions, and may not have more. Delete one first.`;
      return conflict(refused, detail);
    }
  }
}

/** The ULID to create the session under: a new one, or that of the key's first use. */
async function reserve(
  c: HttpContext,
  key: string | null,
  hash: string,
): Promise<{ session: string; replayed: boolean }> {
  const now = clock.now();
  const fresh = ulid(now);
  if (key === null) return { session: fresh, replayed: false };
  const account = accountOf(c.env, c.get("account"));
  const reservation = await repeatedly(() => account.reserve(key, hash, fresh, now));
  if (reservation.kind === "conflict") throw new ProblemError(KEY_CONFLICT);
  if (reservation.kind === "deleted") {
    throw new ProblemError(conflict("session_deleted", CREATED_AND_DELETED));
  }
  return { session: reservation.session, replayed: reservation.session !== fresh };
}

/** What the built-in tools may do where nobody says it. */
export const configuredPermissions = ({
  permissionMode,
  allowedTools,
  disallowedTools,
}: Config): Permissions => ({
  mode: permissionMode,
  allow: allowedTools,
  ask: [],
  deny: disallowedTools,
});

/** What a session says itself; the rest is as the server's configuration has it. */
export interface AskedConfig {
  model?: string | null | undefined;
  system_prompt?: string | null | undefined;
  permissions: Permissions;
}

/** The configuration of a session without tools of its own. */
export async function usualConfig(
  c: HttpContext,
  { model, system_prompt, permissions }: AskedConfig,
): Promise<SessionConfig> {
  const config = c.get("config");
  const id = resolveModel(model ?? config.model);
  const prompt = system_prompt ?? config.systemPrompt;
  return {
    model: id,
    ...(await factsOf(c, id)),
    title: null,
    // The API refuses a prompt of nothing but white space.
    system_prompt: prompt?.trim() ? prompt : null,
    metadata: {},
    ...(config.effort ? { settings: { effort: config.effort } } : {}),
    ...(config.builtinTools ? withBuiltinTools(config, permissions) : { toolset: { tools: {} } }),
  };
}

/** The tools of a session that brings none of its own. */
export function withBuiltinTools(
  config: Config,
  permissions: Permissions = configuredPermissions(config),
): Pick<SessionConfig, "toolset" | "harness" | "permissions"> {
  const toolset = builtinToolset(offeredServerTools(config.serverTools, permissions));
  return { toolset, harness: harnessOf(toolset), permissions };
}
