import { digest, mix } from "./hash.ts";
import type { RequestDigest } from "./tokens.ts";
import type { Ttl } from "./validate/cache-marks.ts";
import { lastCacheable, markOf } from "./validate/cache-marks.ts";
import { asksForCitations } from "./validate/citations.ts";
import { effortOf, thinkingKey } from "./validate/parameters.ts";
import type { ApiRequest, JsonObject } from "./wire.ts";
import { isObject, objectsAt, trimMap } from "./wire.ts";

const LOOK_BACK = 20;
const TTL_MS: Readonly<Record<Ttl, number>> = { "5m": 5 * 60_000, "1h": 60 * 60_000 };
const MAX_ENTRIES = 20_000;
const MAX_FINGERPRINTS = 2_000;

/** How the prompt of one request is billed; the four add up to all input tokens. */
export interface CacheBill {
  readonly read: number;
  readonly write5m: number;
  readonly write1h: number;
  readonly uncached: number;
}

interface Position {
  /** Hash of the prompt up to and including this block. */
  readonly hash: number;
  /** Tokens up to and including this block. */
  readonly tokens: number;
  readonly mark: Ttl | undefined;
}

/** The prompt as a chain of positions, in the order tools, system, messages. */
export interface Prompt {
  readonly positions: readonly Position[];
  readonly model: string;
  readonly tools: number;
  readonly system: number;
  readonly tokens: number;
}

interface Entry {
  readonly ttl: Ttl;
  /** Milliseconds since the epoch. */
  expires: number;
}

/** Lays out the prompt. What changes a part of the prompt is mixed in where that part begins. */
export function layOut(request: ApiRequest, digests: RequestDigest): Prompt {
  const { body, model } = request;
  const automatic = markOf(body);
  const last = automatic && lastCacheable(request.tools, request.system, request.messages);
  const positions: Position[] = [];
  let hash = digest(`model ${model.id}`).hash;
  let tokens = 0;
  const add = (
    block: JsonObject,
    own: RequestDigest["tools"][number] | undefined,
    salt: number,
  ) => {
    hash = mix(mix(hash, salt), own?.hash ?? 0);
    tokens += own?.tokens ?? 0;
    const mark = markOf(block) ?? innerMark(block) ?? (block === last ? automatic : undefined);
    positions.push({ hash, tokens, mark });
  };
  for (const [i, tool] of request.tools.entries()) add(tool, digests.tools[i], 1);
  const tools = hash;
  const speed = typeof body.speed === "string" ? body.speed : "standard";
  hash = mix(hash, digest(`${speed} ${asksForCitations(request.messages)}`).hash);
  for (const [i, block] of request.system.entries()) add(block, digests.system[i], 2);
  const system = hash;
  hash = mix(hash, digest(messageSettings(request)).hash);
  for (const [i, message] of request.messages.entries()) {
    const salt = digest(message.role).hash;
    for (const [j, block] of message.content.entries()) add(block, digests.messages[i]?.[j], salt);
  }
  return { positions, model: model.id, tools, system, tokens };
}

/** A breakpoint on a block inside a tool result counts at the tool result. */
function innerMark(block: JsonObject): Ttl | undefined {
  if (block.type !== "tool_result") return undefined;
  return objectsAt(block, "content")
    .map(markOf)
    .find((mark) => mark !== undefined);
}

/** Settings whose change makes the message part of the cache unusable. */
function messageSettings(request: ApiRequest): string {
  const { body, model } = request;
  const config = isObject(body.output_config) ? body.output_config : {};
  const choice = isObject(body.tool_choice) ? body.tool_choice : { type: "auto" };
  return JSON.stringify([
    choice,
    thinkingKey(body, model),
    effortOf(body, model),
    isObject(config.format) ? config.format : null,
    request.messages.some(({ content }) => content.some(holdsImage)),
  ]);
}

function holdsImage(block: JsonObject): boolean {
  if (block.type === "image") return true;
  return block.type === "tool_result" && objectsAt(block, "content").some(holdsImage);
}

/** The prompt cache of one workspace. */
export class PromptCache {
  readonly #entries = new Map<number, Entry>();
  readonly #fingerprints = new Map<string, Prompt>();

  /**
   * Bills a prompt. `begin` is called once its response has begun: only then can other requests read
   * what this one writes.
   *
   * @param now start of the request, from which lifetimes count
   */
  bill(prompt: Prompt, minTokens: number, now: number): { bill: CacheBill; begin: () => void } {
    const { positions, tokens } = prompt;
    const marked = positions.flatMap((position, i) =>
      position.mark && position.tokens >= minTokens ? [{ ...position, i, ttl: position.mark }] : [],
    );
    let hit = -1;
    for (const { i } of marked) {
      for (let at = i; at > hit && at > i - LOOK_BACK; at--) {
        if (this.#live(positions[at]?.hash ?? 0, now)) hit = at;
      }
    }
    const read = positions[hit]?.tokens ?? 0;
    const later = marked.filter(({ i }) => i > hit);
    const to1h = later.findLast(({ ttl }) => ttl === "1h")?.tokens ?? read;
    const to5m = Math.max(to1h, later.findLast(({ ttl }) => ttl === "5m")?.tokens ?? to1h);
    const begin = () => {
      this.#refresh(positions[hit]?.hash, now);
      for (const { i, hash, ttl } of marked) {
        if (i <= hit) this.#refresh(hash, now);
        else this.#write(hash, ttl, now);
      }
    };
    const bill = { read, write1h: to1h - read, write5m: to5m - to1h, uncached: tokens - to5m };
    return { bill, begin };
  }

  #live(hash: number, now: number): Entry | undefined {
    const entry = this.#entries.get(hash);
    return entry && entry.expires > now ? entry : undefined;
  }

  #refresh(hash: number | undefined, now: number): void {
    const entry = hash === undefined ? undefined : this.#live(hash, now);
    if (entry) entry.expires = Math.max(entry.expires, now + TTL_MS[entry.ttl]);
  }

  #write(hash: number, ttl: Ttl, now: number): void {
    const expires = now + TTL_MS[ttl];
    const live = this.#live(hash, now);
    if (live && live.expires >= expires) return;
    this.#entries.set(hash, { ttl, expires });
    trimMap(this.#entries, MAX_ENTRIES);
  }

  /** Keeps a prompt for `diagnostics.previous_message_id`. */
  remember(messageId: string, prompt: Prompt): void {
    this.#fingerprints.set(messageId, prompt);
    trimMap(this.#fingerprints, MAX_FINGERPRINTS);
  }

  /** Where a prompt departs from that of an earlier message; null where it only grew. */
  diagnose(previousId: string, prompt: Prompt, read: number): JsonObject | null {
    const before = this.#fingerprints.get(previousId);
    if (!before) return { cache_miss_reason: { type: "previous_message_not_found" } };
    const type = departure(before, prompt);
    if (!type) return null;
    const missed = Math.max(0, before.tokens - read);
    return { cache_miss_reason: { type, cache_missed_input_tokens: missed } };
  }

  clear(): void {
    this.#entries.clear();
    this.#fingerprints.clear();
  }
}

function departure(before: Prompt, now: Prompt): string | undefined {
  if (before.model !== now.model) return "model_changed";
  if (before.tools !== now.tools) return "tools_changed";
  if (before.system !== now.system) return "system_changed";
  const last = before.positions.length - 1;
  const isPrefix = before.positions[last]?.hash === now.positions[last]?.hash;
  return isPrefix ? undefined : "messages_changed";
}
