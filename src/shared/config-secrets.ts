/** The variables under which secrets of users are kept, and those of webhooks made. */
import { table } from "./config-table.ts";

const KEY_RULE = "32 bytes as base64, as `openssl rand -base64 32` makes them";

export const SECRET_VARIABLES = table({
  ENCRYPTION_KEY: {
    meaning:
      "The key under which secrets of users, such as Anthropic keys of their own, are encrypted where they are kept: 32 bytes as base64, made with `openssl rand -base64 32`. Unset: such secrets are refused.",
    rule: KEY_RULE,
    fallback: null,
    secret: true,
    read: readKey,
  },
  ENCRYPTION_KEYS_OLD: {
    meaning:
      "Earlier values of `ENCRYPTION_KEY`, separated by commas: what was encrypted under them can still be read, and is encrypted anew when it is next used.",
    rule: `a comma-separated list of keys, each ${KEY_RULE}`,
    fallback: null,
    secret: true,
    read: readKeyList,
  },
  WEBHOOK_KEY: {
    meaning:
      "The key from which the secrets are derived that sign an account's webhooks. Unset: `ENCRYPTION_KEY` and, for the time of a change, `ENCRYPTION_KEYS_OLD`; without these webhooks go unsigned. `npm start` makes one for its data.",
    rule: KEY_RULE,
    fallback: null,
    secret: true,
    read: readKey,
  },
});

function readKey(text: string): Uint8Array<ArrayBuffer> | null {
  // So many characters are 32 bytes. Node reads this as well, and has no `fromBase64` yet.
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) return null;
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function readKeyList(text: string): Uint8Array<ArrayBuffer>[] | null {
  const keys = text.split(",").map((part) => readKey(part.trim()));
  const read = keys.filter((key) => key !== null);
  return read.length === keys.length ? read : null;
}
