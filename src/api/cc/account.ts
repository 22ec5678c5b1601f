/** What belongs to a whole account. */
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import type { KeyInfo } from "../../account/own-key.ts";
import { readJson } from "../../http/body.ts";
import type { HttpContext } from "../../http/context.ts";
import { conflict, ProblemError } from "../../http/problems.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { clock } from "../../shared/clock.ts";
import { webhookSecret } from "../../shared/webhook-signature.ts";
import { AnthropicKeyField, sealedFor } from "./own-key.ts";

export const SetKey = v.object({ api_key: AnthropicKeyField });

/** Of a shorter key four characters would say too much. */
const MIN_HINTED = 20;

/** `GET /api/account` */
export async function getAccount(c: HttpContext): Promise<Response> {
  const account = accountOf(c.env, c.get("account"));
  return shown(c, await repeatedly(() => account.ownKey()));
}

/** `PUT /api/account/anthropic-key` */
export async function putAnthropicKey(c: HttpContext): Promise<Response> {
  const body = await readJson(c.req.raw, c.get("config").maxBodyBytes);
  const { api_key: key } = parse(SetKey, body);
  const id = c.get("account");
  const kept = {
    sealed: await sealedFor(c, id, key),
    hint: key.length < MIN_HINTED ? "" : key.slice(-4),
    at: clock.now(),
  };
  const account = accountOf(c.env, id);
  // Should it arrive twice, it says the same.
  return shown(c, await repeatedly(() => account.setOwnKey(kept)));
}

/** `DELETE /api/account/anthropic-key`: afterwards there is none, whether there was one or not. */
export async function deleteAnthropicKey(c: HttpContext): Promise<Response> {
  const account = accountOf(c.env, c.get("account"));
  await repeatedly(() => account.setOwnKey(null));
  return shown(c, null);
}

const UNSIGNED =
  "Webhooks are signed with a secret that is derived from ENCRYPTION_KEY or WEBHOOK_KEY, and this server has neither, so they go unsigned. Make one with `openssl rand -base64 32` and set it with `npx wrangler secret put ENCRYPTION_KEY`.";

/**
 * `GET /api/account/webhook-secret`: what the webhooks of the account's jobs are signed with.
 *
 * @throws ProblemError 409 when the server has no key to derive it from
 */
export async function getWebhookSecret(c: HttpContext): Promise<Response> {
  const { webhookKeys } = c.get("config");
  if (!webhookKeys) throw new ProblemError(conflict("no_encryption_key", UNSIGNED));
  const secret = await webhookSecret(webhookKeys, c.get("account"));
  return c.json({ object: "webhook_secret", secret });
}

const shown = (c: HttpContext, key: KeyInfo | null): Response =>
  c.json({
    id: c.get("account"),
    object: "account",
    anthropic_key: key && {
      last_four: key.hint === "" ? null : key.hint,
      set_at: new Date(key.at).toISOString(),
    },
  });
