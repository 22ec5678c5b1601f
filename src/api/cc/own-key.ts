/** Anthropic keys that clients bring for their account or session: read, sealed, never shown. */
import * as v from "valibot";
import { ANTHROPIC_KEY } from "../../account/secret-table.ts";
import type { HttpContext } from "../../http/context.ts";
import { conflict, ProblemError } from "../../http/problems.ts";
import { isKey, KEY_RULE } from "../../shared/config-readers.ts";
import { isJsonObject, type Json } from "../../shared/content.ts";
import { fingerprint, type Keyring, seal } from "../../shared/sealed.ts";

/** A shorter one could not be told from other text where an error quotes it. */
const MIN_LENGTH = 8;

export const AnthropicKeyField = v.pipe(
  v.string(),
  v.check(
    (text) => text.length >= MIN_LENGTH && isKey(text),
    `The key should have at least ${MIN_LENGTH} characters: ${KEY_RULE}`,
  ),
);

const NO_ENCRYPTION_KEY =
  "A key of one's own is kept encrypted, and this server has no ENCRYPTION_KEY to do that with. Make one with `openssl rand -base64 32` and set it with `npx wrangler secret put ENCRYPTION_KEY`.";

/** @throws ProblemError 409 when the server keeps no secrets */
function keyringOf(c: HttpContext): Keyring {
  const { encryption } = c.get("config");
  if (encryption) return encryption;
  throw new ProblemError(conflict("no_encryption_key", NO_ENCRYPTION_KEY));
}

/** `key`, as the object `owner` may keep it. */
export const sealedFor = (c: HttpContext, owner: string, key: string): Promise<string> =>
  seal(keyringOf(c), { owner, purpose: ANTHROPIC_KEY }, key);

/** The body as it is compared with an earlier one, which is kept: without the key in it. */
export async function withoutKey(c: HttpContext, body: Json): Promise<Json> {
  if (!isJsonObject(body)) return body;
  const { anthropic_api_key: key } = body;
  if (typeof key !== "string") return body;
  return { ...body, anthropic_api_key: await fingerprint(keyringOf(c), key) };
}
