/** claude-code-api as the description of the API shows it. */
import type { Surface } from "../../../http/openapi/operation.ts";
import { JobRequest } from "../jobs.ts";
import { ROUTES } from "../routes.ts";
import { CreateSession } from "../sessions.ts";
import { ChatRequest } from "../turn.ts";
import { CHAT_TAGS, chatOperations } from "./chat.ts";
import { FILE_TAGS, fileOperations } from "./files.ts";
import { SERVICE_TAGS, serviceOperations } from "./service.ts";
import { SESSION_TAGS, sessionOperations } from "./sessions.ts";

const FIELDS: Readonly<Record<string, string>> = {
  allowed_tools: "Tools that run without a question, separated by commas.",
  disallowed_tools: "Tools that do not run, separated by commas.",
  effort: "`low`, `medium`, `high`, `xhigh` or `max`.",
  limit: "How many at most.",
  max_turns: "Model calls that a turn may make.",
  message: "The message.",
  model: "Such as `claude-opus-4-6` or `opus`.",
  name: "The session is addressed by it.",
  output_format: 'A JSON schema that the answer follows, or `{"type": "json"}`.',
  page: "Which page, from 1.",
  path: "A folder below that in which the session works.",
  permission_mode: "`default`, `auto`, `acceptEdits`, `plan`, `dontAsk` or `bypassPermissions`.",
  system: "What the model is told for this message only.",
  system_prompt: "What the model is told before everything else.",
  template: "The name of a template, whose fields hold where the request says nothing.",
  text: "The text.",
  user_id: "A label, by which sessions can be listed; by default the account's name.",
  webhook_url: "An `https://` address that is told when the job has ended.",
  working_dir: "A folder of the workspace.",
};

/** The schemas of answers are loaded here, because nothing else needs them. */
export async function codeSurface(): Promise<Surface> {
  const [answers, { Problem }] = await Promise.all([
    import("./answers.ts"),
    import("../../../http/openapi/problem.ts"),
  ]);
  return {
    routes: ROUTES,
    operations: {
      ...sessionOperations(answers),
      ...chatOperations(answers),
      ...fileOperations(answers),
      ...serviceOperations(answers),
    },
    tags: { ...SESSION_TAGS, ...CHAT_TAGS, ...FILE_TAGS, ...SERVICE_TAGS },
    fields: FIELDS,
    params: {
      name: { description: "The session's name, or its id, `sess_…`." },
      job: { description: "The job's id." },
      template: { description: "The template's name." },
      "*": { description: "The path below the session's folder; slashes may be `%2F`." },
    },
    schemas: {
      CodeCreateSession: CreateSession,
      CodeChatRequest: ChatRequest,
      CodeJobRequest: JobRequest,
      CodeSession: answers.CodeSession,
      CodeAnswer: answers.CodeAnswer,
      CodeMessage: answers.CodeMessage,
      CodeJob: answers.Job,
      CodeFile: answers.CodeFile,
      CodeTemplate: answers.CodeTemplate,
      Meta: answers.Meta,
      Pagination: answers.Pagination,
    },
    errors: { type: "application/problem+json", schema: Problem, invalid: 422 },
  };
}
