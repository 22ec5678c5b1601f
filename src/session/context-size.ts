/**
 * How large a session's context is, in tokens and by what it consists of. Pure: from the request that
 * the next call would send and from what the API has told of the last one.
 */
import { rulesOf } from "../model/catalogue.ts";
import type { RequestBlock, RequestMessage } from "../model/request.ts";
import { LongText } from "../shared/long-text.ts";
import { promptTokens } from "../shared/usage.ts";
import { compactionThreshold, replyReserve } from "./compact.ts";
import type { Epoch, State } from "./state.ts";

/** Tokens of the parts of a prompt. */
export interface Categories {
  system: number;
  tools: number;
  messages: number;
  media: number;
}

export interface ContextSize {
  /** Tokens of the whole prompt. */
  used: number;
  /** What the model takes; of it is kept free for the answer; and what is left. */
  window: number;
  reserve: number;
  free: number;
  /** Counted by the API. */
  exact: boolean;
  categories: Categories;
  model: string;
  /** How the prompt of the last call was billed; null before the first one. */
  cache: { read: number; written: number; fresh: number } | null;
  /** Above so many tokens the context is compacted; null when that never happens by itself. */
  compact_at: number | null;
  /** Why it is no count, where one was asked for. */
  notice?: { code: string; message: string };
}

/** What a prompt consists of: characters of text, and tokens of images and documents. */
export interface PromptSize {
  system: number;
  tools: number;
  /** Of each block of the messages, in order. */
  blocks: readonly BlockSize[];
}

export interface BlockSize {
  role: RequestMessage["role"];
  characters: number;
  media: number;
}

/** Characters of text in a token, about, where the API has not counted any of it. */
const CHARACTERS_PER_TOKEN = 3.5;
/** Bounds of the same as measured: what media take is an estimate, and the rest is text. */
const MOST_CHARACTERS_PER_TOKEN = 8;

/** Measures a request; `mediaOf` says how many tokens an image or document takes. */
export function measure(
  {
    system,
    tools,
    messages,
  }: { system: string | null; tools: readonly object[]; messages: readonly RequestMessage[] },
  mediaOf: (block: RequestBlock) => number,
): PromptSize {
  const media = (block: RequestBlock): number =>
    isMedia(block) ? mediaOf(block) : innerBlocks(block).reduce((sum, one) => sum + media(one), 0);
  return {
    system: system?.length ?? 0,
    tools: characters(tools),
    blocks: messages.flatMap(({ role, content }) =>
      content.map((block) => ({ role, characters: characters(block), media: media(block) })),
    ),
  };
}

/** An image, or a document that is not a text. */
export function isMedia(block: RequestBlock): boolean {
  if (block.type === "image") return true;
  const source: unknown = block.type === "document" && "source" in block ? block.source : null;
  if (typeof source !== "object" || source === null || !("type" in source)) return false;
  return source.type !== "text" && source.type !== "content";
}

export const innerBlocks = (block: RequestBlock): RequestBlock[] =>
  block.type === "tool_result" && "content" in block && Array.isArray(block.content)
    ? block.content
    : [];

/** Quotes, colon and comma of a member in JSON, which is how a model reads what is no plain text. */
const PUNCTUATION = 5;

/** Members that are no text to the model. */
const SILENT: ReadonlySet<string> = new Set(["signature", "cache_control"]);

/** Characters of all texts and names in a value, media left out. */
function characters(value: unknown): number {
  if (typeof value === "string" || value instanceof LongText) return value.length;
  if (typeof value === "number" || typeof value === "boolean") return 4;
  if (typeof value !== "object" || value === null) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + characters(one), 0);
  // A block has a type.
  if ("type" in value && isMedia(value as RequestBlock)) return 0;
  return Object.entries(value).reduce(
    (sum, [name, one]) =>
      SILENT.has(name) ? sum : sum + name.length + PUNCTUATION + characters(one),
    0,
  );
}

/** The last prompt, as far as it is the beginning of the measured one, and what was answered. */
export interface KnownPrefix {
  /** So many blocks of the messages were in it. */
  blocks: number;
  tokens: number;
  /** Tokens of the answer; null where only a part of it was kept. */
  answer: number | null;
}

/** The tokens of a prompt: as many as the API has told, and an estimate of what was appended. */
export function estimate(size: PromptSize, known: KnownPrefix | null): Categories {
  const before = size.blocks.slice(0, known?.blocks ?? 0);
  const behind = size.blocks.slice(before.length);
  const texts = size.system + size.tools + sum(before, "characters");
  const least = texts / MOST_CHARACTERS_PER_TOKEN;
  const text = known ? Math.max(known.tokens - sum(before, "media"), least) : 0;
  const perCharacter = known && texts > 0 ? text / texts : 1 / CHARACTERS_PER_TOKEN;
  const media = (known ? Math.max(0, known.tokens - text) : 0) + sum(behind, "media");
  const end = behind.findIndex(({ role }) => role !== "assistant");
  const answered = behind.slice(0, end < 0 ? behind.length : end);
  const counted = answered.length > 0 ? (known?.answer ?? null) : null;
  const rest = counted === null ? behind : behind.slice(answered.length);
  const written =
    (size.system + size.tools + sum(before, "characters") + sum(rest, "characters")) * perCharacter;
  const parts = {
    system: Math.round(size.system * perCharacter),
    tools: Math.round(size.tools * perCharacter),
    media: Math.round(media),
  };
  // The remainder, so that the parts make the whole.
  const whole = Math.round(written + (counted ?? 0) + media);
  return { ...parts, messages: Math.max(0, whole - parts.system - parts.tools - parts.media) };
}

const sum = (blocks: readonly BlockSize[], field: "characters" | "media"): number =>
  blocks.reduce((total, block) => total + block[field], 0);

/** What the API has told of the measured prompt's beginning; null where that is another one. */
export function knownPrefix({ cache, context }: State): KnownPrefix | null {
  const { last, change } = cache;
  if (!last || change !== null || context.mark === null) return null;
  const { usage, whole } = last;
  return {
    blocks: context.mark + 1,
    tokens: promptTokens(usage),
    answer: whole ? usage.output_tokens : null,
  };
}

/** Everything but the tokens themselves. */
export function contextSize(
  { cache }: State,
  epoch: Pick<Epoch, "model" | "facts">,
  categories: Categories,
  { exact, percent }: { exact: boolean; percent: number },
): ContextSize {
  const rules = rulesOf(epoch.model, epoch.facts);
  const { system, tools, messages, media } = categories;
  const used = system + tools + messages + media;
  const window = rules.context_window;
  const reserve = replyReserve(rules);
  const usage = cache.last?.usage;
  return {
    used,
    window,
    reserve,
    free: Math.max(0, window - reserve - used),
    exact,
    categories,
    model: epoch.model,
    cache: usage
      ? {
          read: usage.cache_read_input_tokens,
          written: usage.cache_creation_input_tokens,
          fresh: usage.input_tokens,
        }
      : null,
    compact_at: compactionThreshold(rules, percent),
  };
}
