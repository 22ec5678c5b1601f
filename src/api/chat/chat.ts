/** `POST /v1/chat` and `POST /v1/chat/stream`: one message, in a new session or in one that goes on. */
import type { HttpContext } from "../../http/context.ts";
import { invalidField, type Problem, ProblemError } from "../../http/problems.ts";
import { run } from "../../http/run.ts";
import { repeatedly } from "../../http/submit.ts";
import { resolveModel } from "../../model/catalogue.ts";
import type { AskedOptions, Command, Refusal } from "../../session/commands.ts";
import type { Permissions } from "../../shared/tools.ts";
import { ROOT } from "../../workspace/paths.ts";
import { type Addressed, sessionWithId } from "../common/address.ts";
import { configuredPermissions, createSession, usualConfig } from "../common/creation.ts";
import { keyId } from "../common/key.ts";
import { limitsOf } from "../common/limits.ts";
import { factsOf } from "../common/models.ts";
import { unattended } from "../common/permissions.ts";
import { refusalProblem, submissionOf } from "../common/submission.ts";
import { chatInline, programFailed } from "./encode.ts";
import { type ChatAsked, readChat } from "./request.ts";

/** `POST /v1/chat` */
export const postChat = (c: HttpContext): Promise<Response> => chat(c, "cli/chat", false);

/** `POST /v1/chat/stream` */
export const postChatStream = (c: HttpContext): Promise<Response> =>
  chat(c, "cli/chat/stream", true);

/** A request, and by what a repetition of it is known. */
interface Asking {
  asked: ChatAsked;
  key: string | null;
  hash: string;
}

/** A session in which the message can be taken. */
interface Place extends Pick<Addressed, "id" | "session"> {
  /** Answers where the message names no other. */
  model: string;
  /** Of the session's own tools; null where it has none. */
  permissions: Permissions | null;
}

async function chat(c: HttpContext, route: string, stream: boolean): Promise<Response> {
  const key = keyId(c, route);
  const asking: Asking = { ...(await readChat(c)), key };
  const { asked, hash } = asking;
  const place = asked.session_id ? await known(c, asked.session_id) : await created(c, asking);
  const { id, session } = place;
  if (asked.cwd) await makeFolder(place, asked.cwd);
  const command: Command = {
    kind: "input",
    content: [{ type: "text", text: asked.prompt }],
    on_busy: "queue",
    options: await optionsOf(c, asked, place),
    limits: limitsOf(c.get("config"), asked.max_budget_usd ?? c.get("config").turnBudget),
    replay: false,
    hash,
  };
  const model = command.options.model?.id ?? place.model;
  return run(c, {
    session,
    submission: submissionOf(c, command, key, hash),
    media: [],
    stream,
    encoder: chatInline(id, model),
    refused,
  });
}

/** The settings of one message, as far as they are not the session's. */
async function optionsOf(
  c: HttpContext,
  asked: ChatAsked,
  { model, permissions }: Place,
): Promise<AskedOptions> {
  const options: AskedOptions = { toolset: null, tool_choice: null, parallel_tool_calls: null };
  const id = asked.model ? resolveModel(asked.model) : model;
  if (id !== model) {
    const { model_facts: facts } = await factsOf(c, id);
    options.model = { id, ...(facts ? { facts } : {}) };
  }
  const mode = asked.permission_mode ?? null;
  const allow = asked.allowed_tools ?? null;
  // Nobody can answer a question here, wherever the session comes from.
  if (permissions && (mode !== null || allow !== null || !permissions.unattended)) {
    options.permissions = unattended(permissions, { mode, allow, deny: null });
  }
  if (asked.cwd) options.cwd = asked.cwd;
  // A new session was made with it.
  if (asked.session_id && asked.system_prompt?.trim()) options.system_prompt = asked.system_prompt;
  return options;
}

async function created(c: HttpContext, { asked, key, hash }: Asking): Promise<Place> {
  const nothing = { mode: null, allow: null, deny: null };
  const permissions = unattended(configuredPermissions(c.get("config")), nothing);
  const { model, system_prompt } = asked;
  const config = await usualConfig(c, { model, system_prompt, permissions });
  const { id, session } = await createSession(c, { config, key, hash, surface: "chat" });
  return { id, session, model: config.model, permissions: config.permissions ?? null };
}

/** The session goes on. */
async function known(c: HttpContext, id: string): Promise<Place> {
  const session = sessionWithId(c, id)?.session;
  const described = session ? await repeatedly(() => session.describe()) : null;
  if (!session || !described) throw new ProblemError(UNKNOWN);
  const { permissions } = described;
  return { id, session, model: described.session.model, permissions };
}

/** Programs begin in a folder that is there. */
async function makeFolder({ session }: Place, path: string): Promise<void> {
  if (path === ROOT) return;
  const answer = await repeatedly(() => session.files("directory", { path, once: null }));
  if (!answer) throw new ProblemError(UNKNOWN);
  if (!answer.ok) {
    throw new ProblemError(invalidField("body -> cwd", "invalid_path", answer.error.message));
  }
}

const UNKNOWN = programFailed("not_found", "No conversation found with this session_id.");

const refused = (refusal: Refusal): Problem =>
  refusal.code === "not_found" ? UNKNOWN : refusalProblem(refusal);
