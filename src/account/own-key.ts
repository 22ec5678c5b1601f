/** The account's own Anthropic key, sealed: with it its sessions pay for themselves. */
import { type Keyring, open, seal } from "../shared/sealed.ts";
import { ANTHROPIC_KEY, type KeptSecret, SecretTable } from "./secret-table.ts";

/** What may be shown of it. */
export type KeyInfo = Pick<KeptSecret, "hint" | "at">;

export class AccountKey {
  readonly #table: SecretTable;
  /** Name of the account's object, to which the key is bound. */
  readonly #owner: string;

  constructor(sql: SqlStorage, owner: string) {
    this.#table = new SecretTable(sql);
    this.#owner = owner;
  }

  put(kept: KeptSecret): void {
    this.#table.put(ANTHROPIC_KEY, kept);
  }

  remove(): void {
    this.#table.remove(ANTHROPIC_KEY);
  }

  info(): KeyInfo | null {
    const kept = this.#table.get(ANTHROPIC_KEY);
    return kept && { hint: kept.hint, at: kept.at };
  }

  /** As it is kept, for a session that opens it; under the current key where it can be. */
  async sealed(keyring: Keyring | null): Promise<string | null> {
    const kept = this.#table.get(ANTHROPIC_KEY);
    if (!kept || !keyring) return kept?.sealed ?? null;
    const context = { owner: this.#owner, purpose: ANTHROPIC_KEY };
    const opened = await open(keyring, context, kept.sealed);
    if (!opened.ok || !opened.stale) return kept.sealed;
    const sealed = await seal(keyring, context, opened.text);
    this.#table.reseal(ANTHROPIC_KEY, kept.sealed, sealed);
    return sealed;
  }
}
