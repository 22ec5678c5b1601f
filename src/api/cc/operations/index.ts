/** CC API as the description of the API shows it. */
import * as v from "valibot";
import type { Surface } from "../../../http/openapi/operation.ts";
import { ResultContent } from "../content.ts";
import { ResultsRequest, TurnRequest } from "../decode.ts";
import { PermissionsField } from "../permissions.ts";
import { ROUTES } from "../routes.ts";
import { CreateSession, UpdateSession } from "../sessions.ts";
import { Choice, FunctionTool, PlainTool, ToolList } from "../tools.ts";
import { FIELDS } from "./fields.ts";
import { FILE_TAGS, fileOperations } from "./files.ts";
import { SERVICE_TAGS, serviceOperations } from "./service.ts";
import { SESSION_TAGS, sessionOperations } from "./sessions.ts";
import { TEMPLATE_TAGS, templateOperations } from "./templates.ts";
import { TURN_TAGS, turnOperations } from "./turns.ts";

/** The schemas of answers are loaded here, because nothing else needs them. */
export async function ccSurface(): Promise<Surface> {
  const [answers, service, events, { Problem }] = await Promise.all([
    import("./answers.ts"),
    import("./answers-service.ts"),
    import("./events.ts"),
    import("../../../http/openapi/problem.ts"),
  ]);
  return {
    routes: ROUTES,
    operations: {
      ...sessionOperations(answers),
      ...turnOperations(answers, events),
      ...fileOperations(answers),
      ...templateOperations(answers),
      ...serviceOperations(answers, service),
    },
    tags: { ...SESSION_TAGS, ...TURN_TAGS, ...FILE_TAGS, ...TEMPLATE_TAGS, ...SERVICE_TAGS },
    params: {
      id: { description: "The session's id, `sess_…`." },
      turn: { description: "The turn's id, `turn_…`." },
      input: { description: "The id of a message that waits, `input_…`." },
      key: { description: "The key's id, `key_…`." },
      template: { description: "The template's name." },
      sha256: { description: "The hash of the bytes, as events show it." },
      "*": { description: "The path below `/workspace`; slashes may be `%2F`." },
    },
    fields: FIELDS,
    schemas: {
      Problem,
      CreateSession,
      UpdateSession,
      TurnRequest,
      ToolResultsRequest: ResultsRequest,
      PermissionsRequest: PermissionsField,
      FunctionTool,
      MessagesTool: PlainTool,
      Tool: v.union([FunctionTool, PlainTool]),
      ToolChoice: v.nullable(Choice),
      ToolResultContent: v.pipe(
        answers.Anything,
        v.description("A text, a list of content blocks, or any JSON, which is sent as text."),
      ),
      Session: answers.Session,
      ListedSession: answers.ListedSession,
      Turn: answers.Turn,
      ToolCall: answers.ToolCall,
      Permissions: answers.Permissions,
      BilledUsage: answers.BilledUsage,
      File: answers.File,
      Key: service.Key,
      Template: answers.Template,
      AuditEntry: service.AuditEntry,
      Event: events.Event,
      StreamError: events.StreamError,
      ...events.EVENT_SCHEMAS,
    },
    // What these are decided by is the value.
    shown: new Map<v.GenericSchema, string>([
      [ToolList.item, "Tool"],
      [TurnRequest.entries.tool_choice.wrapped, "ToolChoice"],
      [ResultContent, "ToolResultContent"],
    ]),
    errors: { type: "application/problem+json", schema: Problem, invalid: 422 },
  };
}
