/** Templates, from which sessions are made. */
import * as v from "valibot";
import { json, type Operations, type RequestBody } from "../../../http/openapi/operation.ts";
import type { JsonObject } from "../../../shared/content.ts";
import { TemplateBody, TemplateImport } from "../templates.ts";
import type * as Answers from "./answers.ts";

const TEMPLATES = "Ledge: templates";

export const TEMPLATE_TAGS = {
  [TEMPLATES]:
    "Settings under a name, from which sessions are made: those that Ledge has, and the account's own.",
};

/** JSON, or YAML, of which JSON is a part. */
const inBoth = (schema: v.GenericSchema, example: JsonObject): RequestBody => ({
  content: ["application/json", "application/yaml"].map((type) => ({ type, schema, example })),
});

const HAIKU = { system_prompt: "Answer in haiku.", effort: "low" };

export function templateOperations(answers: typeof Answers): Operations {
  const list = json(v.object({ data: v.array(answers.Template) }), "The templates.");
  return {
    "GET /api/templates": {
      id: "listTemplates",
      tag: TEMPLATES,
      summary: "All templates",
      answers: { 200: list },
    },
    "POST /api/templates/import": {
      id: "importTemplates",
      tag: TEMPLATES,
      summary: "Replaces all of the account's own",
      description: "By a map of names to fields.",
      body: inBoth(TemplateImport, { haiku: HAIKU }),
      answers: { 200: { ...list, description: "The account's own templates." } },
      problems: { 409: ["too_many_templates"] },
    },
    "GET /api/templates/:template": {
      id: "getTemplate",
      tag: TEMPLATES,
      summary: "A template",
      answers: { 200: json(answers.Template, "The template.") },
    },
    "PUT /api/templates/:template": {
      id: "putTemplate",
      tag: TEMPLATES,
      summary: "Makes or replaces one of the account's own",
      description: "It hides one of Ledge's own that has the same name.",
      body: inBoth(TemplateBody, HAIKU),
      answers: { 200: json(answers.Template, "The template.") },
      problems: { 409: ["too_many_templates"] },
    },
    "DELETE /api/templates/:template": {
      id: "deleteTemplate",
      tag: TEMPLATES,
      summary: "Deletes one of the account's own",
      description: "One of Ledge's own that it has hidden is there again.",
      answers: {
        200: json(v.object({ name: v.string(), deleted: v.literal(true) }), "It is deleted."),
      },
    },
  };
}
