/** The SDK as this server uses it, for all that is asked of the API. */
import { BaseAnthropic } from "@anthropic-ai/sdk/client";
import type { KeyOwner } from "./retry.ts";

/** Where model calls go. */
export interface Upstream {
  apiKey: string;
  /** Whose the key is, where it is not the server's. */
  owner?: KeyOwner;
  /** Address of the API without `/v1`; absent: Anthropic's own. */
  baseURL?: string;
  /** Takes the place of the global `fetch`: the stand-in, or a test. */
  fetch?: typeof fetch;
}

const ANTHROPIC = "https://api.anthropic.com";

/**
 * A client that never repeats a call.
 *
 * @param timeout longest wait for the head of a response, in milliseconds
 */
export const apiClient = (upstream: Upstream, timeout: number): BaseAnthropic =>
  new BaseAnthropic({
    apiKey: upstream.apiKey,
    baseURL: upstream.baseURL ?? ANTHROPIC,
    // Looked up at the call: what a test puts in its place may come later than this module.
    fetch: (input, init) => (upstream.fetch ?? fetch)(input, init),
    maxRetries: 0,
    timeout,
    // The SDK's log would show what the model wrote.
    logLevel: "off",
    openTelemetry: false,
  });

/**
 * The body as text; what answers need not be the API, and may not end.
 *
 * @throws Error when it is longer than `most` UTF-16 units
 */
export async function shortText(response: Response, most: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > most) throw new Error("the answer is too long");
  }
  return text + decoder.decode();
}
