/** The body of `POST /v1/chat` and of `POST /v1/chat/stream`. */
import * as v from "valibot";
import { readLongJson } from "../../http/body.ts";
import { hashJson } from "../../http/canonical.ts";
import type { HttpContext } from "../../http/context.ts";
import { moderate } from "../../http/moderation.ts";
import { type Problem, ProblemError } from "../../http/problems.ts";
import { parse } from "../../http/validate.ts";
import { isJsonObject, type Json } from "../../shared/content.ts";
import { piecesOf } from "../../shared/long-text.ts";
import { isRule, type PermissionMode } from "../../shared/tools.ts";
import { ROOT, resolvePath } from "../../workspace/paths.ts";
import { BudgetField, Characters, isText, ModelField } from "../common/fields.ts";
import { permissionModeOf, rulesIn } from "../common/permissions.ts";

const MAX_SESSION_ID = 256;
const MAX_RULES = 200;

const Mode = v.pipe(
  v.string(),
  v.check(
    (name) => permissionModeOf(name) !== null,
    "Input should be default, auto, acceptEdits, plan, dontAsk or bypassPermissions",
  ),
  v.transform((name): PermissionMode => permissionModeOf(name) ?? "default"),
);

/** Each entry may itself be a list, as the CLI's flag may. */
const Rules = v.pipe(
  v.union([v.string(), v.array(v.string())]),
  v.transform((asked) => [asked].flat().flatMap(rulesIn)),
  v.maxLength(MAX_RULES),
  v.check((rules) => rules.every(isRule), "A rule is Tool or Tool(pattern), such as Bash(git *)"),
);

const Folder = v.pipe(
  v.string(),
  v.check(
    (path) => folderOf(path) !== null,
    "Input should be a path, each name in it of 255 bytes at most and 1,024 in all",
  ),
  v.transform((path) => folderOf(path) ?? ROOT),
);

/** What it does not know is ignored. */
export const ChatRequest = v.object({
  prompt: Characters,
  session_id: v.nullish(v.pipe(v.string(), v.maxLength(MAX_SESSION_ID))),
  model: v.nullish(ModelField),
  system_prompt: v.nullish(v.string()),
  max_budget_usd: v.nullish(BudgetField),
  permission_mode: v.nullish(Mode),
  allowed_tools: v.nullish(Rules),
  cwd: v.nullish(Folder),
});

export type ChatAsked = v.InferOutput<typeof ChatRequest>;

const NO_PROMPT: Problem = {
  status: 400,
  code: "prompt_required",
  detail: "prompt is required",
};

/**
 * The body, which is read as JSON whatever its content type, and its hash.
 *
 * @throws ProblemError
 */
export async function readChat(c: HttpContext): Promise<{ asked: ChatAsked; hash: string }> {
  const config = c.get("config");
  const body = await readLongJson(c.req.raw, config.maxBodyBytes, LONG);
  if (isWithoutPrompt(body)) throw new ProblemError(NO_PROMPT);
  const asked = parse(ChatRequest, withoutEmpty(body));
  moderate(config, "chat", [asked.prompt, asked.system_prompt ?? ""]);
  return { asked, hash: await hashJson(body) };
}

/** That server takes a field without content for one that was left out. */
const withoutEmpty = (body: Json): Json =>
  isJsonObject(body)
    ? Object.fromEntries(Object.entries(body).filter(([, value]) => value !== ""))
    : body;

const LONG: ReadonlySet<string> = new Set(["prompt"]);

/** White space is no prompt either: the model's API refuses a message of nothing else. */
function isWithoutPrompt(body: unknown): boolean {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return false;
  const prompt: unknown = "prompt" in body ? body.prompt : null;
  if (!isText(prompt)) return prompt === null;
  for (const piece of piecesOf(prompt)) if (piece.trim() !== "") return false;
  return true;
}

/**
 * The folder of the workspace that a path means. Paths of the machine that clients used to run on mean
 * the folder of that path inside the workspace, and nothing leads out of it. Null: no path can be so.
 */
function folderOf(path: string): string | null {
  const home = path.replace(/^~(?=\/|$)/, ROOT);
  const below = home === ROOT || home.startsWith(`${ROOT}/`) ? home.slice(ROOT.length) : home;
  const names: string[] = [];
  for (const name of below.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  try {
    return resolvePath([ROOT, ...names].join("/"));
  } catch {
    return null;
  }
}
