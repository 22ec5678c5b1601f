/** `user_id`: a label of sessions, by which clients filter. It says nothing of who may see them. */
import { isConfiguredKey } from "../../http/auth.ts";
import { isManagedForm } from "../../http/caller.ts";
import type { HttpContext } from "../../http/context.ts";

/** The label of sessions whose client gives none, and of the whole account: the account's name. */
export const ownLabel = (c: HttpContext): string => c.get("credential").account;

/**
 * The label that was given. Clients of the original know their key as their label; no key is kept or
 * shown, so here it is the account's name.
 */
export async function labelOf(c: HttpContext, given: string): Promise<string> {
  const { headers } = c.req.raw;
  const sent = [headers.get("authorization")?.replace(/^bearer +/i, ""), headers.get("x-api-key")];
  if (given === "" || given === "default") return ownLabel(c);
  if (sent.includes(given) || isManagedForm(given)) return ownLabel(c);
  // Also one that was not sent: clients of one account may have several.
  return (await isConfiguredKey(c.get("config"), given)) ? ownLabel(c) : given;
}
