/** Sessions: made, listed, read, changed and deleted. */
import { ulid } from "ulid";
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import { readJson } from "../../http/body.ts";
import { hashJson } from "../../http/canonical.ts";
import type { HttpContext } from "../../http/context.ts";
import { answerJson } from "../../http/json.ts";
import { moderate } from "../../http/moderation.ts";
import { conflict, notFound, type Problem, ProblemError, respond } from "../../http/problems.ts";
import { create, newSubmissionId, repeatedly, submit } from "../../http/submit.ts";
import { jsonObject, parse } from "../../http/validate.ts";
import { resolveModel } from "../../model/catalogue.ts";
import {
  type CreationRefusal,
  type SessionStub,
  sessionObjectName,
  sessionStub,
} from "../../session/calls.ts";
import { NAME_TAKEN } from "../../session/naming.ts";
import { clock } from "../../shared/clock.ts";
import type { Config } from "../../shared/config.ts";
import { sessionId } from "../../shared/ids.ts";
import { callerName } from "../../shared/keys.ts";
import type { ConfigChange, SessionConfig } from "../../shared/rows.ts";
import type { Permissions } from "../../shared/tools.ts";
import { builtinToolset, harnessOf } from "../../tools/registry.ts";
import { offeredServerTools } from "../../tools/server-tools.ts";
import { addressed, found, sessionPath } from "./address.ts";
import { BudgetField } from "./budget.ts";
import { KEY_CONFLICT, keyId } from "./key.ts";
import { factsOf } from "./models.ts";
import { AnthropicKeyField, sealedFor, withoutKey } from "./own-key.ts";
import { PermissionsField } from "./permissions.ts";
import { ModelField, NameField } from "./session-list.ts";
import { sessionObject } from "./session-object.ts";
import { CacheTtlField, changeOf, decodeSettings, SETTINGS } from "./settings.ts";
import { refusalProblem, submissionOf } from "./submission.ts";
import { decodeTools, ToolList } from "./tools.ts";

const MAX_METADATA_BYTES = 16 * 1024;
const MAX_TITLE = 256;

const Title = v.pipe(v.string(), v.maxLength(MAX_TITLE));

const Metadata = v.pipe(
  jsonObject,
  v.check(
    (metadata) => new TextEncoder().encode(JSON.stringify(metadata)).length <= MAX_METADATA_BYTES,
    `The metadata may have at most ${MAX_METADATA_BYTES} bytes as JSON`,
  ),
);

const CreateSession = v.object({
  model: v.nullish(ModelField),
  name: v.nullish(NameField),
  title: v.nullish(Title),
  system_prompt: v.nullish(v.string()),
  metadata: v.nullish(Metadata),
  /** Without tools of its own a session has the built-in ones; an empty list is none. */
  tools: v.nullish(ToolList),
  permissions: v.nullish(PermissionsField),
  max_budget_usd: v.nullish(BudgetField),
  cache_ttl: v.nullish(CacheTtlField),
  anthropic_api_key: v.nullish(AnthropicKeyField),
  ...SETTINGS,
});

/** A session's instructions and own tools open its context, and what was sent cannot change. */
const fixed = v.optional(v.never("This is fixed when the session is created"));

const UpdateSession = v.object({
  model: v.optional(ModelField),
  /** Null takes it away. */
  name: v.optional(v.nullable(NameField)),
  title: v.optional(v.nullable(Title)),
  metadata: v.optional(Metadata),
  permissions: v.optional(PermissionsField),
  /** Null takes the limit away. */
  max_budget_usd: v.optional(v.nullable(BudgetField)),
  cache_ttl: v.nullish(CacheTtlField),
  /** Null takes it away. */
  anthropic_api_key: v.optional(v.nullable(AnthropicKeyField)),
  ...SETTINGS,
  system_prompt: fixed,
  tools: fixed,
});

const CREATED_AND_DELETED = "The session that this Idempotency-Key created was deleted.";

/** `POST /api/sessions` */
export async function createSession(c: HttpContext): Promise<Response> {
  const key = keyId(c, "sessions");
  const { config, key: ownKey, hash } = await readConfig(c);
  const { session: ulid, replayed } = await reserve(c, key, hash);
  const stub = sessionStub(c.env, c.get("account"), ulid);
  // The ULID belongs to this request or its repetitions, so it names the submission as well.
  const own = ownKey === null ? {} : { own_key: await sealedFor(c, objectName(c, ulid), ownKey) };
  const caller = callerName(c.get("caller").key);
  const created = await create(stub, ulid, config, { ...own, caller });
  if (!created.ok) return respond(c, refusedCreation(c, created.refused));
  const id = sessionId(ulid);
  const described = replayed
    ? found(await repeatedly(() => stub.describe()))
    : {
        session: created.session,
        system_prompt: config.system_prompt,
        permissions: config.permissions ?? null,
        settings: config.settings ?? {},
        cache_ttl: config.cache_ttl ?? "5m",
        own_key: ownKey !== null,
        pending: [],
      };
  return answerJson(c, sessionObject(id, described), 201, {
    location: sessionPath(id),
    ...(replayed ? { "idempotency-replayed": "true" } : {}),
  });
}

/** `key`: the session's own Anthropic key, which is no part of its configuration. */
async function readConfig(
  c: HttpContext,
): Promise<{ config: SessionConfig; key: string | null; hash: string }> {
  const { maxBodyBytes, model, effort, systemPrompt } = c.get("config");
  const body = await readJson(c.req.raw, maxBodyBytes, {});
  const asked = parse(CreateSession, body);
  moderate(c.get("config"), "native", [asked.system_prompt ?? ""]);
  const settings = decodeSettings({ ...asked, effort: asked.effort ?? effort });
  const prompt = asked.system_prompt ?? systemPrompt;
  const id = resolveModel(asked.model ?? model);
  const config: SessionConfig = {
    model: id,
    ...(await factsOf(c, id)),
    ...(asked.name == null ? {} : { name: asked.name }),
    title: asked.title ?? null,
    // The API refuses a prompt of nothing but white space.
    system_prompt: prompt?.trim() ? prompt : null,
    metadata: asked.metadata ?? {},
    ...(settings ? { settings } : {}),
    ...(asked.cache_ttl ? { cache_ttl: asked.cache_ttl } : {}),
    ...(asked.max_budget_usd == null ? {} : { max_budget_usd: asked.max_budget_usd }),
    ...(asked.tools || !c.get("config").builtinTools
      ? { toolset: await decodeTools(asked.tools ?? [], "body -> tools") }
      : withBuiltinTools(c.get("config"), asked.permissions)),
  };
  const hash = await hashJson(await withoutKey(c, body));
  return { config, key: asked.anthropic_api_key ?? null, hash };
}

function withBuiltinTools(
  { permissionMode, allowedTools, disallowedTools, serverTools }: Config,
  asked: Permissions | null | undefined,
): Pick<SessionConfig, "toolset" | "harness" | "permissions"> {
  const permissions = asked ?? {
    mode: permissionMode,
    allow: allowedTools,
    ask: [],
    deny: disallowedTools,
  };
  const toolset = builtinToolset(offeredServerTools(serverTools, permissions));
  return { toolset, harness: harnessOf(toolset), permissions };
}

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

async function described(c: HttpContext, id: string, session: SessionStub): Promise<Response> {
  return answerJson(c, sessionObject(id, found(await repeatedly(() => session.describe()))));
}

/** `GET /api/sessions/{id}` */
export async function getSession(c: HttpContext): Promise<Response> {
  const { id, session } = addressed(c);
  return described(c, id, session);
}

/** `PATCH /api/sessions/{id}` */
export async function updateSession(c: HttpContext): Promise<Response> {
  const { id, ulid, session } = addressed(c);
  const key = keyId(c, "session");
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes);
  const changes = parse(UpdateSession, body);
  const { model, name, title, metadata, permissions, max_budget_usd, cache_ttl, ...rest } = changes;
  const { anthropic_api_key: ownKey, ...asked } = rest;
  const resolved = model === undefined ? null : resolveModel(model);
  const settings = changeOf(asked);
  const config: ConfigChange = {
    ...(resolved === null ? {} : { model: resolved, ...(await factsOf(c, resolved)) }),
    ...(name === undefined ? {} : { name }),
    ...(title === undefined ? {} : { title }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(permissions === undefined ? {} : { permissions }),
    ...(max_budget_usd === undefined ? {} : { max_budget_usd }),
    ...(cache_ttl === undefined ? {} : { cache_ttl: cache_ttl ?? "5m" }),
    ...(settings ? { settings } : {}),
  };
  if (Object.keys(config).length > 0 || ownKey !== undefined) {
    const sealed = ownKey == null ? ownKey : await sealedFor(c, objectName(c, ulid), ownKey);
    const own = sealed === undefined ? {} : { own_key: sealed };
    const hash = await hashJson(await withoutKey(c, body));
    const submission = submissionOf(c, { kind: "update", config, ...own }, key, hash);
    const answer = await submit(session, submission, []);
    if (!answer.ok) return respond(c, refusalProblem(answer.refusal));
    if (answer.accepted.replayed) c.header("idempotency-replayed", "true");
  }
  return described(c, id, session);
}

/** What the session's secrets are bound to. */
const objectName = (c: HttpContext, ulid: string): string =>
  sessionObjectName(c.get("account"), ulid);

/** `DELETE /api/sessions/{id}` */
export async function deleteSession(c: HttpContext): Promise<Response> {
  const { id, ulid, session } = addressed(c);
  const submission = newSubmissionId();
  let calls = 0;
  const removed = await repeatedly(async () => {
    calls += 1;
    if (await session.remove(submission, callerName(c.get("caller").key))) return true;
    // The object may have died over an earlier call, and its alarm have removed the data since.
    return calls > 1 && accountOf(c.env, c.get("account")).isDeletedBy(ulid, submission);
  });
  return removed ? c.json({ id, deleted: true }) : respond(c, notFound("Session"));
}
