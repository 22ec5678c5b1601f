/** Sessions: made, listed, read, changed and deleted. */
import * as v from "valibot";
import { readJson } from "../../http/body.ts";
import { hashJson } from "../../http/canonical.ts";
import type { HttpContext } from "../../http/context.ts";
import { answerJson } from "../../http/json.ts";
import { moderate } from "../../http/moderation.ts";
import { notFound, respond } from "../../http/problems.ts";
import { repeatedly, submit } from "../../http/submit.ts";
import { jsonObject, parse } from "../../http/validate.ts";
import { resolveModel } from "../../model/catalogue.ts";
import { type SessionStub, sessionObjectName } from "../../session/calls.ts";
import type { ConfigChange, SessionConfig } from "../../shared/rows.ts";
import { ROOT } from "../../workspace/paths.ts";
import { found, sessionPath } from "../common/address.ts";
import { createSession, withBuiltinTools } from "../common/creation.ts";
import { BudgetField, ModelField, NameField } from "../common/fields.ts";
import { keyId } from "../common/key.ts";
import { factsOf } from "../common/models.ts";
import { removeSession } from "../common/removal.ts";
import { refusalProblem, submissionOf } from "../common/submission.ts";
import { addressed } from "./address.ts";
import { AnthropicKeyField, sealedFor, withoutKey } from "./own-key.ts";
import { PermissionsField } from "./permissions.ts";
import { sessionObject } from "./session-object.ts";
import { CacheTtlField, changeOf, decodeSettings, SETTINGS } from "./settings.ts";
import { askedTemplate, templatePermissions } from "./templates.ts";
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

export const CreateSession = v.object({
  model: v.nullish(ModelField),
  name: v.nullish(NameField),
  title: v.nullish(Title),
  /** What it says holds where the request says nothing. */
  template: v.nullish(v.string()),
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

/** A session's own tools stand in the row of its creation. */
const fixed = v.optional(v.never("This is fixed when the session is created"));

export const UpdateSession = v.object({
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
  /** Null takes it away. */
  system_prompt: v.optional(v.nullable(v.string())),
  ...SETTINGS,
  tools: fixed,
});

/** `POST /api/sessions` */
export async function postSession(c: HttpContext): Promise<Response> {
  const key = keyId(c, "sessions");
  const { config, key: ownKey, hash } = await readConfig(c);
  const own = ownKey === null ? {} : { sealKey: (owner: string) => sealedFor(c, owner, ownKey) };
  const { id, session, info, replayed } = await createSession(c, { config, key, hash, ...own });
  const described = replayed
    ? found(await repeatedly(() => session.describe()))
    : {
        session: info,
        system_prompt: config.system_prompt,
        permissions: config.permissions ?? null,
        settings: config.settings ?? {},
        cache_ttl: config.cache_ttl ?? "5m",
        own_key: ownKey !== null,
        max_turns: config.max_turns ?? null,
        cwd: config.cwd ?? ROOT,
        code: config.code ?? null,
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
  const template = await askedTemplate(c, asked.template);
  const settings = decodeSettings({
    ...asked,
    effort: asked.effort ?? template?.effort ?? effort,
  });
  const id = resolveModel(asked.model ?? template?.model ?? model);
  const config: SessionConfig = {
    model: id,
    ...(await factsOf(c, id)),
    ...(asked.name == null ? {} : { name: asked.name }),
    title: asked.title ?? null,
    system_prompt: promptOf(asked.system_prompt ?? template?.system_prompt ?? systemPrompt),
    metadata: asked.metadata ?? {},
    ...(settings ? { settings } : {}),
    ...(asked.cache_ttl ? { cache_ttl: asked.cache_ttl } : {}),
    ...(asked.max_budget_usd == null ? {} : { max_budget_usd: asked.max_budget_usd }),
    ...(template?.max_turns == null ? {} : { max_turns: template.max_turns }),
    ...(asked.tools || !c.get("config").builtinTools
      ? { toolset: await decodeTools(asked.tools ?? [], "body -> tools") }
      : withBuiltinTools(
          c.get("config"),
          asked.permissions ?? templatePermissions(c.get("config"), template),
        )),
  };
  const hash = await hashJson(await withoutKey(c, body));
  return { config, key: asked.anthropic_api_key ?? null, hash };
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
  const { anthropic_api_key: ownKey, system_prompt, ...asked } = rest;
  moderate(c.get("config"), "native", [system_prompt ?? ""]);
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
    ...(system_prompt === undefined ? {} : { system_prompt: promptOf(system_prompt) }),
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

/** The API refuses a prompt of nothing but white space. */
const promptOf = (text: string | null): string | null => (text?.trim() ? text : null);

/** What the session's secrets are bound to. */
const objectName = (c: HttpContext, ulid: string): string =>
  sessionObjectName(c.get("account"), ulid);

/** `DELETE /api/sessions/{id}` */
export async function deleteSession(c: HttpContext): Promise<Response> {
  const session = addressed(c);
  if (!(await removeSession(c, session))) return respond(c, notFound("Session"));
  return c.json({ id: session.id, deleted: true });
}
