/**
 * Which Anthropic key a session's model calls are made with: its own, else its account's, else the
 * server's. One that is there and cannot be opened is never passed over: somebody else would pay.
 */
import type { AccountClient } from "../account/client.ts";
import { ANTHROPIC_KEY } from "../account/secret-table.ts";
import type { Upstream } from "../model/api-client.ts";
import { CallFailed, type KeyOwner } from "../model/retry.ts";
import { clock } from "../shared/clock.ts";
import { type Config, readConfig, type Variables } from "../shared/config.ts";
import { open, seal } from "../shared/sealed.ts";
import type { Store } from "./store.ts";
import { upstreamOf } from "./upstream.ts";

/** What the account said is believed for so long, in milliseconds. */
const ASKED_EVERY_MS = 60_000;

export interface OwnKeyEdges {
  env: () => Variables;
  store: Store;
  account: () => Pick<AccountClient, "anthropicKey">;
  /** Names of the objects, to which the keys are bound. */
  names: { session: string; account: string };
}

export class OwnKeys {
  readonly #edges: OwnKeyEdges;
  #told: { at: number; sealed: string | null } | null = null;
  #asking: Promise<string | null> | null = null;

  constructor(edges: OwnKeyEdges) {
    this.#edges = edges;
  }

  /**
   * Where the next model call goes, and with which key.
   *
   * @throws CallFailed when there is no key, or the one that there is cannot be had
   */
  readonly upstream = async (): Promise<Upstream> => {
    const { env, store, names } = this.#edges;
    const result = readConfig(env());
    if (!result.ok) throw new CallFailed({ kind: "unsent" });
    const { config } = result;
    if (store.state.own_key) return ownUpstream(config, "session", await this.#ofSession(config));
    // Without it an account has no key, and nobody has to ask.
    if (!config.encryption) return upstreamOf(env());
    const sealed = await this.#ofAccount();
    if (sealed === null) return upstreamOf(env());
    const context = { owner: names.account, purpose: ANTHROPIC_KEY };
    const opened = await open(config.encryption, context, sealed);
    if (!opened.ok) throw locked("account");
    return ownUpstream(config, "account", opened.text);
  };

  async #ofSession({ encryption }: Config): Promise<string> {
    const { store, names } = this.#edges;
    const kept = store.secrets.get(ANTHROPIC_KEY);
    if (!kept || !encryption) throw locked("session");
    const context = { owner: names.session, purpose: ANTHROPIC_KEY };
    const opened = await open(encryption, context, kept.sealed);
    if (!opened.ok) throw locked("session");
    if (opened.stale) {
      const sealed = await seal(encryption, context, opened.text);
      if (!store.state.deleted) store.secrets.reseal(ANTHROPIC_KEY, kept.sealed, sealed);
    }
    return opened.text;
  }

  async #ofAccount(): Promise<string | null> {
    const now = clock.now();
    const told = this.#told;
    if (told && now >= told.at && now - told.at < ASKED_EVERY_MS) return told.sealed;
    // A count and a call at once ask once.
    this.#asking ??= this.#ask(now).finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #ask(at: number): Promise<string | null> {
    try {
      const sealed = await this.#edges.account().anthropicKey();
      this.#told = { at, sealed };
      return sealed;
    } catch {
      throw new CallFailed({ kind: "own_key", owner: "account", why: "unreachable" });
    }
  }
}

const locked = (owner: KeyOwner): CallFailed =>
  new CallFailed({ kind: "own_key", owner, why: "locked" });

/** An own key is for the real API, also where the stand-in answers everybody else. */
const ownUpstream = ({ baseUrl }: Config, owner: KeyOwner, apiKey: string): Upstream => ({
  apiKey,
  owner,
  ...(baseUrl === null ? {} : { baseURL: baseUrl }),
});
