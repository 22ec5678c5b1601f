/** Sessions of claude-code-api: made, listed, read and deleted. */
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import type { HttpContext } from "../../http/context.ts";
import { notFound, ProblemError, respond } from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { resolveModel } from "../../model/catalogue.ts";
import type { SessionInfo } from "../../session/commands.ts";
import type { CodeSettings } from "../../shared/code-settings.ts";
import type { SessionConfig } from "../../shared/rows.ts";
import type { Template } from "../../shared/template.ts";
import { ROOT } from "../../workspace/paths.ts";
import { type Addressed, sessionOf } from "../common/address.ts";
import {
  type CreatedSession,
  configuredPermissions,
  createSession,
  type NewSession,
  withBuiltinTools,
} from "../common/creation.ts";
import { keyId } from "../common/key.ts";
import { factsOf } from "../common/models.ts";
import { removeSession } from "../common/removal.ts";
import { addressed, sessionPath } from "./address.ts";
import { readBody } from "./body.ts";
import { answer, pagination } from "./envelope.ts";
import { pageFields, Text, WholeNumber } from "./fields.ts";
import { labelOf, ownLabel } from "./label.ts";
import { permissionsOf } from "./permissions.ts";
import { codeSession, type Described, describedSession } from "./session-object.ts";
import { effortIn, ModelText, SystemText, Unchecked } from "./texts.ts";

const MAX_NAME = 128;
const MAX_TURNS = 100;

export const CreateSession = v.strictObject({
  name: Text(MAX_NAME, 1),
  template: Unchecked,
  user_id: v.optional(Text(MAX_NAME), "default"),
  system_prompt: SystemText,
  model: ModelText,
  max_turns: v.nullish(WholeNumber(1, MAX_TURNS)),
  permission_mode: Unchecked,
  effort: Unchecked,
  allowed_tools: Unchecked,
  disallowed_tools: Unchecked,
});

type CreateRequest = v.InferOutput<typeof CreateSession>;

/** `POST /api/v1/sessions` */
export async function postSession(c: HttpContext): Promise<Response> {
  const key = keyId(c, "v1/sessions");
  const { request, hash } = await readBody(c, CreateSession);
  const name = cleanedName(request.name);
  const code = await settingsOf(c, request, await templateOf(c, request.template));
  const config = { ...(await configOf(c, code)), name };
  const created = await createdSession(c, { config, key, hash, surface: "code" });
  const shown = created.replayed
    ? await describedSession(c, created)
    : codeSession(created.id, ownLabel(c), beginningOf(config, code, created.info));
  return answer(c, shown, {
    status: 201,
    headers: {
      location: sessionPath(created.id),
      ...(created.replayed ? { "idempotency-replayed": "true" } : {}),
    },
  });
}

/** What a session says of itself that was made just now. */
const beginningOf = (
  config: SessionConfig,
  code: CodeSettings,
  session: SessionInfo,
): Described => ({
  session,
  system_prompt: config.system_prompt,
  permissions: config.permissions ?? null,
  settings: config.settings ?? {},
  max_turns: code.max_turns,
  cwd: ROOT,
  code,
});

/** @throws ProblemError 400 where nothing is left by which the session could be addressed */
function cleanedName(given: string): string {
  const name = given
    .normalize("NFC")
    .replace(/\p{Cc}/gu, " ")
    .trim()
    .replace(/\.\.|[/\\]/g, "")
    .trim();
  // In an address a dot is no name.
  if (name !== "" && !/^\.+$/.test(name)) return name;
  throw new ProblemError({ status: 400, code: "invalid_name", detail: "Invalid project name" });
}

/** @throws ProblemError 400 */
async function templateOf(
  c: HttpContext,
  name: string | null | undefined,
): Promise<Template | null> {
  if (!name) return null;
  const account = accountOf(c.env, c.get("account"));
  const template = await repeatedly(() => account.template(name));
  if (template) return template;
  const detail = `Template '${name}' not found`;
  throw new ProblemError({ status: 400, code: "template_not_found", detail });
}

/** What is given and not empty wins over the template's. */
async function settingsOf(
  c: HttpContext,
  request: CreateRequest,
  template: Template | null,
): Promise<CodeSettings> {
  const text = (name: TextField): string | null => request[name] || template?.[name] || null;
  return {
    user_id: await labelOf(c, request.user_id),
    template: template?.name ?? null,
    system_prompt: text("system_prompt"),
    model: text("model"),
    max_turns: request.max_turns ?? template?.max_turns ?? null,
    permission_mode: text("permission_mode"),
    effort: text("effort"),
    allowed_tools: text("allowed_tools"),
    disallowed_tools: text("disallowed_tools"),
  };
}

type TextField = Exclude<keyof CodeSettings & keyof Template, "max_turns">;

async function configOf(c: HttpContext, code: CodeSettings): Promise<SessionConfig> {
  const config = c.get("config");
  const model = resolveModel(code.model ?? config.model);
  const system_prompt = code.system_prompt ?? config.systemPrompt;
  const effort = code.effort === null ? config.effort : effortIn(code.effort);
  const permissions = permissionsOf(configuredPermissions(config), code);
  return {
    model,
    ...(await factsOf(c, model)),
    title: null,
    // The API refuses a prompt of nothing but white space.
    system_prompt: system_prompt?.trim() ? system_prompt : null,
    metadata: {},
    ...(effort ? { settings: { effort } } : {}),
    ...(config.builtinTools ? withBuiltinTools(config, permissions) : { toolset: { tools: {} } }),
    max_turns: code.max_turns,
    code,
  };
}

/** So often room is made for one session: others may come into it at the same time. */
const MOST_TRIES = 4;

/** Where the account is full, the session goes in whose place nothing has happened for longest. */
async function createdSession(c: HttpContext, asked: NewSession): Promise<CreatedSession> {
  for (let tries = 1; ; tries++) {
    try {
      const created = await createSession(c, asked);
      return tries === 1 ? created : { ...created, replayed: false };
    } catch (error) {
      const isFull = error instanceof ProblemError && error.problem.code === "session_limit";
      if (!isFull || tries === MOST_TRIES || !(await makeRoom(c))) throw error;
    }
  }
}

/** Each request takes another session's place: one that is being deleted makes room for one only. */
async function makeRoom(c: HttpContext): Promise<boolean> {
  const account = accountOf(c.env, c.get("account"));
  const taken: string[] = [];
  for (;;) {
    const oldest = await repeatedly(() => account.oldestIdle(taken));
    // What the others make may be the next to go.
    if (oldest === null) return taken.length > 0;
    if (await removeSession(c, sessionOf(c, oldest))) return true;
    taken.push(oldest);
  }
}

export const ListQuery = v.object({ user_id: v.optional(v.string()), ...pageFields(20, 100) });

/** Sessions that are asked at the same time for what they are. */
const AT_ONCE = 6;

/** `GET /api/v1/sessions` */
export async function listSessions(c: HttpContext): Promise<Response> {
  const { user_id, ...page } = parse(ListQuery, c.req.query(), "query");
  const account = accountOf(c.env, c.get("account"));
  const asked = { ...page, user_id: user_id === undefined ? undefined : await labelOf(c, user_id) };
  const { sessions, total } = await repeatedly(() => account.codeSessions(asked));
  const shown = [];
  for (let at = 0; at < sessions.length; at += AT_ONCE) {
    const some = sessions.slice(at, at + AT_ONCE).map(({ session }) => sessionOf(c, session));
    shown.push(...(await Promise.all(some.map((one) => shownIfThere(c, one)))));
  }
  const data = shown.filter((one) => one !== null);
  return answer(c, data, { beside: { pagination: pagination(page, total, 0) } });
}

/** Null for one that was deleted just now. */
async function shownIfThere(c: HttpContext, { id, session }: Addressed) {
  const described = await repeatedly(() => session.describe());
  return described && codeSession(id, ownLabel(c), described);
}

/** `GET /api/v1/sessions/{name}` */
export async function getSession(c: HttpContext): Promise<Response> {
  return answer(c, await describedSession(c, await addressed(c)));
}

/** `DELETE /api/v1/sessions/{name}` */
export async function deleteSession(c: HttpContext): Promise<Response> {
  const removed = await removeSession(c, await addressed(c));
  return removed ? c.body(null, 204) : respond(c, notFound("Session"));
}
