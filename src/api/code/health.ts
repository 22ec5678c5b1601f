/** `GET /api/v1/health`, which needs no key and never fails. */
import { accountOf } from "../../account/client.ts";
import { accountId } from "../../http/auth.ts";
import type { HttpContext } from "../../http/context.ts";
import { answerJson } from "../../http/json.ts";
import { DEFAULT_ACCOUNT } from "../../shared/config-readers.ts";
import { unready } from "../common/health.ts";
import { metaOf } from "./envelope.ts";

export async function health(c: HttpContext): Promise<Response> {
  const database = (await isStorageThere(c)) ? "ok" : "error";
  // There is no program; the original's clients look for this name.
  const claude_cli = unready(c.get("config")) ? "not_found" : "ok";
  const status = database === "ok" && claude_cli === "ok" ? "ok" : "degraded";
  const anthropic_api = claude_cli === "ok" ? "ok" : "no_key";
  return answerJson(c, {
    status,
    checks: { database, claude_cli, anthropic_api },
    meta: metaOf(c),
  });
}

async function isStorageThere(c: HttpContext): Promise<boolean> {
  try {
    // It reads what is there and makes nothing.
    await accountOf(c.env, await accountId(DEFAULT_ACCOUNT)).sessionNamed("");
    return true;
  } catch {
    return false;
  }
}
