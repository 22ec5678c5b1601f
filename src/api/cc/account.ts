/** What belongs to a whole account. */
import * as v from "valibot";
import { accountOf } from "../../account/client.ts";
import type { KeyInfo } from "../../account/own-key.ts";
import { readJson } from "../../http/body.ts";
import type { HttpContext } from "../../http/context.ts";
import { repeatedly } from "../../http/submit.ts";
import { parse } from "../../http/validate.ts";
import { clock } from "../../shared/clock.ts";
import { AnthropicKeyField, sealedFor } from "./own-key.ts";

const SetKey = v.object({ api_key: AnthropicKeyField });

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

const shown = (c: HttpContext, key: KeyInfo | null): Response =>
  c.json({
    id: c.get("account"),
    object: "account",
    anthropic_key: key && {
      last_four: key.hint === "" ? null : key.hint,
      set_at: new Date(key.at).toISOString(),
    },
  });
