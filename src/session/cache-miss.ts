/**
 * Why a call read less of its prompt from the API's cache than the calls before it had put there.
 * Pure: what is known stands in the rows of the calls.
 */
import { createHash } from "node:crypto";
import { rulesOf } from "../model/catalogue.ts";
import type { ModelRequest } from "../model/request.ts";
import type { CacheChange, CacheMiss, PromptSettings } from "../shared/prompt-cache.ts";
import type { CallStartedBody, Row, RowOf } from "../shared/rows.ts";
import type { CacheTtl } from "../shared/settings.ts";
import { promptTokens, type Usage } from "../shared/usage.ts";
import type { State } from "./state.ts";

/** The API keeps an entry for so long from the start of the last request that used it. */
const TTL_MS: Readonly<Record<CacheTtl, number>> = { "5m": 5 * 60_000, "1h": 60 * 60_000 };

/** No model's known minimum is greater; it stands in for one that is not known. */
const GREATEST_MINIMUM = 4_096;

/** A request, as far as it decides what a later one finds in the cache. */
interface Sent {
  /** When it started, in milliseconds since the epoch. */
  at: number;
  ttl: CacheTtl;
  model: string;
  settings: PromptSettings;
}

export interface Cache {
  /** The request that is open. */
  open: (Sent & { compacts: boolean }) | null;
  /**
   * The last one that the API accepted, what it used, and whether its whole answer was kept; `at` is
   * that of the last use since.
   */
  last: (Sent & { usage: Usage; whole: boolean }) | null;
  /** What has changed the beginning of the prompt since. */
  change: CacheChange | null;
}

export const NO_CACHE: Cache = { open: null, last: null, change: null };

/** What is known of the cache after `row`; `before` is the state before it. */
export function foldCache(before: State, row: Row): Cache {
  const { cache } = before;
  switch (row.type) {
    case "call.started":
      return { ...cache, open: sentBy(row.body, row.at) };
    case "call.ended":
      return onEnded(cache, row);
    case "context.cut":
      return { ...cache, change: changeOf(before, row) ?? cache.change };
    case "context.compacted":
      return { ...cache, change: "compacted" };
    default:
      return cache;
  }
}

const sentBy = ({ ttl, model, sent = {}, purpose }: CallStartedBody, at: number) => ({
  at,
  ttl,
  model,
  settings: sent,
  compacts: purpose === "compact",
});

function onEnded(cache: Cache, { body }: RowOf<"call.ended">): Cache {
  const { accepted, usage, end } = body;
  const next = { ...cache, open: null };
  if (!cache.open || !usage) return next;
  const { compacts, ...sent } = cache.open;
  if (accepted && !compacts)
    return { open: null, last: { ...sent, usage, whole: end === "ok" }, change: null };
  // The conversation has not moved on, but what was read is kept from then on.
  if (!cache.last || usage.cache_read_input_tokens === 0) return next;
  return { ...next, last: { ...cache.last, at: sent.at } };
}

function changeOf({ context }: State, { body }: RowOf<"context.cut">): CacheChange | null {
  switch (body.reason) {
    case "tools":
    case "server_tools":
      return "changed_tools";
    case "system":
      return "changed_system";
    case "model":
      return "model_switched";
    case "replay":
      return "replayed";
    case "gone":
      return "thinking_removed";
    case "refusal":
      // What was accepted before is left out only where an interrupted exchange goes with it.
      return context.unproven.calls.length > 0 ? "left_out" : null;
    case "rejected":
      return null;
  }
}

/** Tokens of a prompt that stay in the cache after its call: read or written, up to the last mark. */
const cachedTokens = (usage: Usage): number =>
  usage.cache_read_input_tokens + usage.cache_creation_input_tokens;

/**
 * Why the open call read less than the last one had left in the cache; null where it read all of
 * that.
 *
 * @param usage as the API told it
 */
export function cacheMiss({ cache, epoch }: Pick<State, "cache" | "epoch">, usage: Usage) {
  const { open, last, change } = cache;
  const read = usage.cache_read_input_tokens;
  if (!open) return null;
  if (!last) return read === 0 ? miss("first_call", 0) : null;
  const cached = cachedTokens(last.usage);
  const before = promptTokens(last.usage);
  // What could have been read of this prompt.
  const expected = Math.min(cached > 0 ? cached : before, promptTokens(usage));
  const missed = expected - read;
  if (missed <= 0) return null;
  if (open.model !== last.model) return miss("model_switched", missed);
  if (change) return miss(change, missed);
  if (cached === 0) {
    // Nothing was kept, although there was a mark.
    return miss(before < minimumOf(last.model, epoch) ? "below_minimum" : "unknown", missed);
  }
  if (open.at - last.at >= TTL_MS[last.ttl]) return miss("expired", missed);
  const settings = differing(last.settings, open.compacts ? last.settings : open.settings);
  return settings.length > 0
    ? { ...miss("settings_changed", missed), settings }
    : miss("unknown", missed);
}

const miss = (reason: CacheMiss["reason"], tokens: number): CacheMiss => ({ reason, tokens });

const minimumOf = (model: string, epoch: State["epoch"]): number =>
  rulesOf(model, epoch?.model === model ? epoch.facts : null).cache_minimum ?? GREATEST_MINIMUM;

const SETTINGS = [
  "tool_choice",
  "thinking",
  "effort",
  "output_format",
  "speed",
  "images",
  "citations",
] as const satisfies readonly (keyof PromptSettings)[];

const differing = (a: PromptSettings, b: PromptSettings): CacheMiss["settings"] & {} =>
  SETTINGS.filter((name) => a[name] !== b[name]);

/** What of a request makes the cached messages of another one unusable. */
export function promptSettings({
  tool_choice,
  thinking,
  output_config,
  speed,
  messages,
}: ModelRequest["params"]): PromptSettings {
  const { effort, format } = output_config ?? {};
  const budget = thinking?.type === "enabled" ? ` ${thinking.budget_tokens}` : "";
  const blocks = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
  return {
    ...(tool_choice ? { tool_choice: JSON.stringify(tool_choice) } : {}),
    ...(thinking ? { thinking: thinking.type + budget } : {}),
    ...(effort ? { effort } : {}),
    ...(format ? { output_format: hash(JSON.stringify(format)) } : {}),
    ...(speed ? { speed } : {}),
    ...(blocks.some(hasImage) ? { images: true } : {}),
    ...(blocks.some(hasCitations) ? { citations: true } : {}),
  };
}

/** So much of it tells one schema from another. */
const HASH_DIGITS = 16;

const hash = (text: string): string =>
  createHash("sha256").update(text).digest("hex").slice(0, HASH_DIGITS);

const hasImage = (block: object): boolean =>
  ("type" in block && block.type === "image") || innerBlocks(block).some(hasImage);

const hasCitations = (block: object): boolean =>
  ("citations" in block &&
    typeof block.citations === "object" &&
    block.citations !== null &&
    "enabled" in block.citations &&
    block.citations.enabled === true) ||
  innerBlocks(block).some(hasCitations);

/** The blocks in a tool's result. */
const innerBlocks = (block: object): object[] =>
  "type" in block &&
  block.type === "tool_result" &&
  "content" in block &&
  Array.isArray(block.content)
    ? block.content
    : [];
