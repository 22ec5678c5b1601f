/** What it means that a call could not be made with a key of one's own. */
import type { Classified, Failure, KeyOwner } from "./retry.ts";

const HOW_TO_SET: Readonly<Record<KeyOwner, string>> = {
  session: "`anthropic_api_key` of the session",
  account: "PUT /api/account/anthropic-key",
};

/** The API knows no such key. */
export const refusedKey = (owner: KeyOwner, upstream_status: number): Final => ({
  kind: "final",
  code: "own_key_refused",
  message: `The model API refused the ${owner}'s own Anthropic key (401 unauthorized). Set another one with ${HOW_TO_SET[owner]}, or take it away.`,
  upstream_status,
  content_rejected: false,
});

export function keyMissing({ owner, why }: Extract<Failure, { kind: "own_key" }>): Classified {
  if (why === "unreachable") {
    const message =
      "Whether the account has an Anthropic key of its own is not known: it could not be asked.";
    return { kind: "retry", code: "own_key_unavailable", message };
  }
  const message = `The ${owner}'s own Anthropic key cannot be decrypted, because the server's ENCRYPTION_KEY is missing or another one. Put the earlier one into ENCRYPTION_KEYS_OLD, or set the key anew with ${HOW_TO_SET[owner]}, or take it away.`;
  return { kind: "final", code: "own_key_locked", message, content_rejected: false };
}

type Final = Extract<Classified, { kind: "final" }>;
