/** The Claude CLI server's API as the description of the API shows it. */
import {
  type Answer,
  json,
  jsonBody,
  type Operation,
  type Surface,
} from "../../http/openapi/operation.ts";
import { ChatRequest } from "./request.ts";
import { ROUTES } from "./routes.ts";

const CHAT = "Claude CLI server";

const ASKED: Pick<Operation, "tag" | "headers" | "problems"> = {
  tag: CHAT,
  headers: ["Idempotency-Key", "Prefer"],
  problems: {
    400: ["prompt_required", "blocked", "invalid_path", "*"],
    409: ["session_limit", "session_deleted", "input_cancelled", "turn_in_progress"],
    413: ["moderation_limit"],
    502: ["*"],
    503: ["*"],
    504: ["turn_still_running"],
    507: ["session_full"],
  },
};

/** The schemas of answers are loaded here, because nothing else needs them. */
export async function chatSurface(): Promise<Surface> {
  const { ChatAnswer, ChatError, ChatFrame, Accepted, Health } = await import("./answers.ts");
  const body = jsonBody(ChatRequest, { prompt: "Count to 5." });
  const accepted: Answer = json(Accepted, "With `Prefer: wait=0`: it goes on.", {
    headers: ["Location", "Idempotency-Replayed"],
  });
  return {
    routes: ROUTES,
    operations: {
      "GET /v1/health": {
        id: "chatHealth",
        tag: CHAT,
        summary: "Whether it can answer",
        answers: {
          200: json(Health, "It can."),
        },
        problems: { 503: ["no_upstream_key"] },
      },
      "POST /v1/chat": {
        ...ASKED,
        body,
        id: "chat",
        summary: "Sends a message, in a new session or in one that goes on",
        description: "The body is read as JSON whatever its content type.",
        answers: {
          200: json(ChatAnswer, "The answer.", { headers: ["Idempotency-Replayed"] }),
          202: accepted,
        },
      },
      "POST /v1/chat/stream": {
        ...ASKED,
        body,
        id: "chatStream",
        summary: "Sends a message, and streams what comes of it",
        description: "Frames have no ids and no event names; `type` says what each is.",
        answers: {
          200: {
            description: "`start`, deltas, and `done` or `error`.",
            headers: ["Idempotency-Replayed"],
            content: [{ kind: "events", events: { message: ChatFrame } }],
          },
          202: accepted,
        },
      },
    },
    tags: { [CHAT]: "The API of the Claude CLI server, for its clients: `/v1/chat`." },
    params: {},
    fields: {
      prompt: "The message.",
      session_id: "Of an earlier answer: the conversation goes on. Absent: a new one begins.",
      model: "The model, for this message.",
      system_prompt: "Replaces the session's, from this message on.",
      max_budget_usd: "What this message may cost, in US dollars.",
      permission_mode:
        "`default`, `auto`, `acceptEdits`, `plan`, `dontAsk` or `bypassPermissions`.",
      allowed_tools: "Rules of what runs, such as `Read` or `Bash(git *)`.",
      cwd: "The folder of the workspace where tools begin.",
    },
    schemas: { ChatError, ChatRequest, ChatAnswer, ChatFrame },
    errors: { type: "application/json", schema: ChatError, invalid: 400 },
  };
}
