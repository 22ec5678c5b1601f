/** Templates: those that Ledge has, and an account's own, which who has the scope `admin` makes. */
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import {
  MAX_TEMPLATE_CHARACTERS,
  MAX_TEMPLATES,
  type NamedFields,
} from "../../account/template-table.ts";
import { readJson } from "../../http/body.ts";
import type { HttpContext } from "../../http/context.ts";
import { answerJson } from "../../http/json.ts";
import {
  conflict,
  type FieldError,
  invalid,
  invalidField,
  notFound,
  ProblemError,
  respond,
} from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import { jsonObject, parse } from "../../http/validate.ts";
import { isYaml, readYaml } from "../../http/yaml.ts";
import type { Config } from "../../shared/config.ts";
import { PERMISSION_MODES } from "../../shared/config-readers.ts";
import { isJsonObject, type Json, type JsonObject } from "../../shared/content.ts";
import { EFFORTS } from "../../shared/settings.ts";
import type { Template, TemplateFields } from "../../shared/template.ts";
import { isRule, type Permissions } from "../../shared/tools.ts";
import { found } from "../common/address.ts";
import { configuredPermissions } from "../common/creation.ts";
import { ModelField, SystemField } from "../common/fields.ts";
import { permissionModeOf, rulesIn } from "../common/permissions.ts";

const MAX_DESCRIPTION = 500;
const MAX_RULES = 200;
const MAX_TURNS = 1_000;

/** Two words are left out that are no plain names of members in JavaScript. */
const NAME = /^(?!(?:constructor|prototype)$)[a-z0-9][a-z0-9_-]{0,63}$/;

const NAME_RULE =
  "A template's name has 1 to 64 of the characters a-z, 0-9, _ and -, and begins with a letter or digit";

const TemplateName = v.pipe(v.string(), v.regex(NAME, NAME_RULE));

const Rules = v.nullish(
  v.pipe(
    v.string(),
    v.check(
      (text) => rulesIn(text).length <= MAX_RULES && rulesIn(text).every(isRule),
      `Input should be at most ${MAX_RULES} rules such as Read or Bash(git *), separated by commas`,
    ),
  ),
);

/** What is null or left out a session does not take from its template. */
const FIELDS = {
  description: v.nullish(v.pipe(v.string(), v.maxLength(MAX_DESCRIPTION))),
  system_prompt: v.nullish(SystemField),
  model: v.nullish(ModelField),
  max_turns: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_TURNS))),
  permission_mode: v.nullish(v.picklist([...PERMISSION_MODES, "auto"])),
  effort: v.nullish(v.picklist(EFFORTS)),
  allowed_tools: Rules,
  disallowed_tools: Rules,
};

/** A template as it was read may be sent back. */
export const TemplateBody = v.strictObject({
  ...FIELDS,
  name: v.optional(TemplateName),
  object: v.optional(v.literal("template")),
  builtin: v.optional(v.boolean()),
});

/** By name. */
export const TemplateImport = v.record(TemplateName, TemplateBody);

/** `GET /api/templates` */
export async function listTemplates(c: HttpContext): Promise<Response> {
  const account = accountOf(c.env, c.get("account"));
  const templates = await repeatedly(() => account.templates());
  return answerJson(c, { data: templates.map(templateObject) });
}

/** `GET /api/templates/{name}` */
export async function getTemplate(c: HttpContext): Promise<Response> {
  const account = accountOf(c.env, c.get("account"));
  const name = nameOf(c);
  const template = await repeatedly(() => account.template(name));
  return c.json(templateObject(found(template, "Template")));
}

/** `PUT /api/templates/{name}` */
export async function putTemplate(c: HttpContext): Promise<Response> {
  const name = c.req.param("template") ?? "";
  if (!NAME.test(name)) throw refused([fieldError("path -> name", NAME_RULE)]);
  const asked = parse(TemplateBody, await readBody(c));
  if (asked.name !== undefined && asked.name !== name) {
    throw refused([fieldError("body -> name", "Input should be the name in the path")]);
  }
  const fields = fieldsOf(asked);
  const account = accountOf(c.env, c.get("account"));
  const { kind } = await repeatedly(() => account.putTemplate(name, fields));
  if (kind === "full") return respond(c, FULL);
  return c.json(templateObject({ ...fields, name, builtin: false }));
}

/** `DELETE /api/templates/{name}` */
export async function deleteTemplate(c: HttpContext): Promise<Response> {
  const account = accountOf(c.env, c.get("account"));
  const name = nameOf(c);
  let calls = 0;
  const removed = await repeatedly(async () => {
    calls += 1;
    // The object may have died over an earlier call, after it had removed it.
    return (await account.removeTemplate(name)) || calls > 1;
  });
  return removed ? c.json({ name, deleted: true }) : respond(c, notFound("Template"));
}

/** `POST /api/templates/import`: what it holds replaces all of the account's own. */
export async function importTemplates(c: HttpContext): Promise<Response> {
  const body = parse(jsonObject, await readBody(c));
  const names = Object.keys(body);
  if (names.length > MAX_TEMPLATES) return respond(c, FULL);
  // Here, as the schema would pass over some names, and take a list for a template.
  const wrong = names.flatMap((name) => {
    if (!NAME.test(name)) return [fieldError(`body -> ${name.slice(0, 100)}`, NAME_RULE)];
    return isJsonObject(body[name]) ? [] : [{ field: `body -> ${name}`, ...NO_OBJECT }];
  });
  if (wrong.length > 0) throw refused(wrong);
  const templates = Object.entries(parse(TemplateImport, body)).map(
    ([name, asked]): NamedFields => ({ ...fieldsOf(asked), name }),
  );
  const account = accountOf(c.env, c.get("account"));
  const { kind } = await repeatedly(() => account.replaceTemplates(templates));
  if (kind === "full") return respond(c, FULL);
  const own = templates.map((template) => templateObject({ ...template, builtin: false }));
  return answerJson(c, { data: own });
}

/**
 * The template that a session's creation names; null where it names none.
 *
 * @throws ProblemError 422 when there is no such template
 */
export async function askedTemplate(
  c: HttpContext,
  name: string | null | undefined,
): Promise<Template | null> {
  if (name == null) return null;
  const account = accountOf(c.env, c.get("account"));
  const template = NAME.test(name) ? await repeatedly(() => account.template(name)) : null;
  if (template) return template;
  const message = "The account has no template of this name";
  throw new ProblemError(invalidField("body -> template", "unknown_template", message));
}

/** What the built-in tools may do by a template, over the configuration: no template lifts a denial. */
export function templatePermissions(config: Config, template: Template | null): Permissions {
  const base = configuredPermissions(config);
  if (!template) return base;
  const { permission_mode, allowed_tools, disallowed_tools } = template;
  return {
    mode: permissionModeOf(permission_mode ?? base.mode) ?? base.mode,
    allow: allowed_tools === null ? base.allow : rulesIn(allowed_tools),
    ask: base.ask,
    deny: [...new Set([...base.deny, ...rulesIn(disallowed_tools ?? "")])],
  };
}

const FULL = conflict(
  "too_many_templates",
  `An account may have ${MAX_TEMPLATES} templates of its own, with ${MAX_TEMPLATE_CHARACTERS} characters together.`,
);

/** @throws ProblemError 404 when no template can have this name */
function nameOf(c: HttpContext): string {
  const name = c.req.param("template") ?? "";
  if (!NAME.test(name)) throw new ProblemError(notFound("Template"));
  return name;
}

function readBody(c: HttpContext): Promise<Json> {
  const { maxBodyBytes } = c.get("config");
  return isYaml(c.req.raw) ? readYaml(c.req.raw, maxBodyBytes) : readJson(c.req.raw, maxBodyBytes);
}

/** An empty text is as none. */
function fieldsOf(asked: v.InferOutput<typeof TemplateBody>): TemplateFields {
  const text = (given: string | null | undefined) => (given?.trim() ? given : null);
  return {
    description: text(asked.description),
    system_prompt: text(asked.system_prompt),
    model: asked.model ?? null,
    max_turns: asked.max_turns ?? null,
    permission_mode: asked.permission_mode ?? null,
    effort: asked.effort ?? null,
    allowed_tools: text(asked.allowed_tools),
    disallowed_tools: text(asked.disallowed_tools),
  };
}

/** A template as the wire shows it. */
function templateObject({ name, builtin, ...fields }: Template): JsonObject {
  return { name, object: "template", builtin, ...fields };
}

const NO_OBJECT = { type: "dict_type", message: "Input should be a valid dictionary" };

const fieldError = (field: string, message: string): FieldError => ({
  field,
  message,
  type: "string_pattern_mismatch",
});

const refused = (errors: FieldError[]): ProblemError => new ProblemError(invalid(errors));
