/** What a call used: read from the API's report, and estimated where it did not say. */
import { promptTokens, type Usage } from "../shared/usage.ts";

/** Bytes of UTF-8 in a token, at the careful end: other scripts than Latin take more bytes. */
const BYTES_PER_TOKEN = 3;

/** Tokens of a prompt of which only the size is known. */
export const bytesToTokens = (bytes: number): number => Math.ceil(bytes / BYTES_PER_TOKEN);

/** Characters of text in a token of current tokenizers, about: code has fewer, prose more. */
const CHARACTERS_PER_TOKEN = 3.5;

/**
 * Usage of a call that did not tell how much it used: interrupted, cut, lost with the object, or
 * answered without saying it. Input is what the API said, or else the last known size of the
 * prompt, all of it fresh. Output is counted from the characters received, thinking included, at
 * 3.5 to a token.
 */
export function estimateUsage(call: {
  /** Usage from `message_start`, or null when it was not seen. */
  reported: Usage | null;
  /** Tokens of the session's last known prompt. */
  promptTokens: number;
  /** UTF-16 units of text, thinking and partial JSON received. */
  characters: number;
}): Usage {
  const reported = call.reported ?? NOTHING_REPORTED;
  const prompt = promptTokens(reported) > 0 ? {} : { input_tokens: call.promptTokens };
  const output = Math.ceil(call.characters / CHARACTERS_PER_TOKEN);
  return { ...reported, ...prompt, output_tokens: Math.max(reported.output_tokens, output) };
}

const NOTHING_REPORTED: Usage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};

/** The counts of the API's usage object that are kept in a row. */
export function flatten(usage: Record<string, unknown>): Usage {
  const written = isRecord(usage.cache_creation) ? usage.cache_creation : {};
  const output = isRecord(usage.output_tokens_details) ? usage.output_tokens_details : {};
  const server = isRecord(usage.server_tool_use) ? usage.server_tool_use : {};
  const flat: Usage = {
    input_tokens: count(usage.input_tokens),
    output_tokens: count(usage.output_tokens),
    cache_creation_input_tokens: count(usage.cache_creation_input_tokens),
    cache_read_input_tokens: count(usage.cache_read_input_tokens),
  };
  const hour = count(written.ephemeral_1h_input_tokens);
  const thinking = count(output.thinking_tokens);
  const searches = count(server.web_search_requests);
  if (hour > 0) flat.cache_creation_1h_input_tokens = hour;
  if (thinking > 0) flat.thinking_tokens = thinking;
  if (searches > 0) flat.web_search_requests = searches;
  if (typeof usage.inference_geo === "string") flat.inference_geo = usage.inference_geo;
  if (usage.speed === "fast") flat.speed = usage.speed;
  if (usage.service_tier === "priority" || usage.service_tier === "batch") {
    flat.service_tier = usage.service_tier;
  }
  // The tokens of a compaction stand in its own entry and not in the counts at the top.
  const iterations = Array.isArray(usage.iterations) ? usage.iterations : [];
  return iterations
    .filter(isRecord)
    .reduce<Usage>(
      (sum, entry) => (entry.type === "compaction" ? add(sum, flatten(entry)) : sum),
      flat,
    );
}

function add(a: Usage, b: Usage): Usage {
  const sum: Usage = {
    ...a,
    input_tokens: a.input_tokens + b.input_tokens,
    output_tokens: a.output_tokens + b.output_tokens,
    cache_creation_input_tokens: a.cache_creation_input_tokens + b.cache_creation_input_tokens,
    cache_read_input_tokens: a.cache_read_input_tokens + b.cache_read_input_tokens,
  };
  const hour = (a.cache_creation_1h_input_tokens ?? 0) + (b.cache_creation_1h_input_tokens ?? 0);
  return hour > 0 ? { ...sum, cache_creation_1h_input_tokens: hour } : sum;
}

export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

const count = (value: unknown): number => (isCount(value) ? value : 0);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
