import { digest, mix } from "./hash.ts";
import type { RequestDigest } from "./tokens.ts";
import type { JsonObject, Role } from "./wire.ts";
import { trimMap } from "./wire.ts";

const ROLE_HASH: Readonly<Record<Role, number>> = {
  user: digest("user").hash,
  assistant: digest("assistant").hash,
  system: digest("system").hash,
};

/**
 * A place in a conversation, as thinking is bound to it. `prefix` leaves thinking out, because
 * thinking at the front may be removed; `previous` is the thinking block before the place.
 */
export interface Place {
  readonly prefix: number;
  /** Hash of the latest thinking block; 0 where there is none. */
  readonly previous: number;
}

/** The place before the first message. Tools that are loaded later are no part of the prefix. */
export function startOf(tools: readonly JsonObject[], digests: RequestDigest): number {
  let prefix = digest("conversation").hash;
  for (const { hash } of digests.system) prefix = mix(prefix, hash);
  prefix = mix(prefix, ROLE_HASH.system);
  for (const [i, { hash }] of digests.tools.entries()) {
    if (tools[i]?.defer_loading !== true) prefix = mix(prefix, hash);
  }
  return prefix;
}

/** The prefix behind one more block that is not thinking. */
export function step(prefix: number, role: Role, hash: number): number {
  return mix(mix(prefix, ROLE_HASH[role]), hash);
}

interface Answered {
  readonly previous: number;
  /** That thinking block belongs to the answer itself. */
  readonly own: boolean;
}

const MAX_REMEMBERED = 50_000;

/**
 * What the stand-in has answered, as far as a later transcript can be held against it: which thinking
 * stood before each block, and which answers ended with `pause_turn`.
 */
export class Memory {
  readonly #answered = new Map<number, Answered[]>();
  readonly #pauses = new Set<number>();

  remember(prefix: number, answered: Answered): void {
    const known = this.#answered.get(prefix);
    if (known) known.push(answered);
    else this.#answered.set(prefix, [answered]);
    trimMap(this.#answered, MAX_REMEMBERED);
  }

  answered(prefix: number): readonly Answered[] | undefined {
    return this.#answered.get(prefix);
  }

  rememberPause(prefix: number): void {
    this.#pauses.add(prefix);
  }

  isPause(prefix: number): boolean {
    return this.#pauses.has(prefix);
  }

  clear(): void {
    this.#answered.clear();
    this.#pauses.clear();
  }
}
