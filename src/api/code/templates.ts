/** Templates as claude-code-api's clients read them. They are kept and changed by the native API. */
import { accountOf } from "../../account/client.ts";
import { accountId } from "../../http/auth.ts";
import type { HttpContext } from "../../http/context.ts";
import { ProblemError } from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import type { Template } from "../../shared/template.ts";
import { answer } from "./envelope.ts";

/** Nobody's account: it has the built-in templates and no others. */
const NOBODY = "";

/** Of the caller's account; without a key those that every account has. */
async function templatesOf(c: HttpContext): Promise<readonly Template[]> {
  // There is a caller only where there was a key.
  const caller: { account: string } | undefined = c.get("caller");
  const account = accountOf(c.env, caller?.account ?? (await accountId(NOBODY)));
  return repeatedly(() => account.templates());
}

/** `GET /api/v1/templates` */
export async function listTemplates(c: HttpContext): Promise<Response> {
  const templates = await templatesOf(c);
  return answer(c, Object.fromEntries(templates.map((one) => [one.name, one])));
}

/** `GET /api/v1/templates/{name}` */
export async function getTemplate(c: HttpContext): Promise<Response> {
  const name = c.req.param("template") ?? "";
  const template = (await templatesOf(c)).find((one) => one.name === name);
  if (template) return answer(c, template);
  const detail = `Template '${name}' not found`;
  throw new ProblemError({ status: 404, code: "not_found", detail });
}

/** `POST /api/v1/templates/reload`. A change holds at once, so there is nothing to load. */
export async function reloadTemplates(c: HttpContext): Promise<Response> {
  const names = (await templatesOf(c)).map(({ name }) => name);
  return answer(c, { count: names.length, names });
}
