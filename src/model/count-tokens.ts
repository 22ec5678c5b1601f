/** How many tokens a prompt has, as the API counts them: free, and without the cache. */
import { clock } from "../shared/clock.ts";
import { apiClient, shortText, type Upstream } from "./api-client.ts";
import type { ModelRequest } from "./request.ts";
import { RequestBody } from "./request-body.ts";
import { isCount } from "./usage.ts";

/** A request as far as its tokens are counted. */
export interface Prompt {
  params: Pick<ModelRequest["params"], "model" | "messages"> &
    Partial<Pick<ModelRequest["params"], (typeof COUNTED)[number]>>;
  betas: readonly string[];
}

/** The members that the count endpoint knows; it refuses all others. */
const COUNTED = [
  "model",
  "messages",
  "system",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "speed",
] as const;

/** What of a request is counted. */
export function promptOf({ params, betas }: Pick<ModelRequest, "params" | "betas">): Prompt {
  const { model, messages } = params;
  const counted = COUNTED.filter((name) => params[name] !== undefined);
  const rest = Object.fromEntries(counted.map((name) => [name, params[name]]));
  return { params: { ...rest, model, messages }, betas };
}

/** The longest that one count is waited for. */
const WAIT_MS = 20_000;
/** The answer is one number. */
const MAX_ANSWER = 10_000;

/** @throws when the API cannot be reached or does not count it; the error says nothing to show */
export async function countTokens(
  upstream: Upstream,
  { params, betas }: Prompt,
  signal: AbortSignal,
): Promise<number> {
  const connection = new AbortController();
  const stop = () => connection.abort();
  const cancelTimer = clock.after(WAIT_MS, stop);
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    const client = apiClient(upstream, WAIT_MS + 10_000);
    const response = await client
      .post("/v1/messages/count_tokens", {
        body: new RequestBody(params).take(),
        headers: {
          // The SDK sets it for what it encodes itself.
          "content-type": "application/json",
          ...(betas.length > 0 ? { "anthropic-beta": betas.join(",") } : {}),
        },
        // A redirect would carry the key to another address.
        fetchOptions: { redirect: "manual" },
        signal: connection.signal,
      })
      .asResponse();
    const answer: unknown = JSON.parse(await shortText(response, MAX_ANSWER));
    const counted =
      typeof answer === "object" && answer !== null && "input_tokens" in answer
        ? answer.input_tokens
        : null;
    if (!isCount(counted)) throw new Error("no count");
    return counted;
  } finally {
    cancelTimer();
    signal.removeEventListener("abort", stop);
    connection.abort();
  }
}
